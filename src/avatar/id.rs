//! The name an avatar is asked for by.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::fault::excerpt;

/// Longest id, in characters (all ASCII, so also in bytes).
pub const MAX_ID_CHARS: usize = 64;

/// An avatar's id, which is also its folder's name: `[A-Za-z0-9._-]{1,64}`, and neither `.` nor `..`.
///
/// Joining one to the folder of bundles can therefore never leave that folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AvatarId(String);

/// Why a text is not an avatar id. Quotes at most the first 40 characters of it, escaped, since it
/// may come from a client.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdError {
    #[error("the avatar id is empty; give the name of a bundle's folder")]
    Empty,
    #[error("the avatar id \"{excerpt}\" has {chars} characters; give at most {MAX_ID_CHARS} of A-Z a-z 0-9 . _ -")]
    TooLong { excerpt: String, chars: usize },
    #[error("the avatar id \"{excerpt}\" ({chars} characters) holds {found:?}; use only A-Z a-z 0-9 . _ -")]
    Character { excerpt: String, chars: usize, found: char },
    #[error("the avatar id \"{excerpt}\" names a folder's own entry; give the name of a bundle's folder")]
    Dots { excerpt: String },
}

impl AvatarId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AvatarId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.is_empty() {
            return Err(IdError::Empty);
        }
        // Bytes bound characters from above, so a short id is never counted.
        if text.len() > MAX_ID_CHARS {
            let chars = text.chars().count();
            if chars > MAX_ID_CHARS {
                return Err(IdError::TooLong { excerpt: excerpt(text), chars });
            }
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if let Some(found) = text.chars().find(|&c| !allowed(c)) {
            return Err(IdError::Character { excerpt: excerpt(text), chars: text.chars().count(), found });
        }
        if text == "." || text == ".." {
            return Err(IdError::Dots { excerpt: excerpt(text) });
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for AvatarId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_alphabet_and_both_length_limits() {
        let longest = "x".repeat(64);
        for text in ["a", "demo", "A.b_c-9", "...", ".hidden", "-", &longest] {
            assert_eq!(text.parse::<AvatarId>().map(|id| id.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn refuses_everything_else() {
        let character =
            |text: &str, found| IdError::Character { excerpt: excerpt(text), chars: text.chars().count(), found };
        assert_eq!("".parse::<AvatarId>(), Err(IdError::Empty));
        for (text, found) in [("a/b", '/'), ("a b", ' '), ("a\0", '\0'), ("é", 'é'), ("..\\x", '\\')] {
            assert_eq!(text.parse::<AvatarId>(), Err(character(text, found)));
        }
        for text in [".", ".."] {
            let excerpt = text.to_owned();
            assert_eq!(text.parse::<AvatarId>(), Err(IdError::Dots { excerpt }));
        }
    }

    #[test]
    fn sixty_four_wide_characters_are_wrong_by_character_not_by_length() {
        let text = "é".repeat(64);
        assert!(matches!(text.parse::<AvatarId>(), Err(IdError::Character { chars: 64, .. })));
    }

    #[test]
    fn a_hostile_name_is_quoted_short_and_escaped() {
        let text = format!("{}{}", "\n\u{1b}[31m", "z".repeat(5000));
        let error = text.parse::<AvatarId>().unwrap_err().to_string();
        assert!(error.contains("5006 characters"), "{error}");
        assert!(error.contains("\\n\\u{1b}[31m"), "{error}");
        assert!(!error.contains('\n') && !error.contains('\u{1b}'), "{error}");
        assert_eq!(error.matches('z').count(), 40 - 6 + 1, "34 quoted, one in \"a-z\": {error}");
    }
}
