//! Answers of a database, fetched, checked for their form and kept.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use gomod::{SumdbPath, SumdbRequest, request};
use outbound::{Client, Credential};
use tlog::{LogName, Lookup, Note, Tile, TileLevel, TreeHead, VerifierKey};
use units::Timestamp;
use url::Url;

use crate::{
    Error,
    bases::{Bases, tail},
    cache::{Cache, Kept},
};

/// The most bytes of a look-up or a tree head: a signed note's cap. Source: sumdb.md §1.1.
pub const MAX_NOTE_BYTES: u64 = 1_000_000;
/// The most bytes of a data tile: 256 records of 8 KiB. Real ones stay below 64 KiB.
pub const MAX_DATA_TILE_BYTES: u64 = 2 << 20;
/// The bytes of one hash in a tile.
const HASH_BYTES: u64 = 32;
/// What `Via` says until the wiring tells our own name.
const DEFAULT_VIA: &str = "1.1 larder";

/// One database that clients may ask through us.
#[derive(Debug, Clone)]
pub struct Database {
    /// Its name: a host, perhaps with a path.
    pub name: LogName,
    /// The key its heads are signed with; to be used when records are verified.
    pub key: Option<VerifierKey>,
    /// Where to ask, in order: `<proxy>/sumdb/<name>` of each upstream proxy, then the URL that
    /// GOSUMDB names or `https://<name>`. Userinfo becomes the credential of that place.
    pub urls: Vec<Url>,
}

/// How the places at or below a URL are asked: an upstream proxy has its own trust and credential,
/// and what lies below it is asked as the proxy itself is.
#[derive(Debug, Clone)]
pub struct Access {
    /// The URL.
    pub below: Url,
    /// Sends the questions; it holds the certificate authorities.
    pub client: Client,
    /// Goes with them; `None` leaves the userinfo of [`Database::urls`].
    pub credential: Option<Credential>,
}

/// The databases that clients may ask through us.
///
/// Cheap to clone; clones share the memory. Equal questions that come at the same time are not
/// joined here: the caller's flights do that.
#[derive(Clone)]
pub struct Sumdb {
    inner: Arc<Inner>,
}

struct Inner {
    databases: Vec<(LogName, Bases)>,
    via: Arc<str>,
    cache: Cache,
}

impl Sumdb {
    /// Takes the databases; nobody is asked yet.
    #[must_use]
    pub fn new(databases: Vec<Database>, client: &Client) -> Self {
        Self::with(databases, client, &[], Arc::from(DEFAULT_VIA))
    }

    /// The same with other ways of asking some places, and our own `Via` value.
    #[must_use]
    pub fn with(
        databases: Vec<Database>,
        client: &Client,
        accesses: &[Access],
        via: Arc<str>,
    ) -> Self {
        let with_bases = |database: Database| {
            let mut bases = Bases::new(&database, client);
            for access in accesses {
                bases.set_access(access);
            }
            (database.name, bases)
        };
        let mut databases: Vec<_> = databases.into_iter().map(with_bases).collect();
        // The longest name first: a name may be the beginning of another.
        databases.sort_by_key(|(name, _)| std::cmp::Reverse(name.as_str().len()));
        let inner = Inner { databases, via, cache: Cache::new() };
        Self { inner: Arc::new(inner) }
    }

    /// The configured names, longest first.
    #[must_use]
    pub fn databases(&self) -> Vec<LogName> {
        self.inner.databases.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The configured database that a path is below, and what is asked of it.
    ///
    /// `None`: no such database here, for the client a 404. An error inside: a question that is
    /// none, for the client a 400.
    #[must_use]
    pub fn route(
        &self,
        path: &SumdbPath,
    ) -> Option<(LogName, Result<SumdbRequest, request::Error>)> {
        self.inner
            .databases
            .iter()
            .find_map(|(name, _)| path.below(name.as_str()).map(|request| (name.clone(), request)))
    }

    /// What memory has and is fresh. Allocates nothing and waits for nobody.
    #[must_use]
    pub fn cached(
        &self,
        database: &LogName,
        request: &SumdbRequest,
        now: Timestamp,
    ) -> Option<Bytes> {
        match self.inner.cache.fresh(database, request, now)? {
            Kept::Body(body) => Some(body),
            Kept::Absent { .. } => None,
        }
    }

    /// Asks the database, checks the form of its answer and keeps it.
    ///
    /// Tiles are kept for ever (in bounded memory), look-ups five minutes, the newest head thirty
    /// seconds, a "not found" ten seconds. When the database is in trouble an older look-up is given
    /// again: its head stays valid. Called on the fill runtime; cancel safe.
    ///
    /// # Errors
    ///
    /// `NotFound` for its 404 and 410, `Unavailable` while it cannot be asked, `Invalid` for an
    /// answer of the wrong form, `Malformed` for `supported` (the caller's own answer), a tile that
    /// is none, and a database that is not configured.
    pub async fn relay(
        &self,
        database: &LogName,
        request: &SumdbRequest,
        now: Timestamp,
    ) -> Result<Bytes, Error> {
        let Inner { cache, databases, .. } = &*self.inner;
        match cache.fresh(database, request, now) {
            Some(Kept::Body(body)) => return Ok(body),
            Some(Kept::Absent { status, text }) => return Err(Error::NotFound { status, text }),
            None => {}
        }
        let Some((_, bases)) = databases.iter().find(|(name, _)| name == database) else {
            let reason = format!("{} is not configured", database.as_str());
            return Err(Error::Malformed { reason });
        };
        let form = Form::of(request)?;
        match self.fetch(bases, request, &form, now).await {
            Ok(body) => {
                cache.keep(database, request, Kept::Body(body.clone()), now);
                Ok(body)
            }
            Err(Error::NotFound { status, text }) => {
                let absent = Kept::Absent { status, text: text.clone() };
                cache.keep(database, request, absent, now);
                Err(Error::NotFound { status, text })
            }
            Err(error @ Error::Unavailable { .. }) if matches!(form, Form::Lookup(_)) => {
                cache.old_body(database, request).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    async fn fetch(
        &self,
        bases: &Bases,
        request: &SumdbRequest,
        form: &Form<'_>,
        now: Timestamp,
    ) -> Result<Bytes, Error> {
        let via = &self.inner.via;
        let base = bases.choose(via, now).await?;
        let question = base.get(&tail(request), form.max_bytes(), via);
        let told = |error| base.told(error);
        let body = base.ask(question).await.map_err(told)?.bytes().await.map_err(told)?;
        form.check(&body)
            .map_err(|reason| Error::Invalid { source_name: Arc::clone(&base.name), reason })?;
        Ok(body)
    }
}

impl fmt::Debug for Sumdb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sumdb").field("databases", &self.databases()).finish_non_exhaustive()
    }
}

/// What an answer has to look like.
#[derive(Debug)]
enum Form<'a> {
    Latest,
    Lookup(&'a gomod::ModVer),
    Tile(Tile),
}

impl<'a> Form<'a> {
    fn of(request: &'a SumdbRequest) -> Result<Self, Error> {
        match request {
            SumdbRequest::Latest => Ok(Self::Latest),
            SumdbRequest::Lookup(module) => Ok(Self::Lookup(module)),
            SumdbRequest::Tile(path) => Tile::parse(path)
                .map(Self::Tile)
                .map_err(|error| Error::Malformed { reason: error.to_string() }),
            SumdbRequest::Supported => {
                let reason = "supported is answered by whoever relays".to_owned();
                Err(Error::Malformed { reason })
            }
        }
    }

    fn max_bytes(&self) -> u64 {
        match self {
            Self::Latest | Self::Lookup(_) => MAX_NOTE_BYTES,
            Self::Tile(Tile { level: TileLevel::Data, .. }) => MAX_DATA_TILE_BYTES,
            Self::Tile(Tile { width, .. }) => HASH_BYTES * u64::from(*width),
        }
    }

    /// # Errors
    ///
    /// The rule that the body breaks.
    fn check(&self, body: &[u8]) -> Result<(), String> {
        let text = |error: tlog::Error| error.to_string();
        match self {
            Self::Latest => {
                let note = Note::parse(body).map_err(text)?;
                TreeHead::parse(&note.text).map_err(text)?;
            }
            Self::Lookup(module) => {
                Lookup::parse(module, body).map_err(text)?;
            }
            Self::Tile(Tile { level: TileLevel::Data, width, .. }) => check_data(body, *width)?,
            Self::Tile(Tile { width, .. }) => {
                let expected = HASH_BYTES * u64::from(*width);
                if body.len() as u64 != expected {
                    return Err(format!("a tile of {} bytes, not {expected}", body.len()));
                }
            }
        }
        Ok(())
    }
}

/// A data tile: as many records as its width, each with an empty line behind it; text without
/// control characters. Source: sumdb.md §1.4.
fn check_data(body: &[u8], width: u16) -> Result<(), String> {
    let text =
        str::from_utf8(body).map_err(|_not_text| "a data tile that is no text".to_owned())?;
    if text.chars().any(|c| c.is_control() && c != '\n') {
        return Err("a data tile with control characters".to_owned());
    }
    let records = text.matches("\n\n").count();
    if records != usize::from(width) || !text.ends_with("\n\n") {
        return Err(format!("a data tile of {records} records, not {width}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use gomod::SumdbRequest;

    use super::{Form, check_data};
    use crate::Error;

    #[test]
    fn a_hash_tile_has_exactly_its_hashes() {
        for (path, bytes) in [("tile/8/0/000", 8192), ("tile/8/1/000.p/3", 96)] {
            let request = SumdbRequest::Tile(path.to_owned());
            let form = Form::of(&request).unwrap();
            assert_eq!(form.max_bytes(), bytes as u64);
            assert!(form.check(&vec![0; bytes]).is_ok());
            assert!(form.check(&vec![0; bytes - 1]).is_err());
            assert!(form.check(&vec![0; bytes + 1]).is_err());
        }
    }

    #[test]
    fn a_data_tile_holds_as_many_records_as_it_is_wide() {
        let record = "m v1.0.0 h1:a=\nm v1.0.0/go.mod h1:b=\n\n";
        assert!(check_data(record.repeat(2).as_bytes(), 2).is_ok());
        assert!(check_data(record.repeat(2).as_bytes(), 3).is_err());
        assert!(check_data(record.trim_end().as_bytes(), 1).is_err());
        assert!(check_data(b"m\x1b\n\n", 1).is_err());
        assert!(check_data(b"\xff\n\n", 1).is_err());
    }

    #[test]
    fn supported_and_what_is_no_tile_are_malformed() {
        for request in [SumdbRequest::Supported, SumdbRequest::Tile("tile/8/0/x".to_owned())] {
            assert!(matches!(Form::of(&request), Err(Error::Malformed { .. })), "{request:?}");
        }
    }
}
