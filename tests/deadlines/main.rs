//! Time: what is late, what ends in time, and what is counted of both.

#[path = "../common/mod.rs"]
mod common;
mod figures;
mod late;
mod timeouts;
