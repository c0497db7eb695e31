//! Files with random bytes changed or cut off: a sound or a reason, never a panic.

use proptest::prelude::*;

use super::*;

/// A valid file of any encoding, to be spoilt.
fn any_wav() -> impl Strategy<Value = Vec<u8>> {
    let formats = vec![(PCM, 8), (PCM, 16), (PCM, 24), (PCM, 32), (FLOAT, 32), (FLOAT, 64)];
    let format = (prop::sample::select(formats), 1_u16..=8, any::<bool>());
    (format, 1_usize..20).prop_map(|(((tag, bits), channels, plain), blocks)| {
        let body = if plain { fmt(tag, channels, 16_000, bits) } else { extensible(tag, channels, 16_000, bits) };
        let data = vec![0x3F; blocks * usize::from(channels * bits / 8)];
        riff(&[chunk(b"fmt ", &body), chunk(b"LIST", b"abc"), chunk(b"data", &data)])
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes_are_refused_in_peace(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(parse_wav(&bytes).is_err());
    }

    #[test]
    fn spoilt_files_give_a_sound_or_a_reason(
        mut bytes in any_wav(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        keep in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if cut {
            bytes.truncate(keep.index(bytes.len()));
        }
        if let Ok(pcm) = parse_wav(&bytes) {
            prop_assert!(!pcm.samples.is_empty() && pcm.samples.len() <= bytes.len());
            prop_assert!((1..=MAX_SAMPLE_RATE_HZ).contains(&pcm.sample_rate_hz));
            prop_assert!(pcm.samples.iter().all(|x| x.is_finite()));
        }
    }

    #[test]
    fn a_file_cut_anywhere_in_its_samples_is_refused(bytes in any_wav(), keep in any::<prop::sample::Index>()) {
        prop_assert!(parse_wav(&bytes).is_ok());
        let cut = &bytes[..keep.index(bytes.len())];
        // The last byte may be padding.
        prop_assert!(parse_wav(cut).is_err() || cut.len() + 1 == bytes.len());
    }
}
