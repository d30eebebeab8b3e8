use super::{Attributes, Conversion, LineEnds, MAX_ENCODING_BYTES, MAX_LINE_BYTES};

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
