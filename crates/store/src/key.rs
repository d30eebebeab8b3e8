//! Names of stored objects. The key alone knows path, media type and lifetime.

use std::fmt;

use gomod::{ModVer, ModulePath, Version};
use tlog::{LogName, Tile, TileLevel, tiles_path};

use crate::Error;

/// Longest name of one file or folder, in bytes.
///
/// Source: `NAME_MAX` of Linux file systems (limits.h); a test stands at the bound.
pub const MAX_NAME_BYTES: usize = 255;

/// The width of a full tile. Source: reference sumdb.md §1.6.
const FULL_TILE: u16 = 256;

/// The name of one stored object.
#[derive(Debug, Clone, Copy)]
pub enum Key<'a> {
    /// The `.info` of a version.
    Info(&'a ModVer),
    /// The `.mod` of a version.
    Mod(&'a ModVer),
    /// The zip of a version.
    Zip(&'a ModVer),
    /// The `h1:` text beside a zip, as Go's module cache keeps it.
    ZipHash(&'a ModVer),
    /// The derived `@v/list` of a module: replaced late, not synced.
    ListFile(&'a ModulePath),
    /// What is known of a version (JSON, by room `proxy`).
    Facts(&'a ModVer),
    /// A kept contradiction. `/` makes folders; what no file name may hold is percent-encoded.
    Evidence(&'a str),
    /// A tile of a checksum database that is proxied, at any width: its beginning is that of every
    /// wider one, so the widest takes the place of the others.
    Tile(&'a LogName, Tile),
    /// What a checksum database that is proxied records of a version.
    Record(&'a LogName, &'a ModVer),
    /// A file of a log of our own: what cannot be fetched again.
    Own(&'a LogName, OwnFile),
}

/// A file of a log of our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OwnFile {
    /// A tile of hashes or of records, as the `go` command asks for it; each width is a file.
    Tile(Tile),
    /// A tile of records, whose level is [`tlog::TileLevel::Data`], as C2SP tlog-tiles frames them.
    Entries(Tile),
    /// The newest head that was given out, as the `go` command reads it.
    Latest,
    /// The same head as a C2SP tlog-checkpoint.
    Checkpoint,
    /// What the signer must never go below, whatever the database says.
    Floor,
    /// What stays of the tile of records of this number, one of which was erased: for recovery,
    /// never served.
    Redacted(u64),
}

/// May the content behind a key change?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Never: [`Store::create`](crate::Store::create) only.
    Immutable,
    /// By compare-and-swap, durable on return.
    Replaced,
    /// By compare-and-swap; follows from other objects, so it is not synced: a power cut loses the
    /// changes of the last seconds, or leaves something that cannot be read and is made again.
    Derived,
}

impl Key<'_> {
    /// Returns the path inside the data folder, `/`-separated.
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::Info(module) => module_file("modules", module, "info"),
            Self::Mod(module) => module_file("modules", module, "mod"),
            Self::Zip(module) => module_file("modules", module, "zip"),
            Self::ZipHash(module) => module_file("modules", module, "ziphash"),
            Self::ListFile(path) => format!("{}/list", versions_folder("modules", path)),
            // `@v` keeps `<module>/v1.0.0.json`, a valid module path, apart from the file.
            Self::Facts(module) => module_file("facts", module, "json"),
            Self::Evidence(name) => format!("evidence/{}", safe_path(name)),
            // `@` ends the log's name, which may hold slashes: no log lies inside another.
            Self::Tile(log, tile) => {
                let full = Tile { width: FULL_TILE, ..*tile };
                format!("tiles/{}/@/{}", safe_path(log.as_str()), full.path())
            }
            Self::Record(log, module) => {
                let below = format!("records/{}/@", safe_path(log.as_str()));
                module_file(&below, module, "record")
            }
            Self::Own(log, file) => format!("log/{}/@/{}", safe_path(log.as_str()), file.path()),
        }
    }

    /// Returns the media type to serve the object with.
    #[must_use]
    pub fn media_type(&self) -> &'static str {
        match self {
            Self::Info(_) | Self::Facts(_) => "application/json",
            Self::Zip(_) => "application/zip",
            Self::Mod(_) | Self::ZipHash(_) | Self::ListFile(_) => "text/plain; charset=utf-8",
            Self::Own(_, file) => file.media_type(),
            Self::Evidence(_) | Self::Tile(..) | Self::Record(..) => "application/octet-stream",
        }
    }

    /// Returns whether and how the content may change.
    #[must_use]
    pub fn lifetime(&self) -> Lifetime {
        match self {
            Self::Own(
                _,
                OwnFile::Latest | OwnFile::Checkpoint | OwnFile::Floor | OwnFile::Redacted(_),
            ) => Lifetime::Replaced,
            // Facts must not be durable ahead of the file they speak of; syncing them behind it took
            // a third of a cold module's time, and what a power cut loses is hashed again.
            // Tiles and records are proven again each time they are read and fetched again when they
            // do not prove: what a power cut takes of them costs a request.
            Self::Facts(_) | Self::ListFile(_) | Self::Tile(..) | Self::Record(..) => {
                Lifetime::Derived
            }
            Self::Info(_)
            | Self::Mod(_)
            | Self::Zip(_)
            | Self::ZipHash(_)
            | Self::Evidence(_)
            | Self::Own(_, OwnFile::Tile(_) | OwnFile::Entries(_)) => Lifetime::Immutable,
        }
    }

    /// Returns the path if every file system can hold it.
    pub(crate) fn checked_path(&self) -> Result<String, Error> {
        let path = self.path();
        if path.split('/').any(|name| name.len() > MAX_NAME_BYTES) {
            return Err(Error::LongName { key: path });
        }
        Ok(path)
    }
}

impl OwnFile {
    /// The path below the log's folder: tiles where each protocol's clients look for them.
    fn path(&self) -> String {
        match self {
            Self::Tile(tile) => tile.path(),
            Self::Entries(tile) => tiles_path(*tile),
            Self::Latest => "latest".to_owned(),
            Self::Checkpoint => "checkpoint".to_owned(),
            Self::Floor => "floor".to_owned(),
            Self::Redacted(index) => {
                let tile = Tile { level: TileLevel::Data, index: *index, width: FULL_TILE };
                tile.path().replacen("tile/8/data", "redacted", 1)
            }
        }
    }

    fn media_type(&self) -> &'static str {
        match self {
            Self::Tile(tile) if tile.hash_bytes().is_none() => "text/plain; charset=utf-8",
            Self::Tile(_) | Self::Entries(_) => "application/octet-stream",
            Self::Redacted(_) => "application/x-ndjson",
            Self::Latest | Self::Checkpoint | Self::Floor => "text/plain; charset=utf-8",
        }
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path())
    }
}

/// Returns the folder of a module's versions below `tree`.
pub(crate) fn versions_folder(tree: &str, path: &ModulePath) -> String {
    format!("{tree}/{}/@v", path.escaped())
}

fn module_file(tree: &str, module: &ModVer, suffix: &str) -> String {
    let folder = versions_folder(tree, module.path());
    format!("{folder}/{}.{suffix}", module.version().escaped())
}

/// Makes each part of `text` a file name that leads nowhere else.
fn safe_path(text: &str) -> String {
    let parts: Vec<String> = text.split('/').map(safe_name).collect();
    parts.join("/")
}

fn safe_name(part: &str) -> String {
    if matches!(part, "" | "." | "..") {
        return format!("%{}", part.replace('.', "%2E"));
    }
    let mut name = String::with_capacity(part.len());
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"._@+~!=-".contains(&byte) {
            name.push(char::from(byte));
        } else {
            name.push('%');
            name.push_str(&hex::encode_upper([byte]));
        }
    }
    name
}

/// What a file in an `@v` folder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum VersionFile {
    /// One of a version's files.
    Of(Version, Part),
    /// Belongs to the tree and names no object: `list`, and the locks of a Go module cache.
    Tolerated,
}

/// Which file of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Info,
    Mod,
    Zip,
    ZipHash,
    Facts,
}

impl VersionFile {
    /// Reads a name in `modules/<module>/@v/`; `None`: no name of ours.
    pub(crate) fn in_modules(name: &str) -> Option<Self> {
        if matches!(name, "list" | "list.lock") {
            return Some(Self::Tolerated);
        }
        let (version, suffix) = name.rsplit_once('.')?;
        let version = Version::unescape(version).ok()?;
        let part = match suffix {
            "info" => Part::Info,
            "mod" => Part::Mod,
            "zip" => Part::Zip,
            "ziphash" => Part::ZipHash,
            "lock" => return Some(Self::Tolerated),
            _ => return None,
        };
        Some(Self::Of(version, part))
    }

    /// Reads a name in `facts/<module>/@v/`; `None`: no name of ours.
    pub(crate) fn in_facts(name: &str) -> Option<Self> {
        let version = Version::unescape(name.strip_suffix(".json")?).ok()?;
        Some(Self::Of(version, Part::Facts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(path: &str, version: &str) -> ModVer {
        ModVer::new(ModulePath::parse(path).unwrap(), Version::parse(version).unwrap()).unwrap()
    }

    #[test]
    fn module_files_lie_where_go_expects_them() {
        let azure = module("github.com/Azure/x", "v1.0.0-RC1");
        assert_eq!(Key::Zip(&azure).path(), "modules/github.com/!azure/x/@v/v1.0.0-!r!c1.zip");
        assert_eq!(Key::Info(&azure).path(), "modules/github.com/!azure/x/@v/v1.0.0-!r!c1.info");
        assert_eq!(Key::Mod(&azure).path(), "modules/github.com/!azure/x/@v/v1.0.0-!r!c1.mod");
        assert_eq!(
            Key::ZipHash(&azure).path(),
            "modules/github.com/!azure/x/@v/v1.0.0-!r!c1.ziphash"
        );
        assert_eq!(Key::ListFile(azure.path()).path(), "modules/github.com/!azure/x/@v/list");
    }

    #[test]
    fn facts_of_one_module_never_stand_in_the_way_of_another() {
        let outer = module("example.com/x", "v1.0.0");
        let inner = module("example.com/x/v1.0.0.json", "v1.0.0");
        assert_eq!(Key::Facts(&outer).path(), "facts/example.com/x/@v/v1.0.0.json");
        assert_eq!(Key::Facts(&inner).path(), "facts/example.com/x/v1.0.0.json/@v/v1.0.0.json");
    }

    #[test]
    fn a_name_of_255_bytes_fits_and_one_of_256_does_not() {
        // "v1.0.0-" + n + ".ziphash"
        let at = module("example.com/x", &format!("v1.0.0-{}", "a".repeat(255 - 7 - 8)));
        let past = module("example.com/x", &format!("v1.0.0-{}", "a".repeat(256 - 7 - 8)));
        assert!(Key::ZipHash(&at).checked_path().is_ok());
        assert!(matches!(Key::ZipHash(&past).checked_path(), Err(Error::LongName { .. })));
        assert!(Key::Mod(&past).checked_path().is_ok());
    }

    #[test]
    fn evidence_never_leaves_its_folder() {
        assert_eq!(Key::Evidence("../../etc/passwd").path(), "evidence/%%2E%2E/%%2E%2E/etc/passwd");
        assert_eq!(Key::Evidence("/a//b").path(), "evidence/%/a/%/b");
        assert_eq!(Key::Evidence("a b\0%").path(), "evidence/a%20b%00%25");
        assert_eq!(
            Key::Evidence("github.com/!azure/x@v1.0.0+incompatible.zip").path(),
            "evidence/github.com/!azure/x@v1.0.0+incompatible.zip"
        );
    }

    #[test]
    fn module_files_and_evidence_never_change() {
        let any = module("example.com/x", "v1.0.0");
        let log = LogName::parse("sum.golang.org").unwrap();
        assert_eq!(Key::Facts(&any).lifetime(), Lifetime::Derived);
        assert_eq!(Key::ListFile(any.path()).lifetime(), Lifetime::Derived);
        for key in [Key::Info(&any), Key::Mod(&any), Key::Zip(&any), Key::ZipHash(&any)] {
            assert_eq!(key.lifetime(), Lifetime::Immutable, "{key}");
        }
        assert_eq!(Key::Evidence("x").lifetime(), Lifetime::Immutable);
        assert_eq!(Key::Record(&log, &any).lifetime(), Lifetime::Derived);
    }

    #[test]
    fn each_kind_has_its_media_type() {
        let any = module("example.com/x", "v1.0.0");
        assert_eq!(Key::Info(&any).media_type(), "application/json");
        assert_eq!(Key::Mod(&any).media_type(), "text/plain; charset=utf-8");
        assert_eq!(Key::Zip(&any).media_type(), "application/zip");
    }

    #[test]
    fn a_logs_files_lie_below_its_name() {
        let log = LogName::parse("sum.golang.org").unwrap();
        let azure = module("github.com/Azure/x", "v1.0.0-RC1");
        assert_eq!(
            Key::Record(&log, &azure).path(),
            "records/sum.golang.org/@/github.com/!azure/x/@v/v1.0.0-!r!c1.record"
        );
        for width in ["", ".p/7"] {
            let tile = Tile::parse(&format!("tile/8/0/x001/234{width}")).unwrap();
            assert_eq!(Key::Tile(&log, tile).path(), "tiles/sum.golang.org/@/tile/8/0/x001/234");
        }
    }

    #[test]
    fn each_width_of_an_own_tile_is_a_file_that_never_changes() {
        let log = LogName::parse("corp.example/log").unwrap();
        let tile = |path: &str| Tile::parse(path).unwrap();
        for (file, path) in [
            (OwnFile::Tile(tile("tile/8/0/x001/234.p/5")), "tile/8/0/x001/234.p/5"),
            (OwnFile::Tile(tile("tile/8/0/x001/234")), "tile/8/0/x001/234"),
            (OwnFile::Tile(tile("tile/8/data/000.p/5")), "tile/8/data/000.p/5"),
            (OwnFile::Entries(tile("tile/8/data/000.p/5")), "tile/entries/000.p/5"),
            (OwnFile::Entries(tile("tile/8/data/000")), "tile/entries/000"),
        ] {
            let key = Key::Own(&log, file);
            assert_eq!(key.path(), format!("log/corp.example/log/@/{path}"));
            assert_eq!(key.lifetime(), Lifetime::Immutable);
        }
        for (file, name) in [
            (OwnFile::Latest, "latest"),
            (OwnFile::Checkpoint, "checkpoint"),
            (OwnFile::Floor, "floor"),
        ] {
            let key = Key::Own(&log, file);
            assert_eq!(key.path(), format!("log/corp.example/log/@/{name}"));
            assert_eq!(key.lifetime(), Lifetime::Replaced);
            assert_eq!(key.media_type(), "text/plain; charset=utf-8");
        }
        let redacted = Key::Own(&log, OwnFile::Redacted(1234));
        assert_eq!(redacted.path(), "log/corp.example/log/@/redacted/x001/234");
        assert_eq!(redacted.lifetime(), Lifetime::Replaced);
        assert_eq!(redacted.media_type(), "application/x-ndjson");
        let media_type = |path| Key::Own(&log, OwnFile::Tile(tile(path))).media_type();
        assert_eq!(media_type("tile/8/data/000"), "text/plain; charset=utf-8");
        assert_eq!(media_type("tile/8/0/000"), "application/octet-stream");
    }

    #[test]
    fn names_of_a_go_module_cache_are_understood() {
        let version = Version::parse("v1.0.0-RC1").unwrap();
        for (name, part) in [
            ("v1.0.0-!r!c1.info", Part::Info),
            ("v1.0.0-!r!c1.mod", Part::Mod),
            ("v1.0.0-!r!c1.zip", Part::Zip),
            ("v1.0.0-!r!c1.ziphash", Part::ZipHash),
        ] {
            assert_eq!(
                VersionFile::in_modules(name),
                Some(VersionFile::Of(version.clone(), part)),
                "{name}"
            );
        }
        for name in ["list", "list.lock", "v1.0.0.lock"] {
            assert_eq!(VersionFile::in_modules(name), Some(VersionFile::Tolerated), "{name}");
        }
    }

    #[test]
    fn other_names_are_strangers() {
        for name in ["", "v1.0.0", "main.info", "v1.0.0-RC1.info", "v1.0.0.zip12.tmp", "x.lock"] {
            assert_eq!(VersionFile::in_modules(name), None, "{name}");
        }
        for name in ["v1.0.0.info", "main.json", ".json"] {
            assert_eq!(VersionFile::in_facts(name), None, "{name}");
        }
    }
}
