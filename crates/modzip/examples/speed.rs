//! Measures how fast module zips are judged, on one core.
//!
//! Builds a zip like that of a large module (8,200 files, about 30 MB, 127 MB unpacked) and prints
//! MB of zip per second of CPU time for the stream and for the second look:
//! `cargo run --release -p modzip --example speed`.
#![expect(clippy::print_stdout, reason = "figures are what this program is for")]

use std::{error::Error, hint::black_box, io::Cursor, time::Duration};

use gomod::{ModVer, ModulePath, Version};
use modzip::{Checker, Opinion};
use rustix::time::{ClockId, clock_gettime};

#[path = "../tests/support/zips.rs"]
#[expect(dead_code, reason = "tests use all of it")]
mod zips;

use zips::{Item, Zip};

const FILES: usize = 8_200;
const FILE_BYTES: usize = 127_000_000 / FILES;
const ROUNDS: usize = 7;
/// How much is fed at a time: what a connection gives.
const PIECE_BYTES: usize = 64 << 10;

const LETTERS: &str = "etaoinshrdlucmfwypvbgkjqxz";
const PAUSES: [&[u8]; 5] = [b" ", b", ", b"(", b") ", b" := "];

fn main() -> Result<(), Box<dyn Error>> {
    let module = ModVer::new(ModulePath::parse("example.com/large")?, Version::parse("v1.2.3")?)?;
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let words: Vec<String> = (0..2_500).map(|_| random.word()).collect();
    let items = (0..FILES).map(|i| {
        let name = format!("{module}/internal/package{}/some_file_{i}.go", i / 12);
        Item::new(&name, &random.text(&words, FILE_BYTES))
    });
    let zip = Zip::of(items.collect()).build();
    println!("zip: {} files, {:.1} MB", FILES, megabytes(zip.len()));

    report("stream", &zip, |zip| {
        let mut stream = Checker::new(&module);
        for piece in zip.chunks(PIECE_BYTES) {
            stream.feed(piece)?;
        }
        match stream.finish()? {
            Opinion::Final(checked) => Ok(checked),
            Opinion::NeedsSecondLook => Err("the stream was not conclusive".into()),
        }
    })?;
    report("check", &zip, |zip| Ok(modzip::check(&module, Cursor::new(zip))?))
}

fn report(
    name: &str,
    zip: &[u8],
    judge: impl Fn(&[u8]) -> Result<modzip::Checked, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let before = clock_gettime(ClockId::ThreadCPUTime);
        black_box(judge(black_box(zip))?);
        let spent = clock_gettime(ClockId::ThreadCPUTime) - before;
        times.push(Duration::try_from(spent)?);
    }
    times.sort();
    let median = times.get(ROUNDS / 2).copied().unwrap_or_default().as_secs_f64();
    let best = times.first().copied().unwrap_or_default().as_secs_f64();
    let rate = megabytes(zip.len()) / median;
    println!("{name}: {rate:.0} MB of zip per CPU second; median {median:.3} s, best {best:.3} s");
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

/// A generator that gives the same zip on every machine (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or_default() % below.max(1)
    }

    fn word(&mut self) -> String {
        let len = 2 + self.next(9);
        (0..len).map(|_| LETTERS.chars().nth(self.next(26)).unwrap_or_default()).collect()
    }

    /// Text like code: lines of words, the earlier words more often, two thirds of the lines repeated.
    fn text(&mut self, words: &[String], len: usize) -> Vec<u8> {
        let mut text = Vec::with_capacity(len + 256);
        let mut lines: Vec<std::ops::Range<usize>> = Vec::new();
        while text.len() < len {
            let start = text.len();
            if let Some(line) = lines.get(self.next(lines.len() * 3 / 2 + 2)).cloned() {
                text.extend_from_within(line);
                continue;
            }
            text.extend(std::iter::repeat_n(b'\t', self.next(4)));
            for _ in 0..=self.next(9) {
                let rank = self.next(words.len());
                let word = words.get(rank * rank / words.len()).map_or("", String::as_str);
                text.extend_from_slice(word.as_bytes());
                text.extend_from_slice(PAUSES.get(self.next(5)).copied().unwrap_or_default());
            }
            text.push(b'\n');
            lines.push(start..text.len());
        }
        text
    }
}
