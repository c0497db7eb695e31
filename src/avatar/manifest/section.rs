//! One table of `avatar.toml`, read key by key; each fault is noted and reading goes on.

use std::ops::RangeInclusive;

use toml::{Table, Value};

use super::MANIFEST_FILE;
use crate::avatar::fault::{Fault, MAX_LISTED, excerpt};
use crate::avatar::path::BundlePath;

/// Every key there is, by table; `""` is the top level.
pub(super) const KNOWN: [(&str, &[&str]); 5] = [
    ("", &["format", "name", "fps", "frames", "generator", "audio_encoder", "audio"]),
    ("frames", &["dir", "boxes", "order"]),
    ("generator", &["model", "size", "border", "mask", "resize", "channels"]),
    ("audio_encoder", &["model", "context"]),
    ("audio", &["sample_rate", "n_fft", "hop", "window", "mels", "fmin", "fmax", "pre_emphasis"]),
];

/// A table of the manifest and the list its faults go to. Readers return `None` after noting a fault.
pub(super) struct Section<'a> {
    name: &'static str,
    table: &'a Table,
    faults: &'a mut Vec<Fault>,
}

impl<'a> Section<'a> {
    /// Opens the table `name` (`""`: the top level) and notes its unknown keys.
    ///
    /// An absent table reads as `empty`, so that each of its required keys is reported.
    pub fn open(name: &'static str, root: &'a Table, empty: &'a Table, faults: &'a mut Vec<Fault>) -> Self {
        let table = match root.get(name) {
            _ if name.is_empty() => root,
            None => empty,
            Some(Value::Table(table)) => table,
            Some(other) => {
                let what = format!("it is {}, not a table", kind(other));
                let fix = format!("write a line [{name}] and its keys below");
                faults.push(Fault::new(MANIFEST_FILE, name, what, fix));
                empty
            }
        };
        let mut section = Self { name, table, faults };
        let unknown = || table.keys().filter(|key| !is_known(name, key));
        for key in unknown().take(MAX_LISTED) {
            let fix = match nearest(name, key) {
                Some(known) => format!("did you mean \"{known}\"?"),
                None => "remove it".to_owned(),
            };
            section.fault(&excerpt(key), "there is no such key", fix);
        }
        let more = unknown().count().saturating_sub(MAX_LISTED);
        if more > 0 {
            let what = format!("and {more} more keys that there are not");
            section.faults.push(Fault::new(MANIFEST_FILE, name, what, "remove them"));
        }
        section
    }

    /// Notes a fault of `key`.
    pub fn fault(&mut self, key: &str, what: impl Into<String>, fix: impl Into<String>) {
        self.faults.push(Fault::new(MANIFEST_FILE, dotted(self.name, key), what, fix));
    }

    /// A required integer in `range`.
    pub fn integer(&mut self, key: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let value = self.required(key, &format!("a number from {} to {}", range.start(), range.end()))?;
        let found = value.as_integer().and_then(|found| u32::try_from(found).ok());
        if let Some(found) = found.filter(|found| range.contains(found)) {
            return Some(found);
        }
        let fix = format!("give a whole number from {} to {}", range.start(), range.end());
        self.fault(key, format!("{} is not allowed", show(value)), fix);
        None
    }

    /// An integer in `range`, or `default` where the key is absent.
    pub fn integer_or(&mut self, key: &str, range: RangeInclusive<u32>, default: u32) -> Option<u32> {
        if self.table.contains_key(key) { self.integer(key, range) } else { Some(default) }
    }

    /// A number in `range` (integers count), or `default` where the key is absent.
    pub fn number_or(&mut self, key: &str, range: RangeInclusive<f64>, default: f64) -> Option<f64> {
        let Some(value) = self.table.get(key) else {
            return Some(default);
        };
        let found = value.as_float().or_else(|| value.as_integer().map(|found| found as f64));
        if let Some(found) = found.filter(|found| range.contains(found)) {
            return Some(found);
        }
        let fix = format!("give a number from {} to {}", range.start(), range.end());
        self.fault(key, format!("{} is not allowed", show(value)), fix);
        None
    }

    /// A required text that is not blank.
    pub fn text(&mut self, key: &str) -> Option<&'a str> {
        let value = self.required(key, "a text in quotes")?;
        match value.as_str() {
            Some(text) if !text.trim().is_empty() => Some(text),
            _ => {
                self.fault(key, format!("{} is not a name", show(value)), "give a text in quotes");
                None
            }
        }
    }

    /// A required path inside the bundle.
    pub fn path(&mut self, key: &str) -> Option<BundlePath> {
        let text = self.text(key)?;
        match BundlePath::parse(text) {
            Ok(path) => Some(path),
            Err(error) => {
                self.fault(key, format!("\"{}\": {error}", excerpt(text)), error.fix());
                None
            }
        }
    }

    /// One of a few words, or the type's default where the key is absent.
    pub fn choice<T: Copy + Default>(&mut self, key: &str, options: &[(&str, T)]) -> Option<T> {
        let Some(value) = self.table.get(key) else {
            return Some(T::default());
        };
        let word = value.as_str().unwrap_or_default();
        if let Some(&(_, option)) = options.iter().find(|(name, _)| *name == word) {
            return Some(option);
        }
        let names: Vec<_> = options.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        self.fault(key, format!("{} is not known", show(value)), format!("write {}", names.join(" or ")));
        None
    }

    /// A required list of four integers from 0 up.
    pub fn four(&mut self, key: &str, form: &str) -> Option<[u32; 4]> {
        let value = self.required(key, form)?;
        let numbers: Option<Vec<u32>> = value
            .as_array()
            .and_then(|items| items.iter().map(|item| u32::try_from(item.as_integer()?).ok()).collect());
        let four = numbers.and_then(|numbers| numbers.try_into().ok());
        if four.is_none() {
            self.fault(key, format!("{} is not {form}", show(value)), format!("give {form}"));
        }
        four
    }

    fn required(&mut self, key: &str, form: &str) -> Option<&'a Value> {
        let value = self.table.get(key);
        if value.is_none() {
            self.fault(key, "it is missing", format!("add it: {form}"));
        }
        value
    }
}

fn dotted(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

fn is_known(section: &str, key: &str) -> bool {
    KNOWN.iter().any(|(name, keys)| *name == section && keys.contains(&key))
}

/// The known key that `key` of `section` was most likely meant to be: the same word in another table,
/// or else the most similar one in the same table.
fn nearest(section: &str, key: &str) -> Option<String> {
    let elsewhere = KNOWN.iter().find(|(_, keys)| keys.contains(&key));
    if let Some((name, _)) = elsewhere {
        return Some(dotted(name, key));
    }
    let (_, keys) = KNOWN.iter().find(|(name, _)| *name == section)?;
    let similarity = |known: &str| strsim::jaro_winkler(key, known);
    let best = keys.iter().max_by(|a, b| similarity(a).total_cmp(&similarity(b)))?;
    Some(dotted(section, best))
}

fn show(value: &Value) -> String {
    excerpt(&value.to_string())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Array(_) => "a list",
        Value::Datetime(_) => "a date",
        Value::Table(_) => "a table",
    }
}
