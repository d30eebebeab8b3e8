//! Version control as a source, compared with the `go` command in direct mode.
//!
//! Repositories are made by plain git with fixed dates. Where there is a `go` command, it is asked
//! the same about them; `golden.json` holds its answers for machines without one.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "helpers of tests are not in tests for clippy"
)]

mod builder;
mod fuzz;
mod host;
mod larder;
mod oracle;
mod shapes;
mod source;
mod trees;

use std::{collections::BTreeSet, fs, path::Path};

use store::{Staged, Store};
use tempfile::TempDir;
use upstream::VcsSettings;

use crate::{
    builder::{Made, Repo},
    oracle::{Answer, Go},
};

/// A repository and what is asked of it.
pub(crate) struct Case {
    repo: Repo,
    /// Module paths, each with its queries; hashes still to be filled in.
    asked: Vec<(String, Vec<String>)>,
}

/// A case: modules, each with its queries, blanks between; list and latest are asked of every one.
pub(crate) fn case(repo: Repo, asked: &[(&str, &str)]) -> Case {
    let asked = asked.iter().map(|(module, queries)| {
        let queries = queries.split(' ').chain(["list", "latest"]);
        (format!("github.com/oracle/{module}"), queries.map(str::to_owned).collect())
    });
    Case { asked: asked.collect(), repo }
}

fn cases() -> Vec<Case> {
    let mut cases = shapes::all();
    cases.extend(trees::all());
    cases
}

/// Makes the repositories of all cases in a folder.
fn make(folder: &Path, cases: Vec<Case>) -> Vec<(Case, Made)> {
    let made = |case: Case| {
        let made = case.repo.make(folder);
        (case, made)
    };
    cases.into_iter().map(made).collect()
}

/// Everything that was staged.
fn content(staged: &Staged) -> Vec<u8> {
    let follower = staged.follower();
    let mut content = vec![0; usize::try_from(follower.visible()).unwrap()];
    let mut filled = 0;
    while filled < content.len() {
        filled += follower.read_at(filled as u64, &mut content[filled..]).unwrap();
    }
    content
}

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/direct/golden.json");

fn golden() -> Vec<Answer> {
    serde_json::from_slice(&fs::read(GOLDEN).unwrap()).unwrap()
}

#[test]
fn there_are_enough_repositories_of_every_kind() {
    let names: BTreeSet<_> = cases().into_iter().map(|case| case.repo.name).collect();
    assert_eq!(names.len(), cases().len(), "a name stands twice");
    assert!(names.len() >= 60, "{}", names.len());
}

#[test]
fn the_golden_answers_are_those_of_the_go_command() {
    let folder = TempDir::new().unwrap();
    let cases = make(folder.path(), cases());
    let Some(go) = Go::find(folder.path()) else {
        return eprintln!("no go command of 1.25 or newer: the golden answers stay unchecked");
    };
    let answers = go.answers(&cases);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let mut text = serde_json::to_string_pretty(&answers).unwrap();
        text.push('\n');
        fs::write(GOLDEN, text).unwrap();
    }
    for (theirs, golden) in answers.iter().zip(golden()) {
        assert_eq!(*theirs, golden);
    }
}

fn differences(golden: &[Answer], ours: &[Answer]) -> String {
    let pairs = golden.iter().zip(ours);
    let found: Vec<_> =
        pairs.filter_map(|(golden, ours)| larder::difference(golden, ours)).collect();
    let shown = found.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("\n");
    match found.len() {
        0 => String::new(),
        count => format!("{count} of {}:\n{shown}", golden.len()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn larder_answers_as_go_does() {
    let folder = TempDir::new().unwrap();
    let made = make(folder.path(), cases());
    let golden = golden();
    let mut asked: Vec<_> = golden.iter().map(|answer| (&answer.module, &answer.query)).collect();
    let questions = larder::questions(&made);
    let mut expected: Vec<_> = questions.iter().map(|(module, query)| (module, query)).collect();
    asked.sort();
    expected.sort();
    assert_eq!(asked, expected, "the golden answers are to other questions: UPDATE_GOLDEN=1");
    let source = larder::source(folder.path(), Store::memory(), VcsSettings::default()).await;
    let ours = larder::answers(&source, &golden).await;
    let differences = differences(&golden, &ours);
    assert!(differences.is_empty(), "{differences}");
}

/// Trees of a run; `LARDER_TREES` takes more.
const TREES: u64 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn random_trees_make_the_zips_that_go_makes() {
    let folder = TempDir::new().unwrap();
    let Some(go) = Go::find(folder.path()) else {
        return eprintln!("no go command of 1.25 or newer: random trees are not compared");
    };
    let trees = std::env::var("LARDER_TREES").ok().and_then(|text| text.parse().ok());
    let source = larder::source(folder.path(), Store::memory(), VcsSettings::default()).await;
    let (mut zips, mut refused) = (0, 0);
    for case in fuzz::all(trees.unwrap_or(TREES)) {
        let made = make(folder.path(), vec![case]);
        let golden = go.answers(&made);
        zips += golden.iter().filter(|answer| !answer.zip.is_empty()).count();
        refused += golden.iter().filter(|answer| answer.error.starts_with("create zip")).count();
        let ours = larder::answers(&source, &golden).await;
        let differences = differences(&golden, &ours);
        assert!(differences.is_empty(), "{}: {differences}", made[0].0.repo.name);
    }
    assert!(zips > 4 * refused && refused > 0, "{zips} zips, {refused} refused: too alike");
}
