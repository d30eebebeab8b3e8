//! Asks the running server, over the same door as every other outgoing request.

use std::{sync::Arc, time::Duration};

use gomod::{ModVer, Version};
use outbound::{Answer, Coding, Error, Get};
use policy::address::Word;
use url::Url;

use super::{
    fetch::Outcome,
    plan::{Query, Target},
};

/// Time for a sign of life.
const HELLO: Duration = Duration::from_secs(3);
/// Time to the first byte: a little more than the server itself waits for a fetch by default.
const FIRST_BYTE: Duration = Duration::from_mins(11);
/// Time for a whole file.
const WHOLE: Duration = Duration::from_hours(1);
/// Largest `.info` or health text that is read. A real one has some hundred bytes.
const MAX_TEXT_BYTES: u64 = 1 << 20;
/// Largest file that passes: the limit for zips. Source: go.dev/ref/mod#zip-path-size-constraints.
const MAX_FILE_BYTES: u64 = 500 << 20;

/// A client of one larder.
#[derive(Debug)]
pub struct Client {
    server: String,
    outbound: outbound::Client,
}

impl Client {
    /// Makes a client of the larder at `server`.
    ///
    /// # Errors
    /// The certificates of this machine cannot be read.
    pub fn new(server: &Url) -> anyhow::Result<Self> {
        // A larder in the own network is reached without a proxy, and a dead one told at once.
        let config = outbound::Config { attempts: 1, ..outbound::Config::default() };
        let outbound = outbound::Client::new(&config, &outbound::ProxyEnvironment::default())?;
        Ok(Self { server: server.as_str().trim_end_matches('/').to_owned(), outbound })
    }

    /// Checks that a server answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn is_there(&self) -> Result<(), String> {
        let limits = Limits { first_byte: HELLO, whole: HELLO, max_bytes: MAX_TEXT_BYTES };
        let answer = self.get("/healthz", limits).await.map_err(|error| text(&error))?;
        answer.bytes().await.map(drop).map_err(|error| text(&error))
    }

    /// The version that a branch, a commit or `latest` means now.
    ///
    /// # Errors
    /// Status and text of the answer, or what is wrong with it.
    pub async fn resolve(&self, query: &Query) -> Result<ModVer, String> {
        let limits = Limits { max_bytes: MAX_TEXT_BYTES, ..Limits::FILE };
        let answer = self.get(&query.request(), limits).await.map_err(|error| text(&error))?;
        let body = answer.bytes().await.map_err(|error| text(&error))?;
        let info: Info =
            serde_json::from_slice(&body).map_err(|error| format!("bad .info: {error}"))?;
        let bad = |error: gomod::version::Error| format!("bad .info: {error}");
        let version = Version::parse(&info.version).map_err(bad)?;
        ModVer::new(query.path.clone(), version).map_err(bad)
    }

    /// Makes the server fetch a file, unless it has it.
    pub async fn fetch(&self, target: Target) -> Outcome {
        // Only asks whether it is there; what is left of the body is not read.
        if self.get(&format!("/cached-only{}", target.path()), Limits::FILE).await.is_ok() {
            return Outcome::Here;
        }
        match self.drain(&target.path()).await {
            Ok(()) => Outcome::Fetched,
            Err(error) => Outcome::Failed(text(&error)),
        }
    }

    async fn drain(&self, path: &str) -> Result<(), Error> {
        let mut answer = self.get(path, Limits::FILE).await?;
        while answer.chunk().await?.is_some() {}
        Ok(())
    }

    async fn get(&self, path: &str, limits: Limits) -> Result<Answer, Error> {
        let url = Url::parse(&format!("{}{path}", self.server))
            .map_err(|error| Error::Config { reason: format!("the server's URL: {error}") })?;
        let get = Get {
            url,
            name: Arc::from("larder"),
            credential: None,
            word: Word::Operator,
            first_byte: limits.first_byte,
            whole: limits.whole,
            max_bytes: limits.max_bytes,
            via: Arc::from("1.1 larder-warm"),
            coding: Coding::Identity,
        };
        self.outbound.get(get).await
    }
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    first_byte: Duration,
    whole: Duration,
    max_bytes: u64,
}

impl Limits {
    const FILE: Self = Self { first_byte: FIRST_BYTE, whole: WHOLE, max_bytes: MAX_FILE_BYTES };
}

#[derive(Debug, serde::Deserialize)]
struct Info {
    #[serde(rename = "Version")]
    version: String,
}

/// Status and text, as `go` would show them.
fn text(error: &Error) -> String {
    match error {
        Error::NotFound { status, text: Some(text), .. }
        | Error::Status { status, text: Some(text), .. } => format!("{status}: {}", text.as_str()),
        Error::NotFound { status, .. } | Error::Status { status, .. } => status.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
