//! Compares the room with Go's own packages on generated input.
//!
//! A small Go program (`differential/`) answers each question by golang.org/x/mod; this test
//! answers it by the room. The input is the same in every run: mutations of valid text, so that
//! most of it lies near a border of the grammar.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "helpers of a test"
)]

#[path = "differential/corpus.rs"]
mod corpus;
#[path = "differential/generate.rs"]
mod generate;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use gomod::goproxy::{List, Separator, Target};
use gomod::modfile::{GoMod, Language, module_line};
use gomod::pattern::Patterns;
use gomod::version::semver;
use gomod::{ModVer, ModulePath, Query, Request, Revision, Version, filepath, path, version};

use crate::generate::Question;

/// Questions of each kind, of which there are 23.
const QUESTIONS_PER_OP: usize = 10_000;

#[test]
fn the_room_answers_as_go_does() {
    let questions = generate::questions(QUESTIONS_PER_OP);
    assert!(questions.len() >= 20_000);
    compare(&questions);
}

#[test]
fn every_character_is_what_go_takes_it_for() {
    let ask_version = Question { op: "unicode-version", args: vec![] };
    let version = ask_go(std::slice::from_ref(&ask_version)).remove(0).remove(1);
    let questions = generate::every_character();
    if version == filepath::UNICODE_VERSION {
        compare(&questions);
        return;
    }
    // A newer Unicode has more letters; what the room takes for one must still be one.
    for (question, theirs) in questions.iter().zip(ask_go(&questions)) {
        let ours = answer(question);
        let accepted = question.op == "check-file-path" && ours == ["ok"];
        assert!(!accepted || theirs == ["ok"], "{question:?}: Go says {theirs:?}");
    }
}

fn compare(questions: &[Question]) {
    let mut differences = Vec::new();
    for (question, theirs) in questions.iter().zip(ask_go(questions)) {
        let ours = answer(question);
        if ours != theirs {
            differences.push(format!("{question:?}\n    ours {ours:?}\n    Go's {theirs:?}"));
        }
    }
    let shown = differences.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{} of {}:\n{shown}", differences.len(), questions.len());
}

/// Builds the Go program and puts all questions to it.
fn ask_go(questions: &[Question]) -> Vec<Vec<String>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential");
    // `go run` builds into Go's own cache, so a second run starts at once.
    let mut child = Command::new("go")
        .args(["run", "."])
        .current_dir(source)
        .env("GOFLAGS", "-mod=readonly")
        .env("GOWORK", "off")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("this test needs `go` on PATH (1.26 or newer): {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let input: String = questions.iter().map(Question::to_json).collect();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the Go program failed: {}", output.status);
    writer.join().unwrap().unwrap();
    let answers: Vec<Vec<String>> = output
        .stdout
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(answers.len(), questions.len());
    answers
}

/// Answers one question by the room.
fn answer(question: &Question) -> Vec<String> {
    let argument = |index: usize| question.args.get(index).map(String::as_str).unwrap();
    match question.op {
        "check-path" => checked(ModulePath::parse(argument(0)).map(|_path| ())),
        "check-file-path" => checked(filepath::check(argument(0))),
        "escape-path" => ok_or(ModulePath::parse(argument(0)).map(|path| [path.escaped()])),
        "unescape-path" => ok_or(ModulePath::unescape(argument(0)).map(|path| [path.to_string()])),
        "split-path" => ok_or(ModulePath::parse(argument(0)).map(|path| {
            let (prefix, major) = path.split_major();
            [prefix.to_owned(), major.to_owned()]
        })),
        "escape-version" => ok_or(
            Revision::parse(argument(0)).map(|revision| [Query::Revision(revision).escaped()]),
        ),
        "canonical" => {
            let canonical = semver::canonical(argument(0)).unwrap_or_default().into_owned();
            ok([canonical, Version::parse(argument(0)).is_ok().to_string()])
        }
        "compare" => {
            let (a, b) = (argument(0), argument(1));
            let by_text = semver::compare(a, b).then_with(|| a.cmp(b));
            if let (Ok(a), Ok(b)) = (Version::parse(a), Version::parse(b)) {
                assert_eq!(a.cmp(&b), by_text);
            }
            let first = if by_text.is_gt() { b } else { a };
            ok([(semver::compare(a, b) as i8).to_string(), first.to_owned()])
        }
        "semver-parts" => {
            let version = argument(0);
            ok([semver::major(version), semver::prerelease(version), semver::build(version)])
        }
        "pseudo" => pseudo(argument(0)),
        "path-major" => match (ModulePath::parse(argument(0)), Version::parse(argument(1))) {
            (Ok(path), Ok(version)) => {
                let fits = version.fits(&path);
                assert_eq!(ModVer::new(path, version).is_ok(), fits);
                ok([fits.to_string()])
            }
            _ => failed(),
        },
        "patterns" => ok([Patterns::parse(argument(0)).find(argument(1)).is_some().to_string()]),
        "goproxy" => goproxy(argument(0)),
        "modfile" => mod_file(argument(0)),
        "fold" => ok([filepath::fold(argument(0))]),
        "request" => request(argument(0)),
        _ => direct(question),
    }
}

/// Answers one question that only direct fetching asks.
fn direct(question: &Question) -> Vec<String> {
    let argument = |index: usize| question.args.get(index).map(String::as_str).unwrap();
    match question.op {
        "split-any" => ok_or(
            path::split_major(argument(0))
                .map(|(prefix, major)| [prefix.to_owned(), major.to_owned()])
                .ok_or(()),
        ),
        "match-major" => {
            let (version, ending) = (argument(0), argument(1));
            // An ending is what a split gives.
            let name = if ending.starts_with('.') { "gopkg.in/x" } else { "a.b/x" };
            let whole = format!("{name}{ending}");
            if path::split_major(&whole) != Some((name, ending)) || ending.starts_with(".v-") {
                return failed();
            }
            let matches = version::matches_major(version, ending);
            ok([matches.to_string(), path::major_prefix(ending).to_owned()])
        }
        "pseudo-version" => {
            let version = Version::pseudo(argument(0), Some(argument(1)), argument(2), argument(3));
            ok_or(version.map(|version| [version.to_string()]))
        }
        "module-line" => {
            let path = module_line(argument(0).as_bytes()).filter(|path| !path.is_empty());
            ok_or(path.map(|path| [path]).ok_or(()))
        }
        "language" => match Language::of_mod(argument(0).as_bytes()).unwrap() {
            // Go names the releases before 1.1 by their major alone.
            Some(Language { major: 1, minor: 0 }) => ok(["go1"]),
            // A number of any length is a number to Go.
            Some(language) if language.minor.max(language.major) == u32::MAX => {
                ok([huge_language(argument(0))])
            }
            Some(language) => ok([format!("go{}.{}", language.major, language.minor)]),
            None => failed(),
        },
        "quote" => ok([gomod::quote(argument(0).as_bytes())]),
        "malformed" => match filepath::check_bytes(argument(0).as_bytes()) {
            Ok(_path) => ok::<String>([]),
            Err(malformed) => vec!["error".to_owned(), malformed.to_string()],
        },
        op => panic!("no answer to {op}"),
    }
}

fn ok<T: Into<String>>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    std::iter::once("ok".to_owned()).chain(values.into_iter().map(Into::into)).collect()
}

fn failed() -> Vec<String> {
    vec!["error".to_owned()]
}

fn ok_or<const N: usize, E>(result: Result<[String; N], E>) -> Vec<String> {
    result.map_or_else(|_refused| failed(), ok)
}

/// Reasons are compared too, up to where the texts begin to quote the question.
fn checked(result: Result<(), gomod::path::Error>) -> Vec<String> {
    let Err(error) = result else { return vec!["ok".to_owned()] };
    let reason = match error {
        gomod::path::Error::WindowsName => String::new(),
        error => error.to_string(),
    };
    let reason = reason.split('\'').next().unwrap_or_default().trim();
    vec!["error".to_owned(), reason.to_owned()]
}

fn pseudo(text: &str) -> Vec<String> {
    let Ok(version) = Version::parse(text) else { return ok(["false"]) };
    if !version.is_pseudo() {
        return ok(["false"]);
    }
    let time = version.pseudo_time().unwrap_or("none");
    let revision = version.pseudo_revision().unwrap_or("error");
    let base = match version.pseudo_base() {
        Ok(Some(base)) => base.to_string(),
        Ok(None) => String::new(),
        Err(_) => "error".to_owned(),
    };
    ok(["true", time, revision, &base])
}

/// The language in text whose numbers 32 bits do not hold: what the file itself says.
fn huge_language(go_mod: &str) -> String {
    let go = GoMod::parse(go_mod.as_bytes()).unwrap().go.unwrap();
    let mut numbers = go.split(|c: char| !c.is_ascii_digit());
    let major = numbers.next().unwrap();
    format!("go{major}.{}", numbers.next().unwrap_or_default())
}

fn goproxy(text: &str) -> Vec<String> {
    let Ok(List(entries)) = text.parse() else { return failed() };
    ok(entries.iter().map(|entry| {
        let mark = if entry.separator == Separator::Pipe { "|" } else { "" };
        match &entry.target {
            Target::Url(url) => format!("{url}{mark}"),
            Target::Direct => "direct".to_owned(),
            Target::Off => "off".to_owned(),
        }
    }))
}

fn mod_file(text: &str) -> Vec<String> {
    let Ok(file) = GoMod::parse(text.as_bytes()) else { return failed() };
    let mut values = Vec::new();
    if let Some(module) = file.module {
        values.extend(["module".to_owned(), module, file.deprecated.unwrap_or_default()]);
    }
    values.extend(file.go.into_iter().flat_map(|go| ["go".to_owned(), go]));
    values.extend(file.toolchain.into_iter().flat_map(|name| ["toolchain".to_owned(), name]));
    for (path, version) in file.require {
        values.extend(["require".to_owned(), path, version]);
    }
    for retract in file.retract {
        values.extend(["retract".to_owned(), retract.low, retract.high, retract.rationale]);
    }
    ok(values)
}

fn request(path: &str) -> Vec<String> {
    match Request::parse(path) {
        Ok(Request::List(module)) => ok(["list", module.as_str()]),
        Ok(Request::Latest(module)) => ok(["latest", module.as_str()]),
        Ok(Request::Info(module, Query::Version(version))) => {
            ok(["info", module.as_str(), version.as_str()])
        }
        Ok(Request::Info(module, Query::Revision(revision))) => {
            ok(["revision", module.as_str(), revision.as_str()])
        }
        Ok(Request::Mod(module)) => ok(["mod", module.path().as_str(), module.version().as_str()]),
        Ok(Request::Zip(module)) => ok(["zip", module.path().as_str(), module.version().as_str()]),
        Ok(Request::Sumdb(_)) | Err(_) => failed(),
    }
}
