//! The zip format as a plain writer makes it, record by record.

use std::num::TryFromIntError;

use gomod::ModVer;

use crate::{
    Error, H1,
    body::{Body, Fault, Keep},
    directory::{
        DEFLATED, DESCRIPTOR, DESCRIPTOR_FOLLOWS, DIRECTORY_END, DIRECTORY_END_LEN,
        DIRECTORY_HEADER, DIRECTORY_HEADER_LEN, DIRECTORY64_END, DIRECTORY64_END_LEN,
        DIRECTORY64_LOCATOR, DIRECTORY64_LOCATOR_LEN, DirectoryEnd, DirectoryHeader, ENCRYPTED,
        Fields, LOCAL_HEADER, LOCAL_HEADER_LEN, LocalHeader, STORED, locate64, signature,
    },
    limits::Limits,
    table::{Entry, Kind, Name, Table},
};

/// The stream is not conclusive. Why does not matter: the second look finds it, if it is a fault.
#[derive(Debug)]
pub(super) struct Doubt;

impl From<Error> for Doubt {
    fn from(_: Error) -> Self {
        Self
    }
}

impl From<Fault> for Doubt {
    fn from(_: Fault) -> Self {
        Self
    }
}

impl From<TryFromIntError> for Doubt {
    fn from(_: TryFromIntError) -> Self {
        Self
    }
}

/// Follows entries, directory and end, each record straight behind the one before, and compares
/// what the directory says with what the stream held.
pub(super) struct Stream {
    table: Table,
    body: Body,
    go_mod: Option<Vec<u8>>,
    state: State,
    /// Bytes of the record under way; at most one header long.
    held: Vec<u8>,
    /// Bytes taken so far.
    taken: u64,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Before a record that belongs to this part of the file.
    Record(Part),
    /// In an entry's content.
    Content(Current),
    /// In the descriptor behind an entry's content.
    Descriptor { entry: Entry },
    /// Behind the end record.
    Done,
}

/// Where in the file the next record stands.
#[derive(Debug, Clone, Copy)]
enum Part {
    Entries,
    /// In the directory that began at `start`, before its header of that number.
    Directory {
        start: u64,
        next: usize,
    },
    /// Behind the 64-bit end record, which began at `at`.
    Locator {
        at: u64,
    },
    /// Behind the locator of the 64-bit end record.
    End,
}

/// An entry whose content is under way.
#[derive(Debug, Clone, Copy)]
struct Current {
    name: Name,
    flags: u16,
    method: u16,
    crc: u32,
    offset: u32,
    /// Compressed bytes seen.
    seen: u64,
    /// Declared sizes; `None` when a descriptor says them afterwards.
    declared: Option<Declared>,
}

#[derive(Debug, Clone, Copy)]
struct Declared {
    compressed: u64,
    uncompressed: u64,
}

impl Stream {
    pub(super) fn new(module: &ModVer, limits: Limits) -> Self {
        Self {
            table: Table::new(module, limits),
            body: Body::new(),
            go_mod: None,
            state: State::Record(Part::Entries),
            held: Vec::new(),
            taken: 0,
        }
    }

    pub(super) fn feed(&mut self, mut input: &[u8]) -> Result<(), Doubt> {
        while !input.is_empty() {
            match self.state {
                State::Record(part) => self.record(part, &mut input)?,
                State::Content(current) => self.content(current, &mut input)?,
                State::Descriptor { entry } => self.descriptor(entry, &mut input)?,
                State::Done => return Err(Doubt),
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<(H1, Option<Vec<u8>>), Doubt> {
        let State::Done = self.state else { return Err(Doubt) };
        Ok((self.table.h1()?, self.go_mod))
    }

    /// Moves input to `held` until that has `want` bytes; `false`: the input ended before.
    fn gather(&mut self, input: &mut &[u8], want: usize) -> bool {
        let missing = want.saturating_sub(self.held.len()).min(input.len());
        let (bytes, rest) = input.split_at(missing);
        self.held.extend_from_slice(bytes);
        self.taken = self.taken.saturating_add(missing as u64);
        *input = rest;
        self.held.len() >= want
    }

    /// Takes one record other than a content or a descriptor.
    fn record(&mut self, part: Part, input: &mut &[u8]) -> Result<(), Doubt> {
        if !self.gather(input, 4) {
            return Ok(());
        }
        let signature = signature(&self.held).ok_or(Doubt)?;
        let fixed = match signature {
            LOCAL_HEADER => LOCAL_HEADER_LEN,
            DIRECTORY_HEADER => DIRECTORY_HEADER_LEN,
            DIRECTORY64_END => DIRECTORY64_END_LEN,
            DIRECTORY64_LOCATOR => DIRECTORY64_LOCATOR_LEN,
            DIRECTORY_END => DIRECTORY_END_LEN,
            _ => return Err(Doubt),
        };
        if !self.gather(input, fixed) {
            return Ok(());
        }
        let whole = match signature {
            LOCAL_HEADER => LocalHeader::whole_len(&self.held).ok_or(Doubt)?,
            DIRECTORY_HEADER => DirectoryHeader::whole_len(&self.held).ok_or(Doubt)?,
            _ => fixed,
        };
        if !self.gather(input, whole) {
            return Ok(());
        }
        let start = self.taken.saturating_sub(whole as u64);
        self.state = match (signature, part) {
            (LOCAL_HEADER, Part::Entries) => self.begin_entry(start)?,
            (DIRECTORY_HEADER, Part::Entries) => self.compare(start, 0)?,
            (DIRECTORY_HEADER, Part::Directory { start, next }) => self.compare(start, next)?,
            (DIRECTORY64_END, Part::Directory { start: directory, next }) => {
                self.end64(directory, next, start)?
            }
            (DIRECTORY64_LOCATOR, Part::Locator { at }) => self.locator(at)?,
            (DIRECTORY_END, Part::Entries) => self.end(start, 0, start)?,
            (DIRECTORY_END, Part::Directory { start: directory, next }) => {
                self.end(directory, next, start)?
            }
            (DIRECTORY_END, Part::End) => self.end_behind_64()?,
            _ => return Err(Doubt),
        };
        self.held.clear();
        Ok(())
    }

    fn begin_entry(&mut self, start: u64) -> Result<State, Doubt> {
        let header = LocalHeader::parse(&self.held).ok_or(Doubt)?;
        let has_descriptor = header.flags & DESCRIPTOR_FOLLOWS != 0;
        let is_plain = match header.method {
            DEFLATED => true,
            // Without compression nothing in the stream tells where such a content ends.
            STORED => !has_descriptor,
            _ => false,
        };
        if !is_plain || header.flags & ENCRYPTED != 0 {
            return Err(Doubt);
        }
        let name = self.table.admit_name(header.name)?;
        let declared = (!has_descriptor).then_some(Declared {
            compressed: header.compressed,
            uncompressed: header.uncompressed,
        });
        let room = self.table.room(name.kind);
        let limit = declared.map_or(room, |declared| declared.uncompressed.min(room));
        let keep = if name.kind == Kind::GoMod { Keep::Bytes } else { Keep::Nothing };
        self.body.begin(limit, keep);
        let current = Current {
            name,
            flags: header.flags,
            method: header.method,
            crc: header.crc,
            offset: u32::try_from(start)?,
            seen: 0,
            declared,
        };
        // An empty content has no byte that would bring us there.
        if header.method == STORED && header.compressed == 0 {
            return self.end_content(current);
        }
        Ok(State::Content(current))
    }

    fn content(&mut self, mut current: Current, input: &mut &[u8]) -> Result<(), Doubt> {
        let left = current.declared.map(|declared| declared.compressed - current.seen);
        let most = left.map_or(input.len(), |left| {
            usize::try_from(left).unwrap_or(usize::MAX).min(input.len())
        });
        let (piece, _) = input.split_at(most);
        let (consumed, ended) = if current.method == STORED {
            self.body.store(piece)?;
            (most, left == Some(most as u64))
        } else {
            let progress = self.body.inflate(piece)?;
            (progress.consumed, progress.ended)
        };
        *input = input.get(consumed..).unwrap_or_default();
        self.taken = self.taken.saturating_add(consumed as u64);
        current.seen = current.seen.saturating_add(consumed as u64);
        self.state = if ended {
            self.end_content(current)?
        } else if left == Some(consumed as u64) {
            return Err(Doubt);
        } else {
            State::Content(current)
        };
        Ok(())
    }

    fn end_content(&mut self, current: Current) -> Result<State, Doubt> {
        let content = self.body.end();
        if let Some(declared) = current.declared {
            let is_exact = declared.compressed == current.seen
                && declared.uncompressed == content.size
                && current.crc == content.crc;
            is_exact.then_some(()).ok_or(Doubt)?;
        }
        self.table.admit_size(current.name.kind, content.size)?;
        if current.name.kind == Kind::GoMod {
            self.go_mod = content.bytes;
        }
        let entry = Entry {
            name: current.name,
            flags: current.flags,
            method: current.method,
            crc: content.crc,
            compressed: u32::try_from(current.seen)?,
            uncompressed: u32::try_from(content.size)?,
            offset: current.offset,
            sha256: content.sha256,
        };
        if current.declared.is_none() {
            return Ok(State::Descriptor { entry });
        }
        self.table.push(entry);
        Ok(State::Record(Part::Entries))
    }

    /// Takes a descriptor, with or without signature, with sizes of 32 or 64 bits.
    fn descriptor(&mut self, entry: Entry, input: &mut &[u8]) -> Result<(), Doubt> {
        if !self.gather(input, 4) {
            return Ok(());
        }
        let fixed = if signature(&self.held) == Some(DESCRIPTOR) { 4 } else { 0 };
        if !self.gather(input, fixed + 12) {
            return Ok(());
        }
        let numbers = Fields(self.held.get(fixed..).unwrap_or_default());
        let found = narrow(numbers).ok_or(Doubt)?;
        if found != (entry.crc, entry.compressed, entry.uncompressed) {
            if !self.gather(input, fixed + 20) {
                return Ok(());
            }
            let numbers = Fields(self.held.get(fixed..).unwrap_or_default());
            let wanted = (entry.crc, entry.compressed.into(), entry.uncompressed.into());
            if wide(numbers) != Some(wanted) {
                return Err(Doubt);
            }
        }
        self.held.clear();
        self.table.push(entry);
        self.state = State::Record(Part::Entries);
        Ok(())
    }

    /// Compares a header of the directory with the entry that the stream held.
    fn compare(&self, start: u64, index: usize) -> Result<State, Doubt> {
        let header = DirectoryHeader::parse(&self.held).ok_or(Doubt)?;
        let entry = self.table.entries().get(index).ok_or(Doubt)?;
        let telling = DESCRIPTOR_FOLLOWS | ENCRYPTED;
        let is_same = header.flags & telling == entry.flags & telling
            && header.method == entry.method
            && header.crc == entry.crc
            && header.compressed == u64::from(entry.compressed)
            && header.uncompressed == u64::from(entry.uncompressed)
            && header.offset == u64::from(entry.offset)
            && self.table.is_name(entry.name, header.name);
        is_same.then_some(()).ok_or(Doubt)?;
        Ok(State::Record(Part::Directory { start, next: index + 1 }))
    }

    /// Compares an end record that stands at `at` with the directory that began at `start`.
    fn is_end(&self, end: DirectoryEnd, start: u64, next: usize, at: u64) -> Result<(), Doubt> {
        let found = DirectoryEnd {
            records: self.table.entries().len() as u64,
            size: at.saturating_sub(start),
            offset: start,
        };
        let is_all = next == self.table.entries().len();
        (is_all && end == found).then_some(()).ok_or(Doubt)
    }

    fn end(&self, start: u64, next: usize, at: u64) -> Result<State, Doubt> {
        let (end, comment) = DirectoryEnd::parse(&self.held).ok_or(Doubt)?;
        // Go would look for a 64-bit record in bytes that are something else.
        if comment > 0 || end.wants_64() {
            return Err(Doubt);
        }
        self.is_end(end, start, next, at)?;
        Ok(State::Done)
    }

    fn end64(&self, start: u64, next: usize, at: u64) -> Result<State, Doubt> {
        let end = DirectoryEnd::parse64(&self.held).ok_or(Doubt)?;
        self.is_end(end, start, next, at)?;
        Ok(State::Record(Part::Locator { at }))
    }

    fn locator(&self, at: u64) -> Result<State, Doubt> {
        (locate64(&self.held) == Some(at)).then_some(State::Record(Part::End)).ok_or(Doubt)
    }

    fn end_behind_64(&self) -> Result<State, Doubt> {
        let (end, comment) = DirectoryEnd::parse(&self.held).ok_or(Doubt)?;
        // Go must want the 64-bit record, else it reads the directory by the numbers of this one.
        (comment == 0 && end.wants_64()).then_some(State::Done).ok_or(Doubt)
    }
}

fn narrow(mut fields: Fields<'_>) -> Option<(u32, u32, u32)> {
    Some((fields.u32()?, fields.u32()?, fields.u32()?))
}

fn wide(mut fields: Fields<'_>) -> Option<(u32, u64, u64)> {
    Some((fields.u32()?, fields.u64()?, fields.u64()?))
}
