//! Repositories whose question is: which versions are there, and what is their name?

mod majors;
mod names;

use crate::{
    Case,
    builder::{Blob, Repo, file, symlink},
    case,
};

/// Every shape, each with the modules and queries that are asked of it.
pub(crate) fn all() -> Vec<Case> {
    let mut all = roots();
    all.extend(majors::majors());
    all.extend(majors::folders());
    all.extend(majors::incompatible());
    all.extend(names::names());
    all.extend(names::retractions());
    all.extend(names::pseudo());
    all.extend(go_mods());
    all
}

fn module(name: &str) -> String {
    format!("module github.com/oracle/{name}\n")
}

/// One commit with a go.mod that says `text` and a Go file.
fn with_mod(name: &str, text: &str) -> Repo {
    Repo::new(name).commit(&[file("go.mod", text), file("a.go", "package a\n")])
}

fn plain(name: &str) -> Repo {
    with_mod(name, &module(name))
}

fn bare(name: &str) -> Repo {
    Repo::new(name).commit(&[file("a.go", "package a\n")])
}

fn roots() -> Vec<Case> {
    let tagged = plain("plain").tag("v1.0.0").commit(&[file("b.go", "package a\n")]);
    let tagged = tagged.annotated("v1.1.0").commit(&[file("c.go", "package a\n")]);
    let bare_tagged = bare("bare").tags(&["v0.1.0", "v1.0.0"]).commit(&[file("b.go", "package a")]);
    let pre = plain("pre").tag("v0.1.0-alpha").commit(&[file("b.go", "package b")]);
    let pre = pre.tag("v0.1.0-beta.2").commit(&[file("b.go", "package c")]);
    let unborn = plain("unborn").tag("v1.0.0").head("nowhere");
    let untagged_unborn = plain("unborn-untagged").head("nowhere");
    let times = plain("annotated").annotated("v1.0.0").commit(&[file("b.go", "package a")]);
    vec![
        case(
            tagged,
            &[(
                "plain",
                "v1.0.0 v1.1.0 v1.2.0 v9.9.9 main HEAD nobranch {1} {2:12} {3} {3:12} {3:7} {3:6} v1.1.1-0.{3@}-{3:12} v1.0.1-0.{3@}-{3:12}",
            )],
        ),
        case(bare_tagged, &[("bare", "v0.1.0 v1.0.0 main {2:7}")]),
        case(pre, &[("pre", "v0.1.0-alpha main")]),
        case(plain("untagged"), &[("untagged", "main v0.0.0-{1@}-{1:12} v1.0.0")]),
        case(Repo::new("empty"), &[("empty", "v1.0.0 main")]),
        case(unborn, &[("unborn", "v1.0.0 main")]),
        case(untagged_unborn, &[("unborn-untagged", "main HEAD")]),
        case(times, &[("annotated", "v1.0.0 main")]),
        case(
            plain("names-sha256").sha256().tag("v1.0.0").commit(&[file("b.go", "package a")]),
            &[("names-sha256", "v1.0.0 main {2} {2:12} {2:7} v1.0.1-0.{2@}-{2:12}")],
        ),
        case(plain("Upper-Case").tag("v1.0.0-RC1"), &[("Upper-Case", "v1.0.0-RC1 main")]),
    ]
}

fn go_mods() -> Vec<Case> {
    let texts = [
        ("mod-empty", ""),
        ("mod-none", "go 1.20\n"),
        ("mod-fork", "module example.org/fork\n"),
        ("mod-v3", "module example.org/fork/v3\n"),
        ("mod-v1", "module github.com/oracle/mod-v1/v1\n"),
        ("mod-gopkg", "module gopkg.in/x.v3\n"),
        ("mod-gopkg-bad", "module gopkg.in/x\n"),
        ("mod-quoted", "// c\nmodule \"github.com/oracle/mod-quoted\" // d\n"),
        ("mod-raw", "module `github.com/oracle/mod-raw`\n"),
        ("mod-block", "module (\n\tgithub.com/oracle/mod-block\n)\n"),
        ("mod-bad-quote", "module \"github.com/oracle\n"),
        ("mod-crlf", "module github.com/oracle/mod-crlf\r\n\r\ngo 1.20\r\n"),
        ("mod-odd-path", "module \u{e9}\u{1}x/v2\n"),
        ("mod-junk", "module github.com/oracle/mod-junk\n???\n"),
    ];
    let mut cases: Vec<_> = texts
        .iter()
        .map(|(name, text)| case(with_mod(name, text).tag("v1.0.0"), &[(name, "v1.0.0 main")]))
        .collect();
    let link = Repo::new("mod-symlink")
        .commit(&[symlink("go.mod", "real.mod"), file("real.mod", &module("mod-symlink"))]);
    cases.push(case(link.tag("v1.0.0"), &[("mod-symlink", "v1.0.0 main")]));
    let dir = Repo::new("mod-dir").commit(&[file("go.mod/x", "y"), file("a.go", "package a")]);
    cases.push(case(dir.tag("v1.0.0"), &[("mod-dir", "v1.0.0 main")]));
    let link = (&b"go.mod"[..], Blob::Gitlink);
    let gitlink = Repo::new("mod-gitlink").commit(&[link, file("a.go", "package a")]);
    cases.push(case(gitlink.tag("v1.0.0"), &[("mod-gitlink", "v1.0.0 main")]));
    cases
}
