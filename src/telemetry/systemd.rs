//! What the service manager is told: sd_notify's datagrams, as `sd_notify(3)` and `sd_watchdog_enabled(3)`
//! describe them.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Why `$NOTIFY_SOCKET` cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("NOTIFY_SOCKET={socket}: {source}; the service manager will not learn that the daemon is ready")]
pub struct NotifyError {
    /// The variable's value.
    pub socket: String,
    /// The system's reason.
    pub source: std::io::Error,
}

/// The way to the service manager.
#[derive(Debug)]
pub struct Notifier {
    socket: UnixDatagram,
    manager: SocketAddr,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// The one that started this process, if it listens.
    ///
    /// # Errors
    /// [`NotifyError`] when it should listen but cannot be spoken to.
    pub fn from_env() -> Result<Option<Self>, NotifyError> {
        let Some(path) = std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()) else { return Ok(None) };
        let variable = |name| std::env::var(name).ok();
        let watchdog = watchdog(variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"));
        let error = |source| NotifyError { socket: path.to_string_lossy().into_owned(), source };
        Self::new(&path, watchdog).map(Some).map_err(error)
    }

    fn new(path: &OsStr, watchdog: Option<Duration>) -> std::io::Result<Self> {
        // A leading `@` stands for the zero byte of a name that is not in the file system.
        let manager = match path.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(path)?,
        };
        let socket = UnixDatagram::unbound()?;
        // A manager that does not read must not stop the daemon.
        socket.set_nonblocking(true)?;
        Ok(Self { socket, manager, watchdog })
    }

    /// How often the manager wants to hear from the watchdog at least.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The daemon serves.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// The daemon is ending, which may take `up_to`.
    pub fn stopping(&self, up_to: Duration) {
        self.send(&format!("STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC={}", up_to.as_micros()));
    }

    /// Starting goes on: the manager shall wait `more` from now.
    pub fn starting(&self, status: &str, more: Duration) {
        let mut message = format!("EXTEND_TIMEOUT_USEC={}", more.as_micros());
        push_status(&mut message, status);
        self.send(&message);
    }

    /// One line for `systemctl status`, and whether the daemon is well.
    pub fn alive(&self, status: &str, well: bool) {
        let mut message = String::from(if well { "WATCHDOG=1" } else { "" });
        push_status(&mut message, status);
        self.send(&message);
    }

    /// A manager that has gone or is busy is no reason to stop serving.
    fn send(&self, message: &str) {
        if let Err(error) = self.socket.send_to_addr(message.as_bytes(), &self.manager) {
            tracing::debug!("the service manager could not be told {message:?}: {error}");
        }
    }
}

fn push_status(message: &mut String, status: &str) {
    // Writing to a String does not fail. A line break would begin another variable.
    let _ = write!(message, "{}STATUS={}", if message.is_empty() { "" } else { "\n" }, status.replace('\n', " "));
}

/// The watchdog's period, where it is on and meant for this process.
fn watchdog(usec: Option<String>, pid: Option<String>) -> Option<Duration> {
    let mine = pid.is_none_or(|pid| pid.parse() == Ok(std::process::id()));
    let usec: u64 = usec?.parse().ok()?;
    (mine && usec > 0).then(|| Duration::from_micros(usec))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The other end, at an address of either kind.
    fn manager(address: &SocketAddr) -> UnixDatagram {
        let socket = UnixDatagram::bind_addr(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket
    }

    fn heard(socket: &UnixDatagram) -> String {
        let mut message = [0; 512];
        let len = socket.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..len]).into_owned()
    }

    #[test]
    fn a_socket_file_hears_every_word() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = manager(&SocketAddr::from_pathname(&path).unwrap());
        let notifier = Notifier::new(path.as_os_str(), None).unwrap();
        notifier.starting("loading\ndemo", Duration::from_secs(2));
        notifier.ready();
        notifier.alive("3 sessions", true);
        notifier.alive("stalled", false);
        notifier.stopping(Duration::from_millis(1));
        assert_eq!(heard(&socket), "EXTEND_TIMEOUT_USEC=2000000\nSTATUS=loading demo");
        assert_eq!(heard(&socket), "READY=1");
        assert_eq!(heard(&socket), "WATCHDOG=1\nSTATUS=3 sessions");
        assert_eq!(heard(&socket), "STATUS=stalled");
        assert_eq!(heard(&socket), "STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=1000");
    }

    #[test]
    fn an_abstract_name_does_too_and_a_manager_that_is_gone_is_no_trouble() {
        let name = format!("lipsyncd-test-{}", std::process::id());
        let socket = manager(&SocketAddr::from_abstract_name(&name).unwrap());
        let notifier = Notifier::new(OsStr::new(&format!("@{name}")), None).unwrap();
        notifier.ready();
        assert_eq!(heard(&socket), "READY=1");
        drop(socket);
        notifier.ready();
    }

    #[test]
    fn the_watchdog_is_for_this_process_or_for_none() {
        let text = |text: &str| Some(text.to_owned());
        let mine = std::process::id().to_string();
        assert_eq!(watchdog(text("2000000"), None), Some(Duration::from_secs(2)));
        assert_eq!(watchdog(text("2000000"), text(&mine)), Some(Duration::from_secs(2)));
        assert_eq!(watchdog(text("2000000"), text("1")), None);
        assert_eq!(watchdog(text("0"), None), None);
        assert_eq!(watchdog(text("soon"), None), None);
        assert_eq!(watchdog(None, None), None);
    }
}
