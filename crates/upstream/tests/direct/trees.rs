//! Repositories whose question is: which files, with which bytes, make the zip?

use crate::{
    Case,
    builder::{Blob, Repo, file, symlink},
    case,
};

type Files<'a> = Vec<(&'a [u8], Blob<'a>)>;

/// Every tree, each tagged `v1.0.0` at its root.
pub(crate) fn all() -> Vec<Case> {
    let mut all = vendored();
    all.extend(kinds());
    all.extend(licenses());
    all.extend(names());
    all.extend(refused_names());
    all.extend(attributes());
    all
}

/// A module at the root with these files beside its go.mod.
fn tree(name: &str, files: Files<'_>) -> Case {
    let go_mod = format!("module github.com/oracle/{name}\n\ngo 1.22\n");
    let mut all = vec![file("go.mod", &go_mod), file("a.go", "package a\n")];
    all.extend(files);
    case(Repo::new(name).commit(&all).tag("v1.0.0"), &[(name, "v1.0.0")])
}

/// The rules for vendored files hang on the `go` line.
fn vendored() -> Vec<Case> {
    let lines = [
        ("none", ""),
        ("1.9", "go 1.9"),
        ("1.11", "go 1.11"),
        ("1.20", "go 1.20"),
        ("1.23", "go 1.23"),
        ("1.23.9", "go 1.23.9"),
        ("1.24", "go 1.24"),
        ("1.24.0", "go 1.24.0"),
        ("1.24rc1", "go 1.24rc1"),
        ("1.25.3", "go 1.25.3"),
        ("beta", "go 1.24.0-beta"),
        ("quoted", "go \"1.24\""),
        ("v", "go v1.24"),
        ("block", "go (\n\t1.24\n)"),
        ("toolchain", "toolchain go1.24.1"),
        ("twice", "go 1.20\ngo 1.24"),
    ];
    let repo = |(name, line): &(&str, &str)| {
        let name = format!("vendor-{name}");
        let go_mod = format!("module github.com/oracle/{name}\n\n{line}\n");
        let files = [
            file("go.mod", &go_mod),
            file("a.go", "package a\n"),
            file("vendor/modules.txt", "# x\n"),
            file("vendor/f.go", "package f\n"),
            file("vendor/x/y/z.go", "package y\n"),
            file("vendor/vendor/p.go", "package p\n"),
            file("vendor/g/go.mod", "module g\n"),
            file("pkg/vendor/v.go", "package v\n"),
            file("pkg/vendor/foo/f.go", "package foo\n"),
            file("pkg/vendor/modules.txt", "# y\n"),
            file("vendored/w.go", "package w\n"),
            file("a/vendor", "no folder"),
        ];
        case(Repo::new(&name).commit(&files).tag("v1.0.0"), &[(&name, "v1.0.0")])
    };
    lines.iter().map(repo).collect()
}

/// What is no plain file, and what folders are left out.
fn kinds() -> Vec<Case> {
    let gitlink = |path: &'static str| (path.as_bytes(), Blob::Gitlink);
    vec![
        tree(
            "symlinks",
            vec![
                symlink("link.go", "a.go"),
                symlink("dir", "sub"),
                symlink("broken", "/nowhere"),
                symlink("sub/up", "../a.go"),
                file("sub/s.go", "package s\n"),
            ],
        ),
        tree("gitlinks", vec![gitlink("dep"), gitlink("sub/dep"), file("sub/s.go", "package s\n")]),
        tree(
            "executables",
            vec![
                (b"run.sh", Blob::Executable(b"#!/bin/sh\n")),
                file(".github/x.yml", "on: push\n"),
                file(".hidden/.deep/f", ""),
                file("_under/u.go", "package u\n"),
                file("testdata/t", "t"),
            ],
        ),
        tree("hg", vec![file(".hg_archival.txt", "x"), file("sub/.hg_archival.txt", "y")]),
        tree(
            "nested-mods",
            vec![
                file("sub/go.mod", "module x\n"),
                file("sub/s.go", "package s\n"),
                file("sub/deep/d.go", "package d\n"),
                file("testdata/up/GO.MOD", "module y\n"),
                file("testdata/up/u.go", "package u\n"),
                symlink("linked/go.mod", "../go.mod"),
                file("linked/l.go", "package l\n"),
                file("dir/go.mod/f.go", "package f\n"),
                file("xgo.mod", "x"),
                // Left out with its module: its name is nobody's business.
                file("sub/aux.txt", "x"),
            ],
        ),
        tree("nested-link", vec![gitlink("sub/go.mod"), file("sub/s.go", "package s\n")]),
    ]
}

fn licenses() -> Vec<Case> {
    let below = |name: &str, files: Files<'_>| {
        let path = format!("{name}/sub");
        let go_mod = format!("module github.com/oracle/{path}\n");
        let mut all = vec![file("sub/go.mod", &go_mod), file("sub/s.go", "package s\n")];
        all.extend(files);
        let repo = Repo::new(name).commit(&all).tag("sub/v1.0.0");
        case(repo, &[(&path, "v1.0.0")])
    };
    vec![
        tree("license-root", vec![file("LICENSE", "root\n"), file("sub/LICENSE", "sub\n")]),
        below("license-copied", vec![file("LICENSE", "root\n")]),
        below("license-own", vec![file("LICENSE", "root\n"), file("sub/LICENSE", "own\n")]),
        below("license-none", vec![file("COPYING", "x"), file("LICENSE.md", "x")]),
        below("license-md", vec![file("LICENSE", "root\n"), file("sub/LICENSE.md", "x")]),
        below("license-case", vec![file("LICENSE", "root\n"), file("sub/License", "x")]),
        below("license-own-link", vec![file("LICENSE", "r"), symlink("sub/LICENSE", "../LICENSE")]),
        below("license-root-link", vec![symlink("LICENSE", "COPYING"), file("COPYING", "x")]),
        below("license-root-dir", vec![file("LICENSE/x", "x")]),
        below("license-own-dir", vec![file("LICENSE", "root\n"), file("sub/LICENSE/x", "x")]),
        below(
            "license-nested",
            vec![
                file("LICENSE", "root\n"),
                file("sub/deep/go.mod", "module d\n"),
                file("sub/deep/LICENSE", "deep\n"),
            ],
        ),
        below(
            "license-crlf",
            vec![file("LICENSE", "root\nline\n"), file(".gitattributes", "* text eol=crlf\n")],
        ),
        below("license-gitlink", vec![file("LICENSE", "root\n"), (b"sub/LICENSE", Blob::Gitlink)]),
    ]
}

/// Names that Go takes.
fn names() -> Vec<Case> {
    vec![
        tree("names-blank", vec![file("a b.go", "x"), file(" lead", "x"), file("trail ", "x")]),
        tree(
            "names-marks",
            vec![
                file("!#$%&()+,-.=@[]^_{}~", "x"),
                file("..a", "x"),
                file("a..b", "x"),
                file("x~1", "x"),
            ],
        ),
        tree(
            "names-letters",
            vec![
                file("\u{65e5}\u{672c}.txt", "x"),
                file("\u{e9}t\u{e9}", "x"),
                file("\u{3a9}/\u{431}", "x"),
            ],
        ),
        tree(
            "names-order",
            vec![
                file("b/x", "1"),
                file("b.go", "2"),
                file("b-x", "3"),
                file("B2", "4"),
                file("\u{e9}", "5"),
                file("~", "6"),
            ],
        ),
        tree("names-deep", vec![file("1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20", "x")]),
    ]
}

/// Names that no module may have: these versions never exist.
fn refused_names() -> Vec<Case> {
    let one = |name: &str, path: &'static [u8]| tree(name, vec![(path, Blob::File(b"x"))]);
    vec![
        one("bad-colon", b"a:b.txt"),
        one("bad-aux", b"aux.txt"),
        one("bad-quote", b"a\"b"),
        one("bad-utf8", b"a\xffb"),
        one("bad-emoji", "\u{1f600}".as_bytes()),
        one("bad-mark", "e\u{301}".as_bytes()),
        one("bad-dot", b"a."),
        one("bad-dots", b"..."),
        one("bad-newline", b"a\nb"),
        one("bad-backslash", b"a\\b"),
        one("bad-tab", b"a\tb"),
        one("bad-star", b"sub/*.go"),
        tree("bad-several", vec![file("a:b", "x"), file("c?d", "x"), file("aux/x", "x")]),
        tree("bad-link", vec![symlink("a:b", "a.go")]),
        one("upper-mod", b"GO.MOD"),
        tree("case-files", vec![file("A.txt", "x"), file("a.txt", "y")]),
        tree("case-dirs", vec![file("X/f", "x"), file("x/g", "y")]),
        tree("case-kelvin", vec![file("\u{212a}.txt", "x"), file("k.txt", "y")]),
        tree("case-sigma", vec![file("\u{3c2}", "x"), file("\u{3c3}", "y")]),
        tree("case-link", vec![symlink("A.txt", "a.go"), file("a.txt", "y")]),
        tree("case-vendor", vec![file("vendor/x/A.go", "x"), file("vendor/x/a.go", "y")]),
    ]
}

/// A module with files of all line ends, and attributes at its root.
fn with(name: &str, root: &'static str, more: Files<'static>) -> Case {
    let mut files = vec![
        file("lf.txt", "one\ntwo\n"),
        file("crlf.txt", "one\r\ntwo\r\n"),
        file("mixed.txt", "one\ntwo\r\nthree\n"),
        file("cr.txt", "one\rtwo\r"),
        file("lone.txt", "one\rtwo\n"),
        file("zero.txt", "one\n\0two\n"),
        file("empty.txt", ""),
        file("control.txt", "\u{1}\u{2}\u{3}\u{4}one\n\u{1a}"),
        file("sub/lf.txt", "one\n"),
        file("sub/raw/lf.txt", "one\n"),
        file(".gitattributes", root),
    ];
    files.extend(more);
    tree(name, files)
}

/// Attributes that change bytes on their way into an archive.
fn attributes() -> Vec<Case> {
    vec![
        with("attr-text-crlf", "* text eol=crlf\n", vec![]),
        with("attr-crlf", "*.txt eol=crlf\n", vec![]),
        with("attr-auto", "* text=auto eol=crlf\n", vec![]),
        with("attr-auto-only", "* text=auto\n", vec![]),
        with("attr-lf", "* text eol=lf\n", vec![]),
        with("attr-input", "* crlf=input\n", vec![]),
        with("attr-old", "*.txt crlf\n", vec![]),
        with("attr-binary", "* eol=crlf\nmixed.txt binary\nlf.txt -text\n", vec![]),
        with("attr-macro", "[attr]win text eol=crlf\n*.txt win\n", vec![]),
        with(
            "attr-nested",
            "* text eol=crlf\n",
            vec![
                file("sub/.gitattributes", "*.txt -text\nraw/* text\n"),
                file("sub/raw/.gitattributes", "[attr]win text eol=crlf\n*.txt win\n"),
            ],
        ),
        with("attr-dirs", "/sub/** text eol=crlf\nlf.txt !eol\n", vec![]),
        with("attr-go-mod", "go.mod text eol=crlf\n", vec![]),
        with(
            "attr-ident",
            "*.id ident\n",
            vec![
                file("a.id", "$Id$\nx $Id: 123 $ y\n$Id: a b $\n$Id\n$Id: open\n"),
                file("b.id", "no keyword\n"),
            ],
        ),
        with(
            "attr-encoding",
            "*.utf16 text working-tree-encoding=UTF-16LE\n",
            vec![file("a.utf16", "h\u{e9}\n")],
        ),
        with(
            "attr-subst",
            "*.txt export-subst\nlf.txt export-ignore\nsub export-ignore\n",
            vec![file("s.txt", "$Format:%H$\n")],
        ),
        with(
            "attr-lfs",
            "*.bin filter=lfs diff=lfs -text\n",
            vec![file("a.bin", "version https://git-lfs.github.com/spec/v1\n")],
        ),
        with("attr-broken", "* text eol=crlf eol\n\"*.txt\" -text\n!lf.txt text\n\u{0}x\n", vec![]),
        tree(
            "attr-link",
            vec![
                symlink(".gitattributes", "real"),
                file("real", "* eol=crlf\n"),
                file("lf.txt", "one\n"),
            ],
        ),
    ]
}
