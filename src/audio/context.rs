//! Which encoder outputs a video frame's generator input is made of.
//!
//! Step 6 of the recipe. With `W` windows, hence features `f[0]..f[W-1]`, the padded history is
//!
//! ```text
//! padded:   f[0]  f[0]  f[1]  ...  f[W-1]  f[W-1]          zeros before and after
//! index:     0     1     2           W      W+1
//! ```
//!
//! and the context of frame `i` is padded rows `i-8 .. i+8` (for 16 rows). While a sound streams in, `W` is not known:
//! a row may already be certain, or have to wait.

/// Where one row of a context comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContextRow {
    /// All zeros.
    Zero,
    /// The feature of this window.
    Window(usize),
    /// The window, or the end of the sound, has still to come.
    NotYet,
}

/// What is known of a sound's windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Windows {
    /// This many have been encoded, and more may come.
    SoFar(usize),
    /// The sound has ended: it has `count` windows, of which the first `done` have been encoded.
    All {
        /// All windows of the sound, at least 1.
        count: usize,
        /// Those whose features exist.
        done: usize,
    },
}

/// The shape of a context: how many rows, half of which lie before the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    rows: usize,
}

impl Context {
    /// A context of `rows` features, 16 in the recipe.
    #[must_use]
    pub const fn new(rows: usize) -> Self {
        Self { rows }
    }

    /// Features in a context.
    #[must_use]
    pub const fn rows(self) -> usize {
        self.rows
    }

    /// Where row `row` of video frame `frame`'s context comes from.
    #[must_use]
    pub fn row(self, frame: usize, row: usize, windows: Windows) -> ContextRow {
        let Some(padded) = frame.saturating_add(row).checked_sub(self.rows / 2) else {
            return ContextRow::Zero;
        };
        let window = padded.saturating_sub(1);
        match windows {
            Windows::SoFar(done) if window < done => ContextRow::Window(window),
            Windows::SoFar(_) => ContextRow::NotYet,
            Windows::All { count, .. } if padded >= count.saturating_add(2) => ContextRow::Zero,
            Windows::All { count, done } => {
                let window = window.min(count.saturating_sub(1));
                if window < done { ContextRow::Window(window) } else { ContextRow::NotYet }
            }
        }
    }

    /// How many video frames, from the first, have no row left to wait for, and begin inside the sound wherever it ends.
    ///
    /// Once all windows are done that is every frame, however many the video has: `usize::MAX`.
    #[must_use]
    pub fn frames_ready(self, windows: Windows) -> usize {
        let done = match windows {
            Windows::All { count, done } if done >= count => return usize::MAX,
            Windows::All { done, .. } | Windows::SoFar(done) => done,
        };
        // Frame `frame`'s last row is padded index `frame + after`, which is window `frame + after - 1`, so it wants
        // `frame + after` windows. Where a frame sees nothing that lies ahead, it still waits for its own window: the one before can
        // be there of a sound that ends before the frame begins.
        let after = (self.rows - self.rows / 2).saturating_sub(1).max(1);
        if done < after { 0 } else { done - after + 1 }
    }

    /// The first window whose feature frame `frame`, or any later one, may still read; older ones can be dropped.
    #[must_use]
    pub fn oldest_window(self, frame: usize) -> usize {
        // Padded index `p` is window `p - 1`, or `p - 2` when it is the repetition of the last.
        frame.saturating_sub(self.rows / 2).saturating_sub(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: Context = Context::new(16);

    /// The recipe as written: build the padded list, then cut.
    fn by_the_recipe(rows: usize, frame: usize, count: usize) -> Vec<ContextRow> {
        let mut padded = vec![ContextRow::Window(0)];
        padded.extend((0..count).map(ContextRow::Window));
        padded.push(ContextRow::Window(count - 1));
        (0..rows)
            .map(|row| (frame + row).checked_sub(rows / 2))
            .map(|at| at.and_then(|at| padded.get(at).copied()).unwrap_or(ContextRow::Zero))
            .collect()
    }

    #[test]
    fn a_known_end_gives_the_recipe() {
        for rows in [1, 2, 5, 16] {
            let context = Context::new(rows);
            for count in 1..30 {
                for frame in 0..50 {
                    let all = Windows::All { count, done: count };
                    let got: Vec<_> = (0..rows).map(|row| context.row(frame, row, all)).collect();
                    assert_eq!(got, by_the_recipe(rows, frame, count), "{rows} {count} {frame}");
                }
            }
        }
    }

    #[test]
    fn a_streamed_row_is_never_taken_back() {
        for done in 0..40 {
            for frame in 0..60 {
                for count in done.max(1)..done + 30 {
                    let whole = by_the_recipe(16, frame, count);
                    for windows in [Windows::SoFar(done), Windows::All { count, done }] {
                        for (row, &expected) in whole.iter().enumerate() {
                            let got = CONTEXT.row(frame, row, windows);
                            assert!(got == expected || got == ContextRow::NotYet);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn ready_frames_are_those_that_wait_for_nothing() {
        for rows in [1, 2, 3, 16] {
            let context = Context::new(rows);
            for done in 0..40 {
                let mut cases = vec![Windows::SoFar(done)];
                cases.extend((1..60).map(|count| Windows::All { count, done: done.min(count) }));
                for windows in cases {
                    let waits =
                        |frame: usize| (0..rows).any(|row| context.row(frame, row, windows) == ContextRow::NotYet);
                    let ready = context.frames_ready(windows);
                    assert!((0..ready.min(100)).all(|frame| !waits(frame)), "{rows} {windows:?}");
                    // Of three rows or fewer none lies ahead, and the frame's own window is waited for.
                    assert!(ready > 100 || waits(ready) || (rows < 4 && ready == done), "{rows} {windows:?}: {ready}");
                }
            }
        }
    }

    #[test]
    fn the_first_frame_wants_seven_windows() {
        assert_eq!(CONTEXT.frames_ready(Windows::SoFar(6)), 0);
        assert_eq!(CONTEXT.frames_ready(Windows::SoFar(7)), 1);
        assert_eq!(CONTEXT.frames_ready(Windows::SoFar(8)), 2);
    }

    #[test]
    fn dropped_windows_are_never_read_again() {
        for count in 1..40 {
            for frame in 0..60 {
                let read = (frame..70).flat_map(|later| by_the_recipe(16, later, count));
                let oldest = read.filter_map(|row| match row {
                    ContextRow::Window(window) => Some(window),
                    _ => None,
                });
                assert!(oldest.min().unwrap_or(usize::MAX) >= CONTEXT.oldest_window(frame));
            }
        }
    }
}
