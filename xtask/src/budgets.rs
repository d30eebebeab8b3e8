//! Measures the workspace against the budgets of the house's style and prints a table.
//!
//! A broken hard limit (length of functions and files, number of packages) fails; a soft one is
//! marked, so that it is seen and talked about.

use std::path::Path;
use std::process::Command;

use anyhow::Context;

use crate::source::{Function, Line, Source};
use crate::workspace;

/// What a number may be at most, or at least.
#[derive(Debug, Clone, Copy)]
enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

/// A row of the table.
#[derive(Debug)]
struct Row {
    what: &'static str,
    limit: Limit,
    found: f64,
    /// Breaking it fails the run.
    hard: bool,
}

impl Row {
    fn kept(&self) -> bool {
        match self.limit {
            Limit::AtMost(limit) => self.found <= limit,
            Limit::AtLeast(limit) => self.found >= limit,
        }
    }
}

/// One measured file.
#[derive(Debug)]
struct File {
    shown: String,
    room: String,
    /// Compiled for tests only, as a whole.
    test: bool,
    lines: Vec<Line>,
    functions: Vec<Function>,
}

/// Most packages of the product, built with default features.
const MAX_PACKAGES: f64 = 540.0;
const MAX_FUNCTION_LINES: usize = 60;
const MAX_FILE_LINES: usize = 600;

/// Measures, prints and says whether all hard limits are kept.
///
/// # Errors
///
/// When a file cannot be read or cargo cannot be run.
pub(crate) fn run(root: &Path) -> anyhow::Result<bool> {
    let files = measure(root)?;
    let packages = count_packages(root)?;
    let rows = rows(&files, packages);
    let broken = rows.iter().filter(|row| row.hard && !row.kept()).count();
    rows.iter().for_each(print);
    print_rooms(&files);
    for line in too_long(&files) {
        println!("{line}");
    }
    println!("budgets: {} files, {broken} hard limits broken", files.len());
    Ok(broken == 0)
}

fn measure(root: &Path) -> anyhow::Result<Vec<File>> {
    let mut files = Vec::new();
    for package in workspace::packages(root)? {
        let folder = root.join(&package.path);
        let mut test_files = Vec::new();
        for path in workspace::rust_files(&folder)? {
            let source = Source::parse(&workspace::read(&path)?);
            test_files.extend(source.test_modules().iter().map(|name| module_file(&path, name)));
            let inside = path.strip_prefix(&folder)?.to_path_buf();
            let test =
                matches!(package.folder.as_str(), "testkit" | "e2e") || !inside.starts_with("src");
            files.push(File {
                shown: path.strip_prefix(root)?.display().to_string(),
                room: package.folder.clone(),
                test,
                lines: source.lines().to_vec(),
                functions: source.functions(),
            });
        }
        let is_test_file = |file: &File| {
            test_files.iter().any(|path| {
                root.join(&file.shown).starts_with(path)
                    || root.join(&file.shown) == path.with_extension("rs")
            })
        };
        files.iter_mut().filter(|file| is_test_file(file)).for_each(|file| file.test = true);
    }
    Ok(files)
}

/// `src/a.rs` with `mod tests;` means `src/a/tests.rs`, without its ending: the folder form starts alike.
fn module_file(of: &Path, name: &str) -> std::path::PathBuf {
    let stem = of.file_stem().unwrap_or_default();
    let folder =
        if stem == "lib" || stem == "main" { of.with_file_name("") } else { of.with_extension("") };
    folder.join(name)
}

fn count_packages(root: &Path) -> anyhow::Result<usize> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--package",
            "cli",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--no-dedupe",
            "--locked",
        ])
        .current_dir(root)
        .output()
        .context("starting cargo tree")?;
    anyhow::ensure!(
        output.status.success(),
        "cargo tree: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout)?;
    let packages: std::collections::BTreeSet<_> = text
        .lines()
        .filter_map(|line| Some((line.split_whitespace().next()?, line.split_whitespace().nth(1)?)))
        .collect();
    Ok(packages.len())
}

/// Lines of code of the product and of its tests; tools are neither.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    product: usize,
    tests: usize,
    comments: usize,
}

fn count<'a>(files: impl Iterator<Item = &'a File>) -> Counts {
    let mut counts = Counts::default();
    for (file, line) in files.flat_map(|file| file.lines.iter().map(move |line| (file, line))) {
        let test = file.test || line.test;
        counts.tests += usize::from(test && line.code);
        counts.product += usize::from(!test && line.code);
        counts.comments += usize::from(!test && line.comment);
    }
    counts
}

fn rows(files: &[File], packages: usize) -> Vec<Row> {
    let product = || files.iter().filter(|file| !file.test && file.room != "xtask");
    let functions: Vec<_> =
        product().flat_map(|file| &file.functions).filter(|function| !function.test).collect();
    let lengths = sorted(functions.iter().map(|function| function.lines));
    let file_lengths = sorted(product().map(|file| file.lines.len()));
    let generic = functions.iter().filter(|function| function.generic).count();
    let counts = count(files.iter().filter(|file| file.room != "xtask"));
    let over = files
        .iter()
        .flat_map(|file| &file.functions)
        .filter(|function| function.lines > MAX_FUNCTION_LINES)
        .count();
    let longest = files.iter().map(|file| file.lines.len()).max().unwrap_or(0);
    let at_most =
        |what, limit, found| Row { what, limit: Limit::AtMost(limit), found, hard: false };
    let hard = |what, limit, found| Row { what, limit: Limit::AtMost(limit), found, hard: true };
    vec![
        hard("functions over 60 lines", 0.0, number(over)),
        at_most("function length, half", 8.0, number(percentile(&lengths, 50))),
        at_most("function length, 90 of 100", 28.0, number(percentile(&lengths, 90))),
        at_most("function length, 99 of 100", 60.0, number(percentile(&lengths, 99))),
        at_most("file length, half", 200.0, number(percentile(&file_lengths, 50))),
        hard("file length, longest", number(MAX_FILE_LINES), number(longest)),
        at_most("generic functions, per cent", 6.0, share(generic, functions.len())),
        at_most("inline comments, per cent", 10.0, share(counts.comments, counts.product)),
        Row {
            what: "inline comments, per cent",
            limit: Limit::AtLeast(3.0),
            found: share(counts.comments, counts.product),
            hard: false,
        },
        Row {
            what: "tests : code",
            limit: Limit::AtLeast(0.9),
            found: share(counts.tests, counts.product) / 100.0,
            hard: false,
        },
        hard("packages", MAX_PACKAGES, number(packages)),
    ]
}

fn sorted(values: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values
}

/// The value that `percent` of a hundred do not exceed; 0 of nothing.
fn percentile(sorted: &[usize], percent: usize) -> usize {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

#[expect(clippy::cast_precision_loss, reason = "counts of lines and packages")]
fn number(count: usize) -> f64 {
    count as f64
}

/// Per cent; 0 of nothing.
fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * number(part) / number(whole) }
}

fn print(row: &Row) {
    let (sign, limit) = match row.limit {
        Limit::AtMost(limit) => ("≤", limit),
        Limit::AtLeast(limit) => ("≥", limit),
    };
    let verdict = match (row.kept(), row.hard) {
        (true, _) => "",
        (false, true) => "BROKEN",
        (false, false) => "over",
    };
    println!("{:<28} {sign} {limit:>6}  {:>8.4}  {verdict}", row.what, trimmed(row.found));
}

/// Two places are enough for a table.
fn trimmed(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn print_rooms(files: &[File]) {
    println!("{:<12} {:>6} {:>6} {:>6}", "room", "code", "tests", "files");
    let rooms: std::collections::BTreeSet<_> =
        files.iter().map(|file| file.room.as_str()).collect();
    for room in rooms {
        let own = || files.iter().filter(|file| file.room == room);
        let counts = count(own());
        println!("{room:<12} {:>6} {:>6} {:>6}", counts.product, counts.tests, own().count());
    }
}

/// A line for each function and file beyond its hard limit.
fn too_long(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        if file.lines.len() > MAX_FILE_LINES {
            found.push(format!("{}: {} lines", file.shown, file.lines.len()));
        }
        let long = file.functions.iter().filter(|function| function.lines > MAX_FUNCTION_LINES);
        found.extend(long.map(|function| {
            format!(
                "{}:{}: fn {} has {} lines",
                file.shown, function.line, function.name, function.lines
            )
        }));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace of one room whose `src/lib.rs` is `text`.
    fn house(text: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let src = root.path().join("crates/units/src");
        std::fs::create_dir_all(&src).unwrap();
        std::fs::write(src.parent().unwrap().join("Cargo.toml"), "").unwrap();
        std::fs::write(src.join("lib.rs"), text).unwrap();
        root
    }

    fn found(files: &[File], packages: usize, what: &str) -> (f64, bool) {
        let row = rows(files, packages).into_iter().find(|row| row.what == what).unwrap();
        (row.found, row.kept())
    }

    #[test]
    fn a_function_past_sixty_lines_is_found() {
        for (body, expected) in [(58, (0.0, true)), (59, (1.0, false))] {
            let files =
                measure(house(&format!("fn f() {{\n{}}}\n", "    g();\n".repeat(body))).path())
                    .unwrap();
            assert_eq!(found(&files, 0, "functions over 60 lines"), expected);
            assert_eq!(too_long(&files).len(), usize::from(!expected.1));
        }
    }

    #[test]
    fn a_file_past_six_hundred_lines_is_found() {
        for (lines, kept) in [(600, true), (601, false)] {
            let files = measure(house(&"// x\n".repeat(lines)).path()).unwrap();
            assert_eq!(found(&files, 0, "file length, longest").1, kept);
        }
    }

    #[test]
    fn too_many_packages_are_found() {
        assert!(found(&[], 540, "packages").1);
        assert!(!found(&[], 541, "packages").1);
    }

    #[test]
    fn tests_in_the_file_beside_it_and_in_their_folder_are_no_product() {
        let root = house(
            "fn f() {}\n#[cfg(test)]\nmod tests {\n    fn t() {}\n}\n#[cfg(test)]\nmod more;\n",
        );
        let units = root.path().join("crates/units");
        std::fs::write(units.join("src/more.rs"), "fn t() {}\n").unwrap();
        std::fs::create_dir(units.join("tests")).unwrap();
        std::fs::write(units.join("tests/all.rs"), "fn t() {}\n").unwrap();
        let counts = count(measure(root.path()).unwrap().iter());
        // The two lines of `mod more;` and the four of `mod tests` are tests as well.
        assert_eq!((counts.product, counts.tests), (1, 8));
    }

    #[test]
    fn percentiles_are_of_the_ranks() {
        let values: Vec<usize> = (1..=100).collect();
        assert_eq!([50, 90, 99].map(|percent| percentile(&values, percent)), [50, 90, 99]);
        assert_eq!(percentile(&[7], 50), 7);
        assert_eq!(percentile(&[], 50), 0);
    }
}
