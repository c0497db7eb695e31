//! What the key `log` lets through: `tracing`'s filter, with the slips it would be silent about refused.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// Levels, from the fewest lines to the most.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Who else logs here: ONNX Runtime, TensorRT and the libraries below gRPC.
const OTHERS: [&str; 7] = ["onnxruntime", "tensorrt", "h2", "hyper", "hyper_util", "tonic", "tower"];

/// Of these, those that tell of each HTTP/2 frame and each connection, and what they say all the same. A name stands for all that begin with it.
const QUIET: &str = "h2=info,hyper=info,tonic=info,tower=info";

/// Why the key `log` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// It is not in `tracing`'s form.
    #[error("log: \"{filter}\": {source}")]
    Form {
        /// The filter given.
        filter: String,
        /// The parser's reason.
        source: ParseError,
    },
    /// A word that is taken for the name of a module, of which there is none: everything would be silent.
    #[error(
        "log: \"{word}\" is neither a level nor a part of the program that logs; write {}, or a module and a level such as \
         lipsyncd::telemetry=debug",
        match level { Some(level) => format!("\"{level}\""), None => format!("one of {}", LEVELS.join(", ")) }
    )]
    Word {
        /// The word.
        word: String,
        /// The level most like it.
        level: Option<&'static str>,
    },
}

/// The filter that `text` says. Where it lets everything through at `debug` or `trace`, libraries that tell of every HTTP/2 frame stay at
/// `info`, unless `text` names them.
///
/// # Errors
/// [`FilterError`], naming the key.
pub(super) fn read(text: &str) -> Result<EnvFilter, FilterError> {
    // The parser takes a space for a part of the name.
    let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    let unknown = if parts.is_empty() { Some(&text) } else { parts.iter().find(|part| !is_known(part)) };
    if let Some(word) = unknown {
        return Err(FilterError::Word { word: (*word).to_owned(), level: nearest_level(word) });
    }
    // The last of several bare levels counts, and the later of two directives about one name.
    let chatty = parts.iter().rfind(|part| level_of(part).is_some()).is_some_and(|part| level_of(part) > Some(INFO));
    let quiet = if chatty { QUIET } else { "" };
    EnvFilter::try_new(format!("{quiet},{}", parts.join(",")))
        .map_err(|source| FilterError::Form { filter: text.to_owned(), source })
}

const INFO: usize = 3;

/// The number of a level, which may be written as a word in any case or as that number.
fn level_of(part: &str) -> Option<usize> {
    let number = part.parse().ok().filter(|&number| number < LEVELS.len());
    number.or_else(|| LEVELS.iter().position(|level| level.eq_ignore_ascii_case(part)))
}

/// Whether something can come of this part: anything that is more than a word is the parser's to judge.
fn is_known(part: &str) -> bool {
    let is_ours = part == "lipsyncd" || part.starts_with("lipsyncd::");
    let is_others =
        OTHERS.iter().any(|name| part.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::")));
    part.contains(['=', '[']) || level_of(part).is_some() || is_ours || is_others
}

fn nearest_level(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    LEVELS
        .iter()
        .map(|level| (strsim::jaro_winkler(&word, level), *level))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.7)
        .map(|(_, level)| level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_would_silence_the_log_is_refused_with_the_nearest_level() {
        for (text, level) in [
            ("warning", "\"warn\""),
            ("information", "\"info\""),
            ("info,warning", "\"warn\""),
            ("DEBUGG", "\"debug\""),
            ("err", "\"error\""),
            ("loud", "one of off, error, warn"),
            (" , ", "one of off, error, warn"),
            ("lipsync", "one of off, error, warn"),
            ("lipsyncd_fft", "one of off, error, warn"),
        ] {
            let error = read(text).unwrap_err();
            let said = error.to_string();
            assert!(matches!(error, FilterError::Word { .. }) && said.contains(level), "{text:?}: {said}");
            assert!(said.starts_with("log: "), "{said}");
        }
    }

    #[test]
    fn levels_modules_and_crates_that_log_are_taken() {
        for text in [
            "warn",
            "WARN",
            "off",
            "3",
            "info,lipsyncd::batch=debug",
            "lipsyncd",
            "lipsyncd::batch",
            "h2",
            "hyper::proto",
        ] {
            assert!(read(text).is_ok(), "{text:?}: {:?}", read(text).err());
        }
        for text in ["info,[session]=debug", "info,[session{avatar=demo}]=trace", "info,foo=debug"] {
            assert!(read(text).is_ok(), "{text:?}: {:?}", read(text).err());
        }
        assert!(matches!(read("info,lipsyncd=loud"), Err(FilterError::Form { .. })));
    }

    /// The directives, in an order of their own.
    fn directives(text: &str) -> Vec<String> {
        let mut directives: Vec<String> = read(text).unwrap().to_string().split(',').map(str::to_owned).collect();
        directives.sort();
        directives
    }

    #[test]
    fn libraries_do_not_tell_of_every_http_2_frame_unless_they_are_asked_to() {
        let quiet = ["h2=info", "hyper=info", "tonic=info", "tower=info"];
        for text in ["debug", "trace", "Debug", "4", "info,debug"] {
            let all = directives(text);
            assert!(quiet.iter().all(|one| all.contains(&(*one).to_owned())), "{text}: {all:?}");
        }
        assert!(directives("debug,h2=trace").contains(&"h2=trace".to_owned()));
        assert!(!directives("debug,h2=trace").contains(&"h2=info".to_owned()));
        // At a level where they say nothing, they are not made to say more.
        assert_eq!(directives("warn"), ["warn"]);
        assert_eq!(directives("info, lipsyncd::batch=debug"), ["info", "lipsyncd::batch=debug"]);
    }
}
