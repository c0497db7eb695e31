//! Frames as protobuf with their JPEG handed on instead of copied.
//!
//! tonic encodes every message into one contiguous buffer, which copies the JPEG. It is the last field of its message on the wire, so
//! here the encoder writes only what stands before it and leaves the bytes themselves to [`Uncopied`](super::uncopied::Uncopied), which
//! sends them behind: they go from the pool's buffer to the socket.
//!
//! The two meet on the stack: the body polls the encoder within [`collect`].

use std::any::Any;
use std::cell::RefCell;
use std::marker::PhantomData;

use bytes::{BufMut, Bytes};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, EncodeBuf, Encoder};
use tonic_prost::ProstCodec;

use super::proto::lipsync::converse_response::Message as Out;
use super::proto::lipsync::{ConverseResponse, Frame, SynthesizeResponse};

/// Number of `jpeg` in `Frame`: the highest, so that everything else comes before it.
const JPEG: u32 = 15;
/// Room to begin with; without pictures, messages are small.
const BUFFER_BYTES: usize = 1024;

thread_local! {
    /// What the encoder left to the body that polls it; none where no such body does.
    static LEFT: RefCell<Option<Left>> = const { RefCell::new(None) };
}

#[derive(Default)]
struct Left(Option<Bytes>);

/// Runs `poll` and returns what it gives, with the bytes that belong behind the message it encoded.
pub(super) fn collect<T>(poll: impl FnOnce() -> T) -> (T, Option<Bytes>) {
    // Put back even if `poll` panics: another body may be polled on this thread.
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            LEFT.set(None);
        }
    }
    LEFT.set(Some(Left::default()));
    let _reset = Reset;
    let polled = poll();
    (polled, LEFT.take().and_then(|left| left.0))
}

/// Whether the bytes could be left; gives them back where nobody would send them.
fn leave(bytes: Bytes) -> Result<(), Bytes> {
    LEFT.with_borrow_mut(|left| match left {
        Some(Left(none @ None)) => {
            *none = Some(bytes);
            Ok(())
        }
        _ => Err(bytes),
    })
}

/// prost's codec, for all messages; those that hold a frame are encoded without its JPEG where a body collects it.
pub struct FrameCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for FrameCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for FrameCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = FrameEncoder<T>;
    type Decoder = <ProstCodec<T, U> as Codec>::Decoder;

    fn encoder(&mut self) -> Self::Encoder {
        FrameEncoder(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(BufferSettings::default())
    }
}

/// Encodes one message at a time.
pub struct FrameEncoder<T>(PhantomData<T>);

impl<T: Message + 'static> Encoder for FrameEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, mut item: T, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        if let Some((field, frame)) = frame_in(&mut item) {
            let jpeg = std::mem::take(&mut frame.jpeg);
            let len = jpeg.len();
            match leave(jpeg) {
                Ok(()) => {
                    write_before(field, frame, len, buf);
                    return Ok(());
                }
                Err(jpeg) => frame.jpeg = jpeg,
            }
        }
        item.encode(buf).map_err(|error| Status::internal(error.to_string()))
    }

    /// A buffer is given up after each message, so that there is one to send behind.
    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, 1)
    }
}

/// The whole frame in a message, and the number of the message's field that holds it.
fn frame_in<T: 'static>(item: &mut T) -> Option<(u32, &mut Frame)> {
    let item: &mut dyn Any = item;
    let (field, frame) = if item.is::<SynthesizeResponse>() {
        (1, item.downcast_mut::<SynthesizeResponse>()?.frame.as_mut()?)
    } else {
        match item.downcast_mut::<ConverseResponse>()?.message.as_mut()? {
            Out::Frame(frame) => (2, frame),
            _ => return None,
        }
    };
    (!frame.jpeg.is_empty()).then_some((field, frame))
}

/// Writes a message whose `field` is `frame` up to the first of the JPEG's `len` bytes.
fn write_before(field: u32, frame: &Frame, len: usize, buf: &mut impl BufMut) {
    // A key below 16 is one byte.
    let frame_len = frame.encoded_len() + 1 + encoded_len_varint(len as u64) + len;
    encode_key(field, WireType::LengthDelimited, buf);
    encode_varint(frame_len as u64, buf);
    frame.encode_raw(buf);
    encode_key(JPEG, WireType::LengthDelimited, buf);
    encode_varint(len as u64, buf);
}
