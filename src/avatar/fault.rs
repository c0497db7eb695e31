//! What a bundle's checker says: faults, warnings, and how texts of unknown origin are quoted in them.

use std::error::Error;
use std::fmt::{self, Write};

use crate::bounded;

/// Most characters of a text of unknown origin that a message quotes.
const EXCERPT_CHARS: usize = 40;
/// Most single items (boxes, files, ranges) that one report names before "and N more".
pub(crate) const MAX_LISTED: usize = 20;

/// One thing that is wrong with a bundle, said on one line: `file: field: what; fix`.
///
/// The texts are for people, written where the facts are known; programs only ask whether there are any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// File or folder, relative to the bundle.
    pub file: String,
    /// Key, box index or tensor inside the file; empty when the whole file is meant.
    pub field: String,
    /// What is wrong, with the value found.
    pub what: String,
    /// What to do about it.
    pub fix: String,
    /// Whether the system failed, and not the file, so that the fault may be gone at the next try.
    pub passing: bool,
}

/// Something that works but is probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// File or folder, relative to the bundle.
    pub file: String,
    /// What was noticed and what follows from it.
    pub what: String,
}

impl Fault {
    pub(crate) fn new(
        file: impl Into<String>,
        field: impl Into<String>,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { file: file.into(), field: field.into(), what: what.into(), fix: fix.into(), passing: false }
    }

    /// Of a file that gave `error`: a passing one where the system failed, and something to `fix` otherwise.
    pub(crate) fn of(
        file: impl Into<String>,
        field: impl Into<String>,
        error: &(dyn Error + 'static),
        fix: &'static str,
    ) -> Self {
        let failure = bounded::passing_cause(error);
        let fix = failure.map_or(fix, bounded::fix);
        Self { passing: failure.is_some(), ..Self::new(file, field, error.to_string(), fix) }
    }
}

impl Warning {
    pub(crate) fn new(file: impl Into<String>, what: impl Into<String>) -> Self {
        Self { file: file.into(), what: what.into() }
    }
}

/// The faults of single items of one kind: the first [`MAX_LISTED`], then a count.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    first: Vec<Fault>,
    more: usize,
    /// Whether one of those beyond the first is.
    passing: bool,
}

impl Listed {
    pub(crate) fn push(&mut self, fault: Fault) {
        if self.first.len() < MAX_LISTED {
            self.first.push(fault);
        } else {
            self.more += 1;
            self.passing |= fault.passing;
        }
    }

    /// What there is to report; `label` is where all the `items` are.
    pub(crate) fn end(self, label: &str, items: &str) -> impl Iterator<Item = Fault> {
        let count = (self.more > 0).then(|| {
            let what = format!("and {} more {items} are wrong", self.more);
            Fault { passing: self.passing, ..Fault::new(label, "", what, "correct those above first") }
        });
        self.first.into_iter().chain(count)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_line(f, &self.file)?;
        if !self.field.is_empty() {
            f.write_str(": ")?;
            write_line(f, &self.field)?;
        }
        f.write_str(": ")?;
        write_line(f, &self.what)?;
        f.write_str("; ")?;
        write_line(f, &self.fix)
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_line(f, &self.file)?;
        f.write_str(": ")?;
        write_line(f, &self.what)
    }
}

/// Writes `text` with control characters escaped: a file's name must not break a report's lines.
fn write_line(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for c in text.chars() {
        if c.is_control() {
            write!(f, "{}", c.escape_default())?;
        } else {
            f.write_char(c)?;
        }
    }
    Ok(())
}

/// The first 40 characters of `text`, escaped, and `...` where more follow.
pub(crate) fn excerpt(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(EXCERPT_CHARS) {
        // Quotes break no line, and JSON is hard to read with each of them escaped.
        if matches!(c, '"' | '\'') {
            out.push(c);
        } else {
            out.extend(c.escape_debug());
        }
    }
    if text.chars().nth(EXCERPT_CHARS).is_some() {
        out.push_str("...");
    }
    out
}

/// `a, b, c and 7 more`: the first [`MAX_LISTED`] of `total` items.
pub(crate) fn listed(items: impl Iterator<Item = String>, total: usize) -> String {
    let mut out = items.take(MAX_LISTED).collect::<Vec<_>>().join(", ");
    if total > MAX_LISTED {
        out.push_str(&format!(" and {} more", total - MAX_LISTED));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_one_line() {
        let fault = Fault::new("boxes.json", "box 3", "x1 = 9 is not right of x0 = 9", "make it wider");
        assert_eq!(fault.to_string(), "boxes.json: box 3: x1 = 9 is not right of x0 = 9; make it wider");
        let whole_file = Fault::new("a\nb", "", "missing", "add it");
        assert_eq!(whole_file.to_string(), "a\\nb: missing; add it");
    }

    #[test]
    fn long_lists_and_texts_are_cut() {
        assert_eq!(listed((0..3).map(|i| i.to_string()), 3), "0, 1, 2");
        assert!(listed((0..100).map(|i| i.to_string()), 100).ends_with("18, 19 and 80 more"));
        assert_eq!(excerpt(&"é".repeat(41)), format!("{}...", "é".repeat(40)));
        assert_eq!(excerpt("\u{7}"), "\\u{7}");
    }
}
