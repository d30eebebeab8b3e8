use std::hash::BuildHasher;

use super::*;
use crate::collisions::Seen;

const PREFIX: &str = "example.com/m@v1.0.0/";

fn table() -> Table {
    let path = gomod::ModulePath::parse("example.com/m").unwrap();
    let module = ModVer::new(path, gomod::Version::parse("v1.0.0").unwrap()).unwrap();
    Table::new(&module, Limits::GO)
}

fn admit(table: &mut Table, name: &str) -> Result<Kind, Error> {
    table.admit_name(format!("{PREFIX}{name}").as_bytes()).map(|name| name.kind)
}

#[test]
fn names_have_their_kind() {
    let mut table = table();
    for (name, kind) in [
        ("", Kind::Directory),
        ("go.mod", Kind::GoMod),
        ("LICENSE", Kind::License),
        ("license.d/", Kind::Directory),
        ("sub/LICENSE", Kind::File),
        ("a.go", Kind::File),
        ("vendor/modules.txt", Kind::File),
    ] {
        assert_eq!(admit(&mut table, name).unwrap(), kind, "{name}");
    }
}

#[test]
fn each_directory_is_noted_with_all_above_it() {
    let mut table = table();
    admit(&mut table, "A/b/c.go").unwrap();
    admit(&mut table, "A/b/d.go").unwrap();
    admit(&mut table, "A/").unwrap();
    assert!(matches!(admit(&mut table, "a/x.go"), Err(Error::CaseCollision { .. })));
    assert!(matches!(admit(&mut table, "A/B/x.go"), Err(Error::CaseCollision { .. })));
    assert!(matches!(admit(&mut table, "A/b"), Err(Error::FileAndDirectory { .. })));
}

#[test]
fn collisions_name_both_paths() {
    let mut table = table();
    admit(&mut table, "Read.me").unwrap();
    let error = admit(&mut table, "READ.me").unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"case-insensitive file name collision: "Read.me" and "READ.me""#
    );
}

#[test]
fn paths_that_share_a_hash_are_told_apart() {
    let mut table = table();
    admit(&mut table, "first").unwrap();
    // Put another path where "second" belongs, as a clash of hashes would.
    let first = *table.collisions.seen.values().next().unwrap();
    let key = table.collisions.seen.hasher().hash_one(b"second".as_slice());
    table.collisions.seen.insert(key, first);
    assert!(admit(&mut table, "second").is_ok());
    assert!(matches!(admit(&mut table, "second"), Err(Error::Duplicate { .. })));
    assert!(matches!(admit(&mut table, "SECOND"), Err(Error::CaseCollision { .. })));
    assert!(matches!(admit(&mut table, "first"), Err(Error::Duplicate { .. })));
}

#[test]
fn room_is_what_the_rules_leave() {
    let mut table = table();
    assert_eq!(table.room(Kind::Directory), 0);
    assert_eq!(table.room(Kind::GoMod), Limits::GO.go_mod);
    table.admit_size(Kind::File, Limits::GO.content - 5).unwrap();
    assert_eq!(table.room(Kind::File), 5);
    assert_eq!(table.room(Kind::License), 5);
    table.admit_size(Kind::Directory, u64::MAX).unwrap();
    table.admit_size(Kind::File, 5).unwrap();
    assert!(table.admit_size(Kind::File, u64::MAX).is_err());
}

#[test]
fn an_entry_costs_about_a_hundred_bytes() {
    // Flights of many zips at once live by this: 64 of 8,200 entries.
    assert!(size_of::<Entry>() <= 64, "{}", size_of::<Entry>());
    assert!(size_of::<(u64, Seen)>() <= 16, "{}", size_of::<(u64, Seen)>());
}
