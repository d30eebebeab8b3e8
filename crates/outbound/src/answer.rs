//! A 200 whose body is still to come.

use std::{fmt, sync::Arc};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use reqwest::Response;
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    Client, Error, Get,
    client::{Hop, Rest, content_type, is_html},
    failure::{Failure, is_bad_coding},
    retry::{Again, Retries},
};

/// Room made at once for a body of announced length.
const MAX_RESERVE_BYTES: u64 = 1 << 20;

/// A 200 whose body is still to come.
///
/// A body that is cut is resumed with `Range` and `If-Range` where the upstream offers ranges, the
/// length is known and there is a strong validator, within [`crate::Config::attempts`]. The caller
/// does not notice, but for the pause.
pub struct Answer {
    client: Client,
    get: Get,
    hop: Hop,
    response: Response,
    deadline: Instant,
    /// Announced length of the whole body.
    length: Option<u64>,
    received: u64,
    validator: Option<HeaderValue>,
    retries: Retries,
}

impl Answer {
    pub(crate) fn new(
        client: Client,
        get: Get,
        hop: Hop,
        response: Response,
        deadline: Instant,
    ) -> Self {
        let length = response.content_length();
        let validator = validator(response.headers()).filter(|_| length.is_some());
        let retries = client.retries();
        Self { client, get, hop, response, deadline, length, received: 0, validator, retries }
    }

    /// The announced length of the body; none when it is chunked or was compressed.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.length
    }

    /// The `Content-Type`, when it is text.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        content_type(self.response.headers())
    }

    /// Whether the body says it is an HTML page. [`Client::get`] refuses those.
    #[must_use]
    pub fn is_html(&self) -> bool {
        self.content_type().is_some_and(is_html)
    }

    /// The next bytes, `None` at the end. Cancel safe but for a resumption, which starts over.
    ///
    /// # Errors
    ///
    /// `Cut` when the body ended early and could not be resumed, `Timeout` when it stalled,
    /// `BadBody` when it is longer than [`Get::max_bytes`] or broken.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let failure = match self.read().await {
                Ok(Some(chunk)) => return self.take(chunk).map(Some),
                Ok(None) if self.length.is_none_or(|length| length == self.received) => {
                    return Ok(None);
                }
                Ok(None) => self.cut(),
                Err(failure) => failure,
            };
            self.client.count(&self.get, &failure);
            if failure.again == Again::No || !self.resume().await {
                return Err(failure.error);
            }
        }
    }

    /// The whole body, at most [`Get::max_bytes`] of it in memory.
    ///
    /// # Errors
    ///
    /// As [`Answer::chunk`].
    pub async fn bytes(mut self) -> Result<Bytes, Error> {
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.chunk().await? else { return Ok(first) };
        let length = self.length.unwrap_or_default().min(MAX_RESERVE_BYTES);
        let mut whole = BytesMut::with_capacity(usize::try_from(length).unwrap_or_default());
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while let Some(chunk) = self.chunk().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    async fn read(&mut self) -> Result<Option<Bytes>, Failure> {
        let stalled = Instant::now() + self.client.between_bytes();
        let (end, phase) = match self.deadline {
            deadline if deadline < stalled => (deadline, "whole"),
            _ => (stalled, "between bytes"),
        };
        match timeout_at(end, self.response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) if is_bad_coding(&error) => {
                Err(Failure::body(&self.get.name, "the body's coding is broken".to_owned()))
            }
            Ok(Err(_cut)) => Err(self.cut()),
            Err(_elapsed) => Err(Failure::timeout(&self.get.name, phase)),
        }
    }

    fn take(&mut self, chunk: Bytes) -> Result<Bytes, Error> {
        self.received += chunk.len() as u64;
        let limit = self.get.max_bytes.min(self.length.unwrap_or(u64::MAX));
        if self.received <= limit {
            return Ok(chunk);
        }
        let failure =
            Failure::body(&self.get.name, format!("the body is larger than {limit} bytes"));
        self.client.count(&self.get, &failure);
        Err(failure.error)
    }

    fn cut(&self) -> Failure {
        let again = if self.validator.is_some() { Again::Soon } else { Again::No };
        let error = Error::Cut { name: Arc::clone(&self.get.name), received: self.received };
        Failure { error, again, class: Some(crate::metrics::Failure::Body) }
    }

    /// Asks for the rest until it comes or no attempt is left. The pauses are counted over the
    /// whole body; the time is not, for a long body may be cut late.
    async fn resume(&mut self) -> bool {
        let Some(validator) = self.validator.clone() else { return false };
        let rest = Rest { from: self.received, validator };
        while let Some(pause) = self.retries.next(Again::Soon, std::time::Duration::ZERO) {
            sleep(pause).await;
            let hop = self.hop.clone();
            match self.client.follow(&self.get, hop, Some(&rest), self.deadline).await {
                Ok((response, _)) if self.continues(&response) => {
                    tracing::debug!(upstream = %self.get.name, from = rest.from, "body resumed");
                    self.response = response;
                    return true;
                }
                Ok(_other_content) => return false,
                Err(failure) => {
                    self.client.count(&self.get, &failure);
                    if failure.again == Again::No {
                        return false;
                    }
                }
            }
        }
        false
    }

    /// Whether this is a 206 of exactly the bytes that are missing.
    fn continues(&self, response: &Response) -> bool {
        let Some(length) = self.length else { return false };
        let expected = format!("bytes {}-{}/{length}", self.received, length.saturating_sub(1));
        response.status() == StatusCode::PARTIAL_CONTENT
            && response.headers().get(header::CONTENT_RANGE).is_some_and(|have| *have == *expected)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("upstream", &self.get.name)
            .field("length", &self.length)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

/// A validator that `If-Range` may use: a strong `ETag`, else `Last-Modified`; only where byte
/// ranges are offered. Source: RFC 9110 §13.1.5, §14.3.
fn validator(headers: &HeaderMap) -> Option<HeaderValue> {
    let ranges = headers.get(header::ACCEPT_RANGES)?;
    if !ranges.as_bytes().eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    match headers.get(header::ETAG) {
        Some(tag) if tag.as_bytes().starts_with(b"\"") => Some(tag.clone()),
        _ => headers.get(header::LAST_MODIFIED).cloned(),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::validator;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|(k, v)| (k.parse().unwrap(), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn only_offered_ranges_with_a_strong_validator_are_used() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let ranges = ("accept-ranges", "bytes");
        let strong = validator(&headers(&[ranges, ("etag", "\"a\""), ("last-modified", date)]));
        assert_eq!(strong.unwrap(), "\"a\"");
        let weak = validator(&headers(&[ranges, ("etag", "W/\"a\""), ("last-modified", date)]));
        assert_eq!(weak.unwrap(), date);
        assert!(validator(&headers(&[ranges, ("etag", "W/\"a\"")])).is_none());
        assert!(validator(&headers(&[("etag", "\"a\"")])).is_none());
        assert!(validator(&headers(&[("accept-ranges", "none"), ("etag", "\"a\"")])).is_none());
    }
}
