//! `LSPLAN01`, length of the key (u32), the key as JSON, length of the plan (u64), SHA-256 of the plan, the plan.
//! Numbers are little-endian.

use std::fs;
use std::io;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::PlanKey;
use crate::media::AtomicFile;

const MAGIC: &[u8; 8] = b"LSPLAN01";

/// No key is nearly so long; a longer one is damage.
const MAX_KEY_BYTES: usize = 64 << 10;

const DIGEST_BYTES: usize = 32;

/// Why a plan is not used.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// There is none.
    #[error("there is no plan yet")]
    Missing,
    /// It cannot be read or written.
    #[error("it cannot be used: {0}; check the folder's owner and free space")]
    Io(#[source] io::Error),
    /// Not a plan of ours, or not all of it.
    #[error("it is damaged ({what}); delete it, and the next `lipsyncd engine build` makes it again")]
    Corrupt {
        /// What gave it away.
        what: &'static str,
    },
    /// Made for something else.
    #[error(
        "it was made for another {part}: {there}, while this is {here}; build it again with `lipsyncd engine build`"
    )]
    Foreign {
        /// `network`, `engine`, `target` or `options`.
        part: &'static str,
        /// The file's.
        there: String,
        /// What is needed.
        here: String,
    },
}

/// The plan at `path`, when it was made for exactly `key` and is whole.
///
/// # Errors
/// [`PlanError`]; nothing of the plan is handed out then.
pub fn read_plan(path: &Path, key: &PlanKey) -> Result<Vec<u8>, PlanError> {
    let mut file = match fs::read(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(PlanError::Missing),
        Err(error) => return Err(PlanError::Io(error)),
    };
    let header = parse(&file, key)?;
    file.drain(..header);
    Ok(file)
}

/// Writes `plan` for `key` to `path`, in place of what is there, all or nothing.
///
/// # Errors
/// [`PlanError::Io`].
pub fn write_plan(path: &Path, key: &PlanKey, plan: &[u8]) -> Result<(), PlanError> {
    let json = key.to_json();
    let json_len = u32::try_from(json.len()).map_err(io::Error::other).map_err(PlanError::Io)?.to_le_bytes();
    let (len, digest) = ((plan.len() as u64).to_le_bytes(), Sha256::digest(plan));
    AtomicFile::put(path, &[MAGIC, &json_len, &json, &len, &digest, plan]).map_err(PlanError::Io)
}

/// Where the plan starts in `file`, once everything before it and itself has been checked.
fn parse(file: &[u8], key: &PlanKey) -> Result<usize, PlanError> {
    let corrupt = |what| PlanError::Corrupt { what };
    let rest = file.strip_prefix(MAGIC).ok_or(corrupt("it does not start as one"))?;
    let (len, rest) = rest.split_first_chunk::<4>().ok_or(corrupt("cut short"))?;
    let len = usize::try_from(u32::from_le_bytes(*len)).unwrap_or(usize::MAX);
    if len > MAX_KEY_BYTES {
        return Err(corrupt("its key is too long"));
    }
    let (json, rest) = rest.split_at_checked(len).ok_or(corrupt("cut short"))?;
    let found: PlanKey = serde_json::from_slice(json).map_err(|_| corrupt("its key cannot be read"))?;
    if let Some((part, there, here)) = key.difference(&found) {
        return Err(PlanError::Foreign { part, there, here });
    }
    let (len, rest) = rest.split_first_chunk::<8>().ok_or(corrupt("cut short"))?;
    let (digest, plan) = rest.split_first_chunk::<DIGEST_BYTES>().ok_or(corrupt("cut short"))?;
    if u64::from_le_bytes(*len) != plan.len() as u64 {
        return Err(corrupt("its length is another"));
    }
    if Sha256::digest(plan)[..] != digest[..] {
        return Err(corrupt("its bytes have changed"));
    }
    Ok(file.len() - plan.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{BatchRange, PlanOptions, Precision};
    use super::*;
    use crate::avatar::onnx::Edges;

    fn key(target: &str) -> PlanKey {
        let options = PlanOptions {
            precision: Precision::Fp16,
            edges: Edges::Half,
            batch: BatchRange::up_to(32),
            workspace_mib: 1024,
        };
        PlanKey::new(b"network", "TensorRT 11.4".to_owned(), target.to_owned(), options)
    }

    #[test]
    fn a_plan_comes_back_and_another_machines_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = key("H200").path(&folder.path().join("new"), Path::new("generator.onnx"));
        assert!(matches!(read_plan(&path, &key("H200")), Err(PlanError::Missing)));
        write_plan(&path, &key("H200"), b"plan").unwrap();
        assert_eq!(read_plan(&path, &key("H200")).unwrap(), b"plan");
        let error = read_plan(&path, &key("L40S")).unwrap_err().to_string();
        assert!(error.contains("another target: H200, while this is L40S"), "{error}");
        assert_ne!(path, key("L40S").path(&folder.path().join("new"), Path::new("generator.onnx")));
    }

    proptest! {
        #[test]
        fn damage_anywhere_is_noticed(at in any::<prop::sample::Index>(), flip in 1..=255_u8, cut in any::<bool>()) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.plan");
            let plan: Vec<u8> = (0..500_u32).map(|i| (i * 7) as u8).collect();
            write_plan(&path, &key("H200"), &plan).unwrap();
            let mut bytes = fs::read(&path).unwrap();
            let at = at.index(bytes.len());
            if cut { bytes.truncate(at) } else { bytes[at] ^= flip }
            fs::write(&path, &bytes).unwrap();
            let result = read_plan(&path, &key("H200"));
            // A flip inside the key may leave a key of something else: foreign, but never a plan.
            let refused = matches!(result, Err(PlanError::Corrupt { .. } | PlanError::Foreign { .. }));
            prop_assert!(refused, "{:?}", result.map(|plan| plan.len()));
        }
    }
}
