//! Planes to pixels and back, doubling, expressions.

use std::ffi::CStr;

use super::super::params::{Address, ExpressionStep, Params, PlanesParams, PointwiseParams, UpsampleParams};
use super::super::program::{Doubling, Export, Import, Place, Pointwise, Step, Target, Upsample, View};
use super::{Launch, Lowering, activation, int, line, size};
use crate::onnxruntime::Element;

/// Threads of a block of each kind of kernel.
const UPSAMPLE_THREADS: u32 = 256;
const PLANES_THREADS: u32 = 128;
const POINTWISE_THREADS: u32 = 256;

impl Lowering<'_> {
    pub(super) fn import(&self, op: &Import, batch: usize) -> Launch {
        let edge = &self.program.inputs[op.input];
        let kernel = if edge.element == Element::F16 { c"import_f16" } else { c"import_f32" };
        planes(kernel, [self.addresses.inputs[op.input], self.address(op.to)], edge.item[0], op.to, batch)
    }

    pub(super) fn export(&self, op: &Export, batch: usize) -> Launch {
        let edge = &self.program.output;
        let kernel = if edge.element == Element::F16 { c"export_f16" } else { c"export_f32" };
        // Padding above the planes is not read.
        let channels = edge.item[0].next_multiple_of(8);
        let from = View { channels, ..op.from };
        planes(kernel, [self.address(from), self.addresses.output], edge.item[0], from, batch)
    }

    pub(super) fn upsample(&self, op: &Upsample, batch: usize) -> Launch {
        let params = UpsampleParams {
            from: self.address(op.from),
            to: self.address(op.to),
            items: int(batch),
            channels: int(op.to.channels),
            from_pitch: int(op.from.pitch),
            to_pitch: int(op.to.pitch),
            from_size: size(op.from),
        };
        let kernel = match op.doubling {
            Doubling::Linear => c"upsample_linear",
            Doubling::Nearest => c"upsample_nearest",
        };
        line(kernel, batch * op.to.pixels() * op.to.channels / 8, UPSAMPLE_THREADS, Params::Upsample(params))
    }

    pub(super) fn pointwise(&self, op: &Pointwise, constants: &[usize], batch: usize) -> Launch {
        let [channels, height, width] = op.item;
        let (to, padded, pitch, halves) = match op.target {
            Target::Stored(view) => (self.address(view), view.channels, view.pitch, true),
            Target::Output => (self.addresses.output, 0, 0, self.program.output.element == Element::F16),
        };
        let values = height * width * if padded > 0 { padded } else { channels };
        let mut params = PointwiseParams {
            to,
            count: int(batch * values),
            steps: int(op.steps.len()),
            channels: int(channels),
            size: [int(height), int(width)],
            padded: int(padded),
            pitch: int(pitch),
            halves: i32::from(halves),
            step: Default::default(),
        };
        for (to, (step, &constant)) in params.step.iter_mut().zip(op.steps.iter().zip(constants)) {
            *to = self.step(step, constant);
        }
        line(c"pointwise", batch * values, POINTWISE_THREADS, Params::Pointwise(params))
    }

    fn step(&self, step: &Step, constant: usize) -> ExpressionStep {
        let of = |kind| ExpressionStep { kind, ..ExpressionStep::default() };
        match step {
            Step::Load(load) => ExpressionStep {
                from: self.address(load.from),
                place: match load.place {
                    Place::Same => 0,
                    Place::Everywhere => 1,
                    Place::Shuffled => 2,
                },
                first: int(load.first),
                step: int(load.step),
                pitch: int(load.from.pitch),
                width: int(load.from.width),
                pixels: int(load.from.pixels()),
                ..of(0)
            },
            Step::Constant(value) => ExpressionStep { constant: *value, ..of(1) },
            Step::Channels(_) => ExpressionStep { from: self.weight(constant), ..of(2) },
            Step::Add => of(3),
            Step::Subtract => of(4),
            Step::Multiply => of(5),
            Step::Activate(kind) => ExpressionStep { first: activation(*kind), ..of(6) },
        }
    }
}

/// `import_*` or `export_*` between planes and `pixels`.
fn planes(kernel: &'static CStr, [from, to]: [Address; 2], planes: usize, pixels: View, batch: usize) -> Launch {
    let params = PlanesParams {
        from,
        to,
        planes: int(planes),
        channels: int(pixels.channels),
        pitch: int(pixels.pitch),
        pixels: int(pixels.pixels()),
    };
    let blocks = [pixels.pixels().div_ceil(PLANES_THREADS as usize), pixels.channels / 8, batch].map(|n| n as u32);
    Launch { kernel, blocks, threads: PLANES_THREADS, shared_bytes: 0, params: Params::Planes(params) }
}
