//! One request, from its header to its line in the log.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use proxy::Fetching;
use wire::{Peer, Response};

use crate::access::Record;
use crate::answer::{self, CLIENT_LEFT, End, Refusal, Reply};
use crate::app::Shared;
use crate::forwarded;
use crate::ids::Ids;
use crate::metrics::{Kind, Outcome, Sample};

/// What larder itself looks for in a request's headers; conditions and ranges are read when there
/// is something to send.
///
/// Read in one pass: requests of `go` have three or four headers, so that is cheaper than a look-up
/// for each name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Noted<'h> {
    pub(crate) traceparent: Option<&'h HeaderValue>,
    pub(crate) fetching: Fetching,
    /// It has been here before.
    pub(crate) returned: bool,
    /// A proxy before us says that it comes from another machine.
    pub(crate) from_elsewhere: bool,
}

impl<'h> Noted<'h> {
    /// Reads the headers; `via` is our own pseudonym in `Via`.
    pub(crate) fn read(headers: &'h HeaderMap, via: &str) -> Self {
        let mut noted = Self {
            traceparent: None,
            fetching: Fetching::Allowed,
            returned: false,
            from_elsewhere: false,
        };
        for (name, value) in headers {
            match name.as_str() {
                "traceparent" => noted.traceparent = Some(value),
                "disable-module-fetch" if value.as_bytes().eq_ignore_ascii_case(b"true") => {
                    noted.fetching = Fetching::CachedOnly;
                }
                "via" => noted.returned |= passed(value, via),
                "x-forwarded-for" | "x-real-ip" => {
                    noted.from_elsewhere |= !forwarded::is_loopback(value);
                }
                // RFC 7239 has more ways to say it than are worth reading.
                "forwarded" => noted.from_elsewhere = true,
                _ => {}
            }
        }
        noted
    }
}

/// Tells whether a `Via` line names us: `1.1 larder-abc, HTTP/2 other (comment)`. Source: RFC 9110
/// §7.6.3.
fn passed(line: &HeaderValue, us: &str) -> bool {
    let line = line.to_str().unwrap_or_default();
    line.split(',').any(|hop| hop.split_ascii_whitespace().nth(1) == Some(us))
}

/// A request that is being answered. Every visit is counted and leaves its line when it is dropped:
/// behind its answer or the last byte of it, or, when the client leaves before, as a 499.
pub(crate) struct Visit {
    app: Arc<Shared>,
    started: Duration,
    record: Record,
}

impl Visit {
    /// Begins: reads the clock and takes the ids.
    pub(crate) fn begin(app: &Arc<Shared>, head: &Parts, noted: &Noted<'_>) -> Self {
        let peer = head.extensions.get::<Peer>();
        let client = peer.and_then(|peer| {
            let client = forwarded::client(peer.addr.ip(), &head.headers, &app.trusted_proxies);
            forwarded::shown(client, app.shown_client)
        });
        let record = Record {
            at: app.clock.now(),
            took: Duration::ZERO,
            ids: Ids::next(noted.traceparent),
            client,
            method: head.method.clone(),
            target: head.uri.path_and_query().cloned(),
            request: None,
            kind: Kind::Unknown,
            status: CLIENT_LEFT,
            outcome: Outcome::None,
            bytes: 0,
            whole: false,
        };
        Self { app: Arc::clone(app), started: app.clock.uptime(), record }
    }

    /// Notes what is asked for.
    pub(crate) fn asks(&mut self, kind: Kind, request: Option<gomod::Request>) {
        self.record.kind = kind;
        self.record.request = request;
    }

    /// Ends with a refusal.
    pub(crate) fn refuse(self, refusal: Refusal) -> Response {
        let Record { method, ids, .. } = &self.record;
        let reply = answer::refused(method, refusal, ids, &self.app.lifetimes);
        self.finish(reply)
    }

    /// Ends with an answer. What a small body sends is known now; files and streams tell at their
    /// end, and one that is dropped unsent leaves its line, too.
    pub(crate) fn finish(mut self, reply: Reply) -> Response {
        let Reply { mut response, outcome, end } = reply;
        answer::stamp(&mut response, &self.record.ids);
        self.record.status = response.status().as_u16();
        self.record.outcome = outcome;
        match end {
            End::Now(bytes) => {
                self.record.bytes = bytes;
                self.record.whole = true;
                response
            }
            End::Later => response.map(|body| {
                body.on_end(move |sent| {
                    self.record.bytes = sent.bytes;
                    self.record.whole = sent.whole;
                    if !sent.whole {
                        self.app.metrics.count_cut();
                    }
                })
            }),
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let Self { app, started, record } = self;
        record.took = app.clock.uptime().saturating_sub(*started);
        let Record { kind, status, outcome, bytes, took, .. } = *record;
        app.metrics.count(&Sample { kind, status, outcome, bytes, took });
        if let Some(log) = &app.log {
            log.send(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, line)| (HeaderName::from_static(name), HeaderValue::from_static(line)))
            .collect()
    }

    fn returned(via: &'static str) -> bool {
        Noted::read(&headers(&[("via", via)]), "larder-7f3a").returned
    }

    #[test]
    fn a_request_that_passed_us_is_known_by_its_via() {
        for via in [
            "1.1 larder-7f3a",
            "1.0 fred, 1.1 larder-7f3a",
            "1.1 larder-7f3a (comment), 2 nginx",
            "HTTP/1.1  larder-7f3a ,1.1 x",
        ] {
            assert!(returned(via), "{via}");
        }
        for via in ["1.1 larder", "1.1 larder-7f3ab", "larder-7f3a", "1.1 x (larder-7f3a)", ""] {
            assert!(!returned(via), "{via}");
        }
    }

    #[test]
    fn any_line_of_via_counts() {
        let mut lines = headers(&[("via", "1.1 larder-7f3a")]);
        lines.append("via", HeaderValue::from_static("1.1 nginx"));
        assert!(Noted::read(&lines, "larder-7f3a").returned);
    }

    #[test]
    fn the_old_header_turns_fetching_off() {
        for (value, fetching) in [
            ("true", Fetching::CachedOnly),
            ("True", Fetching::CachedOnly),
            ("false", Fetching::Allowed),
            ("", Fetching::Allowed),
        ] {
            let headers = headers(&[("disable-module-fetch", value)]);
            assert_eq!(Noted::read(&headers, "x").fetching, fetching, "{value}");
        }
    }

    #[test]
    fn a_plain_request_notes_nothing() {
        let headers = headers(&[("host", "larder"), ("accept-encoding", "gzip")]);
        let noted = Noted {
            traceparent: None,
            fetching: Fetching::Allowed,
            returned: false,
            from_elsewhere: false,
        };
        assert_eq!(Noted::read(&headers, "x"), noted);
    }
}
