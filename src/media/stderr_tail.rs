//! The last lines a child process said on its standard error, read by a thread so that the child never blocks.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::thread::JoinHandle;

const LINES: usize = 8;
/// A longer line is cut: its start says enough, and a child must not fill our memory.
const LINE_BYTES: u64 = 400;

#[derive(Debug)]
pub(crate) struct StderrTail {
    thread: Option<JoinHandle<VecDeque<String>>>,
}

impl StderrTail {
    pub(crate) fn read(stderr: impl Read + Send + 'static) -> Self {
        // Without a thread nobody listens, and the child is told so when it speaks.
        Self { thread: std::thread::Builder::new().spawn(move || last_lines(stderr)).ok() }
    }

    /// The last lines, once the child has closed its end.
    pub(crate) fn join(&mut self) -> String {
        let lines = self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        Vec::from(lines).join("\n")
    }
}

fn last_lines(stderr: impl Read) -> VecDeque<String> {
    let mut reader = BufReader::new(stderr);
    let mut lines = VecDeque::with_capacity(LINES);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut reader).take(LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return lines,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                if !text.is_empty() {
                    if lines.len() == LINES {
                        lines.pop_front();
                    }
                    lines.push_back(text);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_lines_are_kept() {
        let text: String = (0..20).map(|i| format!("line {i}\n\n")).collect();
        let tail = StderrTail::read(std::io::Cursor::new(text)).join();
        assert_eq!(tail, (12..20).map(|i| format!("line {i}")).collect::<Vec<_>>().join("\n"));
    }
}
