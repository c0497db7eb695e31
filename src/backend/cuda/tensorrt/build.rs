//! From a network's file to a plan. Runs in a process of its own: a crash or a lack of memory in TensorRT's builder ends
//! that process, and what it allocated goes with it.

use trtx::builder::MemoryPoolType;
use trtx::trtx_sys::nvinfer1::Dims64;
use trtx::{Builder, LogHandler, Logger, OnnxParser, OptProfileSelector, Severity};

use super::Library;
use crate::avatar::onnx::{Dim, GraphInfo, HalfReport, TensorInfo};
use crate::backend::cuda::plan::{BatchRange, PlanKey};
use crate::backend::cuda::prepare::{PrepareError, Prepared, prepare};

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The network cannot be read, or has no half-precision form.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// Something else arrived than what the plan was asked for of.
    #[error("the network is not the one that the plan was asked for of; try again")]
    Changed,
    /// Its batch is fixed to 1 and larger ones were asked for.
    #[error("its batch is fixed and cannot be made dynamic: {reason}; export it with a dynamic batch")]
    Batch {
        /// Why not.
        reason: String,
    },
    /// An input has a dimension besides the batch that is not fixed.
    #[error("input \"{tensor}\" is {shape}: only the batch may be open; export it with fixed sizes")]
    Shape {
        /// Its name.
        tensor: String,
        /// As the file gives it.
        shape: String,
    },
    /// TensorRT refused.
    #[error("TensorRT: {reason}")]
    TensorRt {
        /// Its own words.
        reason: String,
    },
    /// No such SM in this flavour.
    #[error("sm_{sm} is not one {} builds for ahead of time; it knows {known}", super::FLAVOUR)]
    Sm {
        /// What was asked for.
        sm: u32,
        /// What there is.
        known: String,
    },
}

impl From<trtx::Error> for BuildError {
    fn from(error: trtx::Error) -> Self {
        Self::TensorRt { reason: one_line(&error) }
    }
}

/// TensorRT's messages span lines; ours are one sentence.
pub(super) fn one_line(error: &dyn std::fmt::Display) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Warnings and worse go to stderr, which the process that started this one reads.
struct Stderr;

impl LogHandler for Stderr {
    fn log(&self, severity: Severity, message: &str) {
        if severity <= Severity::Warning {
            // Who started this process may be gone, which is no reason for a panic in here.
            let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("{severity:?}: {message}\n").as_bytes());
        }
    }
}

/// Builds the plan `key` of `network`, an ONNX file's content, for the SM `sm`, or without one for the GPU that is current on this thread. Call it in a process of its own: TensorRT's builder objects are not taken down.
///
/// # Errors
/// [`BuildError`].
pub fn build_plan(
    _loaded: &Library,
    network: &[u8],
    key: &PlanKey,
    sm: Option<u32>,
) -> Result<(Vec<u8>, Option<HalfReport>), BuildError> {
    let options = &key.options;
    let Prepared { model, one_by_one, half: report } = prepare(network, options.precision, options.edges)?;
    // A part of it may be a network, too, whose plan would be taken for good under this key.
    if !key.is_of(&model) {
        return Err(BuildError::Changed);
    }
    if let Some(reason) = one_by_one
        && options.batch != BatchRange::only(1)
    {
        return Err(BuildError::Batch { reason });
    }
    let inputs = GraphInfo::parse(&model).map_err(PrepareError::from)?.inputs;
    // The parser borrows itself for as long as its network is used, and the network must go before the builder: leaked
    // together they need no order, and the process ends after one plan.
    let logger: &'static Logger = Box::leak(Box::new(Logger::new(Stderr)?));
    let builder: &'static mut Builder<'static> = Box::leak(Box::new(Builder::new(logger)?));
    let parser: &'static mut OnnxParser<'static> =
        Box::leak(Box::new(OnnxParser::new(builder.create_network(0)?, logger)?));
    parser.parse(&model)?;
    let mut profile = builder.creata_optimization_profile()?;
    for input in &inputs {
        for (select, batch) in [
            (OptProfileSelector::kMIN, options.batch.min),
            (OptProfileSelector::kOPT, options.batch.opt),
            (OptProfileSelector::kMAX, options.batch.max),
        ] {
            profile.set_dimensions(&input.name, select, &Dims64::from_slice(&shape(input, batch)?))?;
        }
    }
    let mut config = builder.create_config()?;
    config.set_memory_pool_limit(MemoryPoolType::kWORKSPACE, options.workspace_mib as usize * (1 << 20));
    config.add_optimization_profile(&mut profile)?;
    set_target(&mut config, sm)?;
    let plan = builder.build_serialized_network(parser.network_mut(), &mut config)?;
    Ok((plan.to_vec(), report))
}

/// The input's shape with `batch` items.
fn shape(input: &TensorInfo, batch: u32) -> Result<Vec<i64>, BuildError> {
    let open = || BuildError::Shape { tensor: input.name.clone(), shape: input.to_string() };
    let (_, rest) = input.dims.as_deref().and_then(<[Dim]>::split_first).ok_or_else(open)?;
    let size = |dim: &Dim| match dim {
        Dim::Fixed(size) => i64::try_from(*size).ok(),
        Dim::Symbol(_) | Dim::Unknown => None,
    };
    let rest = rest.iter().map(size).collect::<Option<Vec<_>>>().ok_or_else(open)?;
    Ok(std::iter::once(i64::from(batch)).chain(rest).collect())
}

#[cfg(not(feature = "tensorrt"))]
fn set_target(config: &mut trtx::BuilderConfig<'_>, sm: Option<u32>) -> Result<(), BuildError> {
    use trtx::ComputeCapability as Cc;
    let known =
        [(75, Cc::kSM75), (80, Cc::kSM80), (86, Cc::kSM86), (89, Cc::kSM89), (120, Cc::kSM120), (121, Cc::kSM121)];
    let capability = match sm {
        None => Cc::kCURRENT,
        Some(sm) => {
            let found = known.iter().position(|&(number, _)| number == sm);
            let at = found
                .ok_or_else(|| BuildError::Sm { sm, known: known.map(|(sm, _)| format!("sm_{sm}")).join(", ") })?;
            known[at].1
        }
    };
    config.set_nb_compute_capabilities(1)?;
    Ok(config.set_compute_capability(capability, 0)?)
}

#[cfg(feature = "tensorrt")]
fn set_target(_config: &mut trtx::BuilderConfig<'_>, sm: Option<u32>) -> Result<(), BuildError> {
    match sm {
        None => Ok(()),
        Some(sm) => Err(BuildError::Sm { sm, known: "the GPU of this machine only".to_owned() }),
    }
}
