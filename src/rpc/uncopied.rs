//! A service whose frames go to the socket as they lie in the pool.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::TryFutureExt;
use futures_util::future::MapOk;
use hyper::body::Frame;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Body as HttpBody, Service, http};
use tonic::server::NamedService;

use super::frame_codec::collect;

/// A gRPC message's flag and length before its bytes.
const HEADER_LEN: usize = 5;
/// Room for the beginnings of some hundred messages.
const HEADS_BYTES: usize = 8192;

/// Wraps a generated server whose codec is [`FrameCodec`](super::frame_codec::FrameCodec).
#[derive(Debug, Clone)]
pub(super) struct Uncopied<S> {
    service: S,
    max_message_bytes: usize,
}

impl<S> Uncopied<S> {
    /// Frames of `service` beyond `max_message_bytes` end their call, as other messages do.
    pub fn new(service: S, max_message_bytes: usize) -> Self {
        Self { service, max_message_bytes }
    }
}

impl<S: NamedService> NamedService for Uncopied<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, R> Service<R> for Uncopied<S>
where
    S: Service<R, Response = http::Response<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = MapOk<S::Future, Box<dyn FnOnce(S::Response) -> S::Response + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let most = self.max_message_bytes;
        let wrap = move |response: S::Response| response.map(|body| Body::new(UncopiedBody::new(body, most)));
        self.service.call(request).map_ok(Box::new(wrap))
    }
}

/// A body of messages, each in two pieces: what the encoder wrote, and the bytes it left.
struct UncopiedBody<B> {
    body: B,
    max_message_bytes: usize,
    /// The bytes behind the piece given last.
    behind: Option<Bytes>,
    heads: BytesMut,
    /// After a message that is too long.
    ended: bool,
}

impl<B> UncopiedBody<B> {
    fn new(body: B, max_message_bytes: usize) -> Self {
        Self { body, max_message_bytes, behind: None, heads: BytesMut::new(), ended: false }
    }

    /// The message's beginning with the length of the whole in its header.
    fn head(&mut self, written: &[u8], left: usize) -> Result<Bytes, Status> {
        let len = written.len() - HEADER_LEN + left;
        let most = self.max_message_bytes.min(u32::MAX as usize);
        if len > most {
            let what = format!("a frame's message has {len} bytes; max_message_bytes allows {most}");
            return Err(Status::out_of_range(what));
        }
        if self.heads.capacity() < written.len() {
            self.heads.reserve(HEADS_BYTES.max(written.len()));
        }
        self.heads.put_u8(written[0]);
        self.heads.put_u32(len as u32);
        self.heads.put_slice(&written[HEADER_LEN..]);
        Ok(self.heads.split().freeze())
    }
}

impl<B> HttpBody for UncopiedBody<B>
where
    B: HttpBody<Data = Bytes, Error = Status> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if let Some(behind) = this.behind.take() {
            return Poll::Ready(Some(Ok(Frame::data(behind))));
        }
        if this.ended {
            return Poll::Ready(None);
        }
        let (polled, left) = collect(|| Pin::new(&mut this.body).poll_frame(context));
        let (Poll::Ready(Some(Ok(frame))), Some(left)) = (&polled, left) else { return polled };
        let Some(written) = frame.data_ref().filter(|written| written.len() >= HEADER_LEN) else { return polled };
        match this.head(written, left.len()) {
            Ok(head) => {
                this.behind = Some(left);
                Poll::Ready(Some(Ok(Frame::data(head))))
            }
            Err(status) => {
                this.ended = true;
                let mut trailers = http::HeaderMap::new();
                Poll::Ready(Some(status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.behind.is_none() && (self.ended || self.body.is_end_stream())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::BodyExt;
    use prost::Message;
    use tonic::codec::{Codec, EncodeBody, SingleMessageCompressionOverride};
    use tonic_prost::ProstCodec;

    use super::*;
    use crate::rpc::FrameCodec;
    use crate::rpc::proto::lipsync::converse_response::Message as Out;
    use crate::rpc::proto::lipsync::{self, ConverseResponse, Patch, Started, SynthesizeResponse, patch};

    /// What tonic sends of `messages` with `codec`.
    fn body<C: Codec<Encode: Clone>>(
        mut codec: C,
        messages: &[C::Encode],
    ) -> impl HttpBody<Data = Bytes, Error = Status> + Unpin {
        let messages: Vec<_> = messages.iter().cloned().map(Ok).collect();
        let compression = SingleMessageCompressionOverride::default();
        Box::pin(EncodeBody::new_server(codec.encoder(), stream::iter(messages), None, compression, None))
    }

    /// Its data, piece by piece, and its trailers.
    async fn drain(mut body: impl HttpBody<Data = Bytes, Error = Status> + Unpin) -> (Vec<Bytes>, http::HeaderMap) {
        let (mut data, mut trailers) = (Vec::new(), http::HeaderMap::new());
        while let Some(frame) = body.frame().await {
            match frame.unwrap().into_data() {
                Ok(piece) => data.push(piece),
                Err(frame) => trailers = frame.into_trailers().unwrap(),
            }
        }
        assert!(body.is_end_stream());
        (data, trailers)
    }

    fn frame(jpeg: Bytes) -> lipsync::Frame {
        lipsync::Frame {
            index: 300,
            pts_us: 12_000_000,
            audio_sample: 192_000,
            avatar_frame: 50,
            jpeg,
            ..Default::default()
        }
    }

    /// The same bytes as prost's codec sends.
    async fn assert_same<T: Message + Clone + Default + 'static>(messages: &[T]) -> Vec<Bytes> {
        let (plain, _) = drain(body(ProstCodec::<T, T>::default(), messages)).await;
        let (inline, _) = drain(body(FrameCodec::<T, T>::default(), messages)).await;
        let (pieces, trailers) = drain(UncopiedBody::new(body(FrameCodec::<T, T>::default(), messages), 1 << 20)).await;
        assert!(inline.concat() == plain.concat(), "without a body that collects, nothing is left out");
        assert!(pieces.concat() == plain.concat());
        assert_eq!(trailers.get("grpc-status").map(|status| status.as_bytes()), Some(&b"0"[..]));
        pieces
    }

    #[tokio::test]
    async fn frames_go_out_as_they_lie() {
        let jpegs = [1, 127, 128, 70_000].map(|len| Bytes::from(vec![7; len]));
        let messages = jpegs.clone().map(|jpeg| SynthesizeResponse { frame: Some(frame(jpeg)) });
        let pieces = assert_same(&messages).await;
        assert_eq!(pieces.len(), 2 * jpegs.len());
        for (piece, jpeg) in pieces.iter().skip(1).step_by(2).zip(&jpegs) {
            assert_eq!((piece.as_ptr(), piece.len()), (jpeg.as_ptr(), jpeg.len()));
        }
    }

    #[tokio::test]
    async fn other_messages_go_between() {
        let out = |message| ConverseResponse { message: Some(message) };
        let content = Some(patch::Content::Jpeg(Bytes::from_static(b"small")));
        let patch =
            lipsync::Frame { patch: Some(Patch { x: 9, content, ..Default::default() }), ..frame(Bytes::new()) };
        let jpeg = Bytes::from(vec![1; 5000]);
        let pieces = assert_same(&[
            out(Out::Started(Started { fps: 25, width: 1280, height: 720, lookahead_samples: 8000 })),
            out(Out::Frame(frame(jpeg.clone()))),
            out(Out::Frame(patch)),
            ConverseResponse { message: None },
            out(Out::Frame(frame(jpeg.clone()))),
        ])
        .await;
        assert_eq!(pieces.iter().filter(|piece| piece.as_ptr() == jpeg.as_ptr()).count(), 2);
    }

    #[tokio::test]
    async fn a_message_beyond_the_limit_ends_the_call() {
        let messages = [10, 2000, 10].map(|len| SynthesizeResponse { frame: Some(frame(Bytes::from(vec![0; len]))) });
        let codec = FrameCodec::<SynthesizeResponse, SynthesizeResponse>::default();
        let (pieces, trailers) = drain(UncopiedBody::new(body(codec, &messages), 1000)).await;
        assert_eq!(pieces.len(), 2, "the first frame alone");
        assert_eq!(trailers["grpc-status"], "11", "OUT_OF_RANGE");
        assert!(trailers["grpc-message"].to_str().unwrap().contains("max_message_bytes"));
    }
}
