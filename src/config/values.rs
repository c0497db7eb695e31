//! Raw values by key, from file and environment, and their conversion.

use std::collections::HashMap;
use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;

use clap::ValueEnum;
use toml::Value;

use super::error::{ConfigError, Origin, Place};
use super::keys::{KEYS, OTHER_VARIABLES, nearest};

const PREFIX: &str = "LIPSYNCD_";

struct Raw {
    origin: Origin,
    value: Value,
}

/// What was written, by key.
pub(super) struct Values(HashMap<&'static str, Raw>);

impl Values {
    pub(super) fn read(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut values = Self(HashMap::new());
        if let Some(path) = file {
            values.add_file(path)?;
        }
        for (name, value) in environment {
            if let Some(key) = name.strip_prefix(PREFIX) {
                values.add_variable(key, &value)?;
            }
        }
        Ok(values)
    }

    fn add_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
            path: path.to_owned(),
            what: error.to_string().trim().replace('\n', " "),
        })?;
        for (key, value) in table {
            let origin = Origin::File(path.to_owned());
            match KEYS.iter().find(|known| **known == key) {
                Some(known) => self.0.insert(known, Raw { origin, value }),
                None => {
                    let place = Place { origin, key: key.clone() };
                    return Err(ConfigError::Unknown { place, nearest: nearest(&key) });
                }
            };
        }
        Ok(())
    }

    /// A variable that is close to a key but none is a slip; others belong to somebody else's scripts.
    fn add_variable(&mut self, key: &str, value: &OsString) -> Result<(), ConfigError> {
        let key = key.to_lowercase();
        if let Some(known) = KEYS.iter().find(|known| **known == key) {
            let value = Value::String(value.to_string_lossy().into_owned());
            self.0.insert(known, Raw { origin: Origin::Environment, value });
            return Ok(());
        }
        if OTHER_VARIABLES.contains(&key.as_str()) {
            return Ok(());
        }
        match KEYS.iter().find(|known| strsim::damerau_levenshtein(known, &key) <= 2) {
            Some(known) if key.len() > 3 => {
                let place = Place { origin: Origin::Environment, key };
                Err(ConfigError::Unknown { place, nearest: Some(known) })
            }
            _ => Ok(()),
        }
    }

    /// A string that is not empty.
    pub(super) fn text(&self, key: &'static str) -> Result<Option<String>, ConfigError> {
        self.convert(key, "a text in quotes", |value| match value {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            _ => None,
        })
    }

    /// A string of a type's own form.
    pub(super) fn parsed<T: FromStr>(&self, key: &'static str, form: &str) -> Result<Option<T>, ConfigError> {
        self.convert(key, form, |value| value.as_str()?.parse().ok())
    }

    /// A whole number; the environment writes it as text.
    pub(super) fn number(&self, key: &'static str, range: RangeInclusive<u64>) -> Result<Option<u64>, ConfigError> {
        let form = format!("a whole number from {} to {}", range.start(), range.end());
        self.convert(key, &form, |value| {
            let number = match value {
                Value::Integer(number) => u64::try_from(*number).ok()?,
                Value::String(text) if self.is_from_environment(key) => text.trim().parse().ok()?,
                _ => return None,
            };
            range.contains(&number).then_some(number)
        })
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, key: &'static str, options: &[(&str, T)]) -> Result<Option<T>, ConfigError> {
        let words: Vec<String> = options.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        self.convert(key, &words.join(" or "), |value| {
            let word = value.as_str()?;
            options.iter().find(|(option, _)| *option == word).map(|(_, choice)| *choice)
        })
    }

    /// One of the words that the command line takes for the same.
    pub(super) fn word<T: ValueEnum + Copy>(&self, key: &'static str) -> Result<Option<T>, ConfigError> {
        let names: Vec<_> =
            T::value_variants().iter().filter_map(|&value| Some((value.to_possible_value()?, value))).collect();
        let options: Vec<_> = names.iter().map(|(name, value)| (name.get_name(), *value)).collect();
        self.choice(key, &options)
    }

    /// A list of texts; the environment writes it with commas.
    pub(super) fn list<T: FromStr>(&self, key: &'static str) -> Result<Vec<T>, ConfigError> {
        let list = self.convert(key, "a list of avatar ids such as [\"demo\"]", |value| match value {
            Value::Array(items) => items.iter().map(|item| item.as_str()?.parse().ok()).collect(),
            Value::String(text) if self.is_from_environment(key) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                items.map(|item| item.parse().ok()).collect()
            }
            _ => None,
        })?;
        Ok(list.unwrap_or_default())
    }

    /// A list of small whole numbers; the environment writes it with commas.
    pub(super) fn numbers(&self, key: &'static str, form: &str) -> Result<Vec<u32>, ConfigError> {
        let list = self.convert(key, form, |value| match value {
            Value::Array(items) => items.iter().map(|item| u32::try_from(item.as_integer()?).ok()).collect(),
            Value::String(text) if self.is_from_environment(key) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                items.map(|item| item.parse().ok()).collect()
            }
            _ => None,
        })?;
        Ok(list.unwrap_or_default())
    }

    fn is_from_environment(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|raw| raw.origin == Origin::Environment)
    }

    fn convert<T>(
        &self,
        key: &'static str,
        expected: &str,
        convert: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(raw) = self.0.get(key) else { return Ok(None) };
        match convert(&raw.value) {
            Some(converted) => Ok(Some(converted)),
            None => Err(ConfigError::Value {
                place: Place { origin: raw.origin.clone(), key: key.to_owned() },
                got: raw.value.to_string(),
                expected: expected.to_owned(),
            }),
        }
    }
}
