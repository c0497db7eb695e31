//! Against what others made of the same bytes, kept in `tests/golden`.

mod audio;
mod demo;
mod picture;
