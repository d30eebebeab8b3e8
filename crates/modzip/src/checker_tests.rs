use std::io::Cursor;

use super::*;
use crate::{
    check::check_within,
    zips::{Item, Zip},
};

const PREFIX: &str = "example.com/m@v1.0.0/";

fn module() -> ModVer {
    let path = gomod::ModulePath::parse("example.com/m").unwrap();
    ModVer::new(path, gomod::Version::parse("v1.0.0").unwrap()).unwrap()
}

fn named(name: &str, len: usize) -> Item {
    Item::new(&format!("{PREFIX}{name}"), &vec![b'x'; len])
}

/// Judges both ways by other limits. The stream must be conclusive exactly when the zip is fine.
fn judge(items: Vec<Item>, limits: Limits) -> Result<Checked, Error> {
    let zip = Zip::of(items).build();
    let checked = check_within(&module(), Cursor::new(&zip), limits);
    let mut stream = Checker::within(&module(), limits);
    stream.feed(&zip).unwrap();
    match stream.finish().unwrap() {
        Opinion::Final(streamed) => assert_eq!(checked.as_ref().unwrap(), &streamed),
        Opinion::NeedsSecondLook => assert!(checked.is_err()),
    }
    checked
}

#[test]
fn limits_are_those_of_go() {
    assert_eq!(Limits::GO.zip, 500 * 1024 * 1024);
    assert_eq!(Limits::GO.content, 500 * 1024 * 1024);
    assert_eq!(Limits::GO.go_mod, 16 * 1024 * 1024);
    assert_eq!(Limits::GO.license, 16 * 1024 * 1024);
}

#[test]
fn zip_of_the_largest_size_is_taken_and_one_byte_more_is_not() {
    let zip = Zip::of(vec![named("a", 10)]).build();
    let size = zip.len() as u64;
    let exact = Limits { zip: size, ..Limits::GO };
    let mut stream = Checker::within(&module(), exact);
    stream.feed(&zip).unwrap();
    assert!(matches!(stream.finish(), Ok(Opinion::Final(_))));
    assert!(check_within(&module(), Cursor::new(&zip), exact).is_ok());

    let less = Limits { zip: size - 1, ..Limits::GO };
    let mut stream = Checker::within(&module(), less);
    let (most, last) = zip.split_at(zip.len() - 1);
    stream.feed(most).unwrap();
    let error = stream.feed(last).unwrap_err();
    assert!(matches!(error, Error::ZipTooLarge { size: found, .. } if found == size));
    assert!(matches!(stream.finish(), Err(Error::ZipTooLarge { .. })));
    let error = check_within(&module(), Cursor::new(&zip), less).unwrap_err();
    assert!(matches!(error, Error::ZipTooLarge { size: found, .. } if found == size));
}

#[test]
fn contents_of_the_largest_size_are_taken_and_one_byte_more_is_not() {
    let limits = Limits { content: 100, ..Limits::GO };
    let items =
        |last| vec![named("a", 60), named("b", last), Item::directory(&format!("{PREFIX}c/"))];
    assert!(judge(items(40), limits).is_ok());
    let error = judge(items(41), limits).unwrap_err();
    assert!(matches!(error, Error::ContentTooLarge { limit: 100 }));
}

#[test]
fn go_mod_of_the_largest_size_is_taken_and_one_byte_more_is_not() {
    let limits = Limits { go_mod: 30, ..Limits::GO };
    assert!(judge(vec![named("go.mod", 30), named("a", 31)], limits).is_ok());
    let error = judge(vec![named("go.mod", 31)], limits).unwrap_err();
    assert!(matches!(error, Error::GoModTooLarge { size: 31, limit: 30 }));
}

#[test]
fn license_of_the_largest_size_is_taken_and_one_byte_more_is_not() {
    let limits = Limits { license: 30, ..Limits::GO };
    let elsewhere = || named("sub/LICENSE", 31);
    assert!(judge(vec![named("LICENSE", 30), elsewhere()], limits).is_ok());
    let error = judge(vec![named("LICENSE", 31)], limits).unwrap_err();
    assert!(matches!(error, Error::LicenseTooLarge { size: 31, limit: 30 }));
}

#[test]
fn as_many_entries_as_allowed_are_taken_and_one_more_is_not() {
    let limits = Limits { entries: 3, ..Limits::GO };
    let items = |count| (0..count).map(|i| named(&format!("f{i}"), 1)).collect();
    assert!(judge(items(3), limits).is_ok());
    assert!(matches!(judge(items(4), limits), Err(Error::TooManyEntries { limit: 3 })));
}

#[test]
fn names_as_long_as_allowed_are_taken_and_longer_ones_are_not() {
    let limits = Limits { names: 10, ..Limits::GO };
    assert!(judge(vec![named("12345", 1), named("67890", 1)], limits).is_ok());
    let error = judge(vec![named("12345", 1), named("678901", 1)], limits).unwrap_err();
    assert!(matches!(error, Error::NamesTooLong { limit: 10 }));
}

#[test]
fn sizes_at_gos_limits_are_declared_not_read() {
    // Only the directory claims these sizes, so nothing of that length is ever inflated.
    let claim = |name: &str, size: u64| {
        let item = Item { directory_uncompressed: Some(size), ..named(name, 1) };
        let zip = Zip::of(vec![item]).build();
        crate::check(&module(), Cursor::new(zip)).unwrap_err()
    };
    let within = |error| matches!(error, Error::SizeMismatch { .. });
    let (content, mebi16) = (Limits::GO.content, 16 << 20);
    assert!(within(claim("a", content)));
    assert!(matches!(claim("a", content + 1), Error::ContentTooLarge { .. }));
    assert!(within(claim("go.mod", mebi16)));
    assert!(matches!(claim("go.mod", mebi16 + 1), Error::GoModTooLarge { .. }));
    assert!(within(claim("LICENSE", mebi16)));
    assert!(matches!(claim("LICENSE", mebi16 + 1), Error::LicenseTooLarge { .. }));
}

#[test]
fn a_checker_may_go_to_another_thread() {
    fn is_send<T: Send>(_: &T) {}
    let checker = Checker::new(&module());
    is_send(&checker);
    assert!(format!("{checker:?}").contains("example.com/m"));
}

#[test]
fn nothing_fed_is_no_opinion() {
    let checker = Checker::new(&module());
    assert!(matches!(checker.finish(), Ok(Opinion::NeedsSecondLook)));
}
