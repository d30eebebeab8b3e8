//! The records of a zip, as they are written.

use crate::directory::{
    DESCRIPTOR, DESCRIPTOR_FOLLOWS, DIRECTORY_END, DIRECTORY_HEADER, DIRECTORY64_END,
    DIRECTORY64_END_LEN, DIRECTORY64_LOCATOR, LOCAL_HEADER,
};

/// 2.0: what reads deflate.
const VERSION: u16 = 20;
/// 4.5: what reads the 64-bit end record.
const VERSION_64: u16 = 45;
/// Flag bit: the name is UTF-8.
const UTF8: u16 = 1 << 11;
/// Midnight, and 1980-01-01: the first moment of the format. Times are no part of the content.
const TIME: u16 = 0;
const DATE: u16 = 1 << 5 | 1;

/// What both headers of an entry say.
pub(super) struct Header<'a> {
    /// Prefix and name.
    pub(super) name: [&'a str; 2],
    pub(super) method: u16,
    pub(super) streamed: bool,
}

/// What both headers say of a content, or the header and a descriptor.
#[derive(Default)]
pub(super) struct Sizes {
    crc: u32,
    compressed: u32,
    uncompressed: u32,
}

impl Sizes {
    /// `None` beyond 4 GiB.
    pub(super) fn of(crc: u32, compressed: u64, uncompressed: u64) -> Option<Self> {
        let (compressed, uncompressed) =
            (compressed.try_into().ok()?, uncompressed.try_into().ok()?);
        Some(Self { crc, compressed, uncompressed })
    }

    /// Writes what stands behind a streamed content.
    pub(super) fn write_descriptor(&self, out: &mut Vec<u8>) {
        put32(out, [DESCRIPTOR, self.crc, self.compressed, self.uncompressed]);
    }
}

impl Header<'_> {
    /// Writes what stands before the content.
    pub(super) fn write_local(&self, sizes: &Sizes, out: &mut Vec<u8>) {
        put32(out, [LOCAL_HEADER]);
        self.write_common(sizes, out);
        self.write_name(out);
    }

    /// Writes the entry of the central directory.
    pub(super) fn write_central(&self, sizes: &Sizes, offset: u32, out: &mut Vec<u8>) {
        put32(out, [DIRECTORY_HEADER]);
        put16(out, [VERSION]);
        self.write_common(sizes, out);
        // Comment, disk, attributes inside and outside of the content.
        put16(out, [0, 0, 0, 0, 0]);
        put32(out, [offset]);
        self.write_name(out);
    }

    fn write_common(&self, sizes: &Sizes, out: &mut Vec<u8>) {
        let descriptor = if self.streamed { DESCRIPTOR_FOLLOWS } else { 0 };
        let utf8 = if self.name.iter().all(|part| part.is_ascii()) { 0 } else { UTF8 };
        put16(out, [VERSION, descriptor | utf8, self.method, TIME, DATE]);
        put32(out, [sizes.crc, sizes.compressed, sizes.uncompressed]);
        let len: usize = self.name.iter().map(|part| part.len()).sum();
        // Names that do not fit were refused when the entry was begun; no extra field.
        put16(out, [u16::try_from(len).unwrap_or(u16::MAX), 0]);
    }

    fn write_name(&self, out: &mut Vec<u8>) {
        self.name.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
    }
}

/// Writes the end of the central directory, which stands at `offset`.
///
/// Sizes never need 64 bits, but from 65,535 entries on their number does not fit 16: Go's reader
/// would not mind, others would find a few thousand files less.
pub(super) fn write_end(entries: usize, size: u64, offset: u64, out: &mut Vec<u8>) {
    let here = offset.saturating_add(size);
    let short = u16::try_from(entries).unwrap_or(u16::MAX);
    if short == u16::MAX {
        put32(out, [DIRECTORY64_END]);
        // The length behind itself and the signature.
        put64(out, [DIRECTORY64_END_LEN as u64 - 12]);
        put16(out, [VERSION_64, VERSION_64]);
        put32(out, [0, 0]);
        put64(out, [entries as u64, entries as u64, size, offset]);
        put32(out, [DIRECTORY64_LOCATOR, 0]);
        put64(out, [here]);
        put32(out, [1]);
    }
    put32(out, [DIRECTORY_END]);
    put16(out, [0, 0, short, short]);
    // Past 4 GiB, so past every limit, the caller refuses the zip.
    put32(out, [size, offset].map(|number| u32::try_from(number).unwrap_or(u32::MAX)));
    put16(out, [0]);
}

fn put16<const N: usize>(out: &mut Vec<u8>, numbers: [u16; N]) {
    out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

fn put32<const N: usize>(out: &mut Vec<u8>, numbers: [u32; N]) {
    out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

fn put64<const N: usize>(out: &mut Vec<u8>, numbers: [u64; N]) {
    out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}
