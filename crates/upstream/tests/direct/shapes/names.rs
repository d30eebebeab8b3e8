//! Names of commits: tags, branches, hashes, pseudo-versions; and what is retracted.

use super::{module, plain, with_mod};
use crate::{Case, builder::file, case};

/// Tags, branches and commits whose names mean something else.
pub(super) fn names() -> Vec<Case> {
    let odd = plain("odd").tags(&[
        "v1",
        "v1.2",
        "1.3.0",
        "v1.4.0+meta",
        "release-5",
        "V1.5.0",
        "v1.6.0-",
        "v01.7.0",
        "v1.8.0+incompatible",
        "v0.0.0-20190101000000-abcdefabcdef",
        "x/v1.9.0",
    ]);
    let odd = odd.commit(&[file("b.go", "package b")]).tag("v0.1.0");
    let meta = plain("meta").tag("v0.1.0+meta").commit(&[file("b.go", "package b")]);
    let meta = meta.tag("v0.2.0+a").commit(&[file("b.go", "package c")]).tag("v0.2.0+b");
    let branches = plain("branches").tag("v1.0.0").commit_on("v1.2.3", Some(1), &[]);
    let branches = branches.commit_on("v1", Some(1), &[file("b.go", "package b")]);
    let branches = branches.commit_on("v2.0.0", Some(1), &[file("c.go", "package c")]);
    let same = plain("same").tag("v1.0.0").commit(&[file("b.go", "package b")]).tag("topic");
    let same = same.commit_on("topic", Some(1), &[file("c.go", "package c")]);
    let pull = plain("pull").tag("v1.0.0").commit_on("gone", Some(1), &[file("p.go", "package p")]);
    let pull = pull.reference("refs/pull/1/head", 2).commit_on("main", Some(1), &[]);
    vec![
        case(odd, &[("odd", "v0.1.0 v1.4.0 v1.4.0+meta v1.8.0 release-5 main {1:12}")]),
        case(
            meta,
            &[(
                "meta",
                "v0.1.0 v0.1.0+meta v0.2.0+a v0.2.0+b v0.2.0 main v0.1.1-0.{1@}-{1:12} v0.1.1-0.{3@}-{3:12}",
            )],
        ),
        case(branches, &[("branches", "v1.0.0 v1.2.3 v2.0.0 main {3:12} v1.0.1-0.{3@}-{3:12}")]),
        case(same, &[("same", "topic main {3:12}")]),
        // The commit lives in a branch that is deleted after import.
        case(
            pull.reference("refs/heads/gone", 1),
            &[("pull", "{2} {2:12} main v0.0.0-{2@}-{2:12} gone")],
        ),
    ]
}

/// Versions that their authors take back.
pub(super) fn retractions() -> Vec<Case> {
    let moved = plain("twice").tags(&["v1.0.0", "v1.0.1", "v1.0.1-rc.1"]);
    let retract = "\nretract v1.2.0\nretract [v1.1.0, v1.1.9] // bad\n";
    let retracted = plain("retracted").tags(&["v1.0.0", "v1.1.0"]);
    let retracted = retracted
        .commit(&[file("go.mod", &format!("{}{retract}", module("retracted")))])
        .tag("v1.2.0")
        .commit(&[file("b.go", "package b")]);
    let all = format!("{}\nretract [v0.0.0, v1.9.0]\n", module("all-retracted"));
    let all = with_mod("all-retracted", &all).tags(&["v1.0.0", "v1.1.0"]);
    let all = all.commit(&[file("b.go", "package b")]);
    let to_pre = format!("{}\nretract v1.0.0\n", module("to-pre"));
    let to_pre = with_mod("to-pre", &to_pre).tags(&["v1.0.0", "v1.1.0-rc.1"]);
    let broken = format!("{}\nretract [v1.0.0\n", module("broken-retract"));
    let broken = with_mod("broken-retract", &broken).tags(&["v1.0.0", "v1.1.0"]);
    vec![
        case(moved, &[("twice", "v1.0.0 v1.0.1-rc.1 main {1}")]),
        case(retracted, &[("retracted", "v1.1.0 v1.2.0 main {1:12} {2:12}")]),
        case(all, &[("all-retracted", "v1.0.0 main {1:12}")]),
        case(to_pre, &[("to-pre", "main")]),
        case(broken, &[("broken-retract", "v1.0.0 main")]),
    ]
}

/// Pseudo-versions, true and false ones.
pub(super) fn pseudo() -> Vec<Case> {
    let plain_pseudo = plain("pseudo").tag("v1.0.0").commit(&[file("b.go", "package b")]);
    let plain_pseudo = plain_pseudo.tag("v1.5.0").commit(&[file("b.go", "package c")]);
    let side = plain_pseudo.commit_on("side", Some(1), &[file("s.go", "package s")]).tag("v1.7.0");
    let pre = plain("pseudo-pre").tag("v1.0.0-rc.1").commit(&[file("b.go", "package b")]);
    let pre = pre.tag("v1.0.0-rc.1+meta").commit(&[file("b.go", "package c")]);
    let merged =
        plain("merged").tag("v1.0.0").commit_on("side", Some(1), &[file("s.go", "package s")]);
    let merged = merged.tag("v1.10.0").commit(&[file("b.go", "package b")]).tag("v1.2.0");
    let merged = merged.merge("side").commit(&[file("c.go", "package c")]);
    vec![
        case(
            side,
            &[(
                "pseudo",
                "v0.0.0-{3@}-{3:12} v1.0.0-{3@}-{3:12} v1.0.1-0.{3@}-{3:12} v1.5.1-0.{3@}-{3:12} v1.4.1-0.{3@}-{3:12} v1.7.1-0.{3@}-{3:12} v1.0.0-0.{3@}-{3:12} v1.5.1-0.{2@}-{2:12} v1.0.1-0.{2@}-{2:12} v0.0.0-{3@}-{3:7} v0.0.0-{3@}-{3:14} v0.0.0-{2@}-{3:12} v0.0.0-20201301000000-{3:12} v0.0.0-{3@}-abcdefabcdef v2.0.0-{3@}-{3:12} v0.0.0-{3@}-{3:12}+incompatible v1.5.1-0.{3@}-{3:12}+incompatible",
            )],
        ),
        case(
            pre,
            &[(
                "pseudo-pre",
                "main v1.0.0-rc.1.0.{3@}-{3:12} {2:12} v1.0.0-rc.1.0.{2@}-{2:12} v1.0.0-rc.2.0.{3@}-{3:12}",
            )],
        ),
        case(merged, &[("merged", "main side v1.10.1-0.{5@}-{5:12} v1.2.1-0.{5@}-{5:12} {4:12}")]),
    ]
}
