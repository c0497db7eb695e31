//! The networks run by hand, which backends are compared with.

use lipsyncd::avatar::LoadedAvatar;
use lipsyncd::onnxruntime::{BoundNetwork, Network, OnnxRuntime, TensorSpec};
use lipsyncd::picture::{CompositeScratch, Surround, Unpacker, ViewMut};

use crate::common::bundle;

/// The generator run by hand.
pub struct Reference {
    generator: BoundNetwork,
    scratch: CompositeScratch,
}

impl Reference {
    pub fn new() -> Self {
        let bundle = bundle();
        let library = std::env::var_os("LIPSYNCD_ONNXRUNTIME").map(std::path::PathBuf::from);
        let runtime = OnnxRuntime::load(library.as_deref()).unwrap_or_else(|error| panic!("{error}"));
        let network = Network::load(&runtime, &bundle.generator.path, &bundle.generator.read().unwrap(), 1).unwrap();
        let shape = &bundle.generator.shape;
        let inputs = [
            TensorSpec::new(&shape.picture.name, &[1, 6, 320, 320]),
            TensorSpec::new(&shape.audio.name, &[1, 32, 16, 16]),
        ];
        let output = TensorSpec::new(&shape.output.name, &[1, 3, 320, 320]);
        let generator = BoundNetwork::new(&network, &inputs, &[output]).unwrap();
        Self { generator, scratch: CompositeScratch::new() }
    }

    pub fn draw(&mut self, avatar: &LoadedAvatar, index: usize, context: &[f32]) -> Vec<u8> {
        self.generator.input_mut(0).copy_from_slice(&picture_of(avatar, index));
        self.generator.input_mut(1).copy_from_slice(context);
        self.generator.run().unwrap();
        let mut pixels = avatar.pixels(index).unwrap().data().to_vec();
        let (width_px, height_px) = avatar.size_px();
        let frame = ViewMut::packed(width_px, height_px, &mut pixels).unwrap();
        self.scratch.fit(avatar.compositor());
        let mut unpacker = Unpacker::new();
        let (crop, area) = (avatar.crop(index, &mut unpacker).unwrap(), avatar.face_box(index));
        avatar
            .compositor()
            .paste(self.generator.output(0), Surround::Crop(crop), area, frame, &mut self.scratch)
            .unwrap();
        pixels
    }
}

/// The generator's picture input for picture `index` of the avatar.
pub fn picture_of(avatar: &LoadedAvatar, index: usize) -> Vec<f32> {
    let mut picture = vec![0.0; avatar.picture_len()];
    let mut unpacker = Unpacker::new();
    let crop = avatar.crop(index, &mut unpacker).unwrap();
    avatar.picture_input().fill(crop, &mut picture).unwrap();
    picture
}
