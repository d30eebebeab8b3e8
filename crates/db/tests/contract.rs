//! What the index keeps, in memory and in a file.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::time::Duration;

use db::{Error, Index, Kept, KeptAnswer, MAX_ANSWER_BYTES, Mutable, NEGATIVE_LIFETIME, Row};
use gomod::{ModVer, ModulePath, Version};
use units::Timestamp;

/// Runs each check against an index in memory and one in a file.
macro_rules! contract {
    ($($check:ident,)*) => {
        mod memory { $(
            #[tokio::test]
            async fn $check() { super::$check(&db::Index::memory().await.unwrap()).await; }
        )* }
        mod file { $(
            #[tokio::test]
            async fn $check() {
                let folder = tempfile::tempdir().unwrap();
                let file = folder.path().join("index.sqlite");
                let (index, _opened) = db::Index::open(&file).await.unwrap();
                super::$check(&index).await;
                index.close().await;
            }
        )* }
    };
}

contract! {
    an_unknown_module_has_no_versions,
    versions_need_zip_and_info_and_come_in_semver_order,
    what_is_told_twice_is_united,
    uses_move_forward_only,
    a_forgotten_version_is_gone,
    clearing_removes_versions_and_keeps_answers,
    answers_come_back_as_they_were_kept,
    lists_latest_and_queries_do_not_meet,
    a_newer_answer_takes_the_place_of_the_old,
    an_answer_at_the_bound_is_kept_and_past_it_refused,
    old_negative_answers_are_pruned,
    many_rows_go_in_at_once,
    nothing_at_all_is_fine,
    figures_are_counted,
}

fn path(text: &str) -> ModulePath {
    ModulePath::parse(text).unwrap()
}

fn module(of: &str, version: &str) -> ModVer {
    ModVer::new(path(of), Version::parse(version).unwrap()).unwrap()
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_unix_secs(secs)
}

fn row(of: &str, version: &str) -> Row {
    Row {
        module: module(of, version),
        size: 100,
        stored: at(1000),
        last_used: None,
        has_info: true,
        has_mod: true,
        has_zip: true,
    }
}

fn found(body: &str, secs: i64) -> Kept {
    let answer = KeptAnswer::Found(body.as_bytes().to_vec());
    Kept { answer, fetched: at(secs), origin: "proxy.example.com".to_owned() }
}

fn missing(secs: i64) -> Kept {
    let answer = KeptAnswer::NotFound { status: 410, text: "not found: x".to_owned() };
    Kept { answer, fetched: at(secs), origin: "proxy.example.com".to_owned() }
}

async fn an_unknown_module_has_no_versions(index: &Index) {
    assert_eq!(index.versions(&path("example.com/x")).await.unwrap(), []);
    assert_eq!(index.version(&module("example.com/x", "v1.0.0")).await.unwrap(), None);
    assert_eq!(index.kept(&Mutable::List(path("example.com/x"))).await.unwrap(), None);
    assert_eq!(index.count().await.unwrap(), 0);
}

async fn versions_need_zip_and_info_and_come_in_semver_order(index: &Index) {
    let of = "example.com/X";
    let rows = [
        row(of, "v1.10.0"),
        row(of, "v1.9.0"),
        row(of, "v1.10.0-rc.1"),
        Row { has_zip: false, ..row(of, "v1.1.0") },
        Row { has_info: false, ..row(of, "v1.2.0") },
        Row { has_mod: false, ..row(of, "v1.3.0") },
        row("example.com/x", "v1.4.0"),
    ];
    index.upsert(&rows).await.unwrap();
    let versions = index.versions(&path(of)).await.unwrap();
    let texts: Vec<_> = versions.iter().map(Version::as_str).collect();
    assert_eq!(texts, ["v1.3.0", "v1.9.0", "v1.10.0-rc.1", "v1.10.0"]);
    assert_eq!(index.count().await.unwrap(), 7);
}

async fn what_is_told_twice_is_united(index: &Index) {
    let of = ("example.com/x", "v1.0.0");
    let none = Row { has_info: false, has_mod: false, has_zip: false, ..row(of.0, of.1) };
    let info = Row { has_info: true, size: 80, stored: at(50), ..none.clone() };
    let zip = Row { has_zip: true, size: 9000, stored: at(60), last_used: Some(at(70)), ..none };
    for told in [&info, &zip, &info] {
        index.upsert(std::slice::from_ref(told)).await.unwrap();
    }
    let known = index.version(&info.module).await.unwrap().unwrap();
    let united = Row { has_zip: true, size: 9000, last_used: Some(at(70)), ..info };
    assert_eq!(known, united);
}

async fn uses_move_forward_only(index: &Index) {
    let row = row("example.com/x", "v1.0.0");
    let unknown = module("example.com/unknown", "v1.0.0");
    index.upsert(std::slice::from_ref(&row)).await.unwrap();
    for (used, known) in [(500, 500), (400, 500), (600, 600)] {
        let uses = [(row.module.clone(), at(used)), (unknown.clone(), at(used))];
        index.touch(&uses).await.unwrap();
        let found = index.version(&row.module).await.unwrap().unwrap();
        assert_eq!(found.last_used, Some(at(known)));
    }
    assert_eq!(index.count().await.unwrap(), 1);
}

async fn a_forgotten_version_is_gone(index: &Index) {
    let rows = [row("example.com/x", "v1.0.0"), row("example.com/x", "v1.1.0")];
    index.upsert(&rows).await.unwrap();
    index.forget(&rows[0].module).await.unwrap();
    index.forget(&rows[0].module).await.unwrap();
    let left = index.versions(&path("example.com/x")).await.unwrap();
    assert_eq!(left, [rows[1].module.version().clone()]);
}

async fn clearing_removes_versions_and_keeps_answers(index: &Index) {
    let list = Mutable::List(path("example.com/x"));
    index.upsert(&[row("example.com/x", "v1.0.0")]).await.unwrap();
    index.keep(&list, &found("v1.0.0\n", 5)).await.unwrap();
    index.clear().await.unwrap();
    assert_eq!(index.count().await.unwrap(), 0);
    assert!(index.kept(&list).await.unwrap().is_some());
}

async fn answers_come_back_as_they_were_kept(index: &Index) {
    let what = Mutable::Latest(path("example.com/x"));
    for kept in [found("{\"Version\":\"v1.0.0\"}\u{0}\u{ff}", -7), missing(8), found("", 9)] {
        index.keep(&what, &kept).await.unwrap();
        assert_eq!(index.kept(&what).await.unwrap(), Some(kept));
    }
}

async fn lists_latest_and_queries_do_not_meet(index: &Index) {
    let of = path("example.com/x");
    let questions = [
        Mutable::List(of.clone()),
        Mutable::Latest(of.clone()),
        Mutable::Query(of.clone(), "main".to_owned()),
        Mutable::Query(of.clone(), "Main".to_owned()),
        Mutable::Query(of, "'; DROP TABLE kept; --".to_owned()),
        Mutable::List(path("example.com/x/y")),
    ];
    for (number, what) in questions.iter().enumerate() {
        index.keep(what, &found(&number.to_string(), 1)).await.unwrap();
    }
    for (number, what) in questions.iter().enumerate() {
        assert_eq!(
            index.kept(what).await.unwrap(),
            Some(found(&number.to_string(), 1)),
            "{what:?}"
        );
    }
}

async fn a_newer_answer_takes_the_place_of_the_old(index: &Index) {
    let what = Mutable::Query(path("example.com/x"), "main".to_owned());
    index.keep(&what, &missing(1)).await.unwrap();
    index.keep(&what, &found("info", 2)).await.unwrap();
    assert_eq!(index.kept(&what).await.unwrap(), Some(found("info", 2)));
}

async fn an_answer_at_the_bound_is_kept_and_past_it_refused(index: &Index) {
    let what = Mutable::List(path("example.com/x"));
    let at_bound = found(&"v".repeat(MAX_ANSWER_BYTES), 1);
    index.keep(&what, &at_bound).await.unwrap();
    let past = found(&"v".repeat(MAX_ANSWER_BYTES + 1), 2);
    let refused = index.keep(&what, &past).await;
    assert!(matches!(refused, Err(Error::TooLarge { bytes }) if bytes == MAX_ANSWER_BYTES + 1));
    assert_eq!(index.kept(&what).await.unwrap(), Some(at_bound));
}

async fn old_negative_answers_are_pruned(index: &Index) {
    let question = |name: &str| Mutable::List(path(&format!("example.com/{name}")));
    let day = i64::try_from(NEGATIVE_LIFETIME.as_secs()).unwrap();
    index.keep(&question("old-missing"), &missing(0)).await.unwrap();
    index.keep(&question("young-missing"), &missing(1)).await.unwrap();
    index.keep(&question("old-found"), &found("v1.0.0", 0)).await.unwrap();
    // Pruning happens every so often; `now` is the time of the answer that is kept then.
    for number in 0..256 {
        let now = found("x", day).fetched.plus(Duration::from_nanos(1));
        let kept = Kept { fetched: now, ..found("x", 0) };
        index.keep(&question(&format!("other{number}")), &kept).await.unwrap();
    }
    assert_eq!(index.kept(&question("old-missing")).await.unwrap(), None);
    assert!(index.kept(&question("young-missing")).await.unwrap().is_some());
    assert!(index.kept(&question("old-found")).await.unwrap().is_some());
}

async fn many_rows_go_in_at_once(index: &Index) {
    let rows: Vec<_> = (0..2_000).map(|n| row("example.com/x", &format!("v1.0.{n}"))).collect();
    index.upsert(&rows).await.unwrap();
    assert_eq!(index.versions(&path("example.com/x")).await.unwrap().len(), 2_000);
}

async fn nothing_at_all_is_fine(index: &Index) {
    index.upsert(&[]).await.unwrap();
    index.touch(&[]).await.unwrap();
    assert_eq!(index.count().await.unwrap(), 0);
}

async fn figures_are_counted(index: &Index) {
    let mut registry = prometheus_client::registry::Registry::with_prefix("larder");
    index.metrics().register(&mut registry);
    index.upsert(&[row("example.com/x", "v1.0.0")]).await.unwrap();
    index.close().await;
    assert!(matches!(index.count().await, Err(Error::Unavailable { .. })));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    assert!(text.contains("larder_index_rows_written_total 1"), "{text}");
    assert!(text.contains("larder_index_errors_total{question=\"count versions\"} 1"), "{text}");
}
