//! What an avatar's networks take and give on a GPU: said once, since the plans that are built ahead of time must be those of the same ports.

use super::engine::{Port, Ports};
use super::plan::Precision;
use crate::audio::WINDOW_MEL_FRAMES;
use crate::avatar::Bundle;
use crate::avatar::onnx::FEATURE_LEN;
use crate::onnxruntime::Element;

/// Elements of the picture, the context and what is generated: as the generator computes, since the kernels around it convert.
#[must_use]
pub fn generator_element(precision: Precision) -> Element {
    match precision {
        Precision::Fp16 => Element::F16,
        Precision::Fp32 => Element::F32,
    }
}

/// The generator's.
#[must_use]
pub fn generator_ports(bundle: &Bundle, precision: Precision) -> Ports {
    let size = bundle.manifest.generator.size_px as usize;
    let element = generator_element(precision);
    let port = |name: &str, item: &[usize]| Port { name: name.to_owned(), item: item.to_vec(), element };
    let shape = &bundle.generator.shape;
    Ports {
        inputs: vec![port(&shape.picture.name, &[6, size, size]), port(&shape.audio.name, &shape.audio_dims)],
        outputs: vec![port(&shape.output.name, &[3, size, size])],
    }
}

/// The audio encoder's: float32 in either precision.
#[must_use]
pub fn encoder_ports(bundle: &Bundle) -> Ports {
    let port = |name: &str, item: &[usize]| Port { name: name.to_owned(), item: item.to_vec(), element: Element::F32 };
    let shape = &bundle.audio_encoder.shape;
    Ports {
        inputs: vec![port(&shape.mel.name, &[1, bundle.manifest.audio.mels, WINDOW_MEL_FRAMES])],
        outputs: vec![port(&shape.feature.name, &[FEATURE_LEN])],
    }
}
