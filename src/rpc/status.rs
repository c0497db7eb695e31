//! Errors to status codes: the one place where that is decided.

use std::time::Duration;

use tonic::body::Body;
use tonic::codegen::http;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::audio::{PcmError, ResampleError, WavError};
use crate::avatar::{IdError, RegistryError};
use crate::backend::BackendError;
use crate::batch::{OpenError, Overload};
use crate::chain::sentence;
use crate::picture::JpegError;
use crate::session::SessionError;
use crate::telemetry::Refusal;

/// Bytes of a sentence as it is sent, twice where details come with it: clients take headers of 8 KiB, and tell of nothing but their length
/// beyond that.
const MAX_SENTENCE_BYTES: usize = 3000;

/// Hint to whom is refused for lack of room: a conversation's pause, after which one may have ended.
const RETRY_FULL: Duration = Duration::from_secs(2);

/// Hint to whom meets a daemon that is stopping, or one that cannot do it now: a load balancer has noticed by then.
const RETRY_STOPPING: Duration = Duration::from_secs(1);

/// Why a call is refused or fails.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// The avatar's id cannot be one.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The avatar cannot be had.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The WAV file in `audio` cannot be read.
    #[error("audio: {0}")]
    Wav(#[source] WavError),
    /// The raw samples cannot be read.
    #[error("{field}: {source}")]
    Pcm {
        /// The field they came in.
        field: &'static str,
        /// What is wrong.
        source: PcmError,
    },
    /// The sample rate cannot be.
    #[error("sample rate: {0}")]
    Rate(#[from] ResampleError),
    /// The JPEG quality cannot be.
    #[error("jpeg_quality: {0}")]
    Quality(#[from] JpegError),
    /// Another field is out of its range.
    #[error("{field}: {got} is not allowed; {expected}")]
    Field {
        /// The field.
        field: &'static str,
        /// Its value.
        got: String,
        /// What it may be.
        expected: String,
    },
    /// Messages came in an order that means nothing.
    #[error("{0}")]
    Order(&'static str),
    /// Every place is taken.
    #[error("all {max_sessions} {what} are taken; retry in a few seconds, or raise max_sessions")]
    Full {
        /// The places.
        what: &'static str,
        /// The bound.
        max_sessions: usize,
    },
    /// Every place of this client is taken.
    #[error(
        "this client has {max_sessions_per_client} {what}, as many as one may; retry when one is free, or raise \
         max_sessions_per_client"
    )]
    ClientFull {
        /// The places.
        what: &'static str,
        /// The bound.
        max_sessions_per_client: usize,
    },
    /// As many whole files wait as may.
    #[error("{max_queued_synth} whole files are waiting already; retry in a few seconds, or raise max_queued_synth")]
    QueueFull {
        /// The bound.
        max_queued_synth: usize,
    },
    /// Requests hold as many bytes as they may.
    #[error(
        "requests that come in and wait hold {max_upload_bytes} bytes, or would with this one; retry in a few seconds, or raise \
         max_upload_bytes"
    )]
    UploadsFull {
        /// The bound.
        max_upload_bytes: usize,
    },
    /// The device has no room for one more live stream.
    #[error(transparent)]
    Overload(#[from] Overload),
    /// The client gave the call so much time.
    #[error("the call's deadline has passed")]
    Deadline,
    /// Nothing was sent and nothing was to be sent.
    #[error(
        "nothing has happened in this call for {seconds} s; open another, or send an empty `audio` now and then to keep it"
    )]
    Idle {
        /// The bound.
        seconds: u64,
    },
    /// The rest of a request did not come.
    #[error("nothing of this request has come for {seconds} s; send it in one go")]
    Stalled {
        /// The bound.
        seconds: u64,
    },
    /// Nobody read.
    #[error("this call has not been read for {seconds} s; read its answers as they come")]
    Unread {
        /// The bound.
        seconds: u64,
    },
    /// The daemon is going.
    #[error("the daemon is stopping; connect again in a few seconds")]
    Stopping,
    /// One of the avatar's own frames could not be given.
    #[error("the avatar's frames could not be made: {0}")]
    Background(#[source] BackendError),
    /// The backend failed on this session's work.
    #[error("the frames could not be made: {0}")]
    Session(#[from] SessionError),
}

impl RpcError {
    fn code(&self) -> Code {
        match self {
            Self::Id(_) | Self::Wav(_) | Self::Pcm { .. } | Self::Rate(_) | Self::Quality(_) | Self::Field { .. } => {
                Code::InvalidArgument
            }
            Self::Registry(RegistryError::NotFound { .. }) => Code::NotFound,
            Self::Registry(RegistryError::NoRoom { .. } | RegistryError::DeviceFull { .. })
            | Self::Full { .. }
            | Self::ClientFull { .. }
            | Self::QueueFull { .. }
            | Self::UploadsFull { .. }
            | Self::Overload(_) => Code::ResourceExhausted,
            Self::Registry(RegistryError::Load { .. } | RegistryError::TooLarge { .. }) | Self::Order(_) => {
                Code::FailedPrecondition
            }
            Self::Session(error) if error.is_of_old_files() => Code::FailedPrecondition,
            Self::Background(error) if error.is_of_old_files() => Code::FailedPrecondition,
            Self::Registry(
                RegistryError::Stopping { .. } | RegistryError::DeviceLost { .. } | RegistryError::Unread { .. },
            )
            | Self::Stopping => Code::Unavailable,
            Self::Session(error) if error.is_passing() => Code::Unavailable,
            Self::Session(error) if error.is_device_full() => Code::ResourceExhausted,
            Self::Deadline | Self::Idle { .. } | Self::Stalled { .. } | Self::Unread { .. } => Code::DeadlineExceeded,
            Self::Session(_) | Self::Background(_) => Code::Internal,
        }
    }

    /// What a call that this error keeps from having a session is counted as; `None` for what only happens to
    /// running ones.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        Some(match self {
            Self::Registry(RegistryError::NotFound { .. }) => Refusal::UnknownAvatar,
            Self::Registry(
                RegistryError::NoRoom { .. } | RegistryError::TooLarge { .. } | RegistryError::DeviceFull { .. },
            ) => Refusal::NoMemory,
            Self::Registry(RegistryError::Load { .. }) => Refusal::FaultyAvatar,
            Self::Registry(RegistryError::Unread { .. }) => Refusal::UnreadAvatar,
            Self::Registry(RegistryError::Stopping { .. } | RegistryError::DeviceLost { .. }) | Self::Stopping => {
                Refusal::Stopping
            }
            Self::Full { .. } => Refusal::Full,
            Self::ClientFull { .. } => Refusal::ClientLimit,
            Self::QueueFull { .. } => Refusal::Queue,
            Self::UploadsFull { .. } => Refusal::Uploads,
            Self::Overload(_) => Refusal::Capacity,
            Self::Session(_) | Self::Deadline | Self::Idle { .. } | Self::Stalled { .. } | Self::Unread { .. } => {
                return None;
            }
            _ => Refusal::BadRequest,
        })
    }

    /// When it may be worth trying again, for what time alone can mend.
    fn retry(&self) -> Option<Duration> {
        match self.code() {
            Code::ResourceExhausted => Some(RETRY_FULL),
            Code::Unavailable => Some(RETRY_STOPPING),
            _ => None,
        }
    }

    /// The error and its causes in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        sentence(self)
    }
}

impl From<OpenError> for RpcError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Rate(error) => Self::Rate(error),
            OpenError::Overload(overload) => Self::Overload(overload),
        }
    }
}

impl From<RpcError> for Status {
    fn from(error: RpcError) -> Self {
        let sentence = cut(error.sentence());
        match error.retry() {
            // google.rpc.RetryInfo, in the status details, as clients' libraries read it.
            Some(delay) => {
                let details = ErrorDetails::with_retry_info(Some(delay));
                Self::with_error_details(error.code(), sentence, details)
            }
            None => Self::new(error.code(), sentence),
        }
    }
}

/// Says what there is to the client of a call that there is not, to which the gRPC layer answers without a word.
pub(super) fn explain_unknown(answer: &mut http::Response<Body>) {
    let headers = answer.headers_mut();
    let is_unknown = headers.get("grpc-status").is_some_and(|code| code == "12");
    if is_unknown && headers.get("grpc-message").is_none_or(|said| said.is_empty()) {
        let status = Status::unimplemented(
            "there is no such call; the services are lipsync.v1.LipSync, monolithic.MonolithicService, grpc.health.v1.Health and \
             grpc.reflection.v1.ServerReflection, which lists their calls",
        );
        // The sentence is plain, and fits.
        let _ = status.add_header(headers);
    }
}

/// `sentence`, or so much of it as a header holds.
fn cut(mut sentence: String) -> String {
    const MORE: &str = " ... (cut off here)";
    // Percent-encoded (gRPC over HTTP/2, Status-Message).
    let sent = |byte: u8| if (b' '..=b'~').contains(&byte) && byte != b'%' { 1 } else { 3 };
    let mut bytes = 0;
    let fits = sentence.bytes().take_while(|&byte| {
        bytes += sent(byte);
        bytes <= MAX_SENTENCE_BYTES
    });
    let fits = fits.count();
    if fits < sentence.len() {
        sentence.truncate(sentence.floor_char_boundary(fits.saturating_sub(MORE.len())));
        sentence.push_str(MORE);
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_that_no_header_holds_are_cut_where_a_character_ends() {
        let short = "mel.hop is not 200".to_owned();
        assert_eq!(cut(short.clone()), short);
        for (long, most) in [("a".repeat(70_000), MAX_SENTENCE_BYTES), ("\u{fc}".repeat(9_000), MAX_SENTENCE_BYTES / 3)]
        {
            let cut = cut(long);
            assert!(cut.len() <= most && cut.len() > most - 100, "{}", cut.len());
            assert!(cut.ends_with("(cut off here)"));
        }
    }
}
