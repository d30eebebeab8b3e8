//! A folder in the layout of a GOPROXY as a source: a `file://` entry.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a `file://` source is a folder of files"
)]

use std::{
    io,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use gomod::{ModVer, ModulePath, Query};
use store::Staged;
use tokio::{fs::File, io::AsyncReadExt};
use url::Url;

use crate::{Error, Fetched, GoMod, Info, Listed, Origin, Trouble, Upstream, ask::Ask, list};

/// Bytes of a zip read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// A folder.
///
/// A file that is not there is a 404, one that may not be read is forbidden, as for the `go`
/// command; what is no regular file is not there. Links are followed: who writes into the folder is
/// trusted as an upstream is. Reads run on the runtime's blocking threads.
#[derive(Debug)]
pub struct FileSource {
    origin: Origin,
    root: PathBuf,
}

impl FileSource {
    /// Makes a source of a `file://` entry; the folder need not exist.
    ///
    /// # Errors
    ///
    /// `Config` for a URL with a host other than `localhost`, user, query or fragment. Source:
    /// protocol.md §6.
    pub fn new(url: &str, name: Option<&str>) -> Result<Self, Error> {
        let origin = |root: &Path| {
            Origin(name.map_or_else(|| format!("file://{}", root.display()).into(), Arc::from))
        };
        let refuse = |reason: &str| Error::Config {
            origin: origin(Path::new("")),
            reason: reason.to_owned(),
        };
        let parsed = Url::parse(url).ok().filter(|url| url.scheme() == "file");
        let url = parsed.ok_or_else(|| refuse("it is no file URL"))?;
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
            return Err(refuse("it holds more than a path"));
        }
        let root = url.to_file_path().map_err(|()| refuse("it names another machine"))?;
        Ok(Self { origin: origin(&root), root })
    }

    /// Opens the answer's file.
    async fn open(&self, ask: Ask<'_>) -> Result<(File, u64), Error> {
        let tail = ask.tail();
        let path = Path::new(&tail);
        // The grammar lets no such name through; a second look costs nothing.
        if !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(self.not_found(ask));
        }
        let path = self.root.join(path);
        // Looked at before it is opened: opening a pipe would wait for a writer.
        let metadata = tokio::fs::metadata(&path).await.map_err(|error| self.io(ask, &error))?;
        if !metadata.is_file() {
            return Err(self.not_found(ask));
        }
        if metadata.len() > ask.max_bytes() {
            return Err(self.too_large(ask));
        }
        let file = File::open(&path).await.map_err(|error| self.io(ask, &error))?;
        Ok((file, metadata.len()))
    }

    async fn body(&self, ask: Ask<'_>) -> Result<Bytes, Error> {
        let (file, _length) = self.open(ask).await?;
        let mut body = Vec::new();
        // One more than allowed, to see whether the file has grown meanwhile.
        let read = file.take(ask.max_bytes() + 1).read_to_end(&mut body).await;
        let length = read.map_err(|error| self.io(ask, &error))? as u64;
        if length > ask.max_bytes() {
            return Err(self.too_large(ask));
        }
        Ok(body.into())
    }

    fn not_found(&self, ask: Ask<'_>) -> Error {
        let (what, origin) = (ask.to_string(), self.origin.clone());
        Error::NotFound { what, origin, status: 404, text: None }
    }

    fn too_large(&self, ask: Ask<'_>) -> Error {
        let reason = format!("the body is larger than {} bytes", ask.max_bytes());
        Error::Invalid { what: ask.to_string(), origin: self.origin.clone(), reason }
    }

    fn io(&self, ask: Ask<'_>, error: &io::Error) -> Error {
        let (what, origin) = (ask.to_string(), self.origin.clone());
        match error.kind() {
            // A name that the file system cannot hold names nothing on it.
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::InvalidFilename => self.not_found(ask),
            io::ErrorKind::PermissionDenied => Error::Forbidden { what, origin, text: None },
            kind => {
                let reason = format!("reading {what}: {kind}");
                Error::Unavailable { origin, kind: Trouble::Broken, reason, retry_after: None }
            }
        }
    }
}

#[async_trait::async_trait]
impl Upstream for FileSource {
    async fn list(&self, path: &ModulePath) -> Result<Listed, Error> {
        let ask = Ask::List(path);
        let body = self.body(ask).await?;
        let origin = self.origin.clone();
        match list::parse(path, &body) {
            Ok(versions) => Ok(Listed { versions, origin }),
            Err(reason) => Err(Error::Invalid { what: ask.to_string(), origin, reason }),
        }
    }

    async fn latest(&self, path: &ModulePath) -> Result<Info, Error> {
        let body = self.body(Ask::Latest(path)).await?;
        Info::parse_latest(path, body, self.origin.clone())
    }

    async fn info(&self, path: &ModulePath, query: &Query) -> Result<Info, Error> {
        let body = self.body(Ask::Info(path, query)).await?;
        Info::parse(path, query, body, self.origin.clone())
    }

    async fn go_mod(&self, module: &ModVer) -> Result<GoMod, Error> {
        let bytes = self.body(Ask::Mod(module)).await?;
        Ok(GoMod { bytes, origin: self.origin.clone() })
    }

    async fn zip(&self, module: &ModVer, into: &mut Staged) -> Result<Fetched, Error> {
        let ask = Ask::Zip(module);
        let staging = |source| Error::Store { what: ask.to_string(), source: Arc::new(source) };
        let (mut file, length) = self.open(ask).await?;
        file.set_max_buf_size(CHUNK_BYTES);
        into.expect(length);
        let mut size = 0;
        loop {
            let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
            let read = file.read_buf(&mut chunk).await.map_err(|error| self.io(ask, &error))?;
            if read == 0 {
                break;
            }
            size += read as u64;
            if size > length {
                break;
            }
            into.write(chunk.freeze()).await.map_err(staging)?;
        }
        if size != length {
            let (origin, kind) = (self.origin.clone(), Trouble::Broken);
            let reason = format!("{ask} changed while it was read");
            return Err(Error::Unavailable { origin, kind, reason, retry_after: None });
        }
        into.flush().await.map_err(staging)?;
        Ok(Fetched { size, origin: self.origin.clone() })
    }

    fn origin(&self) -> Option<Origin> {
        Some(self.origin.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use gomod::ModulePath;

    use super::FileSource;
    use crate::{Error, Upstream, ask::Ask};

    #[test]
    fn only_a_path_is_taken() {
        for url in ["file:///srv/modules", "file://localhost/srv/modules"] {
            let source = FileSource::new(url, None).unwrap();
            assert_eq!(source.origin().unwrap().to_string(), "file:///srv/modules");
        }
        for url in ["file://host/srv", "file:///srv?x", "file:///srv#x", "https://x", "/srv"] {
            assert!(matches!(FileSource::new(url, None), Err(Error::Config { .. })), "{url}");
        }
    }

    /// Not seen with a file: who runs as root may read everything.
    #[test]
    fn what_may_not_be_read_is_forbidden_and_a_broken_disk_is_trouble() {
        let source = FileSource::new("file:///srv/modules", None).unwrap();
        let path = ModulePath::parse("example.com/m").unwrap();
        let told = |kind: io::ErrorKind| source.io(Ask::List(&path), &kind.into());
        assert!(matches!(told(io::ErrorKind::PermissionDenied), Error::Forbidden { .. }));
        assert!(told(io::ErrorKind::NotADirectory).is_not_found());
        assert!(matches!(told(io::ErrorKind::StorageFull), Error::Unavailable { .. }));
    }
}
