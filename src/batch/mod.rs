//! From waiting work to batches: the queue, the policy, the slots and the threads that carry them.
//!
//! | file | gives |
//! | --- | --- |
//! | [`admission`] | whether there is room for one more live stream: pure |
//! | [`pool`] | buffers made ahead of time, handed out and returned by ownership |
//! | [`work`] | one unit of work: a window to encode or a frame to draw |
//! | [`policy`] | which waiting work makes the next batch: a pure function |
//! | [`costs`] | what batches have cost: the estimates of the policy and of admission |
//! | [`turns`] | whose speech is being drawn, and who waits for that |
//! | [`queue`] | the waiting work of all sessions, behind one lock |
//! | [`slot`] | the buffers of one batch in flight, moved by value through their states |
//! | `live` | the places of live streams, taken and promised |
//! | `lanes` | one thread per slot: stage, submit, complete, deliver |
//! | `warm` | which batches a lane has run before |
//! | [`rehearsal`] | a new avatar's first frames, for nobody |
//! | [`engine`] | the whole of one device, started and stopped |
//! | [`health`] | whether it still works, and who is told when it no longer does |
//! | [`placement`] | which device serves a call, and where an avatar is loaded: pure |
//! | [`fleet`] | the engines of all devices |

pub mod admission;
pub mod costs;
pub mod engine;
pub mod fleet;
pub mod health;
mod lanes;
mod live;
pub mod placement;
pub mod policy;
pub mod pool;
pub mod queue;
pub mod rehearsal;
pub mod slot;
pub mod turns;
mod warm;
pub mod work;

pub use admission::{AdmissionLimits, Overload};
pub use costs::Costs;
pub use engine::{Engine, EngineOptions, OpenError};
pub use fleet::{Fleet, Want};
pub use policy::{BatchKey, BatchPlan, Limits};
pub use pool::{BufferPool, PooledBuf};
pub use queue::WorkQueue;
pub use rehearsal::{rehearse, rehearse_pictures};
pub use slot::{Filled, Free, InFlight, Ready, Slot};
pub use work::Work;
