//! One compiled image in a file: `LSKERN01`, SHA-256 of the image, the image.

use std::fs;
use std::io;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::media::AtomicFile;

const MAGIC: &[u8; 8] = b"LSKERN01";
const DIGEST_BYTES: usize = 32;

/// The image at `path`. None where there is none, or it is not whole, which is logged: it is made again.
pub fn read(path: &Path) -> Option<Vec<u8>> {
    let mut file = match fs::read(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!("{}: {error}; the kernels are compiled again", path.display());
            return None;
        }
    };
    if is_whole(&file) {
        return Some(file.split_off(MAGIC.len() + DIGEST_BYTES));
    }
    tracing::warn!("{} is damaged; the kernels are compiled again", path.display());
    None
}

fn is_whole(file: &[u8]) -> bool {
    file.strip_prefix(MAGIC)
        .and_then(|rest| rest.split_first_chunk::<DIGEST_BYTES>())
        .is_some_and(|(digest, image)| !image.is_empty() && Sha256::digest(image)[..] == digest[..])
}

/// Keeps `image` at `path`, all or nothing; what prevents it is logged.
pub fn write(path: &Path, image: &[u8]) {
    if let Err(error) = AtomicFile::put(path, &[MAGIC, &Sha256::digest(image), image]) {
        tracing::warn!("{}: {error}; the kernels will be compiled at the next start too", path.display());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_image_comes_back_and_a_folder_that_cannot_be_is_no_failure() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/a.kernels");
        assert_eq!(read(&path), None);
        write(&path, b"image");
        assert_eq!(read(&path).unwrap(), b"image");
        write(&path.join("below a file"), b"image");
        assert_eq!(read(&path).unwrap(), b"image");
    }

    proptest! {
        #[test]
        fn damage_anywhere_is_noticed(at in any::<prop::sample::Index>(), flip in 1..=255_u8, cut in any::<bool>()) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.kernels");
            write(&path, &[7; 300]);
            let mut bytes = fs::read(&path).unwrap();
            let at = at.index(bytes.len());
            if cut { bytes.truncate(at) } else { bytes[at] ^= flip }
            fs::write(&path, &bytes).unwrap();
            prop_assert_eq!(read(&path), None);
        }
    }
}
