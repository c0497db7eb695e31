//! Raw values by key, from file and environment, and their conversion.

use std::collections::HashMap;
use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::ValueEnum;
use toml::Value;

use super::error::{ConfigError, Origin, Place};
use super::keys::{KEYS, is_other, nearest, slip_of};
use super::service_link::is_service_link;

const PREFIX: &str = "LIPSYNCD_";

struct Raw {
    origin: Origin,
    value: Value,
    /// A variable's own bytes: paths need not be UTF-8.
    variable: Option<OsString>,
}

/// What may stand at a key, as the writer of a file and of a variable would write it.
pub(super) struct Form {
    file: String,
    variable: String,
}

impl Form {
    pub(super) fn new(file: &str, variable: &str) -> Self {
        Self { file: file.to_owned(), variable: variable.to_owned() }
    }

    fn in_words(&self, raw: &Raw) -> String {
        match &raw.variable {
            None => self.file.clone(),
            Some(value) if value.is_empty() => format!("{}, or unset it", self.variable),
            Some(_) => self.variable.clone(),
        }
    }
}

/// The same words, without the quotes, which are TOML's.
impl From<&str> for Form {
    fn from(file: &str) -> Self {
        Self::new(file, &file.replace('"', ""))
    }
}

/// What was written, by key.
#[derive(Default)]
pub(super) struct Values {
    written: HashMap<&'static str, Raw>,
    ignored: Vec<String>,
}

impl Values {
    /// Everything that can be read, and the first key or file that cannot.
    pub(super) fn read(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, OsString)>,
    ) -> (Self, Option<ConfigError>) {
        let mut values = Self::default();
        let mut fault = file.and_then(|path| values.add_file(path).err());
        for (name, value) in environment {
            let Some(key) = name.strip_prefix(PREFIX) else { continue };
            if let Err(error) = values.add_variable(key, value) {
                fault.get_or_insert(error);
            }
        }
        (values, fault)
    }

    fn add_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
            path: path.to_owned(),
            what: error.to_string().trim().replace('\n', " "),
        })?;
        let mut fault = None;
        for (key, value) in table {
            let origin = Origin::File(path.to_owned());
            if let Some(known) = KEYS.iter().find(|known| **known == key) {
                self.written.insert(known, Raw { origin, value, variable: None });
            } else {
                let nearest = nearest(&key);
                fault.get_or_insert(ConfigError::Unknown { place: Place { origin, key }, nearest });
            }
        }
        fault.map_or(Ok(()), Err)
    }

    /// A variable that is like a key but none is a slip; others are left to whom they belong to.
    fn add_variable(&mut self, key: &str, value: OsString) -> Result<(), ConfigError> {
        let key = key.to_lowercase();
        if let Some(known) = KEYS.iter().find(|known| **known == key) {
            let text = Value::String(value.to_string_lossy().into_owned());
            self.written.insert(known, Raw { origin: Origin::Environment, value: text, variable: Some(value) });
            return Ok(());
        }
        if is_other(&key) || is_service_link(&key, &value) {
            return Ok(());
        }
        let nearest = slip_of(&key);
        let place = Place { origin: Origin::Environment, key };
        if nearest.is_some() {
            return Err(ConfigError::Unknown { place, nearest });
        }
        self.ignored.push(place.to_string());
        Ok(())
    }

    /// Variables that are nobody's, in order of their names.
    pub(super) fn ignored_variables(&self) -> Vec<String> {
        let mut names = self.ignored.clone();
        names.sort();
        names
    }

    /// A string that is not empty.
    pub(super) fn text(&self, key: &'static str) -> Result<Option<String>, ConfigError> {
        self.convert(key, &Form::new("a text in quotes", "some text"), |raw| nonempty(raw).map(str::to_owned))
    }

    /// A path that is not empty; that of a variable is taken as it is, UTF-8 or not.
    pub(super) fn path(&self, key: &'static str) -> Result<Option<PathBuf>, ConfigError> {
        self.convert(key, &Form::new("a path in quotes", "a path"), |raw| {
            let text = nonempty(raw)?;
            Some(raw.variable.as_ref().map_or_else(|| PathBuf::from(text), PathBuf::from))
        })
    }

    /// A string of a type's own form.
    pub(super) fn parsed<T: FromStr>(&self, key: &'static str, form: &str) -> Result<Option<T>, ConfigError> {
        self.convert(key, &form.into(), |raw| raw.value.as_str()?.parse().ok())
    }

    /// A whole number; the environment writes it as text.
    pub(super) fn number(&self, key: &'static str, range: RangeInclusive<u64>) -> Result<Option<u64>, ConfigError> {
        let form = format!("a whole number from {} to {}", range.start(), range.end());
        self.convert(key, &Form::from(form.as_str()), |raw| {
            let number = match &raw.value {
                Value::Integer(number) => u64::try_from(*number).ok()?,
                Value::String(text) if raw.variable.is_some() => text.trim().parse().ok()?,
                _ => return None,
            };
            range.contains(&number).then_some(number)
        })
    }

    /// One of a few words: those that the command line takes, where it takes any for the same.
    pub(super) fn word<T: ValueEnum>(&self, key: &'static str) -> Result<Option<T>, ConfigError> {
        let words = T::value_variants().iter().filter_map(T::to_possible_value);
        let words: Vec<String> = words.map(|word| format!("\"{}\"", word.get_name())).collect();
        self.convert(key, &Form::from(words.join(" or ").as_str()), |raw| T::from_str(raw.value.as_str()?, false).ok())
    }

    /// A list of avatar ids; the environment writes it with commas.
    pub(super) fn ids<T: FromStr>(&self, key: &'static str) -> Result<Vec<T>, ConfigError> {
        let form = Form::new("a list of avatar ids such as [\"demo\"]", "avatar ids such as demo,anna");
        self.list(key, &form, |item| item.as_str()?.parse().ok())
    }

    /// A list of small whole numbers; the environment writes it with commas.
    pub(super) fn numbers(&self, key: &'static str, form: Form) -> Result<Vec<u32>, ConfigError> {
        self.list(key, &form, |item| u32::try_from(item.as_integer()?).ok())
    }

    fn list<T: FromStr>(
        &self,
        key: &'static str,
        form: &Form,
        item: impl Fn(&Value) -> Option<T>,
    ) -> Result<Vec<T>, ConfigError> {
        let list = self.convert(key, form, |raw| match &raw.value {
            Value::Array(items) => items.iter().map(item).collect(),
            Value::String(text) if raw.variable.is_some() => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                items.map(|item| item.parse().ok()).collect()
            }
            _ => None,
        })?;
        Ok(list.unwrap_or_default())
    }

    fn convert<T>(
        &self,
        key: &'static str,
        form: &Form,
        convert: impl FnOnce(&Raw) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(raw) = self.written.get(key) else { return Ok(None) };
        match convert(raw) {
            Some(converted) => Ok(Some(converted)),
            None => Err(ConfigError::Value {
                place: Place { origin: raw.origin.clone(), key: key.to_owned() },
                got: raw.value.to_string(),
                expected: form.in_words(raw),
            }),
        }
    }
}

fn nonempty(raw: &Raw) -> Option<&str> {
    raw.value.as_str().filter(|text| !text.is_empty())
}
