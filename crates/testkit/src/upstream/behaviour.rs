//! How a request is answered, when not simply with the file.

use std::time::Duration;

use bytes::Bytes;

/// How requests are answered. A new one serves the file, at once and whole.
#[derive(Debug, Clone, Default)]
pub struct Behaviour {
    pub(super) status: Option<u16>,
    pub(super) body: Option<Bytes>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) delay: Duration,
    pub(super) bytes_per_sec: Option<u64>,
    pub(super) cut_after: Option<u64>,
    pub(super) claimed_length: Option<u64>,
    pub(super) chunked: bool,
    pub(super) resumable: bool,
    pub(super) silent: bool,
    remaining: Option<u32>,
}

impl Behaviour {
    /// Serves the file as it is.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Never answers; the connection stays open.
    #[must_use]
    pub fn silent() -> Self {
        Self { silent: true, ..Self::default() }
    }

    /// A login page with status 200, as captive networks send it.
    #[must_use]
    pub fn html() -> Self {
        Self::new()
            .status(200)
            .header("Content-Type", "text/html; charset=utf-8")
            .body("<!DOCTYPE html><html><body>Please log in</body></html>\n")
    }

    /// Leads elsewhere, with status 302.
    #[must_use]
    pub fn redirect(to: &str) -> Self {
        Self::new().status(302).header("Location", to).body("")
    }

    /// Answers with another status; without a body of its own, the body names the status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Answers with other bytes.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Adds a header; a `Content-Type` takes the place of the usual one.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Waits before the first byte of the answer.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sends the body at this speed; 0 sends the head and then nothing.
    #[must_use]
    pub fn throttle(mut self, bytes_per_sec: u64) -> Self {
        self.bytes_per_sec = Some(bytes_per_sec);
        self
    }

    /// Closes the connection after so many bytes of the body.
    #[must_use]
    pub fn cut_after(mut self, bytes: u64) -> Self {
        self.cut_after = Some(bytes);
        self
    }

    /// Says another `Content-Length` than the body has, and sends the body all the same.
    #[must_use]
    pub fn claim_length(mut self, bytes: u64) -> Self {
        self.claimed_length = Some(bytes);
        self
    }

    /// Sends the body in chunks, without a length.
    #[must_use]
    pub fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// Offers ranges with a strong validator, and answers `Range` with 206.
    #[must_use]
    pub fn resumable(mut self) -> Self {
        self.resumable = true;
        self
    }

    /// Holds for so many requests only; then an earlier rule, or none, counts.
    #[must_use]
    pub fn times(mut self, requests: u32) -> Self {
        self.remaining = Some(requests);
        self
    }

    /// Whether this still counts.
    pub(super) fn counts(&self) -> bool {
        self.remaining != Some(0)
    }

    /// Takes one request off the number of times.
    pub(super) fn use_once(&mut self) -> Self {
        self.remaining = self.remaining.map(|remaining| remaining.saturating_sub(1));
        self.clone()
    }
}

/// Whether a path matches a pattern with at most one `*`.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((before, behind)) => {
            path.len() >= before.len() + behind.len()
                && path.starts_with(before)
                && path.ends_with(behind)
        }
    }
}
