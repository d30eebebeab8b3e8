//! Tests of whole go.mod files.

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> GoMod {
    GoMod::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn require(path: &str, version: &str) -> (String, String) {
    (path.to_owned(), version.to_owned())
}

fn retract(low: &str, high: &str, rationale: &str) -> Retract {
    Retract { low: low.to_owned(), high: high.to_owned(), rationale: rationale.to_owned() }
}

#[test]
fn a_whole_file_is_read() {
    let file = parse(
        "// Deprecated: use a.b/c/v2.\nmodule \"a.b/c\"\n\ngo 1.21\n\ntoolchain go1.22.3\n\n\
         require a.b/d v1.0.0 // indirect\n\nrequire (\n\ta.b/e/v2 v2.1\n\ta.b/f v2.0.0+incompatible\n)\n\n\
         replace a.b/d => ../d\nexclude a.b/d v1.1.0\ngodebug x=y\ntool a.b/t\nfuture stuff (\n\tx\n)\n\n\
         retract (\n\tv1.1.0 // one\n\t// two\n\t[v1.2.0, v1.3.0]\n)\n",
    );
    assert_eq!(file.module.as_deref(), Some("a.b/c"));
    assert_eq!(file.deprecated.as_deref(), Some("use a.b/c/v2."));
    assert_eq!(file.go.as_deref(), Some("1.21"));
    assert_eq!(file.toolchain.as_deref(), Some("go1.22.3"));
    let required = [
        require("a.b/d", "v1.0.0"),
        require("a.b/e/v2", "v2.1.0"),
        require("a.b/f", "v2.0.0+incompatible"),
    ];
    assert_eq!(file.require, required);
    assert_eq!(
        file.retract,
        [retract("v1.1.0", "v1.1.0", "one"), retract("v1.2.0", "v1.3.0", "two")]
    );
}

#[test]
fn an_empty_file_is_fine() {
    for text in ["", "\n", "// only a comment", "\r\n\r\n"] {
        assert_eq!(parse(text), GoMod::default(), "{text:?}");
    }
}

#[test]
fn comments_belong_to_the_line_below_them_without_a_gap() {
    let rationale = |text: &str| parse(text).retract.first().unwrap().rationale.clone();
    assert_eq!(rationale("// a\n// b\nretract v1.0.0 // c\n"), "a\nb\nc");
    assert_eq!(rationale("// a\n\nretract v1.0.0\n"), "");
    // Within a block, blank lines part nothing.
    assert_eq!(rationale("retract (\n// a\n\n// b\nv1.0.0\n)\n"), "a\nb");
}

#[test]
fn a_block_lends_its_comments_to_lines_without_any() {
    let rationales = |text: &str| -> Vec<String> {
        parse(text).retract.into_iter().map(|retract| retract.rationale).collect()
    };
    assert_eq!(rationales("// all\nretract (\nv1.0.0\nv1.1.0 // own\n)\n"), ["all", "own"]);
    // A blank line above counts as a comment of the line, if an empty one: Go's parser keeps it.
    assert_eq!(rationales("// all\nretract (\nv1.0.0\n\nv1.1.0\n)\n"), ["all", ""]);
    assert_eq!(rationales("// all\nretract ( // no\n\nv1.0.0\n) // no\n"), ["all"]);
}

#[test]
fn parentheses_within_a_line_are_no_block() {
    assert_eq!(parse("retract ( v1.0.0\n)\n").retract, []);
    assert_eq!(parse("future ( ) x\nrequire ( )\nrequire ()\n"), GoMod::default());
    assert_eq!(parse("(\n)\n"), GoMod::default());
}

#[test]
fn retractions_that_are_not_understood_are_skipped() {
    for text in [
        "retract",
        "retract [",
        "retract [v1.0.0",
        "retract [v1.0.0, v1.1.0",
        "retract [v1.0.0 v1.1.0]",
        "retract `v1.0.0`",
        "retract \"\\q\"",
    ] {
        assert_eq!(parse(text).retract, [], "{text}");
    }
    assert_eq!(parse("retract v1.0.0 more").retract, [retract("v1.0.0", "v1.0.0", "")]);
}

#[test]
fn broken_files_are_errors() {
    for text in [
        "require (",
        "require (\na.b v1.0.0\n) x",
        "module",
        "module a b",
        "module a.b\nmodule a.b",
        "module 'a.b'",
        "module `a.b`",
        "module \"\\q\"",
        "go",
        "go 1",
        "go \"1.21\"",
        "go 1.21\ngo 1.21",
        "require a.b",
        "require a.b master",
        "require a.b v2.0.0",
        "require a.b/v1 v1.0.0",
        "require gopkg.in/x v1.0.0",
        "require \"a\"b v1.0.0",
        "ignore",
        "ignore a b",
        "x /* y */",
        "x \"y",
        "\u{feff}module a.b",
    ] {
        assert!(GoMod::parse(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn errors_name_their_line() {
    let error = GoMod::parse(b"module a.b\n\ngo x\n").unwrap_err();
    assert_eq!(error.to_string(), "go.mod:3: invalid go version: must match format 1.23.0");
    let error = GoMod::parse(b"\nrequire (\n\ta.b v1\n").unwrap_err();
    assert_eq!(error.to_string(), "go.mod:2: syntax error (unterminated block)");
    let error = GoMod::parse(b"require (\n\ta.b v1.0.0\n\tc.d\n)\n").unwrap_err();
    assert_eq!(error.to_string(), "go.mod:3: usage: require module/path v1.2.3");
}

#[test]
fn bytes_that_are_not_utf_8_become_replacement_characters() {
    let file = GoMod::parse(b"module a\xff\xe4\xb8b\n").unwrap();
    assert_eq!(file.module.as_deref(), Some("a\u{fffd}\u{fffd}\u{fffd}b"));
}

#[test]
fn retractions_cover_their_ends() {
    let file = parse("retract v1.0.0\nretract [v1.2.0, v1.3.0]\nretract [bad, v0.1.0]\n");
    for (version, retracted) in [
        ("v1.0.0", true),
        ("v1.0.1", false),
        ("v1.2.0-rc.1", false),
        ("v1.2.0", true),
        ("v1.2.5", true),
        ("v1.3.0", true),
        ("v1.3.1-0", false),
        ("v0.0.1", true),
        ("v0.1.1", false),
    ] {
        assert_eq!(file.retracts(&version.parse().unwrap()), retracted, "{version}");
    }
}

#[test]
fn the_synthetic_file_is_what_go_compares_with() {
    assert_eq!(synthetic(&"a.b/C".parse().unwrap()), "module a.b/C\n");
}

#[test]
fn size_is_bounded() {
    let max = usize::try_from(MAX_MOD_BYTES).unwrap();
    let mut text = vec![b' '; max];
    assert_eq!(GoMod::parse(&text), Ok(GoMod::default()));
    text.push(b' ');
    assert_eq!(GoMod::parse(&text), Err(Error::TooLarge));
}

#[test]
fn entries_are_bounded() {
    let lines = |count: usize| format!("require (\n{})\n", "a.b v1\n".repeat(count));
    assert_eq!(parse(&lines(MAX_ENTRIES)).require.len(), MAX_ENTRIES);
    assert_eq!(GoMod::parse(lines(MAX_ENTRIES + 1).as_bytes()), Err(Error::TooMany));
}

proptest! {
    #[test]
    fn no_file_panics(
        text in "(module|go|require|retract|a\\.b|v1\\.0\\.0|1\\.2|[ \\n()\\[\\],\"`\\\\/é])*",
        bytes: Vec<u8>,
    ) {
        let _ = GoMod::parse(text.as_bytes());
        let _ = GoMod::parse(&bytes);
    }
}
