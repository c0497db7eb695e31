//! One sentence of an error and everything under it.

use std::error::Error;

/// The error's message, followed by those of its sources that it does not already quote.
#[must_use]
pub fn sentence(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Outer {
        #[error("a file")]
        Apart(#[source] std::io::Error),
        #[error("a file: {0}")]
        Quoted(#[source] std::io::Error),
    }

    #[test]
    fn each_cause_is_told_once() {
        let cause = || std::io::Error::other("the disk is full");
        assert_eq!(sentence(&Outer::Apart(cause())), "a file: the disk is full");
        assert_eq!(sentence(&Outer::Quoted(cause())), "a file: the disk is full");
    }
}
