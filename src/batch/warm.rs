//! Which batches a lane has run before.

use super::costs::bucket;
use super::policy::BatchKey;

/// Networks that are remembered; beyond them the one known longest is as good as new.
const MAX_NETWORKS: usize = 256;

/// What a lane has run. Its first batch of a network and size says nothing of what the next will take: buffers are made and bound, and
/// an engine may look for its fastest way, for seconds.
#[derive(Debug, Default)]
pub(super) struct Warm {
    /// Sizes by their bit.
    ran: Vec<(BatchKey, u8)>,
}

impl Warm {
    /// Whether a batch of `len` is not the first of its size; the next is not.
    pub fn ran(&mut self, key: BatchKey, len: usize) -> bool {
        let at = self.ran.iter().position(|(other, _)| *other == key).unwrap_or_else(|| {
            if self.ran.len() == MAX_NETWORKS {
                self.ran.remove(0);
            }
            self.ran.push((key, 0));
            self.ran.len() - 1
        });
        let (sizes, size) = (&mut self.ran[at].1, 1 << bucket(len));
        let ran = *sizes & size != 0;
        *sizes |= size;
        ran
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::ModelId;

    #[test]
    fn each_network_and_size_has_a_first() {
        let mut warm = Warm::default();
        let (render, encode) = (BatchKey::Render(ModelId(1)), BatchKey::Encode(ModelId(1)));
        assert!(!warm.ran(render, 3) && warm.ran(render, 4), "they are of one size");
        assert!(!warm.ran(render, 5) && !warm.ran(encode, 3));
        assert!(warm.ran(render, 3) && warm.ran(encode, 4) && warm.ran(render, 8));
        let other = |id| BatchKey::Render(ModelId(id));
        (2..300).for_each(|id| assert!(!warm.ran(other(id), 64)));
        assert!(warm.ran(other(299), 33) && !warm.ran(render, 3));
    }
}
