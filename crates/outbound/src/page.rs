//! A whole answer whose status is the caller's business.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use tokio::time::{Instant, sleep};
use url::Url;

use crate::{
    Answer, Client, Error, Get, UpstreamText,
    client::{Hop, content_type, deadline},
    retry::retry_after,
};

/// What a host says to a question that any status may answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The status as it came, behind all redirects.
    pub status: u16,
    /// Where it came from, behind all redirects; never with userinfo.
    pub url: Url,
    /// The body, or as much of it as was wanted.
    pub body: Bytes,
    /// Whether there was more of it than [`Get::max_bytes`].
    pub cut: bool,
    /// The body's first line, if that may be shown.
    pub text: Option<UpstreamText>,
    /// What its `Retry-After` asked for.
    pub retry_after: Option<Duration>,
}

impl Client {
    /// Asks until there is an answer, of whatever status and type, and reads it.
    ///
    /// For go-import pages, which the `go` command reads even from a 404. Sent again are failed
    /// connections only; redirects are followed as by [`Client::get`]. A body longer than
    /// [`Get::max_bytes`] is cut there, not refused. Cancel safe: dropping the future drops the
    /// connection.
    ///
    /// # Errors
    ///
    /// `Timeout`, `Unreachable` and `Redirect` when there is no answer, `Cut` and `BadBody` when
    /// its body cannot be read.
    pub async fn page(&self, mut get: Get) -> Result<Page, Error> {
        let max_bytes = std::mem::replace(&mut get.max_bytes, u64::MAX);
        let started = Instant::now();
        let deadline = deadline(started, get.whole);
        let mut retries = self.retries();
        loop {
            let hop = Hop::first(&get);
            let failure = match self.follow(&get, hop, None, deadline).await {
                Ok((response, hop)) => {
                    let answer = |response| Answer::new(self.clone(), get, hop, response, deadline);
                    return read(response, max_bytes, answer).await;
                }
                Err(failure) => failure,
            };
            self.count(&get, &failure);
            let Some(pause) = retries.next(failure.again, started.elapsed()) else {
                return Err(failure.error);
            };
            sleep(pause).await;
        }
    }
}

async fn read(
    response: Response,
    max_bytes: u64,
    answer: impl FnOnce(Response) -> Answer,
) -> Result<Page, Error> {
    let (status, url) = (response.status().as_u16(), response.url().clone());
    let retry_after = retry_after(response.headers());
    let kind = content_type(response.headers()).map(str::to_owned);
    let mut answer = answer(response);
    let (mut body, mut cut) = (BytesMut::new(), false);
    while let Some(chunk) = answer.chunk().await? {
        let room = max_bytes.saturating_sub(body.len() as u64);
        let taken = usize::try_from(room).unwrap_or(usize::MAX).min(chunk.len());
        body.extend_from_slice(chunk.get(..taken).unwrap_or_default());
        cut = taken < chunk.len();
        if cut {
            break;
        }
    }
    let text = UpstreamText::parse(kind.as_deref(), &body);
    Ok(Page { status, url, body: body.freeze(), cut, text, retry_after })
}
