//! Zips near the borders of the rules, the same in every run.

use crate::{
    judge::PREFIX,
    zips::{Descriptor, Item, Zip, cut_header, pack, swallowed_end},
};

pub(crate) struct Case {
    pub(crate) zip: Vec<u8>,
    /// What was changed, for people.
    pub(crate) changes: Vec<String>,
}

/// A generator that gives the same numbers in every run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound.max(1)
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        *from.get(self.below(from.len())).unwrap()
    }
}

const NAMES: &[&str] = &[
    "go.mod",
    "LICENSE",
    "a.go",
    "b.go",
    "README.md",
    "sub/c.go",
    "sub/d/e.go",
    "sub/LICENSE",
    "empty",
    "é/ü.txt",
    "中文.md",
    "a b/c",
    "internal/x_test.go",
    "vendor/modules.txt",
    ".gitignore",
];

const STRANGE_NAMES: &[&str] = &[
    "Go.mod",
    "GO.MOD",
    "sub/go.mod",
    "sub/Go.Mod",
    "go.mod/x",
    "go.mod/",
    "A.go",
    "a.GO",
    "Sub/c.go",
    "SUB/x",
    "sub",
    "sub/",
    "sub//",
    "sub/c.go/",
    "sub/c.go/x",
    "a.go/",
    "É/ü.txt",
    "é/Ü.txt",
    "\u{212a}",
    "k",
    "K",
    "ſ",
    "s",
    "S",
    "ß",
    "ẞ",
    "ς",
    "σ",
    "Σ",
    "/a",
    "//",
    "/",
    "",
    ".",
    "..",
    "../x",
    "x/..",
    "./x",
    "x/./y",
    "x//y",
    "x.",
    "x./y",
    ".x",
    "..x",
    "x\ny",
    "x\ry",
    "x\0y",
    "x:y",
    "x\\y",
    "x*",
    "x?",
    "x<",
    "x|",
    "\"",
    "'",
    "`",
    "x;y",
    "con",
    "CON.txt",
    "aux.go",
    "nul/x",
    "com1",
    "com10",
    "lpt9.x.y",
    "x~1",
    "x~1/y",
    "-x",
    " x",
    "x ",
    "a\u{301}",
    "\u{1f600}",
    "٣",
    "Ⅷ",
    "ª",
    "\u{200b}",
    "!#$%&()+,-.=@[]^_{}~ ",
    "license",
    "LICENSE/",
    "License",
    "longs/ſ",
    "longs/S",
    "İ",
    "ı",
    "i",
    "I",
    "ǅ",
    "ǆ",
    "Ǆ",
];

/// Text that compresses, of any length.
pub(crate) fn content(len: usize) -> Vec<u8> {
    let text = b"package x // the quick brown fox jumps over the lazy dog 0123456789\n";
    let mut number = 0_u8;
    let next = |byte: &u8| {
        number = number.wrapping_mul(31).wrapping_add(17);
        if number < 8 { number } else { *byte }
    };
    text.iter().cycle().take(len).map(next).collect()
}

pub(crate) fn cases(count: usize) -> Vec<Case> {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut cases: Vec<Case> = (0..count).map(|_| case(&mut random)).collect();
    let whole = cut_header();
    for len in [0, 1, 4, 45, 46] {
        cases.push(by_hand(whole.get(..len).unwrap()));
    }
    cases.push(by_hand(&[whole.as_slice(), b"n"].concat()));
    cases.push(by_hand(&[whole.as_slice(), b"names"].concat()));
    cases
}

/// What chance does not find: the directory swallows its end.
fn by_hand(tail: &[u8]) -> Case {
    let item = Item::new(&format!("{PREFIX}a.go"), b"package a\n");
    let changes = vec![format!("behind a swallowed end: {tail:?}")];
    Case { zip: swallowed_end(item, tail), changes }
}

fn case(random: &mut Random) -> Case {
    let mut zip = valid(random);
    let mut changes = Vec::new();
    for _ in 0..random.pick(&[0, 1, 1, 1, 1, 2, 3]) {
        changes.push(change(random, &mut zip));
    }
    let mut bytes = zip.build();
    if random.one_in(5) {
        for _ in 0..=random.below(2) {
            changes.push(damage(random, &mut bytes));
        }
    }
    Case { zip: bytes, changes }
}

/// A zip that keeps all rules, in one of the forms that writers give it.
fn valid(random: &mut Random) -> Zip {
    let mut items = Vec::new();
    for name in NAMES {
        if random.one_in(3) {
            let len = random.pick(&[0, 1, 20, 300, 5_000]);
            items.push(form(random, name, len));
        }
    }
    let shift = random.below(items.len());
    items.rotate_left(shift);
    if random.one_in(6) {
        let at = random.below(items.len() + 1);
        items.insert(at, Item::directory(&format!("{PREFIX}{}", random.pick(&["", "sub/", "d/"]))));
    }
    Zip { zip64: random.one_in(8), ..Zip::of(items) }
}

fn form(random: &mut Random, name: &str, len: usize) -> Item {
    let name = format!("{PREFIX}{name}");
    let text = content(len);
    let zip64 = random.one_in(8);
    if random.one_in(4) {
        return Item { zip64, ..Item::stored(&name, &text) };
    }
    let descriptor = random.pick(&[
        Descriptor::Signed,
        Descriptor::Signed,
        Descriptor::None,
        Descriptor::Unsigned,
        Descriptor::Signed64,
        Descriptor::Unsigned64,
    ]);
    Item { descriptor, zip64, ..Item::new(&name, &text) }
}

/// Changes one thing and says what.
fn change(random: &mut Random, zip: &mut Zip) -> String {
    if random.one_in(3) {
        return add_name(random, zip);
    }
    if random.one_in(3) || zip.items.is_empty() {
        return change_frame(random, zip);
    }
    let at = random.below(zip.items.len());
    let count = zip.items.len();
    let item = zip.items.get_mut(at).unwrap();
    let what = change_item(random, item, count);
    format!("entry {at}: {what}")
}

fn add_name(random: &mut Random, zip: &mut Zip) -> String {
    let name = if random.one_in(4) { random.pick(NAMES) } else { random.pick(STRANGE_NAMES) };
    let whole = match random.below(12) {
        0 => name.to_owned(),
        1 => format!("{}{name}", PREFIX.to_lowercase()),
        2 => format!("{}{name}", PREFIX.trim_end_matches('/')),
        _ => format!("{PREFIX}{name}"),
    };
    let mut item = Item::new(&whole, if whole.ends_with('/') { b"" } else { b"text\n" });
    if random.one_in(20) {
        item.name.push(0xff);
    }
    let at = random.below(zip.items.len() + 1);
    zip.items.insert(at, item);
    format!("name {whole:?}")
}

fn change_frame(random: &mut Random, zip: &mut Zip) -> String {
    let junk =
        random.pick(&[b"x".as_slice(), b"#!/bin/sh\n", b"PK\x05\x06", b"PK\x01\x02 and more"]);
    let number = random.pick(&[0, 1, 5, 100, 0xffff, 0x1_0001, u64::from(u32::MAX), u64::MAX]);
    match random.below(10) {
        0 => zip.prefix = junk.to_vec(),
        1 => zip.before_directory = junk.to_vec(),
        2 => zip.before_end = junk.to_vec(),
        3 => zip.comment = junk.to_vec(),
        4 => zip.suffix = junk.to_vec(),
        5 => zip.comment_len = u16::try_from(number).ok(),
        6 => zip.records = Some(number),
        7 => zip.directory_size = Some(number),
        8 => zip.directory_offset = Some(number),
        _ => zip.order = Some((0..zip.items.len()).rev().collect()),
    }
    let shown = Zip { items: Vec::new(), ..zip.clone() };
    format!("{shown:?}")
}

fn change_item(random: &mut Random, item: &mut Item, count: usize) -> String {
    let small = random.pick(&[0, 1, 2, 19, 20, 21, 299, 301, 0x1000]);
    let number = random.pick(&[small, small, 1 << 29, u64::from(u32::MAX), u64::MAX, 1 << 63]);
    let number32 = u32::try_from(number).unwrap_or(u32::MAX);
    let raw = pack(item.method, &item.content);
    match random.below(15) {
        0 => item.crc = Some(number32),
        1 => item.directory_crc = Some(number32),
        2 => item.directory_compressed = Some(number),
        3 => item.directory_uncompressed = Some(number),
        4 => item.local_compressed = Some(number32),
        5 => item.local_uncompressed = Some(number32),
        6 => item.offset = Some(small),
        7 => item.offset = Some(number),
        8 => item.raw = Some([raw, b"behind".to_vec()].concat()),
        9 => item.raw = Some(raw.get(..raw.len() / 2).unwrap().to_vec()),
        10 => item.zip64 = !item.zip64,
        _ => change_form(random, item, count),
    }
    // The content is left out: what was changed stands behind it.
    let shown = Item { content: Vec::new(), ..item.clone() };
    format!("{shown:?}")
}

fn change_form(random: &mut Random, item: &mut Item, count: usize) {
    let extras = [b"x".as_slice(), &[1, 0, 4, 0, 1, 2, 3, 4], &[9, 9, 0, 0]];
    match random.below(9) {
        0 => item.local_name = Some(b"lie".to_vec()),
        1 => item.flags = random.pick(&[1, 8, 0x800, 0x2000]),
        2 => item.directory_flags = random.pick(&[1, 8, 0x800]),
        3 => item.method = random.pick(&[0, 8, 9, 12, 99]),
        4 => item.directory_method = Some(random.pick(&[0, 8, 9, 12])),
        5 => item.gap = b"gap".to_vec(),
        6 => item.trail = b"trail".to_vec(),
        7 => item.extra = random.pick(&extras).to_vec(),
        _ => item.is_listed = count < 2,
    }
}

/// Changes bytes anywhere and says which.
fn damage(random: &mut Random, bytes: &mut Vec<u8>) -> String {
    let at = random.below(bytes.len());
    match random.below(4) {
        0 => bytes.truncate(at),
        1 => bytes.insert(at, b'x'),
        _ => {
            let bit = 1 << random.below(8);
            *bytes.get_mut(at).unwrap() ^= bit;
        }
    }
    format!("damage at {at}")
}
