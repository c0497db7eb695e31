//! What is asked for.

/// The load on a daemon.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadOptions {
    /// Where the daemon is, such as `http://127.0.0.1:50053`.
    pub target: String,
    /// Streams at once.
    pub streams: usize,
    /// How long they run, seconds.
    pub seconds: f64,
    /// Audio at the pace of speech; otherwise as fast as the daemon takes it.
    pub realtime: bool,
    /// How much faster than speech its audio is sent, at least 1: 1 is a microphone, more a synthesiser.
    pub audio_speed: f64,
    /// Whether the daemon is to send frames while nobody speaks, too.
    pub idle_frames: bool,
    /// Length of an audio message, ms.
    pub chunk_ms: u32,
    /// Part of the time that a stream speaks, 0..1, without the 0.
    pub duty: f64,
    /// Time the daemon has for a frame once its sound has been sent, ms.
    pub budget_ms: f64,
    /// Interrupts of a stream while it speaks, a minute.
    pub interrupts_per_minute: f64,
    /// Calls that a stream breaks off, a minute.
    pub disconnects_per_minute: f64,
    /// Part of the streams that reads half as fast as they should, 0..=1.
    pub slow_readers: f64,
    /// Ids of the avatars, given to the streams in turn; empty takes all the daemon has.
    pub avatars: Vec<String>,
    /// Connections; 0 opens one for every 8 streams.
    pub connections: usize,
    /// Whether each frame is checked to be a whole JPEG of the right size.
    pub check: bool,
    /// Seed of everything that is random.
    pub seed: u64,
}

impl LoadOptions {
    /// Connections to open.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        let few = if self.connections == 0 { self.streams.div_ceil(8) } else { self.connections };
        few.clamp(1, self.streams.max(1))
    }

    /// Whether stream `index` reads slowly: that part of the streams, spread evenly.
    #[must_use]
    pub fn is_slow(&self, index: usize) -> bool {
        let slow = |streams: usize| (streams as f64 * self.slow_readers).floor();
        slow(index + 1) > slow(index)
    }
}
