//! The way that every call comes in by, whatever its service: it ends with its deadline, its request is bounded, its client is heard out, and
//! it is counted.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::sync::Semaphore;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Body as HttpBody, Service, http};
use tonic::service::Routes;

use super::daemon::Daemon;
use super::deadline::{Deadline, passed};
use super::heard_out::{MOST, Said};
use super::status::{RpcError, explain_unknown};
use super::traffic::{Traffic, UnderWay};
use super::uploads::{Held, Upload};

/// The services, and what is in front of them. Cheap to clone.
#[derive(Clone)]
pub(super) struct Front {
    services: Routes,
    daemon: Arc<Daemon>,
    max_message_bytes: usize,
    heard_out: Arc<Semaphore>,
    traffic: Traffic,
}

impl Front {
    /// Messages beyond `max_message_bytes` are left to `services`, which refuse them before they make room. Calls are noted in `traffic` from
    /// their beginning until their answers have been given away.
    pub fn new(services: Routes, daemon: Arc<Daemon>, max_message_bytes: usize, traffic: Traffic) -> Self {
        Self { services, daemon, max_message_bytes, heard_out: Arc::new(Semaphore::new(MOST)), traffic }
    }
}

impl Service<http::Request<Body>> for Front {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<http::Request<Body>>::poll_ready(&mut self.services, context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let call = self.traffic.call();
        let deadline = Deadline::of(request.headers());
        if let Some(deadline) = deadline {
            request.extensions_mut().insert(deadline);
        }
        let held = Arc::new(Held::default());
        let (parts, body) = request.into_parts();
        let said = Body::new(Said::new(body, Arc::clone(&self.heard_out)));
        let upload = Upload::new(said, parts.uri.path(), &self.daemon, self.max_message_bytes, &held);
        let answer = self.services.call(http::Request::from_parts(parts, Body::new(upload)));
        Box::pin(async move {
            let mut answer = tokio::select! {
                // A call that keeps its deadline itself knows better how it ends.
                biased;
                answer = answer => answer?,
                () = passed(deadline.map(|Deadline(at)| at)) => Status::from(RpcError::Deadline).into_http(),
            };
            drop(held);
            explain_unknown(&mut answer);
            Ok(answer.map(|body| Body::new(Answer { body, _call: call })))
        })
    }
}

/// What a call is answered.
struct Answer {
    body: Body,
    _call: UnderWay,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
