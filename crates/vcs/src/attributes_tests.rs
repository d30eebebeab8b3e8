use super::{
    Attributes, Conversion, LineEnds, MAX_DOUBLE_STARS, MAX_ENCODING_BYTES, MAX_LINE_BYTES,
    MAX_PATTERNS, MAX_STEPS, MAX_TOTAL_BYTES,
};
use crate::objects::Fault;

fn conversion(files: &[(&str, &str)], path: &str) -> Conversion {
    let mut attributes = Attributes::new().unwrap();
    for (folder, file) in files {
        attributes.enter(folder.as_bytes(), file.as_bytes()).unwrap();
    }
    attributes.conversion(path.as_bytes()).unwrap()
}

fn line_ends(file: &str) -> LineEnds {
    conversion(&[("", file)], "a.go").line_ends
}

#[test]
fn only_an_explicit_crlf_converts() {
    for (attributes, wanted) in [
        ("eol=crlf", LineEnds::Crlf),
        ("text eol=crlf", LineEnds::Crlf),
        ("crlf eol=crlf", LineEnds::Crlf),
        ("text=input eol=crlf", LineEnds::Crlf),
        ("text=auto eol=crlf", LineEnds::CrlfIfText),
        ("crlf=auto eol=crlf", LineEnds::CrlfIfText),
        ("text crlf=auto eol=crlf", LineEnds::Crlf),
        ("-text eol=crlf", LineEnds::Kept),
        ("binary eol=crlf", LineEnds::Kept),
        ("text", LineEnds::Kept),
        ("text=auto", LineEnds::Kept),
        ("eol=lf", LineEnds::Kept),
        ("eol=CRLF", LineEnds::Kept),
        ("eol", LineEnds::Kept),
        ("eol=crlf !eol", LineEnds::Kept),
    ] {
        assert_eq!(line_ends(&format!("* {attributes}\n")), wanted, "{attributes}");
    }
}

#[test]
fn inner_files_win_and_macros_are_of_the_root() {
    let root = ("", "[attr]win eol=crlf\n*.go win\n");
    assert_eq!(conversion(&[root], "x/a.go").line_ends, LineEnds::Crlf);
    assert_eq!(conversion(&[root, ("x/", "*.go eol=lf\n")], "x/a.go").line_ends, LineEnds::Kept);
    let inner = ("x/", "[attr]mine eol=crlf\n*.txt mine\n");
    assert_eq!(conversion(&[root, inner], "x/a.txt").line_ends, LineEnds::Kept);
}

#[test]
fn files_of_folders_that_were_left_do_not_count() {
    let mut attributes = Attributes::new().unwrap();
    attributes.enter(b"", b"* ident\n").unwrap();
    attributes.enter(b"x/", b"* eol=crlf\n").unwrap();
    assert!(!attributes.conversion(b"x/a").unwrap().is_none());
    attributes.leave_for(b"y");
    let conversion = attributes.conversion(b"y").unwrap();
    assert!(conversion.ident && conversion.line_ends == LineEnds::Kept);
}

#[test]
fn long_lines_are_skipped() {
    let line = |length: usize| {
        let start = "* eol=crlf ";
        format!("{start}{}\n", "x".repeat(length - start.len()))
    };
    assert_eq!(line_ends(&line(MAX_LINE_BYTES - 1)), LineEnds::Crlf);
    assert_eq!(line_ends(&line(MAX_LINE_BYTES)), LineEnds::Kept);
    assert_eq!(line_ends(&format!("{}* eol=crlf\n", line(MAX_LINE_BYTES))), LineEnds::Crlf);
}

#[test]
fn what_git_does_not_see_is_not_seen() {
    assert_eq!(line_ends("* text\n\0\n* eol=crlf\n"), LineEnds::Kept);
    assert_eq!(line_ends("\u{feff}* eol=crlf\n"), LineEnds::Kept);
    assert_eq!(line_ends("!a.go eol=crlf\n"), LineEnds::Kept);
    assert_eq!(line_ends("a.go/ eol=crlf\n"), LineEnds::Kept);
    assert_eq!(line_ends("* eol=crlf\r\n"), LineEnds::Crlf);
}

#[test]
fn encodings_are_names() {
    let encoding = |value: &str| {
        let mut attributes = Attributes::new().unwrap();
        let file = format!("* working-tree-encoding{value}\n");
        attributes.enter(b"", file.as_bytes()).unwrap();
        attributes.conversion(b"a").map(|conversion| conversion.encoding)
    };
    for none in ["=UTF-8", "=utf8", "="] {
        assert_eq!(encoding(none).unwrap(), None, "{none}");
    }
    assert_eq!(encoding("=UTF-16LE-BOM").unwrap().as_deref(), Some("UTF-16LE-BOM"));
    assert!(encoding("").is_err(), "git dies of it");
    for wrong in ["=../x", "=a/b", "=a\"b", "=\u{e4}"] {
        assert!(encoding(wrong).is_err(), "{wrong}");
    }
    assert!(encoding(&format!("={}", "x".repeat(MAX_ENCODING_BYTES))).is_ok());
    assert!(encoding(&format!("={}", "x".repeat(MAX_ENCODING_BYTES + 1))).is_err());
}

fn refused(result: Result<impl std::fmt::Debug, Fault>) -> String {
    match result {
        Err(Fault::Limit(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn patterns_are_counted_over_all_files() {
    let lines = |count: usize| "a ident\n".repeat(count);
    let mut attributes = Attributes::new().unwrap();
    attributes.enter(b"", lines(MAX_PATTERNS - 1).as_bytes()).unwrap();
    attributes.enter(b"x/", b"# no pattern\n\n  \nb ident\n").unwrap();
    // Those of folders that were left have cost their time, too.
    attributes.leave_for(b"y");
    assert!(refused(attributes.enter(b"y/", b"c ident")).contains("100000 patterns"));
}

#[test]
fn bytes_are_counted_over_all_files() {
    let mut attributes = Attributes::new().unwrap();
    let long = usize::try_from(MAX_TOTAL_BYTES).unwrap();
    attributes.enter(b"", &vec![b'#'; long]).unwrap();
    attributes.enter(b"x/", b"").unwrap();
    assert!(refused(attributes.enter(b"y/", b"#")).contains("16777216 bytes"));
}

#[test]
fn patterns_that_would_take_for_ever_are_refused() {
    // Each `**` doubles the work of a pattern that does not match.
    let pattern = |stars: usize| format!("{}b eol=crlf\n", "**/a/".repeat(stars));
    let mut attributes = Attributes::new().unwrap();
    attributes.enter(b"", pattern(MAX_DOUBLE_STARS).as_bytes()).unwrap();
    assert!(attributes.conversion("a/".repeat(100).as_bytes()).unwrap().is_none());
    let matching = format!("{}b", "a/".repeat(MAX_DOUBLE_STARS));
    assert_eq!(attributes.conversion(matching.as_bytes()).unwrap().line_ends, LineEnds::Crlf);
    let more = attributes.enter(b"a/", pattern(MAX_DOUBLE_STARS + 1).as_bytes());
    assert!(refused(more).contains("more than 8 `**`"));
}

#[test]
fn the_work_of_all_paths_together_is_bounded() {
    let steps = |file: &str, path: &str| {
        let mut attributes = Attributes::new().unwrap();
        attributes.enter(b"", file.as_bytes()).unwrap();
        attributes.conversion(path.as_bytes()).unwrap();
        attributes.steps
    };
    let plain = steps("b ident\n", "a");
    // Longer lists, wildcards over longer paths, and `**` cost more.
    assert!(steps("b ident\nc ident\n", "a") > plain);
    assert_eq!(steps("b ident\n", &"a".repeat(400)), plain);
    let wild = steps("*b*c ident\n", &"a".repeat(400));
    assert!(wild >= plain + 100, "{wild}");
    assert!(steps("**/b/**/c ident\n", &"a".repeat(400)) >= 4 * 100);

    let mut attributes = Attributes::new().unwrap();
    attributes.enter(b"", b"b ident\n").unwrap();
    attributes.steps = MAX_STEPS - plain;
    attributes.conversion(b"a").unwrap();
    assert_eq!(attributes.steps, MAX_STEPS, "at the bound");
    assert!(refused(attributes.conversion(b"a")).contains("268435456 steps"));
}
