//! Byte buffers made ahead of time. Ownership is the lease: dropping a buffer returns it.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use crate::zeroed::Zeroed;

/// Equal buffers for one kind of picture, so that no frame allocates. Room is reserved per session, when it opens. Each has room for
/// the largest picture there can be, several times what most take; of that, only what has been written is in memory. One that
/// nobody reserved comes from the heap, so that it is counted as an allocation.
pub struct BufferPool {
    buffer_bytes: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    free: Vec<Zeroed<u8>>,
    /// Buffers that exist or should: the sum of the reservations.
    reserved: usize,
    /// Buffers lent out now.
    lent: usize,
}

impl BufferPool {
    /// An empty pool of buffers of `buffer_bytes`.
    #[must_use]
    pub fn new(buffer_bytes: usize) -> Arc<Self> {
        Arc::new(Self { buffer_bytes, state: Mutex::default() })
    }

    /// Bytes of each buffer.
    #[must_use]
    pub fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    /// Makes room for `count` more buffers lent at the same time, until the reservation drops.
    #[must_use]
    pub fn reserve(self: &Arc<Self>, count: usize) -> Reservation {
        let mut state = self.lock();
        state.reserved += count;
        let missing = state.reserved.saturating_sub(state.lent + state.free.len());
        let wanted = state.free.len() + missing;
        let capacity = state.reserved.max(state.free.capacity());
        let spare = capacity.saturating_sub(state.free.len());
        state.free.reserve(spare);
        let bytes = self.buffer_bytes;
        state.free.resize_with(wanted, || Zeroed::new(bytes));
        drop(state);
        Reservation { pool: Arc::clone(self), count }
    }

    /// Lends a buffer. Beyond what is reserved it makes a new one: late, but never wrong.
    #[must_use]
    pub fn take(self: &Arc<Self>) -> PooledBuf {
        let recycled = {
            let mut state = self.lock();
            state.lent += 1;
            state.free.pop()
        };
        let data = recycled.unwrap_or_else(|| Zeroed::heap(self.buffer_bytes));
        PooledBuf { data, len: 0, pool: Arc::clone(self) }
    }

    /// Buffers free now and buffers lent now.
    #[must_use]
    pub fn usage(&self) -> (usize, usize) {
        let state = self.lock();
        (state.free.len(), state.lent)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // No code that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, data: Zeroed<u8>) {
        let mut state = self.lock();
        state.lent -= 1;
        if state.lent + state.free.len() < state.reserved {
            state.free.push(data);
        }
    }
}

/// A session's claim on a pool; dropping it lets the pool shrink.
pub struct Reservation {
    pool: Arc<BufferPool>,
    count: usize,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        state.reserved -= self.count;
        let keep = state.reserved.saturating_sub(state.lent);
        state.free.truncate(keep);
    }
}

/// A lent buffer: its first `len` bytes are the content. Returns to its pool when dropped.
pub struct PooledBuf {
    data: Zeroed<u8>,
    len: usize,
    pool: Arc<BufferPool>,
}

impl PooledBuf {
    /// Makes sure that it holds `bytes`, for a picture of another kind than the pool is for. It is empty then, and stays so large.
    pub fn make_room(&mut self, bytes: usize) {
        if self.data.len() < bytes {
            self.len = 0;
            self.data = Zeroed::new(bytes);
        }
    }

    /// Lets `write` fill the whole buffer and keeps the length it returns.
    ///
    /// # Errors
    /// What `write` returns; the content is then empty.
    pub fn fill<E>(&mut self, write: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<(), E> {
        self.len = 0;
        self.len = write(&mut self.data)?.min(self.data.len());
        Ok(())
    }
}

impl Deref for PooledBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.data[..self.len]
    }
}

impl AsRef<[u8]> for PooledBuf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for PooledBuf {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.data));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_buffer_is_lent_again_and_the_pool_never_exceeds_its_reservations() {
        let pool = BufferPool::new(64);
        let reservation = pool.reserve(2);
        let (a, b) = (pool.take(), pool.take());
        let address = a.data.as_ptr();
        drop(a);
        let again = pool.take();
        assert_eq!(again.data.as_ptr(), address);
        let beyond = pool.take();
        assert_eq!(pool.usage(), (0, 3));
        drop((again, b, beyond));
        assert_eq!(pool.usage(), (2, 0), "the third buffer was let go");
        drop(reservation);
        assert_eq!(pool.usage(), (0, 0));
    }

    #[test]
    fn a_reservation_that_ends_while_buffers_are_out_frees_them_on_return() {
        let pool = BufferPool::new(8);
        let reservation = pool.reserve(1);
        let out = pool.take();
        drop(reservation);
        drop(out);
        assert_eq!(pool.usage(), (0, 0));
    }

    #[test]
    fn a_buffer_that_was_made_larger_stays_so() {
        let pool = BufferPool::new(4);
        let _reservation = pool.reserve(1);
        let mut buffer = pool.take();
        buffer.make_room(3);
        assert_eq!(buffer.data.len(), 4);
        buffer.make_room(9);
        buffer.fill(|bytes| Ok::<_, ()>(bytes.len())).unwrap();
        assert_eq!(buffer.len(), 9);
        drop(buffer);
        assert_eq!(pool.take().data.len(), 9);
    }

    #[test]
    fn a_failed_fill_leaves_no_old_content() {
        let pool = BufferPool::new(4);
        let mut buffer = pool.take();
        buffer
            .fill(|bytes| {
                bytes.copy_from_slice(b"abcd");
                Ok::<_, ()>(3)
            })
            .unwrap();
        assert_eq!(&*buffer, b"abc");
        assert!(buffer.fill(|_| Err(())).is_err());
        assert!(buffer.is_empty());
    }
}
