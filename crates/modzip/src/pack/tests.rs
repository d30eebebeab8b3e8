//! What is written passes the room's own judgement, with the same hash.

use std::io::{Cursor, Read};

use gomod::{ModVer, ModulePath, Version};
use proptest::prelude::*;

use super::*;
use crate::{Checker, Opinion, check};

fn module() -> ModVer {
    let path = ModulePath::parse("example.com/Unit").unwrap();
    ModVer::new(path, Version::parse("v1.0.0").unwrap()).unwrap()
}

/// Text that deflates, the same in every run.
fn text(len: usize) -> Vec<u8> {
    (0..len).map(|at| b"the quick brown fox\n"[(at * at / 7) % 20]).collect()
}

/// Bytes that do not deflate.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[4]
    };
    (0..len).map(|_| next()).collect()
}

fn write(files: &[(&str, Packed)]) -> (Vec<u8>, H1) {
    let mut packer = Packer::new(&module());
    let mut out = Vec::new();
    for (name, file) in files {
        packer.add(name, file, &mut out).unwrap();
    }
    let h1 = packer.finish(&mut out).unwrap();
    (out, h1)
}

/// Judges a zip by directory and by stream; both must agree with what the writer said.
fn judge(zip: &[u8], h1: &H1) {
    let checked = check(&module(), Cursor::new(zip)).unwrap();
    assert_eq!(checked.h1(), h1);
    let mut stream = Checker::new(&module());
    for piece in zip.chunks(1000) {
        stream.feed(piece).unwrap();
    }
    let Opinion::Final(streamed) = stream.finish().unwrap() else { panic!("a second look") };
    assert_eq!(streamed, checked);
}

/// Names and contents as another reader sees them.
fn contents(zip: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut file = archive.by_index(index).unwrap();
            let mut content = Vec::new();
            file.read_to_end(&mut content).unwrap();
            (file.name().unwrap().into_owned(), content)
        })
        .collect()
}

#[test]
fn what_is_written_is_read_back() {
    let files = [
        (".github/x.yml", text(10)),
        ("LICENSE", text(11_000)),
        ("a b.go", Vec::new()),
        ("go.mod", b"module example.com/Unit\n".to_vec()),
        ("noise.bin", noise(70_000)),
        ("one", b"x".to_vec()),
        ("é/中.txt", text(300_000)),
    ];
    let packed = files.each_ref().map(|(name, content)| (*name, Packed::new(content)));
    let (zip, h1) = write(&packed);
    judge(&zip, &h1);
    let expected =
        files.map(|(name, content)| (format!("example.com/Unit@v1.0.0/{name}"), content));
    assert_eq!(contents(&zip), expected);
}

#[test]
fn an_empty_zip_is_whole() {
    let (zip, h1) = write(&[]);
    assert_eq!(zip.len(), 22);
    assert_eq!(h1.to_string(), "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
}

#[test]
fn the_bytes_are_these_for_ever() {
    let (zip, _) = write(&[("a.go", Packed::new(b"package a\n")), ("é", Packed::new(&[b'x'; 50]))]);
    let expected = [
        "504b0304 1400 0000 0000 0000 2100 c54232c9 0a000000 0a000000 1c00 0000",
        "6578616d706c652e636f6d2f556e69744076312e302e302f612e676f",
        "7061636b61676520610a",
        "504b0304 1400 0008 0800 0000 2100 038a62ac 06000000 32000000 1a00 0000",
        "6578616d706c652e636f6d2f556e69744076312e302e302fc3a9",
        "aba820150000",
        "504b0102 1400 1400 0000 0000 0000 2100 c54232c9 0a000000 0a000000 1c00 0000",
        "0000 0000 0000 00000000 00000000",
        "6578616d706c652e636f6d2f556e69744076312e302e302f612e676f",
        "504b0102 1400 1400 0008 0800 0000 2100 038a62ac 06000000 32000000 1a00 0000",
        "0000 0000 0000 00000000 44000000",
        "6578616d706c652e636f6d2f556e69744076312e302e302fc3a9",
        "504b0506 0000 0000 0200 0200 92000000 82000000 0000",
    ];
    let expected: String = expected.concat().replace(' ', "");
    assert_eq!(hex::encode(&zip), expected);
}

#[test]
fn contents_that_do_not_shrink_are_stored() {
    for content in [b"".as_slice(), b"x", b"abc", &noise(5000)] {
        let packed = Packed::new(content);
        assert!(!packed.deflated && packed.bytes == content);
    }
    let packed = Packed::new(&text(5000));
    assert!(packed.deflated && packed.bytes.len() < 2500, "{}", packed.bytes.len());
}

#[test]
fn a_deflater_gives_the_same_whatever_came_before() {
    let mut deflater = Deflater::new();
    for content in [text(100_000), noise(100_000), text(5), text(100_000), vec![0; 5_000_000]] {
        assert_eq!(deflater.pack(&content), Packed::new(&content));
    }
}

#[test]
fn names_ascend() {
    let mut packer = Packer::new(&module());
    let (file, mut out) = (Packed::new(b"x"), Vec::new());
    packer.add("b", &file, &mut out).unwrap();
    for name in ["a", "b", "B", ""] {
        let error = packer.add(name, &file, &mut out).unwrap_err();
        assert!(matches!(error, Error::Writing { .. }), "{name}: {error}");
    }
    packer.add("b/c", &file, &mut out).unwrap();
}

/// Writes one large content in pieces of the given length.
fn streamed(content: &[u8], piece_bytes: usize) -> (Vec<u8>, H1) {
    let mut packer = Packer::new(&module());
    let mut out = Vec::new();
    packer.add("a.go", &Packed::new(b"package a\n"), &mut out).unwrap();
    let mut stream = packer.stream("b.bin", content.len() as u64, &mut out).unwrap();
    for piece in content.chunks(piece_bytes) {
        stream.feed(piece, &mut out).unwrap();
    }
    stream.end(&mut out).unwrap();
    packer.add("c.go", &Packed::new(b"package c\n"), &mut out).unwrap();
    let h1 = packer.finish(&mut out).unwrap();
    (out, h1)
}

#[test]
fn large_contents_are_streamed_to_the_same_bytes() {
    let len = usize::try_from(MAX_PACKED_BYTES).unwrap() + 1;
    let mut content = text(len / 2);
    content.extend(noise(len - len / 2));
    let (zip, h1) = streamed(&content, len);
    judge(&zip, &h1);
    for piece_bytes in [4096, 65_537, 1_000_000] {
        assert!(streamed(&content, piece_bytes).0 == zip, "in pieces of {piece_bytes}");
    }
    let read = contents(&zip);
    assert!(read.len() == 3 && read[1].1 == content);
}

#[test]
fn size_alone_decides_what_is_streamed() {
    let len = usize::try_from(MAX_PACKED_BYTES).unwrap();
    let mut packer = Packer::new(&module());
    let mut out = Vec::new();
    let error = packer.stream("a", MAX_PACKED_BYTES, &mut out).unwrap_err();
    assert!(matches!(error, Error::Writing { .. }), "{error}");
    packer.add("a", &Packed::new(&vec![0; len]), &mut out).unwrap();
    let error = packer.add("b", &Packed::new(&vec![0; len + 1]), &mut out).unwrap_err();
    assert!(matches!(error, Error::Writing { .. }), "{error}");
}

#[test]
fn a_streamed_content_has_the_declared_size() {
    let size = MAX_PACKED_BYTES + 1;
    let mut out = Vec::new();
    let mut packer = Packer::new(&module());
    let mut stream = packer.stream("a", size, &mut out).unwrap();
    stream.feed(b"x", &mut out).unwrap();
    assert!(matches!(stream.end(&mut out), Err(Error::SizeMismatch { .. })));
    // What was cut off in the middle makes no zip.
    assert!(matches!(packer.add("b", &Packed::new(b""), &mut out), Err(Error::Writing { .. })));
    assert!(matches!(packer.finish(&mut out), Err(Error::Writing { .. })));
    let mut packer = Packer::new(&module());
    let mut stream = packer.stream("a", size, &mut out).unwrap();
    let whole = vec![0; usize::try_from(size).unwrap()];
    stream.feed(&whole, &mut out).unwrap();
    assert!(matches!(stream.feed(b"x", &mut out), Err(Error::SizeMismatch { .. })));
}

#[test]
fn content_of_500_mib_is_written_and_one_byte_more_is_not() {
    let mut packer = Packer::new(&module());
    let half = Packed { size: MAX_PACKED_BYTES, ..Packed::new(b"x") };
    let mut out = Vec::new();
    // 15 times 32 MiB, and the 20 MiB that are left. Nothing of it is really there.
    for number in 10..25 {
        packer.add(&number.to_string(), &half, &mut out).unwrap();
    }
    let rest = MAX_CONTENT_BYTES - 15 * MAX_PACKED_BYTES;
    packer.add("30", &Packed { size: rest, ..half.clone() }, &mut out).unwrap();
    let error = packer.add("31", &Packed { size: 1, ..half }, &mut out).unwrap_err();
    assert!(matches!(error, Error::ContentTooLarge { .. }), "{error}");
}

#[test]
fn a_zip_past_500_mib_is_refused() {
    let file = Packed { size: 1, ..Packed::new(&noise(1 << 20)) };
    let mut packer = Packer::new(&module());
    let mut out = Vec::new();
    let refused = (0..1000).position(|number| {
        out.clear();
        packer.add(&format!("{number:04}"), &file, &mut out).is_err()
    });
    assert_eq!(refused, Some(499));
}

#[test]
fn names_fit_their_field() {
    let prefix = "example.com/Unit@v1.0.0/".len();
    let mut packer = Packer::new(&module());
    let (file, mut out) = (Packed::new(b""), Vec::new());
    packer.add(&"x".repeat(65_535 - prefix), &file, &mut out).unwrap();
    let error = packer.add(&"y".repeat(65_536 - prefix), &file, &mut out).unwrap_err();
    assert!(matches!(error, Error::NamesTooLong { .. }), "{error}");
}

#[test]
fn more_entries_than_16_bits_count_are_all_found() {
    let file = Packed::new(b"");
    for count in [65_534, 65_535, 65_536, 70_000] {
        let mut packer = Packer::new(&module());
        let mut out = Vec::new();
        for number in 0..count {
            packer.add(&format!("{number:06}"), &file, &mut out).unwrap();
        }
        let h1 = packer.finish(&mut out).unwrap();
        assert_eq!(check(&module(), Cursor::new(&out)).unwrap().h1(), &h1);
        let archive = zip::ZipArchive::new(Cursor::new(&out)).unwrap();
        assert_eq!(archive.len(), count);
    }
}

#[test]
fn entries_are_bounded() {
    let file = Packed::new(b"");
    let mut packer = Packer::new(&module());
    let mut out = Vec::new();
    for number in 0..MAX_ENTRIES {
        out.clear();
        packer.add(&format!("{number:06}"), &file, &mut out).unwrap();
    }
    let error = packer.add("x", &file, &mut out).unwrap_err();
    assert!(matches!(error, Error::TooManyEntries { .. }), "{error}");
}

proptest! {
    #[test]
    fn every_zip_passes_the_judgement(
        files in proptest::collection::btree_map(
            "[a-c]{1,3}(\\.go)?",
            proptest::collection::vec(0_u8..4, 0..2000),
            0..12,
        ),
    ) {
        let packed: Vec<(&str, Packed)> =
            files.iter().map(|(name, content)| (name.as_str(), Packed::new(content))).collect();
        let (zip, h1) = write(&packed);
        judge(&zip, &h1);
        let again: Vec<(&str, Packed)> =
            files.iter().map(|(name, content)| (name.as_str(), Packed::new(content))).collect();
        prop_assert!(write(&again).0 == zip);
        let prefixed: Vec<(String, Vec<u8>)> = files
            .into_iter()
            .map(|(name, content)| (format!("example.com/Unit@v1.0.0/{name}"), content))
            .collect();
        prop_assert_eq!(contents(&zip), prefixed);
    }
}
