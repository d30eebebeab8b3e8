//! Ids by which a request is found again: the request id and the trace context.

use std::cell::RefCell;

use bytes::Bytes;
use http::HeaderValue;
use rand::Rng as _;

/// The ids of one request, as header values ready to send.
#[derive(Debug, Clone)]
pub(crate) struct Ids {
    /// 32 lower-case hex digits, made here. Where the client sent no `traceparent`, also the trace
    /// id.
    pub(crate) request: HeaderValue,
    /// The `traceresponse`: `00-<trace id>-<our span id>-<flags>`.
    pub(crate) trace: HeaderValue,
}

/// `00-` + 32 hex + `-` + 16 hex + `-` + 2 hex. Source: W3C Trace Context §3.2.
const TRACE_LEN: usize = 55;
const TRACE_ID: std::ops::Range<usize> = 3..35;
const PARENT_ID: std::ops::Range<usize> = 36..52;
const FLAGS: std::ops::Range<usize> = 53..55;

/// Ids are made this many at a time: one allocation and one draw of random bytes for all of them.
const BLOCK: usize = 64;
/// 128 bits of trace id and 64 of span id.
const RANDOM_LEN: usize = 24;

thread_local! {
    /// Ids made and not yet given out, one after the other.
    static MADE: RefCell<Bytes> = const { RefCell::new(Bytes::new()) };
}

impl Ids {
    /// Takes the next ids of this thread; a valid `traceparent` of the caller gives the trace id.
    ///
    /// Costs two reference counts, and one allocation with a `traceparent`.
    pub(crate) fn next(traceparent: Option<&HeaderValue>) -> Self {
        let made = MADE.with_borrow_mut(|made| {
            if made.len() < TRACE_LEN {
                *made = block();
            }
            made.split_to(TRACE_LEN)
        });
        let request = value(made.slice(TRACE_ID));
        let trace = match traceparent.and_then(|value| parse(value.as_bytes())) {
            Some(theirs) => value(joined(&theirs, &made)),
            None => value(made),
        };
        Self { request, trace }
    }

    /// Returns the request id as text.
    pub(crate) fn request(&self) -> &str {
        self.request.to_str().unwrap_or_default()
    }

    /// Returns the trace id as text: the caller's, or the request id.
    pub(crate) fn trace_id(&self) -> &str {
        self.trace.to_str().ok().and_then(|text| text.get(TRACE_ID)).unwrap_or_default()
    }
}

/// Bytes that are hex digits and dashes make a header value.
fn value(bytes: Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(bytes).unwrap_or_else(|_| HeaderValue::from_static("-"))
}

fn block() -> Bytes {
    let mut random = [0_u8; RANDOM_LEN * BLOCK];
    rand::rng().fill_bytes(&mut random);
    let mut text = Vec::with_capacity(TRACE_LEN * BLOCK);
    for bytes in random.as_chunks::<RANDOM_LEN>().0 {
        let (trace, span) = bytes.split_at(16);
        text.extend_from_slice(b"00-");
        push_hex(&mut text, trace);
        text.push(b'-');
        push_hex(&mut text, span);
        // Not sampled: nothing here records spans.
        text.extend_from_slice(b"-00");
    }
    text.into()
}

fn push_hex(text: &mut Vec<u8>, bytes: &[u8]) {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
}

/// Trace id and flags of a caller's `traceparent`.
#[derive(Debug, PartialEq, Eq)]
struct Theirs {
    trace_id: [u8; 32],
    flags: [u8; 2],
}

/// Reads a `traceparent`; `None` for what must be ignored. Source: W3C Trace Context §3.2.2.
///
/// A later version may be longer, behind one more dash; version `ff` is forbidden.
fn parse(value: &[u8]) -> Option<Theirs> {
    let (head, rest) = value.split_at_checked(TRACE_LEN)?;
    let field = |range: std::ops::Range<usize>| head.get(range).unwrap_or_default();
    let version = field(0..2);
    let dashes = [2, 35, 52].iter().all(|at| head.get(*at) == Some(&b'-'));
    let hex = [0..2, TRACE_ID, PARENT_ID, FLAGS].into_iter().all(|range| is_hex(field(range)));
    let ends =
        if version == b"00" { rest.is_empty() } else { rest.is_empty() || rest.starts_with(b"-") };
    let zero = |range| field(range).iter().all(|digit| *digit == b'0');
    if !dashes || !hex || !ends || version == b"ff" || zero(TRACE_ID) || zero(PARENT_ID) {
        return None;
    }
    Some(Theirs {
        trace_id: field(TRACE_ID).try_into().ok()?,
        flags: field(FLAGS).try_into().ok()?,
    })
}

fn is_hex(text: &[u8]) -> bool {
    text.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// Our span in their trace.
fn joined(theirs: &Theirs, ours: &[u8]) -> Bytes {
    let mut text = Vec::with_capacity(TRACE_LEN);
    text.extend_from_slice(b"00-");
    text.extend_from_slice(&theirs.trace_id);
    text.push(b'-');
    text.extend_from_slice(ours.get(PARENT_ID).unwrap_or_default());
    text.push(b'-');
    text.extend_from_slice(&theirs.flags);
    text.into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_request_without_a_trace_gets_one_named_like_it() {
        let ids = Ids::next(None);
        assert_eq!(ids.request().len(), 32);
        assert!(is_hex(ids.request().as_bytes()));
        assert_eq!(ids.trace_id(), ids.request());
        assert!(parse(ids.trace.as_bytes()).is_some(), "{:?}", ids.trace);
        assert_eq!(ids.trace.len(), TRACE_LEN);
    }

    #[test]
    fn a_callers_trace_is_continued_under_our_own_span() {
        let ids = Ids::next(Some(&HeaderValue::from_static(PARENT)));
        let trace = ids.trace.to_str().unwrap();
        assert!(trace.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{trace}");
        assert!(trace.ends_with("-01"), "{trace}");
        assert!(!trace.contains("b7ad6b7169203331"), "{trace}");
        assert_ne!(ids.request(), ids.trace_id());
    }

    #[test]
    fn ids_do_not_repeat_over_several_blocks() {
        let ids: HashSet<_> =
            (0..=BLOCK * 3).map(|_| Ids::next(None).request().to_owned()).collect();
        assert_eq!(ids.len(), BLOCK * 3 + 1);
    }

    #[test]
    fn a_broken_traceparent_is_ignored() {
        let long = format!("{PARENT}-x");
        let upper = PARENT.to_uppercase();
        for text in [
            "",
            "00",
            long.as_str(),
            upper.as_str(),
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
            let ids = Ids::next(Some(&HeaderValue::from_str(text).unwrap()));
            assert_eq!(ids.trace_id(), ids.request(), "{text}");
        }
    }

    #[test]
    fn a_later_version_may_be_longer() {
        let later = PARENT.replacen("00", "01", 1);
        assert!(parse(later.as_bytes()).is_some());
        assert!(parse(format!("{later}-what-comes").as_bytes()).is_some());
        assert!(parse(format!("{later}x").as_bytes()).is_none());
    }
}
