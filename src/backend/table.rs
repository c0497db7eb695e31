//! The loaded networks of a backend, by id; an encoder is shared by all avatars that have the same file and as many mel bands.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use super::{BackendError, ModelId, Models};

/// Encoders as `E` and generators as `G`. Lanes look a network up when they first meet its id.
pub(super) struct Table<E: ?Sized, G> {
    next_id: AtomicU64,
    /// Changes with every unload, so that lanes know when to let go.
    epoch: AtomicU64,
    loaded: Mutex<Loaded<E, G>>,
}

struct Loaded<E: ?Sized, G> {
    encoders: Vec<SharedEncoder<E>>,
    generators: Vec<(ModelId, Arc<G>)>,
}

struct SharedEncoder<E: ?Sized> {
    id: ModelId,
    file: EncoderFile,
    users: usize,
    model: Arc<E>,
}

/// What makes two encoders one. A network whose bands are symbolic is bound to as many as its bundle says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct EncoderFile {
    hash: [u8; 32],
    mels: usize,
}

impl<E: ?Sized, G> Table<E, G> {
    /// Nothing loaded.
    pub(super) fn new() -> Self {
        let loaded = Mutex::new(Loaded { encoders: Vec::new(), generators: Vec::new() });
        Self { next_id: AtomicU64::new(1), epoch: AtomicU64::new(0), loaded }
    }

    /// Takes in a generator and an encoder: the one that is there when another avatar has the same `content`, and windows of as many `mels`, or
    /// else what `load_encoder` makes of it.
    pub(super) fn insert(
        &self,
        generator: G,
        (content, mels): (&[u8], usize),
        load_encoder: impl FnOnce(&[u8]) -> Result<Arc<E>, BackendError>,
    ) -> Result<Models, BackendError> {
        let file = EncoderFile { hash: Sha256::digest(content).into(), mels };
        let encoder = match self.share_encoder(file) {
            Some(id) => id,
            None => {
                let model = load_encoder(content)?;
                // Another avatar may have loaded the same file meanwhile; then its copy serves both.
                self.share_encoder(file).unwrap_or_else(|| self.keep_encoder(file, model))
            }
        };
        let id = self.fresh_id();
        self.lock().generators.push((id, Arc::new(generator)));
        Ok(Models { encoder, generator: id })
    }

    /// Lets go of a generator, and of its encoder with the last that used it.
    pub(super) fn remove(&self, models: Models) {
        let mut loaded = self.lock();
        let of_generator = loaded.generators.iter().position(|(id, _)| *id == models.generator);
        let generator = of_generator.map(|at| loaded.generators.swap_remove(at));
        let mut encoder = None;
        if let Some(at) = loaded.encoders.iter().position(|shared| shared.id == models.encoder) {
            loaded.encoders[at].users -= 1;
            if loaded.encoders[at].users == 0 {
                encoder = Some(loaded.encoders.swap_remove(at));
            }
        }
        self.epoch.fetch_add(1, Ordering::Release);
        // Lanes look networks up meanwhile: freeing hundreds of megabytes takes a while.
        drop(loaded);
        drop((generator, encoder));
    }

    /// A number that is another after every [`Self::remove`].
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    pub(super) fn find_encoder(&self, id: ModelId) -> Option<Arc<E>> {
        self.lock().encoders.iter().find(|shared| shared.id == id).map(|shared| Arc::clone(&shared.model))
    }

    pub(super) fn find_generator(&self, id: ModelId) -> Option<Arc<G>> {
        self.lock().generators.iter().find(|(known, _)| *known == id).map(|(_, model)| Arc::clone(model))
    }

    /// All generators that are loaded.
    pub(super) fn generators(&self) -> Vec<Arc<G>> {
        self.lock().generators.iter().map(|(_, model)| Arc::clone(model)).collect()
    }

    fn share_encoder(&self, file: EncoderFile) -> Option<ModelId> {
        let mut loaded = self.lock();
        let shared = loaded.encoders.iter_mut().find(|shared| shared.file == file)?;
        shared.users += 1;
        Some(shared.id)
    }

    fn keep_encoder(&self, file: EncoderFile, model: Arc<E>) -> ModelId {
        let id = self.fresh_id();
        self.lock().encoders.push(SharedEncoder { id, file, users: 1, model });
        id
    }

    fn fresh_id(&self) -> ModelId {
        ModelId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    fn lock(&self) -> MutexGuard<'_, Loaded<E, G>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn avatars_with_the_same_encoder_and_bands_share_it_until_the_last_goes() {
        let table = Table::<String, u32>::new();
        let load = |content: &[u8]| Ok(Arc::new(String::from_utf8(content.to_vec()).unwrap()));
        let insert = |content: &str, mels| table.insert(0, (content.as_bytes(), mels), load).unwrap();
        let [a, b] = [(); 2].map(|()| insert("same", 80));
        let (c, d) = (insert("other", 80), insert("same", 64));
        assert_eq!(a.encoder, b.encoder);
        assert_ne!(a.encoder, c.encoder);
        assert_ne!(a.encoder, d.encoder, "its windows have fewer bands");
        assert_eq!(*table.find_encoder(c.encoder).unwrap(), "other");
        assert!(table.find_generator(b.generator).is_some());
        let before = table.epoch();
        table.remove(a);
        assert_ne!(table.epoch(), before);
        assert!(table.find_generator(a.generator).is_none());
        assert!(table.find_encoder(b.encoder).is_some());
        table.remove(b);
        assert!(table.find_encoder(b.encoder).is_none());
    }
}
