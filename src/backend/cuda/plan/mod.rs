//! Plans on disk: a plan is TensorRT's compiled form of one network for one machine, and nothing in it can be checked by
//! looking at it. So each file says what it was made from, by what, for what, and proves that it is whole.

mod file;
mod key;
mod wanted;

pub use file::{PlanError, read_plan, write_plan};
pub use key::{BatchRange, PlanKey, PlanOptions, Precision};
pub use wanted::{PlanFile, Plans, WantedPlan};
