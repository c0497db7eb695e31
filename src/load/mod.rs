//! A load generator: live streams as real clients make them, and what their viewers would see.
//!
//! | file | gives |
//! | --- | --- |
//! | `options` | what is asked for |
//! | `random` | seeded numbers |
//! | `voice` | a sound like speech, made by code |
//! | `speech` | utterances cut from a sound |
//! | `pace` | when each frame is due, and how late it is |
//! | `player` | the same for a call with idle frames, which shows one after the other |
//! | `script` | what one stream does and when: pure |
//! | `stream` | one stream over the network |
//! | `crowd` | all of them, from the first call to the last frame |
//! | `tally` | what is counted while they run |
//! | `quantiles` | distributions of times, and each in a few figures |
//! | `report` | the figures made of it, as JSON |
//! | `capacity` | the search for the most streams: pure |
//! | `first_parts` | where the times to first frames went |
//! | `ledger` | what a call is owed: the order of utterances, cuts and frames |
//! | `jpeg_check` | whether a frame is a whole JPEG of the right size |
//! | `cpu` | processor time of this process and of a daemon on this machine |
//! | [`plot`] | pictures of the results |

mod capacity;
mod cpu;
mod crowd;
mod first_parts;
mod jpeg_check;
mod ledger;
mod options;
mod pace;
mod player;
mod quantiles;
mod random;
mod report;
mod script;
mod speech;
mod stream;
mod tally;
pub(crate) mod voice;

pub mod plot;

pub use capacity::{Search, Step};
pub use crowd::{Crowd, CrowdError, Progress};
pub use options::LoadOptions;
pub use pace::Pace;
pub use quantiles::{Quantiles, Times};
pub use report::{Capacity, Report, StepReport};
pub use speech::Speech;
pub use tally::Tally;
