//! The tables of docs/corpus.md.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::compare::Outcome;
use super::mirrors::{Skipped, Why};
use super::rows::Row;

/// A row that was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) row: Row,
    pub(crate) outcome: Outcome,
    /// Of its three files, waiting for others of the repository included.
    pub(crate) secs: f64,
}

/// What the run cost.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) wall_secs: f64,
    /// larder and its git processes.
    pub(crate) cpu_secs: f64,
    /// larder alone, pages of mapped packs included.
    pub(crate) peak_mb: f64,
    /// larder and its git processes, as far as it was seen.
    pub(crate) peak_tree_mb: f64,
    /// The repositories that were asked for.
    pub(crate) repositories_mb: f64,
    /// larder's mirrors of them.
    pub(crate) git_mb: f64,
    /// What larder stored.
    pub(crate) modules_mb: f64,
}

/// Counts of one repository or corner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    rows: usize,
    equal: usize,
}

impl Count {
    fn add(&mut self, outcome: &Outcome) {
        self.rows += 1;
        self.equal += usize::from(*outcome == Outcome::Equal);
    }

    fn cells(self) -> String {
        let Self { rows, equal } = self;
        format!("{rows} | {equal} | {}", rows - equal)
    }
}

/// Prints what was found, as Markdown.
pub(crate) fn print(checked: &[Checked], skipped: &[Skipped], cost: &Cost) {
    print!("{}", page(checked, skipped, cost));
}

fn page(checked: &[Checked], skipped: &[Skipped], cost: &Cost) -> String {
    let mut all = Count::default();
    let mut repositories = BTreeMap::<&str, (Count, f64)>::new();
    let mut corners = BTreeMap::<&str, Count>::new();
    for Checked { row, outcome, secs } in checked {
        all.add(outcome);
        let (count, sum) = repositories.entry(&row.repo).or_default();
        count.add(outcome);
        *sum += secs;
        for corner in &row.corners {
            corners.entry(corner).or_default().add(outcome);
        }
    }
    let mut page = String::new();
    let head = "rows checked | equal | differing |";
    let _ = writeln!(page, "| repositories | {head} not checked |\n|---|---|---|---|---|");
    let _ = writeln!(page, "| {} | {} | {} |\n", repositories.len(), all.cells(), skipped.len());
    let _ = writeln!(page, "## Costs\n\n{}", costs(all.rows, cost));
    let _ = writeln!(page, "## Corners\n\n| corner | {head}\n|---|---|---|---|");
    for (corner, count) in corners {
        let corner = if corner == "-" { "none in particular" } else { corner };
        let _ = writeln!(page, "| {corner} | {} |", count.cells());
    }
    let _ = writeln!(page, "\n## Repositories\n\n| repository | {head} s |\n|---|---|---|---|---|");
    for (repo, (count, secs)) in repositories {
        let _ = writeln!(page, "| {repo} | {} | {secs:.1} |", count.cells());
    }
    let _ = writeln!(page, "\n## Differences\n\n{}", differences(checked));
    let _ = writeln!(page, "## Not checked\n\n{}", unchecked(skipped));
    page
}

fn costs(rows: usize, cost: &Cost) -> String {
    let Cost { wall_secs, cpu_secs, peak_mb, peak_tree_mb, .. } = cost;
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = rows as f64 / wall_secs;
    let mut table = String::from("| | |\n|---|---|\n");
    let mut line = |what: &str, figure: String| {
        let _ = writeln!(table, "| {what} | {figure} |");
    };
    line("time", format!("{wall_secs:.1} s, {rate:.2} rows/s (three files each)"));
    line("CPU time of larder and its git processes", format!("{cpu_secs:.1} s"));
    line("highest memory of larder", format!("{peak_mb:.0} MB"));
    line("… with its git processes", format!("{peak_tree_mb:.0} MB"));
    line("repositories in the folder", format!("{:.0} MB", cost.repositories_mb));
    line("larder's mirrors of them", format!("{:.0} MB", cost.git_mb));
    line("stored modules", format!("{:.0} MB", cost.modules_mb));
    table
}

fn differences(checked: &[Checked]) -> String {
    let mut lines = String::new();
    for Checked { row, outcome, .. } in checked {
        let Outcome::Differs(differences) = outcome else { continue };
        for found in differences {
            let (what, expected, got) = (found.what, &found.expected, &found.got);
            let _ = writeln!(lines, "- {}: {what}: published {expected}, larder {got}", row.module);
        }
    }
    if lines.is_empty() { "None.\n".to_owned() } else { lines }
}

/// Versions by reason; rows whose repository is absent by repository.
fn unchecked(skipped: &[Skipped]) -> String {
    let (mut absent, mut lines) = (BTreeMap::<&str, usize>::new(), String::new());
    for Skipped { row, why } in skipped {
        let Row { module, rev, .. } = row;
        let _ = match why {
            Why::NoRepository => {
                *absent.entry(&row.repo).or_default() += 1;
                Ok(())
            }
            Why::NoRevision => {
                writeln!(lines, "- {module}: no such revision in the folder ({rev})")
            }
            Why::BehindNothing => {
                writeln!(lines, "- {module}: no branch or tag leads to {} by now", row.commit)
            }
            Why::NotWhole(files) => {
                writeln!(lines, "- {module}: {files} of its files are not in the folder")
            }
            Why::Elsewhere(commit) => {
                writeln!(lines, "- {module}: the tag is {commit} now, the row's {}", row.commit)
            }
        };
    }
    for (repo, rows) in absent {
        let _ = writeln!(lines, "- {repo}: {rows} rows, no repository in the folder");
    }
    if lines.is_empty() { "Nothing.\n".to_owned() } else { lines }
}

#[cfg(test)]
mod tests {
    use super::super::compare::Difference;
    use super::super::rows;
    use super::*;

    fn row() -> Row {
        rows::parse(rows::tests::LINE).unwrap().remove(0)
    }

    #[test]
    fn every_row_is_counted_once_and_what_is_not_equal_is_named() {
        let wrong = Difference { what: "zip", expected: "h1:a".to_owned(), got: "h1:b".to_owned() };
        let outcomes = [Outcome::Equal, Outcome::Equal, Outcome::Differs(vec![wrong])];
        let checked = outcomes.map(|outcome| Checked { row: row(), outcome, secs: 0.25 });
        let skipped = [
            Why::NoRepository,
            Why::NoRevision,
            Why::Elsewhere("fedc".to_owned()),
            Why::BehindNothing,
            Why::NotWhole(2),
        ];
        let skipped = skipped.map(|why| Skipped { row: row(), why });
        let page = page(&checked, &skipped, &Cost { wall_secs: 2.0, ..Cost::default() });
        for line in [
            "| 1 | 3 | 2 | 1 | 5 |",
            "| subdir | 3 | 2 | 1 |",
            "| vanity | 3 | 2 | 1 |",
            "| Owner/name | 3 | 2 | 1 | 0.8 |",
            "| time | 2.0 s, 1.50 rows/s (three files each) |",
            "- go.a.test/x/sub@v1.2.0: zip: published h1:a, larder h1:b",
            "- go.a.test/x/sub@v1.2.0: 2 of its files are not in the folder",
            "- go.a.test/x/sub@v1.2.0: no branch or tag leads to 0123456789ab by now",
            "- go.a.test/x/sub@v1.2.0: no such revision in the folder (sub/v1.2.0)",
            "- go.a.test/x/sub@v1.2.0: the tag is fedc now, the row's 0123456789ab",
            "- Owner/name: 1 rows, no repository in the folder",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
    }

    #[test]
    fn a_run_without_faults_says_so() {
        let checked = [Checked { row: row(), outcome: Outcome::Equal, secs: 0.25 }];
        let page = page(&checked, &[], &Cost::default());
        assert!(page.contains("## Differences\n\nNone.\n"), "{page}");
        assert!(page.contains("## Not checked\n\nNothing.\n"), "{page}");
    }
}
