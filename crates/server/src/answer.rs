//! The one place that names statuses and headers. For operators: `docs/status-codes.md`.

mod conditions;
mod lifetimes;
mod refusal;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    LAST_MODIFIED, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use proxy::{Answer, BodyPart, Kind};
use units::ByteRange;
use wire::{Body, Part, Response};

use self::conditions::{Ranges, Verdict};
pub(crate) use self::lifetimes::Lifetimes;
use self::refusal::printable;
pub(crate) use self::refusal::{Keep, Refusal};
use crate::ids::Ids;
use crate::metrics::Outcome;

/// Statuses that larder sends, and 499, which stands in log and metrics for a client that left
/// before its answer.
///
/// `docs/status-codes.md` has a row for each; a status that is not here is counted nowhere.
pub(crate) const STATUSES: [u16; 17] =
    [200, 404, 304, 206, 400, 401, 403, 405, 410, 416, CLIENT_LEFT, 500, 501, 502, 503, 504, 508];
/// The client left before its answer.
pub(crate) const CLIENT_LEFT: u16 = 499;

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");
static CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

static JSON: HeaderValue = HeaderValue::from_static("application/json");
static TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
static ZIP: HeaderValue = HeaderValue::from_static("application/zip");
static OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
static OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

// Source: RFC 9211. `stored`: the answer is kept; `collapsed`: another request's fetch served this
// one, too.
static HIT: HeaderValue = HeaderValue::from_static("larder; hit");
static MISS: HeaderValue = HeaderValue::from_static("larder; fwd=miss; stored");
static COLLAPSED: HeaderValue = HeaderValue::from_static("larder; fwd=miss; collapsed");
static STALE: HeaderValue = HeaderValue::from_static("larder; hit; detail=stale");

static BYTES: HeaderValue = HeaderValue::from_static("bytes");
static GET_HEAD: HeaderValue = HeaderValue::from_static("GET, HEAD");
static BASIC: HeaderValue = HeaderValue::from_static("Basic realm=\"larder\"");
static NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// Room for every header of an answer, so that the map is allocated once.
const HEADERS: usize = 12;

/// An answer, what served it, and when its bytes are known.
pub(crate) struct Reply {
    pub(crate) response: Response,
    pub(crate) outcome: Outcome,
    pub(crate) end: End,
}

/// When the bytes of a body are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// In memory: they go out with the header, in all likelihood whole.
    Now(u64),
    /// A file or a running fetch: the body tells at its end.
    Later,
}

/// What of a request shapes the answer to it.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) request: &'a gomod::Request,
}

/// Answers with what was found: whole, in part, or "you have it".
pub(crate) fn found(asked: Asked<'_>, mut answer: Answer, lifetimes: &Lifetimes) -> Reply {
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(CACHE_CONTROL, cache_control(asked.request, &answer, lifetimes));
    headers.insert(&CACHE_STATUS, cache_status(answer.outcome));
    let outcome = answer.outcome.into();
    let media = media_type(asked.request, answer.kind);
    let (Some(validators), Some(len)) = (answer.validators.take(), stored_len(&answer.body)) else {
        headers.insert(CONTENT_TYPE, media);
        return whole(asked.method, headers, outcome, answer.body);
    };
    let ranges = if answer.kind == Kind::Zip { Ranges::Offered } else { Ranges::Ignored };
    let verdict = conditions::judge(asked.method, asked.headers, &validators, len, ranges);
    headers.insert(ETAG, validators.etag);
    headers.insert(LAST_MODIFIED, validators.last_modified);
    if ranges == Ranges::Offered {
        headers.insert(ACCEPT_RANGES, BYTES.clone());
    }
    match verdict {
        Verdict::Whole => {
            headers.insert(CONTENT_TYPE, media);
            headers.insert(CONTENT_LENGTH, validators.content_length);
            whole(asked.method, headers, outcome, answer.body)
        }
        Verdict::Part(range) => {
            headers.insert(CONTENT_TYPE, media);
            headers.insert(CONTENT_LENGTH, (range.end - range.start).into());
            let place = format!("bytes {}-{}/{len}", range.start, range.end.saturating_sub(1));
            insert_text(&mut headers, CONTENT_RANGE, &place);
            let (body, end) = body(answer.body, Some(range));
            reply(StatusCode::PARTIAL_CONTENT, headers, outcome, body, end)
        }
        Verdict::NotModified => {
            reply(StatusCode::NOT_MODIFIED, headers, outcome, Body::empty(), End::Now(0))
        }
        Verdict::Unsatisfiable => {
            insert_text(&mut headers, CONTENT_RANGE, &format!("bytes */{len}"));
            // The headers above describe the file, which is not what is sent.
            for name in [ETAG, LAST_MODIFIED] {
                headers.remove(name);
            }
            headers.insert(CACHE_CONTROL, lifetimes.refusal(Keep::Never));
            let text = format!("the file has {len} bytes, nothing is in the range asked for\n");
            said(StatusCode::RANGE_NOT_SATISFIABLE, asked.method, headers, text)
        }
    }
}

/// Answers with why nothing is served. A status of 500 is logged here, and the client gets the id
/// of that line.
pub(crate) fn refused(
    method: &Method,
    refusal: Refusal,
    ids: &Ids,
    lifetimes: &Lifetimes,
) -> Reply {
    let Refusal { status, text, keep, retry_after } = refusal;
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(CACHE_CONTROL, lifetimes.refusal(keep));
    if let Some(wait) = retry_after {
        // Whole seconds, rounded up: earlier would be in vain.
        headers.insert(RETRY_AFTER, (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).into());
    }
    match status {
        StatusCode::METHOD_NOT_ALLOWED => drop(headers.insert(ALLOW, GET_HEAD.clone())),
        StatusCode::UNAUTHORIZED => drop(headers.insert(WWW_AUTHENTICATE, BASIC.clone())),
        _ => {}
    }
    if status != StatusCode::INTERNAL_SERVER_ERROR {
        return said(status, method, headers, printable(&text));
    }
    let id = ids.request();
    tracing::error!(request_id = id, reason = text, "request {id} failed: {text}");
    let text = format!("internal error in larder: its log says more about request {id}\n");
    said(status, method, headers, text)
}

/// Media types of our own pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageType {
    Text,
    OpenMetrics,
}

/// Answers with a page of our own: true now, never kept.
pub(crate) fn page(method: &Method, status: StatusCode, media: PageType, text: String) -> Reply {
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let mut reply = said(status, method, headers, text);
    if media == PageType::OpenMetrics {
        reply.response.headers_mut().insert(CONTENT_TYPE, OPEN_METRICS.clone());
    }
    reply
}

/// Adds what stands on every answer: the ids by which it is found again.
pub(crate) fn stamp(response: &mut Response, ids: &Ids) {
    let headers = response.headers_mut();
    headers.insert(&X_REQUEST_ID, ids.request.clone());
    headers.insert(&TRACERESPONSE, ids.trace.clone());
}

fn cache_control(request: &gomod::Request, answer: &Answer, lifetimes: &Lifetimes) -> HeaderValue {
    if answer.private {
        return lifetimes.private(answer.fresh_for);
    }
    match (request, answer.fresh_for) {
        (gomod::Request::Sumdb(path), fresh_for) => match (sumdb_part(path.as_str()), fresh_for) {
            (SumdbPart::Tile, None) => Lifetimes::tile(),
            (SumdbPart::Lookup, fresh_for) => lifetimes.lookup(fresh_for.unwrap_or(FOR_EVER)),
            (_, fresh_for) => lifetimes.mutable(fresh_for.unwrap_or(FOR_EVER)),
        },
        (_, None) => lifetimes.immutable(),
        (_, Some(fresh_for)) => lifetimes.mutable(fresh_for),
    }
}

const FOR_EVER: std::time::Duration = std::time::Duration::MAX;

fn cache_status(outcome: proxy::Outcome) -> HeaderValue {
    match outcome {
        proxy::Outcome::Hit => HIT.clone(),
        proxy::Outcome::Miss => MISS.clone(),
        proxy::Outcome::Collapsed => COLLAPSED.clone(),
        proxy::Outcome::Stale => STALE.clone(),
    }
}

/// Source: protocol.md §6; sumdb.md §1.6.
fn media_type(request: &gomod::Request, kind: Kind) -> HeaderValue {
    let media = match (kind, request) {
        (Kind::Latest | Kind::Info | Kind::Query, _) => &JSON,
        (Kind::Zip, _) => &ZIP,
        (Kind::Sumdb, gomod::Request::Sumdb(path))
            if sumdb_part(path.as_str()) == SumdbPart::Tile =>
        {
            &OCTETS
        }
        (Kind::Sumdb, gomod::Request::Sumdb(path))
            if sumdb_part(path.as_str()) == SumdbPart::About =>
        {
            &JSON
        }
        (Kind::List | Kind::Mod | Kind::Sumdb, _) => &TEXT,
    };
    media.clone()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SumdbPart {
    Tile,
    Lookup,
    About,
    Head,
}

/// Which part of a checksum database a path names. The name may hold slashes, and a looked-up
/// module the words of other parts: the first word behind a host counts, `lookup` before `tile`.
fn sumdb_part(path: &str) -> SumdbPart {
    let lookup = path.find("/lookup/").unwrap_or(usize::MAX);
    match path.find("/tile/") {
        Some(tile) if tile < lookup => SumdbPart::Tile,
        _ if lookup != usize::MAX => SumdbPart::Lookup,
        _ if path.ends_with("/about") => SumdbPart::About,
        _ => SumdbPart::Head,
    }
}

/// The length of a stored body; `None` while it is being fetched: then there are no conditions and
/// no ranges.
fn stored_len(body: &proxy::Body) -> Option<u64> {
    match body {
        proxy::Body::Memory(bytes) => Some(bytes.len() as u64),
        proxy::Body::File { len, .. } => Some(*len),
        proxy::Body::Live { .. } => None,
    }
}

fn whole(method: &Method, mut headers: HeaderMap, outcome: Outcome, found: proxy::Body) -> Reply {
    let ok = StatusCode::OK;
    if method != Method::HEAD {
        let (body, end) = body(found, None);
        return reply(ok, headers, outcome, body, end);
    }
    let len = match &found {
        proxy::Body::Memory(bytes) => bytes.len() as u64,
        proxy::Body::File { len, .. } | proxy::Body::Live { len, .. } => *len,
    };
    headers.insert(CONTENT_LENGTH, len.into());
    reply(ok, headers, outcome, Body::empty(), End::Now(0))
}

fn body(found: proxy::Body, part: Option<ByteRange>) -> (Body, End) {
    match (found, part) {
        (proxy::Body::Memory(bytes), None) => memory(bytes),
        (proxy::Body::Memory(bytes), Some(range)) => memory(slice(&bytes, range)),
        (proxy::Body::File { file, len }, None) => (Body::file(file, 0, len), End::Later),
        (proxy::Body::File { file, .. }, Some(range)) => {
            (Body::file(file, range.start, range.end - range.start), End::Later)
        }
        (proxy::Body::Live { parts, len }, _) => {
            let parts = parts.map(|part| match part {
                Ok(BodyPart::Memory(bytes)) => Ok(Part::Memory(bytes)),
                Ok(BodyPart::File { file, offset, len }) => Ok(Part::File { file, offset, len }),
                // The flight has said why; the client sees a cut connection and hears it on its
                // retry.
                Err(_) => Err(wire::Cut),
            });
            (Body::stream(Box::pin(parts), Some(len)), End::Later)
        }
    }
}

fn memory(bytes: Bytes) -> (Body, End) {
    let end = End::Now(bytes.len() as u64);
    (Body::memory(bytes), end)
}

fn slice(bytes: &Bytes, range: ByteRange) -> Bytes {
    let at = |position| usize::try_from(position).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(at(range.start)..at(range.end))
}

/// A short text, ending in a line feed.
fn said(status: StatusCode, method: &Method, mut headers: HeaderMap, text: String) -> Reply {
    headers.insert(CONTENT_TYPE, TEXT.clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF.clone());
    headers.insert(CONTENT_LENGTH, text.len().into());
    if method == Method::HEAD {
        return reply(status, headers, Outcome::None, Body::empty(), End::Now(0));
    }
    let (body, end) = memory(Bytes::from(text));
    reply(status, headers, Outcome::None, body, end)
}

fn reply(status: StatusCode, headers: HeaderMap, outcome: Outcome, body: Body, end: End) -> Reply {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Reply { response, outcome, end }
}

fn insert_text(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests;
