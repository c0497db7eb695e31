//! Whether an engine still works, and who is told when it no longer does.

use tokio::sync::SetOnce;

/// The health of one device and its engine. What is broken stays broken: only another process gets the device back.
#[derive(Debug, Default)]
pub struct Health(SetOnce<String>);

impl Health {
    /// It works no more, for `reason`; the first one stays.
    pub fn break_down(&self, reason: &str) {
        let _ = self.0.set(reason.to_owned());
    }

    /// Whether it works no more.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.0.initialized()
    }

    /// Completes when it works no more, with the reason.
    pub async fn broken(&self) -> &str {
        self.0.wait().await
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
