//! Numbers on the command line, within bounds.

/// `text` as a number that is `allowed`; else what to write.
pub(super) fn number(text: &str, allowed: impl Fn(f64) -> bool, expected: &str) -> Result<f64, String> {
    text.parse().ok().filter(|&value| allowed(value)).ok_or_else(|| format!("write {expected}"))
}

/// How long something is measured.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    number(text, |value| (0.1..=86_400.0).contains(&value), "seconds from 0.1 to 86400")
}

/// How near a picture is to another.
pub(super) fn decibels(text: &str) -> Result<f64, String> {
    number(text, |value| (0.0..=200.0).contains(&value), "decibels from 0 to 200")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_clock_can_measure_is_refused_with_what_to_write() {
        for text in ["-1", "nan", "inf", "1e300", "0", ""] {
            assert_eq!(seconds(text).unwrap_err(), "write seconds from 0.1 to 86400", "{text}");
        }
        assert_eq!(seconds("0.2"), Ok(0.2));
        assert!(decibels("nan").is_err() && decibels("0") == Ok(0.0));
    }
}
