//! Which zips keep the rules, which break them, and of which the stream alone can tell.
#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use modzip::{CheckedKind, Error, h1_of_mod};
use sha2::{Digest, Sha256};

#[path = "support/judge.rs"]
mod judge;
#[path = "support/zips.rs"]
mod zips;

use judge::{PREFIX, judge, opinion};
use zips::{DEFLATED, Descriptor, Item, STORED, Zip, crc32, cut_header, pack, swallowed_end};

fn named(name: &str, content: &[u8]) -> Item {
    Item::new(&format!("{PREFIX}{name}"), content)
}

fn stored(name: &str, content: &[u8]) -> Item {
    Item::stored(&format!("{PREFIX}{name}"), content)
}

fn directory(name: &str) -> Item {
    Item::directory(&format!("{PREFIX}{name}"))
}

fn plain() -> Zip {
    Zip::of(vec![
        named("go.mod", b"module example.com/M\n"),
        named("a.go", b"package a\n"),
        named("sub/b.go", &b"package sub // and more\n".repeat(50)),
        named("empty", b""),
    ])
}

fn with(item: Item) -> Vec<u8> {
    let mut zip = plain();
    zip.items.insert(2, item);
    zip.build()
}

fn assert_final(what: &str, zip: &[u8]) {
    let verdict = judge(zip);
    assert!(verdict.checked.is_ok(), "{what}: {:?}", verdict.checked.err());
    assert!(verdict.is_final, "{what}: the stream was not conclusive");
}

/// The stream cannot tell, and the directory decides that it is fine.
fn assert_second_look(what: &str, zip: &[u8]) {
    let verdict = judge(zip);
    assert!(verdict.checked.is_ok(), "{what}: {:?}", verdict.checked.err());
    assert!(!verdict.is_final, "{what}: the stream was taken to be conclusive");
}

fn refusal(zip: &[u8]) -> Error {
    judge(zip).checked.unwrap_err()
}

macro_rules! assert_refused {
    ($zip:expr, $pattern:pat $(if $guard:expr)?) => {
        let error = refusal(&$zip);
        assert!(matches!(error, $pattern $(if $guard)?), "{error:?}");
    };
}

#[test]
fn h1_is_made_of_sorted_names_and_contents() {
    let zip = Zip::of(vec![named("b", b"two"), named("a", b"one"), directory("c/")]);
    let line = |name: &str, content: &[u8]| {
        format!("{}  {PREFIX}{name}\n", hex::encode(Sha256::digest(content)))
    };
    let lines = [line("a", b"one"), line("b", b"two"), line("c/", b"")].concat();
    let checked = judge(&zip.build()).checked.unwrap();
    assert_eq!(checked.h1().as_bytes().as_slice(), Sha256::digest(lines).as_slice());
}

#[test]
fn checked_knows_the_file_and_its_go_mod() {
    let zip = plain().build();
    let checked = judge(&zip).checked.unwrap();
    assert_eq!(checked.size(), zip.len() as u64);
    assert_eq!(checked.sha256().as_slice(), Sha256::digest(&zip).as_slice());
    assert_eq!(checked.module(), &judge::module());
    let CheckedKind::Zip { go_mod: Some(go_mod), .. } = checked.kind() else { panic!() };
    assert_eq!(go_mod, b"module example.com/M\n");
    assert_ne!(&h1_of_mod(go_mod), checked.h1());

    let without = Zip::of(vec![named("a.go", b"package a\n"), directory("go.mod/")]);
    let checked = judge(&without.build()).checked.unwrap();
    assert!(matches!(checked.kind(), CheckedKind::Zip { go_mod: None, .. }));
}

#[test]
fn a_zip_as_writers_make_it_is_final_in_every_form() {
    let content = b"package x // with some text, some text, some text\n".repeat(9);
    let descriptors = [
        Descriptor::None,
        Descriptor::Signed,
        Descriptor::Unsigned,
        Descriptor::Signed64,
        Descriptor::Unsigned64,
    ];
    let h1 = judge(&with(named("x.go", &content))).checked.unwrap().h1().clone();
    for descriptor in descriptors {
        for zip64 in [false, true] {
            let zip = with(Item { descriptor, zip64, ..named("x.go", &content) });
            assert_final(&format!("{descriptor:?}, zip64 {zip64}"), &zip);
            assert_eq!(judge(&zip).checked.unwrap().h1(), &h1);
        }
    }
    assert_final("stored", &with(stored("x.go", &content)));
    assert_final("stored, zip64", &with(Item { zip64: true, ..stored("x.go", &content) }));
    assert_final("stored, empty", &with(stored("x.go", b"")));
    assert_final("extra", &with(Item { extra: vec![9, 9, 2, 0, 1, 2], ..stored("x", b"x") }));
    assert_final("comment", &with(Item { comment: b"PK".to_vec(), ..stored("x", b"x") }));
}

#[test]
fn empty_and_large_directories_are_final() {
    assert_final("no entries", &Zip::default().build());
    let many = |count: u32| {
        let items = (0..count).map(|i| Item::directory(&format!("{PREFIX}{i}/")));
        Zip { zip64: count >= 0xffff, ..Zip::of(items.collect()) }.build()
    };
    for count in [0xfffe, 0xffff, 0x1_0000] {
        let zip = many(count);
        assert!(opinion(&zip, 1 << 16).is_some(), "{count}");
        assert!(modzip::check(&judge::module(), std::io::Cursor::new(&zip)).is_ok(), "{count}");
    }
}

#[test]
fn directory_entries_are_tolerated_and_hashed() {
    let plain = judge(&plain().build()).checked.unwrap();
    for name in ["sub/", "other/", "", "go.mod.d/"] {
        let zip = with(directory(name));
        assert_final(name, &zip);
        assert_ne!(judge(&zip).checked.unwrap().h1(), plain.h1(), "{name}");
    }
    // As Java writes them: compressed nothing.
    let java = Item { descriptor: Descriptor::Signed, method: DEFLATED, ..directory("j/") };
    assert_final("compressed directory", &with(java));
}

#[test]
fn names_that_break_a_rule_are_refused() {
    assert_refused!(with(Item::new("a.go", b"")), Error::Prefix { .. });
    assert_refused!(with(Item::new("example.com/!m@v1.0.0/a", b"")), Error::Prefix { .. });
    assert_refused!(with(Item::new("example.com/m@v1.0.0/a", b"")), Error::Prefix { .. });
    for name in ["/a", "a//b", "./a", "a/./b", "a/..", "../a", "/", "a//", "."] {
        assert_refused!(with(named(name, b"")), Error::NotClean { .. });
    }
    for name in ["a\nb", "a:b", "a\\b", "aux.go", "a./b", "a\u{301}", "a*", "\u{1f600}"] {
        assert_refused!(with(named(name, b"")), Error::BadPath { .. });
    }
    let mut raw = named("x", b"");
    raw.name.push(0xff);
    assert_refused!(with(raw), Error::NotUtf8 { .. });
}

#[test]
fn names_that_clash_are_refused() {
    for name in ["A.go", "a.GO", "Sub/c.go", "SUB/", "sub/B.go", "\u{212a}/x"] {
        let mut zip = plain();
        zip.items.push(named("k", b""));
        zip.items.push(named(name, b""));
        assert_refused!(zip.build(), Error::CaseCollision { .. });
    }
    for name in ["a.go/x", "a.go/", "sub"] {
        assert_refused!(with(named(name, b"")), Error::FileAndDirectory { .. });
    }
    assert_refused!(with(named("a.go", b"package a\n")), Error::Duplicate { .. });
    let twice = Zip::of(vec![directory("d/"), directory("d/")]).build();
    assert_refused!(twice, Error::Duplicate { .. });
    let roots = Zip::of(vec![directory(""), directory("")]).build();
    assert_refused!(roots, Error::Duplicate { .. });
}

#[test]
fn go_mod_stands_at_the_root_in_lower_case() {
    for name in ["sub/go.mod", "sub/GO.MOD", "a/b/go.mod"] {
        assert_refused!(with(named(name, b"")), Error::GoModNotInRoot { .. });
    }
    let upper = Zip::of(vec![named("Go.mod", b"")]).build();
    assert_refused!(upper, Error::GoModCase { .. });
    assert_final("directory of that name", &with(directory("sub/go.mod/")));
    assert_final("file below it", &with(named("sub/go.mod/x", b"")));
}

#[test]
fn the_directorys_name_counts_not_the_streams() {
    let lie = Item { local_name: Some(b"evil/../b.go".to_vec()), ..named("x.go", b"x\n") };
    let zip = with(lie);
    assert_second_look("local name", &zip);
    let honest = judge(&with(named("x.go", b"x\n"))).checked.unwrap();
    assert_eq!(judge(&zip).checked.unwrap().h1(), honest.h1());
}

#[test]
fn what_no_plain_writer_makes_needs_a_second_look() {
    let junk = || b"#!/bin/sh\n".to_vec();
    assert_second_look("prefix", &Zip { prefix: junk(), ..plain() }.build());
    assert_second_look("suffix", &Zip { suffix: junk(), ..plain() }.build());
    assert_second_look("comment", &Zip { comment: junk(), ..plain() }.build());
    assert_second_look("before directory", &Zip { before_directory: junk(), ..plain() }.build());
    let zip = Zip { order: Some(vec![3, 1, 0, 2]), ..plain() };
    assert_second_look("directory in another order", &zip.build());
    assert_second_look("zip64 end that nothing needs to be", &{
        let mut zip = plain().build();
        let end = zip.split_off(zip.len() - 22);
        zip.extend_from_slice(&[0; 20]);
        zip.extend_from_slice(&end);
        zip
    });

    let text = b"text text text text text\n".as_slice();
    let item = || named("x", text);
    let known = || Item { descriptor: Descriptor::None, ..item() };
    let items = [
        ("gap", Item { gap: junk(), ..item() }),
        ("trail", Item { trail: junk(), ..item() }),
        ("not listed", Item { is_listed: false, ..item() }),
        ("stored with descriptor", Item { descriptor: Descriptor::Signed, ..stored("x", text) }),
        ("encryption flag", Item { flags: 1, ..item() }),
        ("encryption flag in the directory", Item { directory_flags: 1, ..item() }),
        ("no CRC", Item { directory_crc: Some(0), ..stored("x", text) }),
        ("local size lies", Item { local_uncompressed: Some(3), ..stored("x", text) }),
        ("local length lies", Item { local_compressed: Some(3), ..stored("x", text) }),
        ("directory claims more", Item { directory_compressed: Some(33), ..known() }),
        ("local method lies", {
            Item {
                method: STORED,
                directory_method: Some(DEFLATED),
                raw: Some(pack(DEFLATED, text)),
                ..item()
            }
        }),
        ("behind the data", Item { raw: Some([pack(DEFLATED, text), junk()].concat()), ..item() }),
        ("method of a directory", Item { method: 99, ..directory("x/") }),
    ];
    for (what, item) in items {
        assert_second_look(what, &with(item));
    }
}

#[test]
fn contents_that_are_not_as_declared_are_refused() {
    let text = b"text text text text text\n".as_slice();
    let item = || named("x", text);
    assert_refused!(with(Item { crc: Some(1), ..item() }), Error::Checksum { .. });
    assert_refused!(with(Item { crc: Some(1), ..stored("x", text) }), Error::Checksum { .. });
    assert_refused!(with(Item { directory_crc: Some(1), ..item() }), Error::Checksum { .. });
    assert_refused!(with(Item { directory_crc: Some(0), ..item() }), Error::Checksum { .. });
    for size in [0, 24, 26, 1 << 20] {
        let lie = Item { directory_uncompressed: Some(size), ..item() };
        assert_refused!(with(lie), Error::SizeMismatch { declared, .. } if declared == size);
        let lie = Item { directory_uncompressed: Some(size), ..stored("x", text) };
        assert_refused!(with(lie), Error::SizeMismatch { declared, .. } if declared == size);
    }
    for size in [0, 5] {
        let cut = Item { directory_compressed: Some(size), ..item() };
        assert_refused!(with(cut), Error::Corrupt { .. });
    }
    let noise = Item { raw: Some(vec![0xff; 30]), ..item() };
    assert_refused!(with(noise), Error::Corrupt { .. });
    let bare = Item { raw: Some(Vec::new()), descriptor: Descriptor::None, ..named("x", b"") };
    assert_refused!(with(bare), Error::Corrupt { .. });
    assert_refused!(with(Item { method: 12, ..item() }), Error::Method { method: 12, .. });
    let full = Item { directory_uncompressed: Some(1), ..directory("x/") };
    assert_refused!(with(full), Error::DirectoryContent { .. });
}

#[test]
fn a_bomb_is_cut_where_its_declared_size_ends() {
    let zeros = vec![0; 4 << 20];
    let bomb = Item { directory_uncompressed: Some(10), ..named("x", &zeros) };
    assert_refused!(with(bomb), Error::SizeMismatch { declared: 10, .. });
    let local = Item {
        directory_uncompressed: Some(10),
        local_uncompressed: Some(10),
        descriptor: Descriptor::None,
        ..named("x", &zeros)
    };
    assert_refused!(with(local), Error::SizeMismatch { declared: 10, .. });
}

#[test]
fn entries_that_share_their_bytes_are_refused() {
    let text = b"not to be compressed, and rather long, so that it shows ".repeat(20);
    let first = stored("x", &text);
    let mut shared: Vec<Item> = vec![first];
    for i in 0..3 {
        let item = stored(&format!("y{i}"), b"");
        let size = Some(text.len() as u64);
        shared.push(Item {
            offset: Some(0),
            directory_compressed: size,
            directory_uncompressed: size,
            directory_crc: Some(crc32(&text)),
            ..item
        });
    }
    assert_refused!(Zip::of(shared).build(), Error::Overlap);
}

#[test]
fn directories_that_point_elsewhere_are_refused() {
    for offset in [1, 100_000, u64::from(u32::MAX) - 1] {
        let lost = Item { offset: Some(offset), ..named("x", b"x") };
        assert_refused!(with(lost), Error::NoEntry { .. });
    }
    let far = Item { offset: Some(u64::MAX - 5), zip64: true, ..named("x", b"x") };
    assert_refused!(with(far), Error::NoEntry { .. });
}

#[test]
fn what_is_no_zip_is_refused() {
    for bytes in [
        b"".to_vec(),
        b"<!DOCTYPE html><title>Log in</title>".to_vec(),
        b"PK\x05\x06".to_vec(),
        vec![0; 100_000],
        Zip { records: Some(5), ..plain() }.build(),
        Zip { records: Some(3), ..plain() }.build(),
        Zip { directory_size: Some(1 << 30), ..plain() }.build(),
        Zip { zip64: true, directory_offset: Some(u64::MAX), ..plain() }.build(),
        Zip { comment: b"short".to_vec(), comment_len: Some(6), ..plain() }.build(),
    ] {
        assert_refused!(bytes, Error::NotAZip { .. });
    }
}

#[test]
fn a_directory_has_to_be_whole() {
    let hidden = || Item { is_listed: false, ..named("x", b"x") };
    let mut zip = plain();
    zip.items.push(hidden());
    let count = zip.items.len() as u64;
    assert_second_look("hidden entry", &zip.build());
    assert_refused!(Zip { records: Some(count), ..zip }.build(), Error::NotAZip { .. });

    let go_on = |tail: &[u8]| swallowed_end(named("x", b"x"), tail);
    assert_second_look("nothing that looks like a header", &go_on(b"PK\x01"));
    let mut longer = cut_header();
    longer.push(b'n');
    assert_second_look("a header cut in its name", &go_on(&longer));
    assert_refused!(go_on(b""), Error::NotAZip { what: "the directory has no end" });
    assert_refused!(go_on(&cut_header()), Error::NotAZip { what: "the directory has no end" });
}

#[test]
fn wrong_numbers_in_the_end_record_are_taken_as_go_takes_them() {
    // A header stands at the offset that is told, so the base it implies is ignored.
    let size = Zip { directory_size: Some(0), ..plain() };
    assert_second_look("directory size", &size.build());
    // A directory of that length makes Go look for the 64-bit record in front of the end.
    let len = plain().build().len();
    let bare: usize = plain().items.iter().map(|item| 46 + item.name.len()).sum();
    let mut zip = plain();
    zip.items[3].comment = vec![b'x'; 0xffff - bare];
    assert_second_look("a directory of 65,535 bytes", &zip.build());
    assert_eq!(zip.build().len(), len + 0xffff - bare);
    zip.items[3].comment.pop();
    assert_final("a directory of 65,534 bytes", &zip.build());
    // The low 16 bits of the count are compared, no more.
    let records = Zip { zip64: true, records: Some(4 + (1 << 16)), ..plain() };
    assert_second_look("records", &records.build());
}

#[test]
fn cut_anywhere_it_is_no_zip() {
    let zip = plain().build();
    for len in 0..zip.len() {
        let (cut, _) = zip.split_at(len);
        assert!(opinion(cut, 64).is_none(), "{len}");
        assert!(judge(cut).checked.is_err(), "{len}");
    }
}
