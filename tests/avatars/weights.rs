//! Weights in files of their own: the same avatar as with them inside, whatever becomes of the files once it is loaded.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use lipsyncd::avatar::{Bundle, LoadedAvatar};
use lipsyncd::backend::{Backend, FrameFormat};
use lipsyncd::session::SessionOptions;
use tempfile::TempDir;

use crate::common::speech::speech;
use crate::common::{avatars_dir, bytes, cpu_backend_that_keeps, engine, load, perform};

const RATE_HZ: u32 = 16_000;
const FRAMES: usize = 12;

/// Where the weights lie.
const FILES: [&str; 2] = ["shared/generator.data", "audio_encoder.data"];

/// The golden bundle with its networks' weights in [`FILES`], the generator's behind a link to another folder of the bundle.
fn with_weights_outside() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (avatars_dir().join("tiny-avatar"), |name: &str| dir.path().join(name));
    for folder in ["frames", "network", "shared"] {
        fs::create_dir(to(folder)).unwrap();
    }
    for frame in fs::read_dir(from.join("frames")).unwrap() {
        let frame = frame.unwrap();
        fs::copy(frame.path(), to("frames").join(frame.file_name())).unwrap();
    }
    fs::copy(from.join("boxes.json"), to("boxes.json")).unwrap();
    let manifest = fs::read_to_string(from.join("avatar.toml")).unwrap();
    fs::write(to("avatar.toml"), manifest.replace("\"generator.onnx\"", "\"network/generator.onnx\"")).unwrap();
    let networks = ["network/generator.onnx", "audio_encoder.onnx"];
    for (network, weights) in networks.into_iter().zip(FILES) {
        let (network, weights) = (to(network), to(weights));
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let (model, data) = moved_out(&fs::read(from.join(name(&network))).unwrap(), &name(&weights));
        assert!(data.len() > 10_000, "{}: {} bytes", network.display(), data.len());
        fs::write(&network, model).unwrap();
        fs::write(weights, data).unwrap();
    }
    symlink("../shared/generator.data", to("network/generator.data")).unwrap();
    dir
}

/// The network `model` with each larger initializer in a file called `location`, and that file.
fn moved_out(model: &[u8], location: &str) -> (Vec<u8>, Vec<u8>) {
    let mut data = Vec::new();
    let model = rewritten(model, 7, &mut |graph| {
        rewritten(graph, 5, &mut |tensor| {
            let raw = fields(tensor).into_iter().find(|field| field.0 == 9 && field.1.len() >= 256);
            let Some((_, raw, _)) = raw else { return tensor.to_vec() };
            data.resize(data.len().next_multiple_of(4096), 0);
            let mut outside: Vec<u8> =
                fields(tensor).into_iter().filter(|field| field.0 != 9).flat_map(|field| field.2).copied().collect();
            let place = [("offset", data.len().to_string()), ("length", raw.len().to_string())];
            for (key, value) in place.iter().map(|(key, value)| (*key, value.as_str())).chain([("location", location)])
            {
                let mut entry = Vec::new();
                put(&mut entry, 1, key.as_bytes());
                put(&mut entry, 2, value.as_bytes());
                put(&mut outside, 13, &entry);
            }
            outside.extend([14 << 3, 1]);
            data.extend_from_slice(raw);
            outside
        })
    });
    (model, data)
}

/// A protobuf message with what `change` makes of each field `number`.
fn rewritten(message: &[u8], number: u64, change: &mut dyn FnMut(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    for (found, payload, raw) in fields(message) {
        if found == number { put(&mut out, number, &change(payload)) } else { out.extend_from_slice(raw) }
    }
    out
}

/// Number, payload and whole of each field of a message that has none of fixed length.
fn fields(mut message: &[u8]) -> Vec<(u64, &[u8], &[u8])> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let start = message;
        let tag = varint(&mut message);
        let payload = match tag & 7 {
            0 => {
                varint(&mut message);
                &[]
            }
            2 => {
                let (payload, rest) = {
                    let len = varint(&mut message) as usize;
                    message.split_at(len)
                };
                message = rest;
                payload
            }
            other => panic!("wire type {other}"),
        };
        fields.push((tag >> 3, payload, &start[..start.len() - message.len()]));
    }
    fields
}

fn varint(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = rest[0];
        *rest = &rest[1..];
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

fn put(out: &mut Vec<u8>, number: u64, payload: &[u8]) {
    for mut value in [number << 3 | 2, payload.len() as u64] {
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }
    out.extend_from_slice(payload);
}

async fn frames(backend: &Arc<dyn Backend>, avatar: &Arc<LoadedAvatar>) -> Vec<Vec<u8>> {
    let engine = engine(backend, 1, 8, 1);
    let options = SessionOptions { outbox_frames: 32, ..SessionOptions::new(FrameFormat::Bgr, RATE_HZ) };
    let take = perform(&engine, avatar, options, &speech(1, FRAMES * RATE_HZ as usize / 25, RATE_HZ)).await;
    bytes(&take.frames).into_iter().map(<[u8]>::to_vec).collect()
}

#[tokio::test]
async fn an_avatar_stays_as_it_was_loaded_when_its_weights_files_change_or_shrink() {
    let dir = with_weights_outside();
    // Nothing is kept of what the first frames were made of: each take runs the whole networks.
    let backend: Arc<dyn Backend> = cpu_backend_that_keeps(0);
    let avatar = load(&backend, &Bundle::open(dir.path()).unwrap());
    let inside = load(&backend, &Bundle::open(&avatars_dir().join("tiny-avatar")).unwrap());
    let expected = frames(&backend, &inside).await;
    assert_eq!(expected.len(), FRAMES);
    assert!(frames(&backend, &avatar).await == expected, "the weights are the same, wherever they lie");
    for file in FILES {
        let path = dir.path().join(file);
        let others = vec![0x3E; path.metadata().unwrap().len() as usize];
        File::options().write(true).open(&path).unwrap().write_all(&others).unwrap();
    }
    assert!(frames(&backend, &avatar).await == expected, "the files have been written to");
    for file in FILES {
        File::create(dir.path().join(file)).unwrap();
    }
    assert!(frames(&backend, &avatar).await == expected, "the files have been cut");
}

#[tokio::test]
async fn weights_outside_are_no_bar_to_keeping_what_is_made_of_pictures() {
    let dir = with_weights_outside();
    let keeper = cpu_backend_that_keeps(1 << 30);
    let backend: Arc<dyn Backend> = Arc::clone(&keeper) as Arc<dyn Backend>;
    let avatar = load(&backend, &Bundle::open(dir.path()).unwrap());
    let plain: Arc<dyn Backend> = cpu_backend_that_keeps(0);
    let inside = load(&plain, &Bundle::open(&avatars_dir().join("tiny-avatar")).unwrap());
    let expected = frames(&plain, &inside).await;
    assert!(frames(&backend, &avatar).await == expected);
    assert!(keeper.kept_pictures() > 0);
    assert!(frames(&backend, &avatar).await == expected, "what was kept");
}

#[test]
fn weights_that_shrank_since_the_bundle_was_checked_are_refused_by_name() {
    let dir = with_weights_outside();
    let bundle = Bundle::open(dir.path()).unwrap();
    fs::write(dir.path().join(FILES[0]), b"short").unwrap();
    let error = cpu_backend_that_keeps(0).load(&bundle).unwrap_err().to_string();
    assert!(error.contains("generator.onnx: its weights in \"generator.data\" cannot be read"), "{error}");
    assert!(error.ends_with("copy the network and its weights' files again"), "{error}");
}
