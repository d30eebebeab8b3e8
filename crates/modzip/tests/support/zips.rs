//! Zips written byte by byte, with any field other than it should be.

use std::io::Write;

use flate2::{Compression, Crc, write::DeflateEncoder};

pub(crate) const STORED: u16 = 0;
pub(crate) const DEFLATED: u16 = 8;

/// What stands behind an entry's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Descriptor {
    None,
    Signed,
    Unsigned,
    Signed64,
    Unsigned64,
}

/// One entry; the fields in `Option` replace what would be right.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) name: Vec<u8>,
    pub(crate) local_name: Option<Vec<u8>>,
    pub(crate) content: Vec<u8>,
    pub(crate) method: u16,
    /// The compressed bytes.
    pub(crate) raw: Option<Vec<u8>>,
    pub(crate) descriptor: Descriptor,
    /// Flags added in both headers, and in the directory's only.
    pub(crate) flags: u16,
    pub(crate) directory_flags: u16,
    /// In both headers and the descriptor, and in the directory only.
    pub(crate) crc: Option<u32>,
    pub(crate) directory_crc: Option<u32>,
    pub(crate) directory_compressed: Option<u64>,
    pub(crate) directory_uncompressed: Option<u64>,
    pub(crate) local_compressed: Option<u32>,
    pub(crate) local_uncompressed: Option<u32>,
    pub(crate) directory_method: Option<u16>,
    pub(crate) offset: Option<u64>,
    /// Sizes and offset in zip64 fields.
    pub(crate) zip64: bool,
    /// Bytes before the local header, and behind the descriptor.
    pub(crate) gap: Vec<u8>,
    pub(crate) trail: Vec<u8>,
    pub(crate) extra: Vec<u8>,
    pub(crate) comment: Vec<u8>,
    pub(crate) is_listed: bool,
}

impl Item {
    pub(crate) fn new(name: &str, content: &[u8]) -> Self {
        Self {
            name: name.as_bytes().to_vec(),
            local_name: None,
            content: content.to_vec(),
            method: DEFLATED,
            raw: None,
            descriptor: Descriptor::Signed,
            flags: 0,
            directory_flags: 0,
            crc: None,
            directory_crc: None,
            directory_compressed: None,
            directory_uncompressed: None,
            local_compressed: None,
            local_uncompressed: None,
            directory_method: None,
            offset: None,
            zip64: false,
            gap: Vec::new(),
            trail: Vec::new(),
            extra: Vec::new(),
            comment: Vec::new(),
            is_listed: true,
        }
    }

    pub(crate) fn stored(name: &str, content: &[u8]) -> Self {
        Self { method: STORED, descriptor: Descriptor::None, ..Self::new(name, content) }
    }

    pub(crate) fn directory(name: &str) -> Self {
        Self::stored(name, b"")
    }
}

/// A zip; the fields in `Option` replace what would be right.
#[derive(Debug, Clone, Default)]
pub(crate) struct Zip {
    pub(crate) items: Vec<Item>,
    /// Bytes before everything, not counted in offsets.
    pub(crate) prefix: Vec<u8>,
    pub(crate) before_directory: Vec<u8>,
    pub(crate) before_end: Vec<u8>,
    pub(crate) comment: Vec<u8>,
    pub(crate) comment_len: Option<u16>,
    pub(crate) suffix: Vec<u8>,
    /// Write the 64-bit end record, and let the other one point to it.
    pub(crate) zip64: bool,
    pub(crate) records: Option<u64>,
    pub(crate) directory_size: Option<u64>,
    pub(crate) directory_offset: Option<u64>,
    /// The order of the directory's headers.
    pub(crate) order: Option<Vec<usize>>,
}

impl Zip {
    pub(crate) fn of(items: Vec<Item>) -> Self {
        Self { items, ..Self::default() }
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut places = Vec::new();
        for item in &self.items {
            out.extend_from_slice(&item.gap);
            places.push(write_entry(&mut out, item));
            out.extend_from_slice(&item.trail);
        }
        out.extend_from_slice(&self.before_directory);
        let start = out.len() as u64;
        let straight = (0..self.items.len()).collect();
        let mut records = 0;
        for index in self.order.as_ref().unwrap_or(&straight) {
            let (Some(item), Some(place)) = (self.items.get(*index), places.get(*index)) else {
                continue;
            };
            if item.is_listed {
                write_header(&mut out, item, place);
                records += 1;
            }
        }
        let size = out.len() as u64 - start;
        out.extend_from_slice(&self.before_end);
        self.write_end(&mut out, [records, size, start]);
        let mut whole = self.prefix.clone();
        whole.append(&mut out);
        whole.extend_from_slice(&self.suffix);
        whole
    }

    fn write_end(&self, out: &mut Vec<u8>, [records, size, offset]: [u64; 3]) {
        let records = self.records.unwrap_or(records);
        let size = self.directory_size.unwrap_or(size);
        let offset = self.directory_offset.unwrap_or(offset);
        if self.zip64 {
            let at = out.len() as u64;
            put(out, &[0x0606_4b50], 4);
            put(out, &[44], 8);
            put(out, &[45, 45], 2);
            put(out, &[0, 0], 4);
            put(out, &[records, records, size, offset], 8);
            put(out, &[0x0706_4b50, 0], 4);
            put(out, &[at], 8);
            put(out, &[1], 4);
        }
        put(out, &[0x0605_4b50], 4);
        let short = if self.zip64 { 0xffff } else { records & 0xffff };
        put(out, &[0, 0, short, short], 2);
        let mask = u64::from(u32::MAX);
        let long = |number| if self.zip64 { mask } else { number & mask };
        put(out, &[long(size), long(offset)], 4);
        let len = self.comment_len.map_or(self.comment.len() as u64, u64::from);
        put(out, &[len], 2);
        out.extend_from_slice(&self.comment);
    }
}

struct Written {
    offset: u64,
    crc: u32,
    compressed: u64,
}

fn write_entry(out: &mut Vec<u8>, item: &Item) -> Written {
    let raw = item.raw.clone().unwrap_or_else(|| pack(item.method, &item.content));
    let crc = item.crc.unwrap_or_else(|| crc32(&item.content));
    let written = Written { offset: out.len() as u64, crc, compressed: raw.len() as u64 };
    let has_descriptor = item.descriptor != Descriptor::None;
    let name = item.local_name.as_ref().unwrap_or(&item.name);
    let uncompressed = item.content.len() as u64;
    let mask = u64::from(u32::MAX);
    let mut extra = item.extra.clone();
    let mut sizes =
        if has_descriptor { [0, 0, 0] } else { [u64::from(crc), written.compressed, uncompressed] };
    if item.zip64 && !has_descriptor {
        put(&mut extra, &[1, 16], 2);
        put(&mut extra, &[uncompressed, written.compressed], 8);
        sizes = [u64::from(crc), mask, mask];
    }
    let [crc_field, compressed, declared] = sizes;
    let compressed = item.local_compressed.map_or(compressed, u64::from);
    let declared = item.local_uncompressed.map_or(declared, u64::from);
    put(out, &[0x0403_4b50], 4);
    put(out, &[20, u64::from(item.flags | flag(item)), u64::from(item.method), 0, 0], 2);
    put(out, &[crc_field, compressed, declared], 4);
    put(out, &[name.len() as u64, extra.len() as u64], 2);
    out.extend_from_slice(name);
    out.extend_from_slice(&extra);
    out.extend_from_slice(&raw);
    if matches!(item.descriptor, Descriptor::Signed | Descriptor::Signed64) {
        put(out, &[0x0807_4b50], 4);
    }
    if has_descriptor {
        put(out, &[u64::from(crc)], 4);
        let is_wide = matches!(item.descriptor, Descriptor::Signed64 | Descriptor::Unsigned64);
        put(out, &[written.compressed, uncompressed], if is_wide { 8 } else { 4 });
    }
    written
}

fn write_header(out: &mut Vec<u8>, item: &Item, written: &Written) {
    let crc = item.directory_crc.unwrap_or(written.crc);
    let compressed = item.directory_compressed.unwrap_or(written.compressed);
    let uncompressed = item.directory_uncompressed.unwrap_or(item.content.len() as u64);
    let offset = item.offset.unwrap_or(written.offset);
    let method = item.directory_method.unwrap_or(item.method);
    let mut extra = item.extra.clone();
    let mask = u64::from(u32::MAX);
    let mut numbers = [compressed, uncompressed, offset];
    if item.zip64 {
        put(&mut extra, &[1, 24], 2);
        put(&mut extra, &[uncompressed, compressed, offset], 8);
        numbers = [mask; 3];
    }
    let [compressed, uncompressed, offset] = numbers;
    let flags = item.flags | item.directory_flags | flag(item);
    put(out, &[0x0201_4b50], 4);
    put(out, &[20, 20, u64::from(flags), u64::from(method), 0, 0], 2);
    put(out, &[u64::from(crc), compressed, uncompressed], 4);
    put(out, &[item.name.len() as u64, extra.len() as u64, item.comment.len() as u64, 0, 0], 2);
    put(out, &[0, offset], 4);
    out.extend_from_slice(&item.name);
    out.extend_from_slice(&extra);
    out.extend_from_slice(&item.comment);
}

fn flag(item: &Item) -> u16 {
    if item.descriptor == Descriptor::None { 0 } else { 8 }
}

fn put(out: &mut Vec<u8>, numbers: &[u64], width: usize) {
    for number in numbers {
        out.extend(number.to_le_bytes().into_iter().take(width));
    }
}

pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

pub(crate) fn pack(method: u16, content: &[u8]) -> Vec<u8> {
    if method != DEFLATED {
        return content.to_vec();
    }
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(6));
    // Writing to memory does not fail.
    let _ = encoder.write_all(content);
    encoder.finish().unwrap_or_default()
}

/// A zip whose last directory header takes the end record for its comment, so that Go's reader
/// goes on behind it, where `tail` stands.
pub(crate) fn swallowed_end(mut item: Item, tail: &[u8]) -> Vec<u8> {
    item.comment = vec![0; 22];
    let mut zip = Zip::of(vec![item]).build();
    let end = zip.len() - 22;
    let directory = zip.windows(4).position(|window| window == b"PK\x01\x02").unwrap_or_default();
    zip.truncate(end - 22);
    let size = zip.len() - directory;
    let whole = Zip {
        records: Some(1),
        directory_size: Some(size as u64),
        directory_offset: Some(directory as u64),
        comment: tail.to_vec(),
        ..Zip::default()
    };
    zip.extend_from_slice(&whole.build());
    zip
}

/// The fixed part of a directory header whose name, of five bytes, is missing.
pub(crate) fn cut_header() -> Vec<u8> {
    let mut header = b"PK\x01\x02".to_vec();
    header.resize(46, 0);
    if let Some(len) = header.get_mut(28) {
        *len = 5;
    }
    header
}
