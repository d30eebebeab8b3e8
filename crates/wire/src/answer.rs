//! One request of a connection: limits, the handler, its panics, and the answer's body.

use std::{panic::AssertUnwindSafe, sync::Arc};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{
    HeaderValue, Method, StatusCode, Version,
    header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING},
};
use hyper::body::Incoming;

use crate::{
    Body, Handler, Peer, Request, Response,
    body::{Outgoing, Via},
    link::{Busy, Link},
};

/// Most header fields of a request. Source: hyper's own default for HTTP/1.1, kept for HTTP/2.
pub(crate) const MAX_HEADERS: usize = 100;

/// What all requests of a connection share.
#[derive(Debug)]
pub(crate) struct Scene<H> {
    pub(crate) handler: H,
    pub(crate) link: Arc<Link>,
    pub(crate) peer: Peer,
    /// How files go out here.
    pub(crate) via: Via,
    pub(crate) max_target: u64,
}

impl<H: Handler> Scene<H> {
    /// Answers one request.
    pub(crate) async fn answer(
        &self,
        request: http::Request<Incoming>,
    ) -> http::Response<Outgoing> {
        let mut busy = Busy::new(Arc::clone(&self.link));
        let (mut parts, _) = request.into_parts();
        let (wants_body, version) = (parts.method != Method::HEAD, parts.version);
        let response = if let Some(refusal) = self.refusal(&parts) {
            refusal
        } else {
            parts.extensions.insert(self.peer);
            self.call(Request::from_parts(parts, ())).await
        };
        busy.set_waiting(false);
        self.send(response, busy, (wants_body, version))
    }

    /// The answer to a request that is over a limit hyper does not know.
    fn refusal(&self, parts: &http::request::Parts) -> Option<Response> {
        let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
        if target as u64 > self.max_target {
            return Some(plain(StatusCode::URI_TOO_LONG, "the request target is too long\n"));
        }
        if parts.headers.len() > MAX_HEADERS {
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            return Some(plain(status, "the request has too many header fields\n"));
        }
        None
    }

    /// Calls the handler; its panic is a 500.
    async fn call(&self, request: Request) -> Response {
        // The handler is shared by design and holds no half-changed state of ours; what a panic
        // leaves behind in it is its own concern, as with any shared service.
        let called = AssertUnwindSafe(async { self.handler.call(request).await }).catch_unwind();
        called.await.unwrap_or_else(|panic| {
            self.link.core.metrics.panics.inc();
            let text = panic_text(&*panic);
            tracing::error!(panic = text, "a request handler panicked: {text}");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n")
        })
    }

    /// Binds the answer's body to the connection.
    fn send(
        &self,
        response: Response,
        busy: Busy,
        (wants_body, version): (bool, Version),
    ) -> http::Response<Outgoing> {
        let (mut parts, body) = response.into_parts();
        let may_have_length = !parts.status.is_informational()
            && !matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        // hyper writes the length of a body it sends; for HEAD and empty HTTP/2 answers we do.
        let unwritten = !wants_body || version == Version::HTTP_2;
        if unwritten && may_have_length && !parts.headers.contains_key(CONTENT_LENGTH) {
            let len = body.len().map(HeaderValue::from);
            parts.headers.extend(len.map(|len| (CONTENT_LENGTH, len)));
        }
        let body = if wants_body && may_have_length {
            // A handler that frames its body itself gets no stand-ins.
            let framed = self.via == Via::Sendfile && parts.headers.contains_key(TRANSFER_ENCODING);
            Outgoing::new(body, busy, if framed { Via::Read } else { self.via })
        } else {
            Outgoing::unwanted(body, busy)
        };
        http::Response::from_parts(parts, body)
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::memory(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    let value = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, value);
    response
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a text")
}
