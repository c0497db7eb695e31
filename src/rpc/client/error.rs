//! Why a daemon did not answer as asked.

use tonic::{Code, Status};

/// A call that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address cannot be one, or nobody answers there.
    #[error("{server}: {source}; start a daemon with `lipsyncd serve`, or correct the address")]
    Connect {
        /// The address given.
        server: String,
        /// The transport's reason.
        source: tonic::transport::Error,
    },
    /// The daemon refused; its own sentence.
    #[error("the daemon answered: {}{}", .0.message(), if is_too_long(.0) { TOO_LONG } else { "" })]
    Refused(Status),
    /// The connection broke, or the daemon is stopping, or it says that it cannot at the moment.
    #[error("the daemon is gone, or cannot do it now: {}", .0.message())]
    Gone(Status),
    /// A call ended where the protocol has one more message.
    #[error("the daemon ended the call without {missing}")]
    Ended {
        /// What should have come.
        missing: &'static str,
    },
}

/// gRPC's own sentence about a message that is too long names no key.
const TOO_LONG: &str = "; send less at a time, or raise the daemon's max_message_bytes";

fn is_too_long(status: &Status) -> bool {
    status.code() == Code::OutOfRange
}

impl ClientError {
    /// What a failed call means.
    pub(super) fn of(status: Status) -> Self {
        // A connection that breaks comes as UNKNOWN or CANCELLED from below gRPC, with the cause kept as source.
        let broken = std::error::Error::source(&status).is_some();
        if status.code() == Code::Unavailable || broken { Self::Gone(status) } else { Self::Refused(status) }
    }

    /// The daemon has no room for one more session.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Refused(status) if status.code() == Code::ResourceExhausted)
    }

    /// What was asked for cannot be, on this daemon, however often it is asked.
    #[must_use]
    pub fn is_bad_request(&self) -> bool {
        let bad = [Code::NotFound, Code::InvalidArgument, Code::FailedPrecondition, Code::OutOfRange];
        matches!(self, Self::Refused(status) if bad.contains(&status.code()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_is_too_long_is_so_however_often_it_is_sent() {
        let error =
            ClientError::of(Status::out_of_range("decoded message length too large: found 9 bytes, the limit is: 8"));
        assert!(error.is_bad_request() && !error.is_full());
        assert!(error.to_string().contains("max_message_bytes"), "{error}");
        let other = ClientError::of(Status::not_found("there is no avatar"));
        assert!(other.is_bad_request() && !other.to_string().contains("max_message_bytes"), "{other}");
        assert!(!ClientError::of(Status::resource_exhausted("full")).is_bad_request());
    }
}
