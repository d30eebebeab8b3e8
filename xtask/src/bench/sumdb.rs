//! A checksum database of the corpus, as files below the upstream: what larder confirms against.

use std::fs::{self, File};
use std::path::Path;

use gomod::{ModVer, ModulePath, Version};
use tlog::{LogName, Record, SigningKey, TileLevel};

use super::Bench;

/// The database's name.
pub(crate) const NAME: &str = "sum.bench.example";
/// Records of others in front of the corpus' own: enough for three levels of tiles.
const OTHERS: usize = 70_000;

/// Writes the database of some versions, and returns its key as GOSUMDB has it.
///
/// `modules` are in the corpus; those without a zip are recorded with the hash of nothing.
pub(crate) fn publish(bench: &Bench, modules: &[(String, &str)]) -> anyhow::Result<String> {
    let root = bench.corpus.root();
    let folder = root.join("sumdb").join(NAME);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(folder.join("lookup"))?;
    let key = SigningKey::from_seed(LogName::parse(NAME)?, [7; 32]);
    let mut records = Vec::with_capacity(modules.len());
    for (path, version) in modules {
        records.push(record(root, path, version)?);
    }
    let other = |n: usize| tlog::record_hash(format!("other.example/m v0.0.{n} h1:\n").as_bytes());
    let leaves: Vec<_> = (0..OTHERS).map(other).chain(records.iter().map(Record::hash)).collect();
    let mut frontier = tlog::Frontier::new();
    for leaf in &leaves {
        frontier.append(*leaf);
    }
    let text = frontier.head().text();
    let note = tlog::Note { signatures: vec![key.sign(&text)], text }.message();
    fs::write(folder.join("supported"), "")?;
    fs::write(folder.join("latest"), &note)?;
    for tile in tlog::new_tiles(0, leaves.len() as u64) {
        debug_assert!(tile.level != TileLevel::Data, "new_tiles names tiles of hashes");
        let Some(bytes) = tlog::tile_of(tile, &leaves) else { continue };
        let file = folder.join(tile.path());
        fs::create_dir_all(file.parent().unwrap_or(&folder))?;
        fs::write(file, bytes)?;
    }
    for (n, record) in records.iter().enumerate() {
        let (path, version) = (record.module().path(), record.module().version());
        let file = folder.join(format!("lookup/{}@{}", path.escaped(), version.escaped()));
        fs::create_dir_all(file.parent().unwrap_or(&folder))?;
        fs::write(file, format!("{}\n{}\n{note}", OTHERS + n, record.text()))?;
    }
    Ok(key.verifier().to_string())
}

fn record(root: &Path, path: &str, version: &str) -> anyhow::Result<Record> {
    let folder = root.join(path).join("@v");
    let module = ModVer::new(ModulePath::parse(path)?, Version::parse(version)?)?;
    let go_mod = modzip::h1_of_mod(&fs::read(folder.join(format!("{version}.mod")))?).to_string();
    let zip = folder.join(format!("{version}.zip"));
    let zip = if zip.exists() {
        modzip::check(&module, File::open(zip)?)?.h1().to_string()
    } else {
        go_mod.clone()
    };
    Ok(Record::new(&module, &zip, &go_mod)?)
}
