//! The records of the zip format, read as Go's `archive/zip` reads them.

/// Signatures of the records, as little-endian numbers.
pub(crate) const LOCAL_HEADER: u32 = 0x0403_4b50;
pub(crate) const DIRECTORY_HEADER: u32 = 0x0201_4b50;
pub(crate) const DIRECTORY_END: u32 = 0x0605_4b50;
pub(crate) const DIRECTORY64_END: u32 = 0x0606_4b50;
pub(crate) const DIRECTORY64_LOCATOR: u32 = 0x0706_4b50;
pub(crate) const DESCRIPTOR: u32 = 0x0807_4b50;

/// Lengths of the records' fixed parts, in bytes.
pub(crate) const LOCAL_HEADER_LEN: usize = 30;
pub(crate) const DIRECTORY_HEADER_LEN: usize = 46;
pub(crate) const DIRECTORY_END_LEN: usize = 22;
pub(crate) const DIRECTORY64_END_LEN: usize = 56;
pub(crate) const DIRECTORY64_LOCATOR_LEN: usize = 20;

/// Longest directory header: its three variable parts have 16-bit lengths.
pub(crate) const MAX_DIRECTORY_HEADER_LEN: usize = DIRECTORY_HEADER_LEN + 3 * 0xffff;

/// Flag bits: the content is encrypted; its sizes and CRC stand in a descriptor behind it.
pub(crate) const ENCRYPTED: u16 = 1;
pub(crate) const DESCRIPTOR_FOLLOWS: u16 = 8;

/// Compression methods.
pub(crate) const STORED: u16 = 0;
pub(crate) const DEFLATED: u16 = 8;

const ZIP64_EXTRA: u16 = 1;

/// A reader of little-endian fields; `None` at the end of the bytes.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn len(&mut self) -> Option<usize> {
        self.u16().map(usize::from)
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }
}

/// Returns the number that a record begins with.
pub(crate) fn signature(record: &[u8]) -> Option<u32> {
    Fields(record).u32()
}

/// What stands before an entry's content.
pub(crate) struct LocalHeader<'a> {
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) crc: u32,
    pub(crate) compressed: u64,
    pub(crate) uncompressed: u64,
    pub(crate) name: &'a [u8],
}

impl<'a> LocalHeader<'a> {
    /// Returns the length of the whole header, from its fixed part.
    pub(crate) fn whole_len(fixed: &[u8]) -> Option<usize> {
        let mut fields = Fields(fixed.get(26..LOCAL_HEADER_LEN)?);
        Some(LOCAL_HEADER_LEN + fields.len()? + fields.len()?)
    }

    /// Parses a whole header. `None`: cut short, or sizes that the zip64 field owes are missing.
    pub(crate) fn parse(header: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(header);
        fields.bytes(6)?; // signature, version
        let (flags, method) = (fields.u16()?, fields.u16()?);
        fields.bytes(4)?; // time, date
        let crc = fields.u32()?;
        let (mut compressed, mut uncompressed) = (u64::from(fields.u32()?), fields.u32()?.into());
        let (name_len, extra_len) = (fields.len()?, fields.len()?);
        let (name, extra) = (fields.bytes(name_len)?, fields.bytes(extra_len)?);
        widen(extra, [&mut uncompressed, &mut compressed])?.then_some(())?;
        Some(Self { flags, method, crc, compressed, uncompressed, name })
    }
}

/// An entry of the central directory.
pub(crate) struct DirectoryHeader<'a> {
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) crc: u32,
    pub(crate) compressed: u64,
    pub(crate) uncompressed: u64,
    /// Where the local header stands, before the file's base offset is added.
    pub(crate) offset: u64,
    pub(crate) name: &'a [u8],
}

impl<'a> DirectoryHeader<'a> {
    /// Returns the length of the whole header, from its fixed part.
    pub(crate) fn whole_len(fixed: &[u8]) -> Option<usize> {
        let mut fields = Fields(fixed.get(28..34)?);
        Some(DIRECTORY_HEADER_LEN + fields.len()? + fields.len()? + fields.len()?)
    }

    /// Parses a whole header. `None`: no header, or one that Go's reader takes for the end.
    pub(crate) fn parse(header: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(header);
        if fields.u32()? != DIRECTORY_HEADER {
            return None;
        }
        fields.bytes(4)?; // versions
        let (flags, method) = (fields.u16()?, fields.u16()?);
        fields.bytes(4)?; // time, date
        let crc = fields.u32()?;
        let (mut compressed, mut uncompressed) = (u64::from(fields.u32()?), fields.u32()?.into());
        let (name_len, extra_len) = (fields.len()?, fields.len()?);
        fields.bytes(10)?; // comment length, disk, attributes
        let mut offset = u64::from(fields.u32()?);
        let (name, extra) = (fields.bytes(name_len)?, fields.bytes(extra_len)?);
        // An uncompressed size of 2^32-1 without a zip64 field is taken as it is, the others not.
        let owed = u64::from(u32::MAX);
        let lenient = compressed != owed && offset != owed;
        let paid = widen(extra, [&mut uncompressed, &mut compressed, &mut offset])?;
        (paid || lenient).then_some(Self {
            flags,
            method,
            crc,
            compressed,
            uncompressed,
            offset,
            name,
        })
    }
}

/// Replaces the numbers that are 2^32-1 by those of the zip64 field, in order.
///
/// `None`: the field is too short for them. `Some(false)`: there is no such field, though wanted.
fn widen<const N: usize>(extra: &[u8], numbers: [&mut u64; N]) -> Option<bool> {
    let owed = u64::from(u32::MAX);
    if numbers.iter().all(|number| **number != owed) {
        return Some(true);
    }
    let Some(field) = zip64_field(extra) else { return Some(false) };
    let mut fields = Fields(field);
    for number in numbers {
        if *number == owed {
            *number = fields.u64()?;
        }
    }
    Some(true)
}

fn zip64_field(extra: &[u8]) -> Option<&[u8]> {
    let mut fields = Fields(extra);
    loop {
        let (tag, len) = (fields.u16()?, fields.len()?);
        let field = fields.bytes(len)?;
        if tag == ZIP64_EXTRA {
            return Some(field);
        }
    }
}

/// The end of the central directory: how much there is of it, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DirectoryEnd {
    pub(crate) records: u64,
    pub(crate) size: u64,
    pub(crate) offset: u64,
}

impl DirectoryEnd {
    /// Parses the record with 32-bit fields, and the length of the comment behind it.
    pub(crate) fn parse(record: &[u8]) -> Option<(Self, usize)> {
        let mut fields = Fields(record);
        fields.bytes(10)?; // signature, disks, records on this disk
        let records = fields.u16()?.into();
        let (size, offset) = (fields.u32()?.into(), fields.u32()?.into());
        Some((Self { records, size, offset }, fields.len()?))
    }

    /// Parses the record with 64-bit fields.
    pub(crate) fn parse64(record: &[u8]) -> Option<Self> {
        let mut fields = Fields(record);
        fields.bytes(32)?; // signature, length, versions, disks, records on this disk
        Some(Self { records: fields.u64()?, size: fields.u64()?, offset: fields.u64()? })
    }

    /// Reports whether Go's reader looks for the 64-bit record (its comparison of `size` with
    /// 16 bits is as it stands there).
    pub(crate) fn wants_64(&self) -> bool {
        self.records == 0xffff || self.size == 0xffff || self.offset == u64::from(u32::MAX)
    }
}

/// Returns where a locator says that the 64-bit end record stands.
pub(crate) fn locate64(locator: &[u8]) -> Option<u64> {
    let mut fields = Fields(locator);
    let (signature, disk) = (fields.u32()?, fields.u32()?);
    let offset = fields.u64()?;
    (signature == DIRECTORY64_LOCATOR && disk == 0 && fields.u32()? == 1).then_some(offset)
}
