//! The judgement by the central directory, as Go's reader opens a zip.

use std::io::{Read, Seek};

use gomod::ModVer;
use sha2::{Digest, Sha256};

use crate::{
    Checked, Error,
    body::{Body, Content, Fault, Keep},
    checked::Found,
    directory::{
        DEFLATED, DESCRIPTOR, DESCRIPTOR_FOLLOWS, DIRECTORY_END, DIRECTORY_END_LEN,
        DIRECTORY_HEADER, DIRECTORY_HEADER_LEN, DIRECTORY64_END, DIRECTORY64_END_LEN,
        DIRECTORY64_LOCATOR_LEN, DirectoryEnd, DirectoryHeader, Fields, LOCAL_HEADER,
        LOCAL_HEADER_LEN, LocalHeader, STORED, locate64, signature,
    },
    limits::Limits,
    table::{Entry, Kind, Table},
    window::Window,
};

/// Judges a module zip by its central directory, over random access.
///
/// The whole file is read about twice (its entries, then its bytes as they are), at more than
/// 100 MB a second on one core. Memory is that of a [`crate::Checker`] and 0.3 MB. Reads are of up
/// to 256 KiB and block: on a file this belongs on a thread that may wait.
///
/// # Errors
///
/// The rule that is broken, the first in the order of the directory; or [`Error::Read`] when the
/// reader fails, which says nothing of the zip.
pub fn check<R: Read + Seek>(module: &ModVer, reader: R) -> Result<Checked, Error> {
    check_within(module, reader, Limits::GO)
}

pub(crate) fn check_within<R: Read + Seek>(
    module: &ModVer,
    reader: R,
    limits: Limits,
) -> Result<Checked, Error> {
    let window = Window::new(reader)?;
    if window.size() > limits.zip {
        return Err(Error::ZipTooLarge { size: window.size(), limit: limits.zip });
    }
    let table = Table::new(module, limits);
    let mut judge = Judge { window, table, body: Body::new(), go_mod: None };
    judge.read_directory()?;
    judge.read_entries()?;
    let h1 = judge.table.h1()?;
    let sha256 = judge.sha256()?;
    let found = Found { h1, go_mod: judge.go_mod, sha256, size: judge.window.size() };
    Ok(Checked::zip(module.clone(), found))
}

struct Judge<R> {
    window: Window<R>,
    table: Table,
    body: Body,
    go_mod: Option<Vec<u8>>,
}

impl<R: Read + Seek> Judge<R> {
    /// Reads headers until there is none, as Go does, and admits each.
    fn read_directory(&mut self) -> Result<(), Error> {
        let start = find_directory(&mut self.window)?;
        let size = self.window.size();
        let (mut at, mut count, mut claimed) = (start.directory, 0_u64, 0_u64);
        while let Some((header, end)) = next_header(&mut self.window, at)? {
            let entry = admit(&mut self.table, &header, start.base)?;
            claimed = claimed.saturating_add(entry.compressed.into());
            if claimed > size {
                return Err(Error::Overlap);
            }
            self.table.push(entry);
            (at, count) = (end, count.saturating_add(1));
        }
        // Go compares 16 bits only, because old writers wrote no more.
        if count & 0xffff != start.records & 0xffff {
            return Err(Error::NotAZip { what: "the directory is not as long as it says" });
        }
        Ok(())
    }

    /// Reads the contents in the order in which they stand in the file.
    fn read_entries(&mut self) -> Result<(), Error> {
        let mut order: Vec<(u32, usize)> =
            self.table.entries().iter().enumerate().map(|(i, entry)| (entry.offset, i)).collect();
        order.sort_unstable();
        for (_, index) in order {
            let Some(entry) = self.table.entries().get(index).copied() else { continue };
            let content = self.read_content(&entry)?;
            self.table.set_sha256(index, content.sha256);
            if entry.name.kind == Kind::GoMod {
                self.go_mod = content.bytes;
            }
        }
        Ok(())
    }

    fn read_content(&mut self, entry: &Entry) -> Result<Content, Error> {
        let start = self.find_content(entry)?;
        let keep = if entry.name.kind == Kind::GoMod { Keep::Bytes } else { Keep::Nothing };
        self.body.begin(entry.uncompressed.into(), keep);
        // Of a directory Go reads nothing, whatever its method says.
        if entry.name.kind != Kind::Directory {
            self.feed_body(entry, start)?;
        }
        let content = self.body.end();
        let declared = u64::from(entry.uncompressed);
        if content.size != declared {
            return Err(Error::SizeMismatch { name: self.table.shown(entry.name), declared });
        }
        if entry.name.kind != Kind::Directory && !self.crc_holds(entry, start, &content)? {
            return Err(Error::Checksum { name: self.table.shown(entry.name) });
        }
        Ok(content)
    }

    /// Returns where an entry's content begins.
    fn find_content(&mut self, entry: &Entry) -> Result<u64, Error> {
        let offset = u64::from(entry.offset);
        let header = self.window.at(offset, LOCAL_HEADER_LEN)?;
        let len =
            LocalHeader::whole_len(header).filter(|_| signature(header) == Some(LOCAL_HEADER));
        let Some(len) = len else {
            return Err(Error::NoEntry { name: self.table.shown(entry.name) });
        };
        Ok(offset.saturating_add(len as u64))
    }

    fn feed_body(&mut self, entry: &Entry, start: u64) -> Result<(), Error> {
        if !matches!(entry.method, STORED | DEFLATED) {
            let name = self.table.shown(entry.name);
            return Err(Error::Method { name, method: entry.method });
        }
        let mut at = start;
        let end = start.saturating_add(entry.compressed.into());
        let mut ended = entry.method == STORED;
        while at < end {
            let piece = self.window.some_at(at, end.saturating_sub(at))?;
            if piece.is_empty() {
                break;
            }
            at = at.saturating_add(piece.len() as u64);
            let step = if entry.method == STORED {
                self.body.store(piece)
            } else {
                self.body.inflate(piece).map(|progress| ended = progress.ended)
            };
            step.map_err(|fault| self.refuse(entry, fault))?;
            // What stands behind the end of the compressed data is not looked at, as in Go.
            if ended && entry.method == DEFLATED {
                break;
            }
        }
        if ended { Ok(()) } else { Err(self.refuse(entry, Fault::Corrupt)) }
    }

    fn refuse(&self, entry: &Entry, fault: Fault) -> Error {
        let name = self.table.shown(entry.name);
        match fault {
            Fault::Corrupt => Error::Corrupt { name },
            Fault::TooLong => Error::SizeMismatch { name, declared: entry.uncompressed.into() },
        }
    }

    /// Compares the CRC as Go does: a descriptor has to agree with the directory; without one, a
    /// directory that says 0 is taken not to say anything.
    fn crc_holds(&mut self, entry: &Entry, start: u64, content: &Content) -> Result<bool, Error> {
        if entry.flags & DESCRIPTOR_FOLLOWS == 0 {
            return Ok(entry.crc == 0 || entry.crc == content.crc);
        }
        let end = start.saturating_add(entry.compressed.into());
        let descriptor = Descriptor::parse(self.window.at(end, 16)?);
        Ok(descriptor == Some(Descriptor { crc: entry.crc }) && entry.crc == content.crc)
    }

    fn sha256(&mut self) -> Result<[u8; 32], Error> {
        let mut hash = Sha256::new();
        let mut at = 0;
        loop {
            let piece = self.window.some_at(at, u64::MAX)?;
            if piece.is_empty() {
                return Ok(hash.finalize().into());
            }
            at = at.saturating_add(piece.len() as u64);
            hash.update(piece);
        }
    }
}

/// What Go reads of a data descriptor: with or without its signature, the sizes left out.
#[derive(PartialEq, Eq)]
struct Descriptor {
    crc: u32,
}

impl Descriptor {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let mut crc = fields.u32()?;
        if crc == DESCRIPTOR {
            crc = fields.u32()?;
        }
        fields.bytes(8)?; // sizes
        Some(Self { crc })
    }
}

/// Admits an entry of the directory by its name and sizes.
fn admit(table: &mut Table, header: &DirectoryHeader<'_>, base: i64) -> Result<Entry, Error> {
    let name = table.admit_name(header.name)?;
    let is_directory = name.kind == Kind::Directory;
    if is_directory && header.uncompressed != 0 {
        return Err(Error::DirectoryContent { name: table.shown(name) });
    }
    table.admit_size(name.kind, header.uncompressed)?;
    let offset = header.offset.cast_signed().wrapping_add(base);
    let compressed = if is_directory { 0 } else { header.compressed };
    let Ok(offset) = u32::try_from(offset) else {
        return Err(Error::NoEntry { name: table.shown(name) });
    };
    let (Ok(compressed), Ok(uncompressed)) =
        (u32::try_from(compressed), u32::try_from(header.uncompressed))
    else {
        // Files of 4 GiB are beyond every limit; this one claims to be in a smaller zip.
        return Err(Error::Overlap);
    };
    Ok(Entry {
        name,
        flags: header.flags,
        method: header.method,
        crc: header.crc,
        compressed,
        uncompressed,
        offset,
        sha256: [0; 32],
    })
}

/// Reads the directory header at `at`, and where it ends. `None`: the directory has ended.
fn next_header<R: Read + Seek>(
    window: &mut Window<R>,
    at: u64,
) -> Result<Option<(DirectoryHeader<'_>, u64)>, Error> {
    const NO_END: Error = Error::NotAZip { what: "the directory has no end" };
    let fixed = window.at(at, DIRECTORY_HEADER_LEN)?;
    if fixed.is_empty() {
        return Err(NO_END);
    }
    let Some(len) = DirectoryHeader::whole_len(fixed) else { return Ok(None) };
    if fixed.len() < DIRECTORY_HEADER_LEN || signature(fixed) != Some(DIRECTORY_HEADER) {
        return Ok(None);
    }
    let whole = window.at(at, len)?;
    if whole.len() < len {
        // Go tells a header cut after its fixed part from one cut further on.
        return if whole.len() == DIRECTORY_HEADER_LEN { Err(NO_END) } else { Ok(None) };
    }
    Ok(DirectoryHeader::parse(whole).map(|header| (header, at.saturating_add(len as u64))))
}

/// Where Go's reader begins to read the directory, and what it adds to every offset.
struct Start {
    directory: u64,
    base: i64,
    records: u64,
}

fn find_directory<R: Read + Seek>(window: &mut Window<R>) -> Result<Start, Error> {
    const NOWHERE: Error = Error::NotAZip { what: "the directory lies outside of the file" };
    let (mut at, mut end) = find_end(window)?;
    if end.wants_64()
        && let Some(found) = find_end64(window, at)?
    {
        (at, end) = found;
    }
    let (Ok(size), Ok(offset), Ok(at)) =
        (i64::try_from(end.size), i64::try_from(end.offset), i64::try_from(at))
    else {
        return Err(NOWHERE);
    };
    // Files may have something in front: every offset counts from where the zip begins.
    let base = at.wrapping_sub(size).wrapping_sub(offset);
    let Ok(directory) = u64::try_from(base.wrapping_add(offset)) else { return Err(NOWHERE) };
    if directory >= window.size() {
        return Err(NOWHERE);
    }
    // But where a header stands without that, it was a wrong number.
    if base > 0 {
        match next_header(window, end.offset) {
            Ok(Some(_)) => {
                return Ok(Start { directory: end.offset, base: 0, records: end.records });
            }
            Ok(None) | Err(Error::NotAZip { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Start { directory, base, records: end.records })
}

/// Looks for the end record in the last 1 KiB, then in the last 65 KiB, as Go does.
fn find_end<R: Read + Seek>(window: &mut Window<R>) -> Result<(u64, DirectoryEnd), Error> {
    for block in [1 << 10, 65 << 10] {
        let from = window.size().saturating_sub(block as u64);
        let tail = window.at(from, block)?;
        if let Some((at, end)) = end_in(tail) {
            return Ok((from.saturating_add(at as u64), end));
        }
    }
    Err(Error::NotAZip { what: "it has no central directory" })
}

/// Returns the last end record of a block, unless its comment is cut short.
fn end_in(block: &[u8]) -> Option<(usize, DirectoryEnd)> {
    let last = block.len().checked_sub(DIRECTORY_END_LEN)?;
    let at =
        (0..=last).rev().find(|at| block.get(*at..).and_then(signature) == Some(DIRECTORY_END))?;
    let (end, comment) = DirectoryEnd::parse(block.get(at..)?)?;
    (at + DIRECTORY_END_LEN + comment <= block.len()).then_some((at, end))
}

/// Returns the 64-bit end record, when a locator before `end` leads to one.
fn find_end64<R: Read + Seek>(
    window: &mut Window<R>,
    end: u64,
) -> Result<Option<(u64, DirectoryEnd)>, Error> {
    let Some(locator) = end.checked_sub(DIRECTORY64_LOCATOR_LEN as u64) else { return Ok(None) };
    let Some(at) = locate64(window.at(locator, DIRECTORY64_LOCATOR_LEN)?) else { return Ok(None) };
    if i64::try_from(at).is_err() {
        return Ok(None);
    }
    let record = window.at(at, DIRECTORY64_END_LEN)?;
    let is_record =
        record.len() == DIRECTORY64_END_LEN && signature(record) == Some(DIRECTORY64_END);
    match DirectoryEnd::parse64(record) {
        Some(found) if is_record => Ok(Some((at, found))),
        _ => Err(Error::NotAZip { what: "its 64-bit end record is missing" }),
    }
}
