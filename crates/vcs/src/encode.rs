//! Files in other encodings: converted by git itself, kept on disk.
//!
//! Only git's iconv does it exactly as git does. `git cat-file --filters` runs the same conversion
//! as `git archive`, for exactly the blobs that need it, whatever their number and names.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use gix::bstr::ByteSlice as _;

use crate::{
    Entry, Error, ObjectId,
    blocking::blocking,
    convert::{Conversion, LineEnds},
    failure,
    git::Inner,
    metrics::Action,
    run::Limits,
    state::State,
};

/// How much of git's output is looked at in one go.
const CHUNK_BYTES: u64 = 1 << 20;

/// Converted files; nameless on disk, gone with this value.
#[derive(Debug, Default)]
pub(crate) struct Spool {
    files: Vec<File>,
    /// Path to file, offset and length.
    places: BTreeMap<Vec<u8>, (usize, u64, u64)>,
}

impl Spool {
    pub(crate) fn read(&self, path: &[u8]) -> io::Result<Bytes> {
        let (file, offset, length) = self.place(path)?;
        let file = self.files.get(file).ok_or_else(lost)?;
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes.into())
    }

    pub(crate) fn size(&self, path: &[u8]) -> io::Result<u64> {
        self.place(path).map(|(_, _, length)| length)
    }

    fn place(&self, path: &[u8]) -> io::Result<(usize, u64, u64)> {
        self.places.get(path).copied().ok_or_else(lost)
    }
}

fn lost() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "a converted file is lost")
}

/// Converts those of the entries that need git for it, one run for each kind of conversion.
pub(crate) async fn encode(
    git: &Arc<Inner>,
    state: &Arc<State>,
    entries: &[Entry],
    conversions: &BTreeMap<Vec<u8>, Conversion>,
) -> Result<Spool, Error> {
    let mut kinds: BTreeMap<String, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        let conversion = conversions.get(&entry.path);
        if let Some(line) = conversion.and_then(attributes_line) {
            kinds.entry(line).or_default().push(entry);
        }
    }
    let mut spool = Spool::default();
    for (line, entries) in kinds {
        let (file, places) = run(git, state, &line, &entries).await?;
        for (entry, (offset, length)) in entries.iter().zip(places) {
            spool.places.insert(entry.path.clone(), (spool.files.len(), offset, length));
        }
        spool.files.push(file);
    }
    Ok(spool)
}

/// What makes git do this conversion to any path.
fn attributes_line(conversion: &Conversion) -> Option<String> {
    let encoding = conversion.encoding.as_ref()?;
    let text = match conversion.line_ends {
        LineEnds::Kept => "-text",
        LineEnds::Crlf => "text eol=crlf",
        LineEnds::CrlfIfText => "text=auto eol=crlf",
    };
    let ident = if conversion.ident { "ident" } else { "-ident" };
    Some(format!("* {text} {ident} working-tree-encoding={encoding}\n"))
}

async fn run(
    git: &Arc<Inner>,
    state: &Arc<State>,
    attributes: &str,
    entries: &[&Entry],
) -> Result<(File, Vec<(u64, u64)>), Error> {
    let url = state.url.clone();
    let timer = git.metrics.start(Action::Encode);
    let scratch = Scratch::make(&git.place.folder, attributes.to_owned()).await?;
    let limits = Limits {
        time: git.config.fetch_timeout.0,
        stdout: 0,
        memory: git.config.max_process_memory.0,
        disk: Some(git.disk(scratch.folder.clone(), git.config.max_tree_size.0)),
    };
    let mut command = git.command(limits);
    let file = scratch.attributes.to_string_lossy().into_owned();
    command.inside(state.mirror.folder()).set("core.attributesFile", &file);
    // As Go has `git archive` do it.
    command.set("core.autocrlf", "input").set("core.eol", "lf");
    let mark = format!("larder-{:032x}-", rand::random::<u128>());
    let format = format!("--batch={mark}%(objectname)");
    command.args(&["cat-file", &format, "--filters"]);
    let mut lines = String::new();
    for entry in entries {
        let _ = writeln!(lines, "{} x", entry.id);
    }
    let output = scratch.output.try_clone();
    let output = output.map_err(|error| Error::mirror(&url, error.to_string()))?;
    command.stdin(lines.into_bytes()).output(output);
    let done = command.into_run().finish().await;
    let done = done.map_err(|stopped| timer.failed(failure::stopped(&url, &stopped)))?;
    if !done.status.success() {
        let said = failure::redact(&done.stderr, &[]);
        let reason = format!("git {}: {}", done.status, failure::reason(&said));
        return Err(timer.failed(Error::mirror(&url, reason)));
    }
    let largest = git.config.max_file_size.0;
    let ids: Vec<_> = entries.iter().map(|entry| entry.id.clone()).collect();
    blocking(move || {
        let file = scratch.output.try_clone();
        let file = file.map_err(|error| Error::mirror(&url, error.to_string()))?;
        let places = index(&file, &mark, &ids, largest);
        let places = places.map_err(|error| Error::limit(&url, error.to_string()))?;
        Ok((file, places))
    })
    .await
}

/// Where each object stands in git's output: a line with the mark and the blob's name, the bytes, a
/// line feed. git tells the size before conversion only, hence the mark, which no file can hold.
fn index(file: &File, mark: &str, ids: &[ObjectId], largest: u64) -> io::Result<Vec<(u64, u64)>> {
    let broken = || io::Error::other("git's output of converted files is broken");
    let end = file.metadata()?.len();
    let marks = find_all(file, mark.as_bytes())?;
    if marks.len() != ids.len() || marks.first().is_some_and(|first| *first != 0) {
        return Err(broken());
    }
    let ends = marks.iter().skip(1).copied().chain([end]);
    let mut places = Vec::with_capacity(ids.len());
    for ((at, end), id) in marks.iter().zip(ends).zip(ids) {
        let start = at + (mark.len() + id.as_str().len() + 1) as u64;
        let size = end.checked_sub(start + 1).ok_or_else(broken)?;
        if size > largest {
            return Err(io::Error::other(format!("a converted file has {size} bytes")));
        }
        places.push((start, size));
    }
    Ok(places)
}

/// All places of a text in a file, which may be larger than memory.
fn find_all(file: &File, text: &[u8]) -> io::Result<Vec<u64>> {
    let (mut found, mut window) = (Vec::new(), Vec::new());
    let mut reader = file;
    reader.seek(SeekFrom::Start(0))?;
    let mut base = 0;
    loop {
        let read = reader.take(CHUNK_BYTES).read_to_end(&mut window)?;
        let at = window.find_iter(text).map(|at| base + at as u64);
        found.extend(at);
        if read == 0 {
            return Ok(found);
        }
        // One that lies across the end is found in the next round, and no other twice.
        let done = window.len().saturating_sub(text.len() - 1);
        base += done as u64;
        window.drain(..done);
    }
}

/// Files of one run, removed when dropped.
struct Scratch {
    folder: PathBuf,
    attributes: PathBuf,
    output: File,
}

impl Scratch {
    async fn make(parent: &Path, attributes: String) -> Result<Self, Error> {
        let folder = parent.join(format!("tmp-{:016x}", rand::random::<u64>()));
        blocking(move || {
            let made = || {
                fs::create_dir(&folder)?;
                let file = folder.join("attributes");
                fs::write(&file, attributes)?;
                let output = File::options()
                    .read(true)
                    .write(true)
                    .create_new(true)
                    .open(folder.join("output"))?;
                Ok(Self { folder: folder.clone(), attributes: file, output })
            };
            made().map_err(|error| crate::mirror::failed(&folder, "make", &error))
        })
        .await
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left over at worst until the next start of housekeeping.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
