//! A frame is a template plus a patch: encode only the mouth, splice the rest.
//!
//! Every frame of an avatar equals a picture known since it was loaded, except inside the box. A baseline JPEG with
//! restart markers is a row of independent, byte-aligned segments, so the background is encoded once with a marker every R
//! MCUs. Per output frame only the MCUs that the box touches are encoded (a *strip*). They are put, bit by bit, between the
//! background's own MCUs of the segments they belong to, and those segments between the stored ones. The spliced bytes are those
//! of a full encode with the same R.
//!
//! ```text
//! at load:   frames ─ TemplatePlan ─ load_or_build ─▶ TemplateSet            (in parallel; cached, memory-mapped)
//! per frame: template + output ─ StripCompositor ─▶ strip ─ PatchEncoder ─▶ Patch ─ splice ─▶ JPEG
//!                                  (or the GPU: planes) ───┘                   └─ sent alone
//! ```
//!
//! One encoder serves both backends: a strip arrives as BGR or as the YUV planes libjpeg-turbo would make of it
//! ([`StripPlanes`]). Where no interval pays, [`TemplatePlan::choose`] says so and frames are encoded whole.

mod build;
mod cache;
mod header;
mod huffman;
mod interval;
mod join;
mod kept;
mod key;
mod layout;
mod macroblocks;
mod mapped;
mod margin;
mod on_demand;
mod patch;
mod plan;
mod planes;
mod seam;
mod segments;
mod set;
mod splice;
mod strip;
mod sweep;

pub use build::{BuildError, CacheProblem, Job, Loaded, Origin, Source, is_cached, load_or_build};
pub use cache::CacheError;
pub use interval::choose_interval;
pub use kept::KeptStrip;
pub use key::{CacheKey, ContentDigest, content_digest};
pub use layout::{LayoutError, StripLayout};
pub use on_demand::OnDemandTemplates;
pub use patch::{Patch, PatchEncoder, PatchError};
pub use plan::TemplatePlan;
pub use planes::{StripPlanes, packed_len, packed_planes};
pub use segments::{SegmentError, index_segments};
pub use set::{Template, TemplateSet};
pub use splice::{SpliceError, splice, splice_segments};
pub use strip::{StripCompositor, StripError};
