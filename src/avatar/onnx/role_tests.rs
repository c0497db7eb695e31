use super::super::build::{D, Parts, value_info};
use super::*;

fn graph(inputs: &[(&str, &[i64])], outputs: &[(&str, &[i64])]) -> GraphInfo {
    GraphInfo::parse(&Parts::io(inputs, outputs).model()).unwrap()
}

fn generator(first: &[i64], second: &[i64], output: &[i64]) -> Result<GeneratorShape, RoleError> {
    recognise_generator(&graph(&[("a", first), ("b", second)], &[("y", output)]), 320, 16)
}

/// The same with every dimension that is -2 left open and unnamed.
fn open_generator(first: &[i64], second: &[i64]) -> Result<GeneratorShape, RoleError> {
    let open =
        |sizes: &[i64]| sizes.iter().map(|&size| if size == -2 { D::Open } else { D::Size(size) }).collect::<Vec<_>>();
    let mut parts = Parts::io(&[], &[("y", &[1, 3, 320, 320])]);
    parts.inputs = vec![value_info("a", 1, &open(first)), value_info("b", 1, &open(second))];
    recognise_generator(&GraphInfo::parse(&parts.model()).unwrap(), 320, 16)
}

const PICTURE: &[i64] = &[1, 6, 320, 320];
const AUDIO: &[i64] = &[1, 32, 16, 16];
const OUT: &[i64] = &[1, 3, 320, 320];

#[test]
fn the_inputs_order_does_not_matter() {
    let found = generator(PICTURE, AUDIO, OUT).unwrap();
    assert_eq!((found.picture.index, found.audio.index), (0, 1));
    assert_eq!((found.picture.name.as_str(), found.audio.name.as_str(), found.output.name.as_str()), ("a", "b", "y"));
    assert_eq!((found.audio_dims, found.batch), ([32, 16, 16], Batch::One));
    let found = generator(AUDIO, PICTURE, OUT).unwrap();
    assert_eq!((found.picture.index, found.audio.index), (1, 0));
    assert_eq!(found.picture.name, "b");
}

#[test]
fn the_batch_is_dynamic_only_when_all_of_it_is() {
    let dynamic = generator(&[-1, 6, 320, 320], &[-1, 32, 16, 16], &[-1, 3, 320, 320]).unwrap();
    assert_eq!(dynamic.batch, Batch::Dynamic);
    let mixed = generator(&[-1, 6, 320, 320], AUDIO, &[-1, 3, 320, 320]).unwrap();
    assert_eq!(mixed.batch, Batch::One);
    let error = generator(&[4, 6, 320, 320], &[4, 32, 16, 16], &[4, 3, 320, 320]).unwrap_err();
    assert_eq!(error.to_string(), "the batch of \"a\" is fixed to 4");
}

#[test]
fn open_dimensions_are_recognised_by_what_is_fixed() {
    for (picture, audio) in [
        (&[-2, 6, -2, -2][..], &[-2, 32, -2, -2][..]),
        (&[-2, 6, -2, -2], &[-2, 32, 16, 16]),
        (&[-2, 6, 320, 320], &[-2, -2, -2, -2]),
        (&[-2, -2, 320, 320], &[-2, 32, -2, 16]),
    ] {
        let found = open_generator(picture, audio).unwrap();
        assert_eq!((found.picture.index, found.audio_dims), (0, [32, 16, 16]), "{picture:?}");
        assert_eq!(open_generator(audio, picture).unwrap().picture.index, 1, "{picture:?}");
    }
    assert_eq!(open_generator(&[-2, 6, 320, 320], &[-2, -2, 8, 8]).unwrap().audio_dims, [128, 8, 8]);
    assert!(matches!(open_generator(&[-2; 4], &[-2; 4]), Err(RoleError::Ambiguous { .. })));
}

#[test]
fn other_contexts_give_other_audio_dims() {
    let graph = graph(&[("a", PICTURE), ("b", &[1, 16, 16, 16])], &[("y", OUT)]);
    assert_eq!(recognise_generator(&graph, 320, 8).unwrap().audio_dims, [16, 16, 16]);
    let error = recognise_generator(&graph, 320, 16).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no input has the shape [N, C, H, W] with C * H * W = 8192 (context 16 * 512); \
         it takes [1, 6, 320, 320] and [1, 16, 16, 16]"
    );
}

#[test]
fn a_generator_that_does_not_fit_says_why() {
    let text = |result: Result<GeneratorShape, RoleError>| result.unwrap_err().to_string();
    assert_eq!(
        text(generator(&[1, 6, 160, 160], AUDIO, &[1, 3, 160, 160])),
        "its picture input is 160x160, but generator.size is 320"
    );
    assert_eq!(
        text(generator(&[1, 3, 320, 320], AUDIO, OUT)),
        "no input has the shape [N, 6, 320, 320]; it takes [1, 3, 320, 320] and [1, 32, 16, 16]"
    );
    assert_eq!(
        text(generator(PICTURE, AUDIO, &[1, 1, 320, 320])),
        "no single output has the shape [N, 3, 320, 320]; it gives [1, 1, 320, 320]"
    );
    let one = graph(&[("a", PICTURE)], &[("y", OUT)]);
    assert_eq!(
        text(recognise_generator(&one, 320, 16)),
        "it takes [1, 6, 320, 320], not a picture [N, 6, 320, 320] and a context [N, 32, 16, 16]"
    );
    // Sizes whose product does not fit in 64 bits.
    assert!(open_generator(PICTURE, &[1, i64::MAX, i64::MAX, -2]).is_err());
}

#[test]
fn only_float32_will_do() {
    let mut parts = Parts::io(&[("a", PICTURE)], &[("y", OUT)]);
    parts.inputs.push(value_info("b", 10, &super::super::build::dims(AUDIO)));
    let error = recognise_generator(&GraphInfo::parse(&parts.model()).unwrap(), 320, 16).unwrap_err();
    assert_eq!(error.to_string(), "\"b\" is float16, not float32");
    assert_eq!(error.fix(), "export it with float32 inputs and outputs");
}

#[test]
fn encoders() {
    let encoder =
        |input: &[i64], output: &[i64], mels| recognise_encoder(&graph(&[("m", input)], &[("f", output)]), mels);
    let found = encoder(&[1, 1, 80, 16], &[1, 512], 80).unwrap();
    assert_eq!((found.mel.name.as_str(), found.feature_len, found.batch), ("m", 512, Batch::One));
    assert_eq!(encoder(&[-1, 1, 80, 16], &[-1, 512], 80).unwrap().batch, Batch::Dynamic);
    assert_eq!(
        encoder(&[1, 1, 80, 16], &[1, 512], 128).unwrap_err().to_string(),
        "no input has the shape [N, 1, 128, 16]; it takes [1, 1, 80, 16]"
    );
    assert_eq!(
        encoder(&[1, 1, 80, 16], &[1, 1024], 80).unwrap_err().to_string(),
        "no single output has the shape [N, 512]; it gives [1, 1024]"
    );
    assert_eq!(encoder(&[8, 1, 80, 16], &[8, 512], 80).unwrap_err().to_string(), "the batch of \"m\" is fixed to 8");
    let two = graph(&[("a", &[1, 1, 80, 16]), ("b", &[1])], &[("f", &[1, 512])]);
    assert_eq!(
        recognise_encoder(&two, 80).unwrap_err().to_string(),
        "it takes [1, 1, 80, 16] and [1], not one mel window [N, 1, 80, 16]"
    );
}
