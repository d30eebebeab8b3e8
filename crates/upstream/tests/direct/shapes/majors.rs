//! Majors above 1, and modules below the root.

use super::{bare, module, plain, with_mod};
use crate::{
    Case,
    builder::{file, gone},
    case,
};

/// Majors above 1, by their paths.
pub(super) fn majors() -> Vec<Case> {
    let two = |name: &str| format!("module github.com/oracle/{name}/v2\n");
    let root = with_mod("v2root", &module("v2root")).tag("v1.0.0");
    let root = root.commit(&[file("go.mod", &two("v2root"))]).tag("v2.0.0");
    let root = root.commit(&[file("b.go", "package b")]);
    let dir = plain("v2dir").tag("v1.0.0").commit(&[
        file("v2/go.mod", &two("v2dir")),
        file("v2/a.go", "package a"),
        file("LICENSE", "free"),
    ]);
    let dir = dir.tag("v2.0.0").commit(&[file("v2/b.go", "package b")]);
    let both = with_mod("v2both", &two("v2both"))
        .commit(&[file("v2/go.mod", &two("v2both"))])
        .tag("v2.0.0");
    let wrong = with_mod("v2wrong", &two("v2wrong"))
        .commit(&[file("v2/go.mod", &module("v2wrong"))])
        .tag("v2.0.0");
    vec![
        case(
            root,
            &[
                ("v2root", "v1.0.0 v2.0.0 v2.0.0+incompatible main"),
                ("v2root/v2", "v1.0.0 v2.0.0 main v2.0.1-0.{3@}-{3:12}"),
            ],
        ),
        case(
            dir,
            &[
                ("v2dir", "v1.0.0 v2.0.0 main"),
                ("v2dir/v2", "v2.0.0 main {2:12} v2.0.0-{3@}-{3:12}"),
                ("v2dir/v3", "v3.0.0 main"),
            ],
        ),
        case(both, &[("v2both/v2", "v2.0.0 main"), ("v2both", "main")]),
        case(wrong, &[("v2wrong/v2", "v2.0.0 main")]),
        case(
            plain("v2missing").tag("v2.0.0"),
            &[("v2missing/v2", "v2.0.0 main"), ("v2missing", "v2.0.0 main")],
        ),
        case(bare("v2bare").tag("v2.0.0"), &[("v2bare/v2", "v2.0.0"), ("v2bare", "v2.0.0")]),
    ]
}

/// Modules below the root.
pub(super) fn folders() -> Vec<Case> {
    let nested = plain("nested").tag("v1.0.0").commit(&[
        file("sub/go.mod", "module github.com/oracle/nested/sub\n"),
        file("sub/s.go", "package s"),
        file("LICENSE", "free"),
    ]);
    let nested = nested.tags(&["sub/v1.0.0", "sub/v1.1.0-rc.1"]).commit(&[
        file("sub/deep/go.mod", "module github.com/oracle/nested/sub/deep\n"),
        file("sub/deep/d.go", "package d"),
    ]);
    let nested = nested.tags(&["sub/v1.2.0", "v1.1.0", "sub/v2.0.0"]);
    let etcd = plain("etcd").commit(&[
        file("api/go.mod", "module github.com/oracle/etcd/api/v3\n"),
        file("api/a.go", "package api"),
        file("client/v3/go.mod", "module github.com/oracle/etcd/client/v3\n"),
        file("client/v3/c.go", "package client"),
    ]);
    let etcd = etcd.tags(&["api/v3.5.9", "client/v3.5.9", "v3.5.9"]);
    let etcd = etcd.commit(&[file("client/v3/d.go", "package client")]);
    vec![
        case(
            nested,
            &[
                ("nested", "v1.0.0 v1.1.0 main"),
                ("nested/sub", "v1.0.0 v1.1.0-rc.1 v1.2.0 v1.9.0 main {2:12}"),
                ("nested/sub/deep", "main v1.0.0 v0.0.0-{3@}-{3:12} v0.0.0-{2@}-{2:12}"),
                ("nested/none", "main v1.0.0"),
            ],
        ),
        case(
            etcd,
            &[
                ("etcd/api/v3", "v3.5.9 main"),
                ("etcd/client/v3", "v3.5.9 main v3.5.10-0.{3@}-{3:12}"),
                ("etcd/client", "v3.5.9 main"),
                ("etcd", "v3.5.9 main"),
            ],
        ),
    ]
}

/// Majors above 1 without their paths.
pub(super) fn incompatible() -> Vec<Case> {
    // A go.mod that comes and goes: v1 without, v2 without, v3 with, v4 without, v5 below v5/.
    let go_mod = module("ladder");
    let ladder = bare("ladder").tags(&["v1.0.0", "v2.0.0"]).commit(&[file("b.go", "package b")]);
    let ladder = ladder.tags(&["v2.1.0", "v3.0.0"]).commit(&[file("go.mod", &go_mod)]);
    let ladder = ladder.tag("v3.1.0").commit(&[gone("go.mod")]).tags(&["v4.0.0", "v4.1.0-rc.1"]);
    let below = "module github.com/oracle/ladder/v5\n";
    let ladder = ladder.commit(&[file("v5/go.mod", below)]).tags(&["v5.0.0", "v6.0.0"]);
    let ladder = ladder.commit(&[file("z.go", "package z")]);
    let hidden = bare("hidden").tag("v2.0.0").commit(&[file("go.mod", &module("hidden"))]);
    let hidden = hidden.tag("v1.0.0").commit(&[gone("go.mod")]).tag("v3.0.0");
    let late = bare("late").tags(&["v1.0.0", "v2.0.0"]).commit(&[file("go.mod", &module("late"))]);
    let late = late.tag("v2.1.0").commit(&[file("b.go", "package b")]);
    let only = bare("only2").tags(&["v2.0.0", "v2.1.0-rc.1"]).commit(&[file("b.go", "package b")]);
    vec![
        case(
            ladder,
            &[(
                "ladder",
                "v1.0.0 v2.0.0 v2.0.0+incompatible v2.1.0 v3.0.0+incompatible v3.1.0+incompatible v3.1.0 v4.0.0 v5.0.0 v5.0.0+incompatible v6.0.0 main v6.0.1-0.{5@}-{5:12}+incompatible {2:12} {3:12} v1.0.0+incompatible v2.0.0-{1@}-{1:12} v2.0.0-{1@}-{1:12}+incompatible",
            )],
        ),
        case(hidden, &[("hidden", "v1.0.0 v2.0.0 v3.0.0 main")]),
        case(late, &[("late", "v2.0.0 v2.1.0 v2.1.0+incompatible main")]),
        case(only, &[("only2", "v2.0.0+incompatible v2.1.0-rc.1 main")]),
    ]
}
