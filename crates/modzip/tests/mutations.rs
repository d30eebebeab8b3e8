//! Damaged zips: what the stream is sure of, the second look confirms, and nothing panics.
#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use proptest::{collection::vec, prelude::*, sample::Index};

#[path = "support/judge.rs"]
mod judge;
#[path = "support/zips.rs"]
#[expect(dead_code, reason = "other tests use all of it")]
mod zips;

use judge::{PREFIX, judge};
use zips::{Descriptor, Item, Zip};

fn sample() -> Zip {
    let named = |name: &str, content: &[u8]| Item::new(&format!("{PREFIX}{name}"), content);
    let unsigned = Item { descriptor: Descriptor::Unsigned, ..named("sub/u.go", b"package sub\n") };
    let known = Item { descriptor: Descriptor::None, ..named("LICENSE", &b"as is ".repeat(40)) };
    let wide = Item { zip64: true, ..known.clone() };
    Zip::of(vec![
        named("go.mod", b"module example.com/M\n"),
        unsigned,
        known,
        Item { name: format!("{PREFIX}wide").into_bytes(), ..wide },
        Item::stored(&format!("{PREFIX}stored.txt"), b"text"),
        Item::directory(&format!("{PREFIX}sub/")),
    ])
}

#[test]
fn every_byte_can_be_wrong() {
    let zip = Zip { items: sample().items.split_off(1), ..Zip::default() }.build();
    let (mut conclusive, mut refused) = (0, 0);
    for at in 0..zip.len() {
        for flip in [0x01, 0x08, 0x80, 0xff] {
            let mut damaged = zip.clone();
            damaged[at] ^= flip;
            let verdict = judge(&damaged);
            conclusive += u32::from(verdict.is_final);
            refused += u32::from(verdict.checked.is_err());
        }
    }
    // Times, versions and attributes mean nothing; most else is noticed.
    assert!(conclusive > 0 && refused > conclusive, "{conclusive} final, {refused} refused");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn damaged_zips_are_judged_alike(
        changes in vec((any::<Index>(), any::<u8>(), 0..4_u8), 1..6),
        zip64 in any::<bool>(),
    ) {
        let mut zip = Zip { zip64, ..sample() }.build();
        for (at, byte, how) in changes {
            let at = at.index(zip.len());
            match how {
                0 => zip[at] = byte,
                1 => zip.insert(at, byte),
                2 => drop(zip.remove(at)),
                _ => {
                    let tail = zip.split_off(at);
                    zip.extend_from_slice(&tail[..tail.len().min(byte.into())]);
                    zip.extend_from_slice(&tail);
                }
            }
            prop_assume!(!zip.is_empty());
        }
        judge(&zip);
    }

    #[test]
    fn noise_is_judged_alike(
        head in vec(any::<u8>(), 0..200),
        tail in vec(any::<u8>(), 0..100),
        records in any::<[u16; 3]>(),
    ) {
        // Headers of random fields, with signatures where they belong.
        let mut zip = b"PK\x03\x04".to_vec();
        zip.extend_from_slice(&head);
        zip.extend_from_slice(b"PK\x01\x02");
        zip.extend_from_slice(&tail);
        let end = Zip {
            records: Some(u64::from(records[0] % 3)),
            directory_size: Some(u64::from(records[1] % 300)),
            directory_offset: Some(u64::from(records[2] % 300)),
            ..Zip::default()
        };
        zip.extend_from_slice(&end.build());
        judge(&zip);
    }
}
