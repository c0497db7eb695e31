//! The words metrics are broken down by. Each set is closed, so that no client can make series.

use std::marker::PhantomData;

/// A closed set of words.
pub trait Label: Copy + 'static {
    /// Every value, in the order of their indices.
    const ALL: &'static [Self];

    /// Its place in [`Self::ALL`].
    fn index(self) -> usize;

    /// How it is written on the metrics page.
    fn word(self) -> &'static str;
}

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $value:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$each])* $value),+ }

        impl Label for $name {
            const ALL: &'static [Self] = &[$(Self::$value),+];

            fn index(self) -> usize {
                self as usize
            }

            fn word(self) -> &'static str {
                match self { $(Self::$value => $word),+ }
            }
        }
    };
}

labels! {
    /// What a batch is of.
    WorkClass {
        /// Mel windows through the audio encoder.
        Window = "window",
        /// Frames through the generator.
        Frame = "frame",
    }
}

labels! {
    /// A stage a batch goes through.
    Stage {
        /// Copying the batch's inputs into its slot.
        Stage = "stage",
        /// The audio encoder.
        Encode = "encode",
        /// The generator.
        Generate = "generate",
        /// Pasting the patch into the frame and making the JPEG of it.
        Composite = "composite",
        /// Handing the results to their sessions.
        Deliver = "deliver",
    }
}

labels! {
    /// A part of the way of an utterance's first frame.
    FirstPart {
        /// Until the sound that it depends on was there.
        LookAhead = "look_ahead",
        /// In queues.
        Queue = "queue",
        /// In the networks.
        Compute = "compute",
        /// Compositing and encoding.
        Encode = "encode",
        /// Until it was taken.
        HandOver = "hand_over",
    }
}

labels! {
    /// Where a session stands.
    SessionState {
        /// Between utterances.
        Idle = "idle",
        /// Sound is arriving.
        Speaking = "speaking",
        /// The sound is complete, frames are still being made or taken.
        Finishing = "finishing",
    }
}

labels! {
    /// Which call a session belongs to.
    CallKind {
        /// `Converse`.
        Live = "live",
        /// `Synthesize`.
        Whole = "whole",
        /// `InferBatchComposite` of the compatible service.
        Monolithic = "monolithic",
    }
}

labels! {
    /// How a call ended.
    CallEnd {
        /// Everything that was asked for has been handed over.
        Done = "done",
        /// The client went, or the daemon cut it off when it had no more time to stop.
        Cancelled = "cancelled",
        /// It was told that the daemon is stopping.
        Stopped = "stopped",
        /// It was answered with an error.
        Failed = "failed",
        /// It was ended for being silent or unread too long.
        Timeout = "timeout",
    }
}

labels! {
    /// Why a session was not opened.
    Refusal {
        /// `max_sessions` are open.
        Full = "full",
        /// One more stream than the machine is measured to carry.
        Capacity = "capacity",
        /// The client has as many streams as one client may.
        ClientLimit = "client_limit",
        /// As many whole files wait as may.
        Queue = "queue",
        /// Requests that come in and wait hold `max_upload_bytes`.
        Uploads = "uploads",
        /// The daemon is stopping.
        Stopping = "stopping",
        /// `max_resident_bytes` has no room for the avatar.
        NoMemory = "memory",
        /// There is no such avatar.
        UnknownAvatar = "unknown_avatar",
        /// The avatar's bundle or networks are faulty.
        FaultyAvatar = "faulty_avatar",
        /// The system failed while the avatar was read.
        UnreadAvatar = "unread_avatar",
        /// The request itself is wrong.
        BadRequest = "bad_request",
    }
}

/// One `T` for each word of `L`.
#[derive(Debug, Clone)]
pub struct ByLabel<L, T> {
    values: Box<[T]>,
    labels: PhantomData<L>,
}

impl<L: Label, T> ByLabel<L, T> {
    /// Makes each value with `make`.
    pub fn new(make: impl FnMut() -> T) -> Self {
        let values = std::iter::repeat_with(make).take(L::ALL.len()).collect();
        Self { values, labels: PhantomData }
    }

    /// The value of `label`.
    pub fn get(&self, label: L) -> &T {
        &self.values[label.index()]
    }

    /// The value of `label`, to change.
    pub fn get_mut(&mut self, label: L) -> &mut T {
        &mut self.values[label.index()]
    }

    /// Every word with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &T)> {
        L::ALL.iter().map(|label| label.word()).zip(&self.values)
    }
}

impl<L: Label, T: Default> Default for ByLabel<L, T> {
    fn default() -> Self {
        Self::new(T::default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consistent<L: Label + PartialEq + std::fmt::Debug>() {
        for (index, label) in L::ALL.iter().enumerate() {
            assert_eq!(label.index(), index, "{label:?}");
            let word = label.word();
            assert!(!word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{word}");
            assert_eq!(L::ALL.iter().filter(|other| other.word() == word).count(), 1, "{word} twice");
        }
    }

    #[test]
    fn words_are_distinct_and_indices_are_places() {
        consistent::<WorkClass>();
        consistent::<Stage>();
        consistent::<FirstPart>();
        consistent::<SessionState>();
        consistent::<CallKind>();
        consistent::<CallEnd>();
        consistent::<Refusal>();
    }
}
