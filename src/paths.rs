//! Folders of lipsyncd's own on this machine.

use std::path::PathBuf;

/// The user's cache folder for lipsyncd: `$XDG_CACHE_HOME/lipsyncd`, or `~/.cache/lipsyncd`.
#[must_use]
pub fn cache_folder() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let root = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    root.map(|root| root.join("lipsyncd"))
}
