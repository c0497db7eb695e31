//! Whether an engine still works, and who is told when it no longer does.

use std::sync::OnceLock;

use tokio::sync::Notify;

/// The health of one engine. What is broken stays broken: only another process gets the device back.
#[derive(Debug, Default)]
pub struct Health {
    reason: OnceLock<String>,
    broke: Notify,
}

impl Health {
    /// It works no more, for `reason`; the first one stays.
    pub(super) fn break_down(&self, reason: &str) {
        self.reason.get_or_init(|| reason.to_owned());
        self.broke.notify_waiters();
    }

    /// Whether it works no more.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.reason.get().is_some()
    }

    /// Completes when it works no more, with the reason.
    pub async fn broken(&self) -> &str {
        let notified = self.broke.notified();
        tokio::pin!(notified);
        // Listening before looking: what breaks in between is heard.
        notified.as_mut().enable();
        if !self.is_broken() {
            notified.await;
        }
        self.reason.get().map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_is_told_the_first_reason_and_so_is_who_comes_late() {
        let health = Health::default();
        let tell = async {
            tokio::task::yield_now().await;
            assert!(!health.is_broken());
            health.break_down("it was taken away");
            health.break_down("again");
        };
        let (told, ()) = tokio::join!(health.broken(), tell);
        assert_eq!((told, health.broken().await), ("it was taken away", "it was taken away"));
    }
}
