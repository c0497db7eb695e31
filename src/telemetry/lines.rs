//! The log's lines on their way to stderr, so that nobody who writes one waits for whoever reads them.
//!
//! A collector that hangs, or a terminal that is held, stops reading, and the pipe fills: a daemon that wrote to it by itself would stand
//! still, calls, figures and end. So a thread of its own writes; of what does not fit before it, the number is said once it is read on.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Bytes that wait for the reader: some thousands of lines.
const MOST_BYTES: usize = 1 << 20;

/// Longest that the last lines are waited for when the program ends.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The way to stderr, once a log has been started. It lasts as long as the program.
static STARTED: OnceLock<Arc<Lines>> = OnceLock::new();

/// Where lines go: by the thread once it is started, and else to stderr itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match STARTED.get() {
            Some(lines) => lines.add(line),
            None => io::stderr().write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Stderr {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

/// Starts the thread; `say_lost` says on stderr how many lines were lost. A second start keeps the first.
///
/// # Errors
/// The system has no thread left.
pub(super) fn start(say_lost: impl FnMut(u64) + Send + 'static) -> io::Result<()> {
    if STARTED.get().is_none() {
        let lines = Lines::start(MOST_BYTES, io::stderr(), say_lost)?;
        // Of two at once, the later one's has nothing to write.
        let _ = STARTED.set(lines);
    }
    Ok(())
}

/// Waits until what has been logged is written, for at most a second: it may be that nobody reads. To be called before the program ends.
pub fn flush() {
    if let Some(lines) = STARTED.get() {
        lines.flush(LAST_LINES);
    }
}

/// Lines that wait to be written.
struct Lines {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    most_bytes: usize,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// Lines that came after `bytes` and found no room.
    lost: u64,
    /// Whether others are being written.
    writing: bool,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.lost == 0
    }
}

impl Lines {
    fn start(
        most_bytes: usize,
        to: impl Write + Send + 'static,
        say_lost: impl FnMut(u64) + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        let lines = Arc::new(Self { waiting: Mutex::default(), changed: Condvar::new(), most_bytes });
        let writer = Arc::clone(&lines);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || writer.write(to, say_lost))?;
        Ok(lines)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, line: &[u8]) {
        let mut waiting = self.lock();
        // Once one is lost, those after it are until the loss can be said in its place.
        if waiting.lost > 0 || waiting.bytes.len() + line.len() > self.most_bytes {
            waiting.lost += 1;
        } else {
            waiting.bytes.extend_from_slice(line);
        }
        self.changed.notify_all();
    }

    fn flush(&self, at_most: Duration) {
        let unwritten = |waiting: &mut Waiting| waiting.writing || !waiting.is_empty();
        drop(self.changed.wait_timeout_while(self.lock(), at_most, unwritten));
    }

    fn write(&self, mut to: impl Write, mut say_lost: impl FnMut(u64)) {
        let mut bytes = Vec::new();
        loop {
            let mut waiting = self.lock();
            waiting.writing = false;
            self.changed.notify_all();
            let nothing = |waiting: &mut Waiting| waiting.is_empty();
            waiting = self.changed.wait_while(waiting, nothing).unwrap_or_else(PoisonError::into_inner);
            waiting.writing = true;
            std::mem::swap(&mut waiting.bytes, &mut bytes);
            let lost = std::mem::take(&mut waiting.lost);
            drop(waiting);
            // Who closed the pipe wants none of it.
            let _ = to.write_all(&bytes).and_then(|()| to.flush());
            bytes.clear();
            if lost > 0 {
                say_lost(lost);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Longer than anything here takes.
    const STUCK: Duration = Duration::from_secs(60);

    /// A reader who takes a piece at a time, when he wants to.
    struct Pipe(Sender<String>, Receiver<()>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(String::from_utf8_lossy(bytes).into_owned());
            self.1.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_the_reader_and_what_was_lost_is_said_in_its_place() {
        let (said, pieces) = channel();
        let (take, taken) = channel();
        let lost = said.clone();
        let say_lost = move |lines| lost.send(format!("{lines} lost")).unwrap();
        let lines = Lines::start(8, Pipe(said, taken), say_lost).unwrap();
        let next = || pieces.recv_timeout(STUCK).unwrap();
        lines.add(b"a\n");
        assert_eq!(next(), "a\n");
        // Not read yet, so that these wait; the last would fit, and comes after one that does not.
        for line in ["bbb\n", "cc\n", "dd\n", "e\n"] {
            lines.add(line.as_bytes());
        }
        lines.flush(Duration::from_millis(10));
        for _ in 0..3 {
            take.send(()).unwrap();
        }
        assert_eq!([next(), next()], ["bbb\ncc\n", "2 lost"]);
        lines.flush(STUCK);
        lines.add(b"f\n");
        lines.flush(STUCK);
        assert_eq!(next(), "f\n", "it is written when the flush is over");
    }

    #[test]
    fn a_closed_pipe_loses_lines_and_nothing_else() {
        let (said, _) = channel();
        let (_, taken) = channel();
        let lines = Lines::start(8, Pipe(said, taken), |_| {}).unwrap();
        for _ in 0..3 {
            lines.add(b"a\n");
            lines.flush(STUCK);
        }
        assert!(lines.lock().is_empty());
    }
}
