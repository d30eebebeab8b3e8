//! How a host is asked for a page, and what its silence means.

use std::{sync::Arc, time::Duration};

use gomod::ModulePath;
use outbound::{Client, Coding, Get, Page};
use policy::address::Word;
use tokio::time::Instant;
use url::Url;

use super::{Access, Discovery, Read, page::imports, target::Security};
use crate::{Error, Trouble};

/// The most of a page that is read, in bytes: 1 MiB. Ours; Go has no bound.
const MAX_PAGE_BYTES: u64 = 1 << 20;
/// How long a page may take. Source: git.md §5.4.
const WHOLE: Duration = Duration::from_secs(10);
/// How long https is tried where http may follow. Source: golang/go `cmd/go/internal/web`
/// (`impatientInsecureHTTPClient`).
const INSECURE_WHOLE: Duration = Duration::from_secs(5);

/// How a page is asked for.
struct How {
    whole: Duration,
    word: Word,
    credential: Option<outbound::Credential>,
}

/// The page that speaks of an import path.
pub(super) fn url_of(import: &str) -> String {
    let slash = if import.contains('/') { "" } else { "/" };
    format!("https://{import}{slash}?go-get=1")
}

impl Discovery {
    /// Reads the page of `import`, which is `path` or a prefix of it.
    pub(super) async fn page(
        &self,
        path: &ModulePath,
        import: &str,
        access: Access,
    ) -> Result<Arc<Read>, Error> {
        let question = (import.to_owned(), access);
        let ask = self.read(path, import, access);
        self.pages.get(&question, Instant::now, |told| self.fresh(told), ask).await
    }

    async fn read(
        &self,
        path: &ModulePath,
        import: &str,
        access: Access,
    ) -> Result<Arc<Read>, Error> {
        let asked = self.first(import, access).await;
        let mut page = asked.map_err(|error| self.unreachable(path, import, error))?;
        let mut found = imports(&page.body);
        // Source: golang/go `cmd/go/internal/web` (`get`): any 4xx is asked again by who has a
        // credential, since hosts say 404 of what they hide.
        if found.is_empty()
            && (400..500).contains(&page.status)
            && let Some(credential) = self.proof(path, import, access).await?
        {
            let how = How { whole: WHOLE, word: access.word, credential: Some(credential) };
            let asked = self.fetch(&self.client, &url_of(import), how).await;
            page = asked.map_err(|error| self.unreachable(path, import, error))?;
            found = imports(&page.body);
        }
        if found.is_empty() && page.status != 200 {
            return Err(self.refused(path, &page));
        }
        if found.is_empty() && page.cut {
            let reason = format!("no go-import meta tag in the first {MAX_PAGE_BYTES} bytes");
            return Err(self.invalid(path, reason));
        }
        Ok(Arc::new(Read { url: page.url.into(), imports: found }))
    }

    /// Asks as a stranger.
    async fn first(&self, import: &str, access: Access) -> Result<Page, outbound::Error> {
        let secure = url_of(import);
        let how = |whole| How { whole, word: access.word, credential: None };
        let (Security::Insecure, Some(client)) = (access.security, &self.unverified) else {
            return self.fetch(&self.client, &secure, how(WHOLE)).await;
        };
        match self.fetch(client, &secure, how(INSECURE_WHOLE)).await {
            // Only where https does not connect: what it says is not asked of http again.
            Err(outbound::Error::Unreachable { .. } | outbound::Error::Timeout { .. }) => {
                let plain = secure.replacen("https", "http", 1);
                self.fetch(client, &plain, how(WHOLE)).await
            }
            asked => asked,
        }
    }

    async fn fetch(&self, client: &Client, url: &str, how: How) -> Result<Page, outbound::Error> {
        let rewritten = self.settings.rewrite.iter().find_map(|(from, to)| {
            let rest = url.strip_prefix(from.as_str())?;
            Some(format!("{to}{rest}"))
        });
        // Who rewrites says where to.
        let word = if rewritten.is_some() { Word::Operator } else { how.word };
        let name: Arc<str> = Arc::clone(&self.origin.0);
        let Ok(url) = Url::parse(rewritten.as_deref().unwrap_or(url)) else {
            let reason = "the path makes no URL".to_owned();
            return Err(outbound::Error::Unreachable { name, reason, forbidden: false });
        };
        let get = Get {
            url,
            name,
            credential: how.credential,
            word,
            first_byte: how.whole,
            whole: how.whole,
            max_bytes: MAX_PAGE_BYTES,
            via: Arc::clone(&self.settings.via),
            coding: Coding::Gzip,
        };
        // On the heap: a request's future takes kilobytes of whoever awaits it.
        Box::pin(client.page(get)).await
    }

    /// What a status without a tag means.
    fn refused(&self, path: &ModulePath, page: &Page) -> Error {
        let (what, origin) = (path.to_string(), self.origin.clone());
        let url = super::shown(page.url.as_str());
        let text = page.text.as_ref().map(outbound::UpstreamText::as_str);
        let server = text.map(|text| format!(" (server response: {text})")).unwrap_or_default();
        let reason = |meaning: &str| format!("reading {url}: {} {meaning}{server}", page.status);
        let unavailable = |kind, reason| {
            let (origin, retry_after) = (self.origin.clone(), page.retry_after);
            Error::Unavailable { origin, kind, reason, retry_after }
        };
        match page.status {
            404 => self.absent(path, &reason("Not Found")),
            410 => self.absent(path, &reason("Gone")),
            401 | 407 => Error::Refused { origin },
            403 | 451 => Error::Forbidden { what, origin, text: text.map(str::to_owned) },
            // Without the question: see the same text for a proxy.
            429 => unavailable(Trouble::Overloaded, "a go-import page answered 429".to_owned()),
            status => unavailable(Trouble::Broken, format!("a go-import page answered {status}")),
        }
    }

    /// Nobody answered: that says nothing of the path.
    fn unreachable(&self, path: &ModulePath, import: &str, error: outbound::Error) -> Error {
        use outbound::Error as Outer;
        let kind = match &error {
            Outer::Timeout { .. } => Trouble::Timeout,
            Outer::BadBody { reason, .. } => return self.invalid(path, reason.clone()),
            Outer::Unreachable { forbidden: true, .. }
            | Outer::Redirect { forbidden: true, .. } => Trouble::Barred,
            _ => Trouble::Broken,
        };
        let reason = match error {
            Outer::Timeout { phase, .. } => format!("no answer in time ({phase})"),
            Outer::Unreachable { reason, .. } | Outer::Redirect { reason, .. } => reason,
            Outer::Cut { received, .. } => format!("the answer was cut after {received} bytes"),
            other => other.to_string(),
        };
        let host = import.split('/').next().unwrap_or(import);
        let reason = format!("go-import page of {host}: {reason}");
        Error::Unavailable { origin: self.origin.clone(), kind, reason, retry_after: None }
    }
}
