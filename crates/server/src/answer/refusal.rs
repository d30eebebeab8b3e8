//! From why something was not served to what a client is told. Source: protocol.md §5.5.

use std::time::Duration;

use http::StatusCode;
use proxy::{Binding, OwnError, SumdbError, Trouble, UpstreamError};

/// A failure as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
    pub(crate) keep: Keep,
    pub(crate) retry_after: Option<Duration>,
}

/// How long a refusal may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Failures are asked again.
    Never,
    /// As long as negative answers are kept, but at most this long.
    Negative(Duration),
}

/// As long as negative answers are kept.
pub(crate) const NEGATIVE: Keep = Keep::Negative(Duration::MAX);

impl Refusal {
    /// A refusal that must not be kept.
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), keep: Keep::Never, retry_after: None }
    }

    /// What cannot be a module or an endpoint does not exist, and will not in a minute.
    pub(crate) fn not_found(text: impl Into<String>) -> Self {
        Self { keep: NEGATIVE, ..Self::new(StatusCode::NOT_FOUND, text) }
    }
}

impl From<&proxy::Error> for Refusal {
    fn from(error: &proxy::Error) -> Self {
        match error {
            proxy::Error::NotFound { status, text, fresh_for } if fresh_for.is_zero() => {
                Self { keep: Keep::Never, ..absent(*status, text.clone()) }
            }
            proxy::Error::NotFound { status, text, fresh_for } => {
                Self { keep: Keep::Negative(*fresh_for), ..absent(*status, text.clone()) }
            }
            proxy::Error::NotHere { what } => Self::new(
                StatusCode::NOT_FOUND,
                format!("not found: {what}: temporarily unavailable: not stored, fetching is off"),
            ),
            proxy::Error::Denied(denial) => Self::new(StatusCode::FORBIDDEN, denial.to_string()),
            // Both are told to callers without the right to know the pattern, which may name more
            // than the path they asked for: the text names the rule, the log what it says.
            proxy::Error::Private { path, source_name, .. } => {
                tracing::debug!(module = %path, "{error}");
                Self::new(StatusCode::FORBIDDEN, private(path, source_name))
            }
            proxy::Error::PrivateLookup { path, source_name, .. } => {
                tracing::debug!(module = %path, "{error}");
                Self::new(StatusCode::FORBIDDEN, private_lookup(path, source_name))
            }
            proxy::Error::Upstream(error) => Self::from(error.as_ref()),
            proxy::Error::Sumdb(error) => Self::from(error.as_ref()),
            proxy::Error::Own(error) => Self::from(error.as_ref()),
            proxy::Error::RecordsOfAll { .. } => {
                Self::new(StatusCode::FORBIDDEN, error.to_string())
            }
            proxy::Error::Unconfirmed { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            }
            proxy::Error::StillFetching { what } => Self::new(
                StatusCode::GATEWAY_TIMEOUT,
                format!("{what}: still fetching: larder goes on, try again later"),
            ),
            proxy::Error::Crowded => Self {
                retry_after: Some(Duration::from_secs(1)),
                ..Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            },
            proxy::Error::Store { reason, stopped: true } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, reason.clone())
            }
            error => fault(error),
        }
    }
}

impl From<&UpstreamError> for Refusal {
    fn from(error: &UpstreamError) -> Self {
        match error {
            UpstreamError::NotFound { what, status, text, .. } => {
                absent(*status, text.clone().unwrap_or_else(|| format!("not found: {what}")))
            }
            UpstreamError::Forbidden { text: Some(text), .. } => {
                Self::new(StatusCode::FORBIDDEN, format!("{error}: {text}"))
            }
            UpstreamError::Forbidden { text: None, .. } => {
                Self::new(StatusCode::FORBIDDEN, error.to_string())
            }
            UpstreamError::Refused { .. } | UpstreamError::Invalid { .. } => {
                Self::new(StatusCode::BAD_GATEWAY, error.to_string())
            }
            UpstreamError::Unavailable { kind: Trouble::Own, .. } => fault(error),
            UpstreamError::Unavailable { kind, retry_after, .. } => {
                let status = match kind {
                    Trouble::Timeout => StatusCode::GATEWAY_TIMEOUT,
                    Trouble::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
                    Trouble::Barred => StatusCode::FORBIDDEN,
                    Trouble::Broken | Trouble::Hidden | Trouble::Own => StatusCode::BAD_GATEWAY,
                };
                Self { retry_after: *retry_after, ..Self::new(status, error.to_string()) }
            }
            UpstreamError::NoSource { direct: true, .. } => {
                Self::new(StatusCode::NOT_IMPLEMENTED, error.to_string())
            }
            UpstreamError::NoSource { what, reason, direct: false } => {
                Self::new(StatusCode::NOT_FOUND, format!("not found: {what}: {reason}"))
            }
            error => fault(error),
        }
    }
}

impl From<&SumdbError> for Refusal {
    fn from(error: &SumdbError) -> Self {
        match error {
            SumdbError::NotFound { status, text } => {
                absent(*status, text.clone().unwrap_or_else(|| "not found".to_owned()))
            }
            SumdbError::Malformed { reason } => Self::new(StatusCode::BAD_REQUEST, reason.clone()),
            // One status for every way not to be reached: nothing is wrong with the module.
            SumdbError::Unavailable { source_name, reason, retry_after, .. } => {
                let text = format!("checksum database {source_name}: {reason}");
                let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, text);
                Self { retry_after: *retry_after, ..refusal }
            }
            SumdbError::Invalid { source_name, reason } => Self::new(
                StatusCode::BAD_GATEWAY,
                format!("{source_name} sent a bad answer: {reason}"),
            ),
            SumdbError::NotRecorded { .. } | SumdbError::Frozen { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            }
            SumdbError::Misbehaved { .. } => Self::new(StatusCode::BAD_GATEWAY, error.to_string()),
            error => fault(error),
        }
    }
}

impl From<&OwnError> for Refusal {
    fn from(error: &OwnError) -> Self {
        let status = match error {
            OwnError::Conflict { .. } => StatusCode::BAD_GATEWAY,
            OwnError::Bound { path, binding } => {
                return Self::new(StatusCode::FORBIDDEN, bound(path, *binding));
            }
            OwnError::Erased { .. } => StatusCode::GONE,
            OwnError::Frozen { .. } | OwnError::Unavailable { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            error => return fault(error),
        };
        Self::new(status, error.to_string())
    }
}

impl From<&auth::Forbidden> for Refusal {
    fn from(error: &auth::Forbidden) -> Self {
        match error {
            auth::Forbidden::Unauthenticated { .. } => {
                Self::new(StatusCode::UNAUTHORIZED, error.to_string())
            }
            _ => Self::new(StatusCode::FORBIDDEN, error.to_string()),
        }
    }
}

fn private(path: &gomod::ModulePath, source_name: &str) -> String {
    format!(
        "{path} is private ({source_name}) and served on loopback addresses only: ask from larder's own machine,\n\
         or open private modules to everybody who reaches larder: write private.readers = \"anyone\" (LARDER_PRIVATE_READERS=anyone)"
    )
}

fn private_lookup(path: &gomod::ModulePath, source_name: &str) -> String {
    format!(
        "{path} is private ({source_name}) and is looked up in no public checksum database: set GONOSUMDB={path} where go runs"
    )
}

fn bound(path: &gomod::ModulePath, binding: Binding) -> String {
    let (is, comes, remedy) = match binding {
        Binding::Public => (
            "public",
            "private",
            "take it out of the private patterns (private, GOPRIVATE, GONOSUMDB)",
        ),
        Binding::Private => ("private", "from public", "add it to the private patterns (private)"),
    };
    format!(
        "{path} is bound to {is}: larder's own log recorded it so first, and it comes {comes} now.\n\
         A name never stands for both, lest somebody put his module in the place of yours.\n\
         This does not end by itself: {remedy}, or give the module another path"
    )
}

/// 404, or 410 where the source said so: the two are one to a client.
fn absent(status: u16, text: String) -> Refusal {
    let status = if status == 410 { StatusCode::GONE } else { StatusCode::NOT_FOUND };
    Refusal { status, ..Refusal::not_found(text) }
}

/// Our own fault. The reason may name files of the server: it is logged, and clients get an id
/// (`answer::refused`).
fn fault(error: &dyn std::error::Error) -> Refusal {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, text)
}

/// Lines that `go` prints at most. Source: protocol.md §5.4.
const MAX_LINES: usize = 8;
/// Bytes of a refusal: what `go` prints before it says that it cut.
const MAX_TEXT: usize = policy::MAX_DENIAL_BYTES;

/// Makes a text that `go` prints: no blank line, no character it calls unprintable (it would hide
/// the whole text), at most eight lines and 648 bytes. Ends with a line feed.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len().min(MAX_TEXT) + 1);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    for (number, line) in lines.take(MAX_LINES).enumerate() {
        if number > 0 {
            printable.push('\n');
        }
        printable.extend(line.chars().map(|c| if is_graphic(c) { c } else { '?' }));
    }
    if printable.len() > MAX_TEXT {
        printable.truncate(printable.floor_char_boundary(MAX_TEXT - "...".len()));
        printable.push_str("...");
    }
    printable.push('\n');
    printable
}

/// Whether Go calls it graphic, as far as the standard library knows: what `escape_debug` leaves
/// alone.
fn is_graphic(c: char) -> bool {
    if c.is_ascii() {
        return c == ' ' || c == '\t' || c.is_ascii_graphic();
    }
    c.escape_debug().count() == 1
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn of(error: impl Into<proxy::Error>) -> (u16, String) {
        let refusal = Refusal::from(&error.into());
        (refusal.status.as_u16(), printable(&refusal.text))
    }

    fn upstream(error: UpstreamError) -> proxy::Error {
        proxy::Error::Upstream(Arc::new(error))
    }

    fn sumdb(error: SumdbError) -> proxy::Error {
        proxy::Error::Sumdb(Arc::new(error))
    }

    fn unavailable(kind: Trouble) -> UpstreamError {
        // The type of `origin` is a room's that this one does not know by name.
        let UpstreamError::Refused { origin } = refused() else { panic!("made below") };
        let retry_after = Some(Duration::from_secs(7));
        UpstreamError::Unavailable { origin, kind, reason: "no luck".into(), retry_after }
    }

    fn refused() -> UpstreamError {
        UpstreamError::Refused { origin: upstream::Origin("proxy.example.com".into()) }
    }

    #[test]
    fn absence_keeps_the_words_and_the_status_of_its_source() {
        let text = "404 page not found".to_owned();
        let fresh_for = Duration::from_mins(1);
        for (status, expected) in [(404, 404), (410, 410), (0, 404)] {
            let error = proxy::Error::NotFound { status, text: text.clone(), fresh_for };
            assert_eq!(of(error), (expected, "404 page not found\n".to_owned()));
        }
    }

    #[test]
    fn an_upstream_without_words_gets_ours() {
        let UpstreamError::Refused { origin } = refused() else { panic!("made above") };
        let error = |text: Option<&str>| {
            let (what, text) = ("m.io/a@v1.0.0".to_owned(), text.map(str::to_owned));
            UpstreamError::NotFound { what, origin: origin.clone(), status: 410, text }
        };
        assert_eq!(of(upstream(error(None))), (410, "not found: m.io/a@v1.0.0\n".into()));
        assert_eq!(of(upstream(error(Some("gone for good")))), (410, "gone for good\n".into()));
    }

    #[test]
    fn what_is_not_here_is_a_404_that_is_not_kept() {
        let error = proxy::Error::NotHere { what: "m.io/a@v1.0.0".into() };
        assert_eq!(Refusal::from(&error).keep, Keep::Never);
        let (status, text) = of(error);
        assert_eq!(status, 404);
        assert!(text.starts_with("not found: m.io/a@v1.0.0: temporarily unavailable"), "{text}");
    }

    #[test]
    fn policy_speaks_in_its_own_lines() {
        let text = "denied by rule r1\nuntil never\n\nask security\n".to_owned();
        let error = proxy::Error::Denied(policy::Denial { rule: "r1".into(), text });
        assert_eq!(of(error), (403, "denied by rule r1\nuntil never\nask security\n".into()));
    }

    #[test]
    fn a_private_name_says_what_to_do_and_not_what_else_is_private() {
        let path = || gomod::ModulePath::parse("corp.com/x").unwrap();
        let pattern = || "corp.com/*secret*".to_owned();
        let source_name = || "GOPRIVATE (environment)".to_owned();
        let reading =
            proxy::Error::Private { path: path(), pattern: pattern(), source_name: source_name() };
        let lookup = proxy::Error::PrivateLookup {
            path: path(),
            pattern: pattern(),
            source_name: source_name(),
        };
        for (error, remedy) in
            [(reading, "private.readers = \"anyone\""), (lookup, "GONOSUMDB=corp.com/x")]
        {
            let (status, text) = of(error);
            assert_eq!(status, 403);
            for wanted in ["corp.com/x is private", "(GOPRIVATE (environment))", remedy] {
                assert!(text.contains(wanted), "{wanted}: {text}");
            }
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn trouble_has_a_status_for_each_kind() {
        for (kind, status) in [
            (Trouble::Timeout, 504),
            (Trouble::Overloaded, 503),
            (Trouble::Broken, 502),
            (Trouble::Barred, 403),
        ] {
            let refusal = Refusal::from(&unavailable(kind));
            assert_eq!(refusal.status.as_u16(), status);
            assert_eq!(refusal.retry_after, Some(Duration::from_secs(7)));
            assert_eq!(refusal.text, "proxy.example.com: no luck");
        }
    }

    #[test]
    fn a_refused_credential_is_ours_to_mend() {
        let text = "upstream proxy.example.com refused larder's credential\n".to_owned();
        assert_eq!(of(upstream(refused())), (502, text));
    }

    #[test]
    fn a_bad_answer_and_a_forbidding_one_name_the_upstream() {
        let UpstreamError::Refused { origin } = refused() else { panic!("made above") };
        let what = "m.io/a@v1.0.0".to_owned();
        let reason = "it is HTML".to_owned();
        let (o, w) = (origin.clone(), what.clone());
        let invalid = UpstreamError::Invalid { what: w, origin: o, reason };
        let text = "proxy.example.com sent a bad answer for m.io/a@v1.0.0: it is HTML\n".to_owned();
        assert_eq!(of(upstream(invalid)), (502, text));
        let forbidden = UpstreamError::Forbidden { what, origin, text: Some("malware".into()) };
        let text = "proxy.example.com forbids m.io/a@v1.0.0: malware\n".to_owned();
        assert_eq!(of(upstream(forbidden)), (403, text));
    }

    #[test]
    fn a_missing_source_is_501_for_direct_and_404_for_off() {
        let error = |direct| UpstreamError::NoSource {
            what: "m.io/a".into(),
            reason: "GOPROXY says so".into(),
            direct,
        };
        let (status, text) = of(upstream(error(true)));
        assert_eq!(status, 501);
        assert!(text.contains("m.io/a"), "{text}");
        let text = "not found: m.io/a: GOPROXY says so\n".to_owned();
        assert_eq!(of(upstream(error(false))), (404, text));
    }

    #[test]
    fn a_checksum_database_has_the_same_statuses() {
        let name: Arc<str> = "sum.golang.org".into();
        let unavailable = |timeout| SumdbError::Unavailable {
            source_name: name.clone(),
            timeout,
            reason: "no luck".into(),
            retry_after: None,
        };
        for timeout in [true, false] {
            let text = "checksum database sum.golang.org: no luck\n".to_owned();
            assert_eq!(of(sumdb(unavailable(timeout))), (503, text));
        }
        let frozen =
            SumdbError::Frozen { database: name.to_string(), evidence: "fork.txt".to_owned() };
        assert_eq!(of(sumdb(frozen)).0, 503);
        let lie = SumdbError::Misbehaved {
            database: name.to_string(),
            reason: "a forged tile".to_owned(),
            evidence: None,
        };
        assert_eq!(of(sumdb(lie)).0, 502);
        let bad = SumdbError::Invalid { source_name: name.clone(), reason: "no note".into() };
        assert_eq!(of(sumdb(bad)), (502, "sum.golang.org sent a bad answer: no note\n".into()));
        let malformed = SumdbError::Malformed { reason: "no such tile".into() };
        assert_eq!(of(sumdb(malformed)), (400, "no such tile\n".into()));
        let absent = SumdbError::NotFound { status: 404, text: None };
        assert_eq!(of(sumdb(absent)), (404, "not found\n".into()));
    }

    #[test]
    fn a_bound_path_names_the_rule_and_what_to_do() {
        let path: gomod::ModulePath = format!("a.b/{}", "c".repeat(150)).parse().unwrap();
        for (binding, remedy) in [
            (Binding::Public, "take it out of the private patterns"),
            (Binding::Private, "add it to the private patterns"),
        ] {
            let error = OwnError::Bound { path: path.clone(), binding };
            let (status, text) = of(proxy::Error::Own(Arc::new(error)));
            assert_eq!((status, text.lines().count()), (403, 3));
            assert!(text.starts_with(&format!("{path} is bound to {}", binding.as_str())));
            assert!(text.contains(remedy) && text.ends_with("another path\n"), "{text}");
        }
    }

    #[test]
    fn waiting_too_long_is_504_and_a_stopped_store_503() {
        let waiting = proxy::Error::StillFetching { what: "m.io/a@v1.0.0".into() };
        assert_eq!(of(waiting).0, 504);
        let crowded = proxy::Error::Crowded;
        assert_eq!(of(crowded), (503, "too many fetches are waiting: try again later\n".into()));
        let full = proxy::Error::Store { reason: "the disk is full".into(), stopped: true };
        assert_eq!(of(full), (503, "the disk is full\n".into()));
        // Room proxy unwraps what went wrong while an upstream's bytes were staged.
        let stopped = Arc::new(store::Error::Stopped(store::Degraded::Full));
        let staging = UpstreamError::Store { what: "m.io/a".into(), source: stopped };
        assert_eq!(of(staging).0, 503);
    }

    #[test]
    fn what_is_our_own_fault_is_500() {
        let broken = proxy::Error::Store { reason: "index is gone".into(), stopped: false };
        assert_eq!(of(broken).0, 500);
        let source = Arc::new(store::Error::Busy);
        let staging = UpstreamError::Store { what: "m.io/a".into(), source };
        let refusal = Refusal::from(&staging);
        assert_eq!(refusal.status.as_u16(), 500);
        assert!(refusal.text.starts_with("staging m.io/a: "), "{}", refusal.text);
    }

    #[test]
    fn missing_credentials_are_401() {
        let module = gomod::ModulePath::parse("m.io/a").unwrap();
        let error = auth::Forbidden::Unauthenticated { module };
        assert_eq!(Refusal::from(&error).status.as_u16(), 401);
    }

    #[test]
    fn text_is_made_printable() {
        assert_eq!(
            printable("not found: ünïcode, 世界 — fine"),
            "not found: ünïcode, 世界 — fine\n"
        );
        assert_eq!(printable("\n\n a \r\n\n b\u{1b}[31m\u{200b}\u{feff}\n"), "a\nb?[31m??\n");
        assert_eq!(printable(""), "\n");
    }

    #[test]
    fn text_has_at_most_eight_lines() {
        assert_eq!(printable(&"x\n".repeat(MAX_LINES)).lines().count(), 8);
        assert_eq!(printable(&"x\n".repeat(MAX_LINES + 1)).lines().count(), 8);
    }

    #[test]
    fn text_has_at_most_648_bytes() {
        assert_eq!(printable(&"x".repeat(MAX_TEXT)), format!("{}\n", "x".repeat(648)));
        assert_eq!(printable(&"x".repeat(MAX_TEXT + 1)), format!("{}...\n", "x".repeat(645)));
        assert_eq!(printable(&"ü".repeat(MAX_TEXT)), format!("{}...\n", "ü".repeat(322)));
    }
}
