//! The cases of selection that Go's own behaviour was read from.

use super::*;

const NEW: &[u8] = b"module a.b/c\n\ngo 1.24\n";
const OLD: &[u8] = b"module a.b/c\n\ngo 1.23\n";

fn file(path: &str) -> TreeFile<'_> {
    TreeFile { path: path.as_bytes(), kind: FileKind::Regular, size: 1 }
}

fn link(path: &str) -> TreeFile<'_> {
    TreeFile { kind: FileKind::Symlink, ..file(path) }
}

fn gitlink(path: &str) -> TreeFile<'_> {
    TreeFile { kind: FileKind::Other, ..file(path) }
}

fn kept<'a>(files: &[TreeFile<'a>], go_mod: Option<&[u8]>) -> Vec<&'a str> {
    let selection = select(files, go_mod, RootLicense::None).unwrap();
    assert!(!selection.copy_license);
    selection.kept.iter().map(|index| str::from_utf8(files[*index].path).unwrap()).collect()
}

fn lines(files: &[TreeFile<'_>]) -> Vec<String> {
    select(files, None, RootLicense::None).unwrap_err().lines
}

#[test]
fn names_are_sorted_by_bytes() {
    let files = ["go.mod", "sub/x.go", "a.go", "sub-x.go", "Z.go", "é.go"].map(file);
    let sorted = ["Z.go", "a.go", "go.mod", "sub-x.go", "sub/x.go", "é.go"];
    assert_eq!(kept(&files, Some(OLD)), sorted);
}

#[test]
fn nothing_else_is_left_out() {
    let files = [".github/x.yml", "_dir/a.go", "testdata/x.go", ".a", "a b(#$%&).txt", "中/文"];
    assert_eq!(kept(&files.map(file), None).len(), files.len());
}

#[test]
fn nested_modules_are_left_out_in_any_case() {
    let files = [
        "go.mod",
        "a.go",
        "sub/go.mod",
        "sub/x.go",
        "sub/y/z.go",
        "submarine.go",
        "testdata/t/GO.MOD",
        "testdata/t/t.go",
        "testdata/u.go",
    ];
    let rest = ["a.go", "go.mod", "submarine.go", "testdata/u.go"];
    assert_eq!(kept(&files.map(file), Some(OLD)), rest);
}

#[test]
fn a_link_or_directory_of_that_name_makes_no_module() {
    let files = [file("a/x.go"), link("a/go.mod"), file("b/go.mod/x"), file("b/y.go")];
    assert_eq!(kept(&files, None), ["a/x.go", "b/go.mod/x", "b/y.go"]);
}

#[test]
fn a_vendored_module_is_a_nested_one_too() {
    let files = ["vendor/f.go", "vendor/go.mod", "vendor/x/f.go"].map(file);
    assert_eq!(kept(&files, None), [""; 0]);
}

#[test]
fn vendor_rules_go_by_the_go_line() {
    let files = ["pkg/vendor/v.go", "vendor/f.go", "vendor/modules.txt", "vendor/x/y.go"].map(file);
    let old = ["vendor/f.go", "vendor/modules.txt"];
    for go_mod in [None, Some(OLD), Some(b"not a go.mod".as_slice()), Some(b"go \"1.24\"\n")] {
        assert_eq!(kept(&files, go_mod), old);
    }
    for go_mod in [NEW, b"go 1.24.0-beta\n", b"go 1.30\n"] {
        assert_eq!(kept(&files, Some(go_mod)), ["pkg/vendor/v.go", "vendor/f.go"]);
    }
}

#[test]
fn the_archive_note_of_mercurial_is_left_out_at_the_root_only() {
    let files = [".hg_archival.txt", "sub/.hg_archival.txt"].map(file);
    assert_eq!(kept(&files, None), ["sub/.hg_archival.txt"]);
}

#[test]
fn names_are_refused_in_gos_words() {
    let files = ["a:b.txt", "aux.txt", "ok.go", "x/...", "nl\nx", "end.", "\"q\"", "😀"].map(file);
    assert_eq!(
        lines(&files),
        [
            r#"a:b.txt: malformed file path "a:b.txt": invalid char ':'"#,
            r#"aux.txt: malformed file path "aux.txt": "aux" disallowed as path element component on Windows"#,
            r#"x/...: malformed file path "x/...": invalid path element "...""#,
            r#""nl\nx": malformed file path "nl\nx": invalid char '\n'"#,
            r#"end.: malformed file path "end.": trailing dot in path element"#,
            r#""q": malformed file path "\"q\"": invalid char '"'"#,
            r#"😀: malformed file path "😀": invalid char '😀'"#,
        ]
    );
    let bytes = TreeFile { path: b"a\xff", ..file("") };
    assert_eq!(lines(&[bytes]), [r#""a\xff": malformed file path "a\xff": invalid UTF-8"#]);
}

#[test]
fn a_link_with_a_bad_name_fails_the_module() {
    assert_eq!(lines(&[link("a:b")]).len(), 1);
    assert_eq!(kept(&[gitlink("a:b"), file("x")], None), ["x"]);
}

#[test]
fn what_is_left_out_may_have_any_name() {
    let files = ["vendor/x/a:b", "sub/go.mod", "sub/aux", "x.go"].map(file);
    assert_eq!(kept(&files, None), ["x.go"]);
}

#[test]
fn go_mod_is_written_small_at_the_root() {
    let expected = "GO.MOD: go.mod files must have lowercase names";
    assert_eq!(lines(&[file("GO.MOD"), file("x.go")]), [expected]);
    assert_eq!(lines(&[link("Go.mod")]), ["Go.mod: go.mod files must have lowercase names"]);
}

#[test]
fn collisions_are_told_with_the_name_that_came_first() {
    let files = ["A.txt", "a.txt", "b/c", "B/d", "B/e", "k", "\u{212a}"].map(file);
    assert_eq!(
        lines(&files),
        [
            r#"a.txt: case-insensitive file name collision: "A.txt" and "a.txt""#,
            r#"B/d: case-insensitive file name collision: "b" and "B""#,
            r#"B/e: case-insensitive file name collision: "b" and "B""#,
            "\u{212a}: case-insensitive file name collision: \"k\" and \"\u{212a}\"",
        ]
    );
    assert_eq!(
        lines(&[link("x"), file("x/y"), file("z"), file("z")]),
        [r#"x/y: entry "x" is both a file and a directory"#, r#"z: multiple entries for file "z""#,]
    );
}

#[test]
fn everything_below_a_clash_clashes() {
    // "B" was noted before its parent clashed, so a look at "A/B" alone would find it known.
    let files = ["a/x", "A/B/c", "A/B/d"].map(file);
    assert_eq!(lines(&files).len(), 2);
}

#[test]
fn of_a_path_given_twice_one_thing_is_told() {
    assert_eq!(lines(&[file("a"), file("a"), file("a")]).len(), 1);
    // Go forgets the second one: the link was told as left out.
    assert_eq!(kept(&[link("a"), file("a"), file("b")], None), ["b"]);
}

#[test]
fn links_are_left_out() {
    assert_eq!(kept(&[link("a"), link("b/c"), file("b/d"), gitlink("e")], None), ["b/d"]);
}

#[test]
fn stores_of_version_control_are_refused() {
    for path in [".git/config", "a/.GIT/x", ".git"] {
        let expected = format!("{path}: directory is a version control repository");
        assert_eq!(lines(&[file(path)]), [expected]);
    }
    assert_eq!(kept(&[file(".gitignore"), file("vendor/x/.git/y")], None), [".gitignore"]);
}

fn license(files: &[TreeFile<'_>]) -> Result<bool, CreateError> {
    select(files, None, RootLicense::Of(7)).map(|selection| selection.copy_license)
}

#[test]
fn the_license_is_copied_unless_something_stands_there() {
    assert_eq!(license(&[file("a.go")]), Ok(true));
    assert_eq!(license(&[file("LICENSE.md"), file("COPYING"), file("x/LICENSE")]), Ok(true));
    assert_eq!(license(&[file("LICENSE")]), Ok(false));
    assert_eq!(license(&[link("LICENSE")]), Ok(false));
    assert_eq!(license(&[gitlink("LICENSE")]), Ok(true));
    let nothing_there = select(&[file("a.go")], None, RootLicense::None).unwrap();
    assert!(!nothing_there.copy_license);
}

#[test]
fn a_copied_license_is_judged_with_the_rest() {
    let error = license(&[file("LICENSE/x")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"create zip: LICENSE: entry "LICENSE" is both a file and a directory"#
    );
    let error = license(&[file("License")]).unwrap_err();
    assert_eq!(
        error.lines,
        [r#"LICENSE: case-insensitive file name collision: "License" and "LICENSE""#]
    );
}

const SMALL: Limits =
    Limits { content: 100, go_mod: 10, license: 10, entries: 4, names: 25, ..Limits::GO };

fn small(files: &[TreeFile<'_>]) -> Result<Selection, CreateError> {
    select_within(files, None, RootLicense::None, SMALL)
}

fn sized(path: &str, size: u64) -> TreeFile<'_> {
    TreeFile { size, ..file(path) }
}

#[test]
fn the_sum_of_kept_files_is_bounded() {
    assert!(small(&[sized("a", 60), sized("b", 40)]).is_ok());
    let left_out = TreeFile { kind: FileKind::Symlink, ..sized("l", 1000) };
    assert!(small(&[sized("a", 100), left_out, sized("vendor/x/y", 1000)]).is_ok());
    // The limit of the whole is told alone.
    let error = small(&[file("a:"), sized("a", 60), sized("b", 41)]).unwrap_err();
    assert_eq!(error.lines, ["module source tree too large (max size is 100 bytes)"]);
    assert!(small(&[sized("a", 1), sized("b", u64::MAX)]).is_err());
}

#[test]
fn the_total_is_told_in_gos_number() {
    let error = select(&[sized("a", 524_288_001)], None, RootLicense::None).unwrap_err();
    let expected = "create zip: module source tree too large (max size is 524288000 bytes)";
    assert_eq!(error.to_string(), expected);
    assert!(select(&[sized("a", 524_288_000)], None, RootLicense::None).is_ok());
}

#[test]
fn go_mod_and_license_are_bounded_at_the_root() {
    assert!(small(&[sized("go.mod", 10), sized("LICENSE", 10), sized("a/LICENSE", 11)]).is_ok());
    let error = small(&[sized("go.mod", 11), sized("LICENSE", 11)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "create zip: go.mod: go.mod file too large (max size is 10 bytes)\n\
         LICENSE: LICENSE file too large (max size is 10 bytes)"
    );
}

#[test]
fn names_are_bounded_in_number_and_length() {
    assert!(small(&["a", "b", "c", "d"].map(file)).is_ok());
    let error = small(&["a", "b", "c", "d", "e"].map(file)).unwrap_err();
    assert_eq!(error.lines, ["too many files (max size is 4 files)"]);
    assert!(small(&["1234567890", "12345678901234x"].map(file)).is_ok());
    let error = small(&["1234567890", "12345678901234xy"].map(file)).unwrap_err();
    assert_eq!(error.lines, ["file names too long (max size is 25 bytes)"]);
    let long = "x".repeat(usize::from(u16::MAX));
    assert!(select(&[file(&long)], None, RootLicense::None).is_ok());
    let longer = "x".repeat(usize::from(u16::MAX) + 1);
    assert!(select(&[file(&longer)], None, RootLicense::None).is_err());
}

#[test]
fn lines_are_bounded() {
    let names: Vec<String> = (0..=MAX_ERROR_LINES).map(|number| format!("{number}:")).collect();
    let files: Vec<TreeFile<'_>> = names.iter().map(|name| file(name)).collect();
    let whole = lines(&files[..MAX_ERROR_LINES]);
    assert_eq!(whole.len(), MAX_ERROR_LINES);
    assert!(whole.last().unwrap().starts_with("99:"));
    let cut = lines(&files);
    assert_eq!(cut.len(), MAX_ERROR_LINES);
    assert_eq!(cut.last().unwrap(), "and 2 more");
}

#[test]
fn a_go_mod_that_is_not_read_whole_is_no_guess() {
    let mut go_mod = String::from("go 1.24\n");
    go_mod.push_str(&"retract v1.0.0\n".repeat(modfile::MAX_ENTRIES + 1));
    let error = select(&[file("go.mod")], Some(go_mod.as_bytes()), RootLicense::None).unwrap_err();
    assert!(error.to_string().starts_with("create zip: go.mod requires and retracts more than"));
}
