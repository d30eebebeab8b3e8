//! The files in `deploy/` and the recipes in `docs/` are right.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::disallowed_methods, reason = "tests read the files of the repository")]

use std::{fs, path::Path, time::Duration};

use cli::config::{Flags, World, keys, load};

fn deploy(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name);
    fs::read_to_string(path).unwrap()
}

/// Loads `text` as the `larder.toml` of a folder with the files that it names.
fn check(text: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("larder.toml", text);
    write("example-cert.pem", "-----BEGIN CERTIFICATE-----\n");
    write("example-key.pem", "-----BEGIN PRIVATE KEY-----\n");
    write("example-token", "secret\n");
    let world = World::empty(folder.path().to_owned());
    match load(&Flags::default(), &world) {
        Ok(resolved) if resolved.warnings.is_empty() => Ok(()),
        Ok(resolved) => Err(resolved.warnings.join("\n")),
        Err(problems) => Err(problems.to_string()),
    }
}

#[test]
fn the_example_is_a_good_configuration() {
    check(&deploy("larder.toml")).unwrap();
}

#[test]
fn the_example_is_good_with_its_commented_keys_too() {
    let text = deploy("larder.toml");
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(key) if !key.starts_with(' ') => key,
        _ => line,
    });
    let all = lines.collect::<Vec<_>>().join("\n");
    assert!(all.contains("\ntoken_file = "), "commented keys are taken in");
    check(&all).unwrap();
}

#[test]
fn variables_in_unit_and_image_are_keys() {
    let is_key = |name: &str| keys::of_variable(name).is_some();
    for name in ["larder.service", "Dockerfile"] {
        let text = deploy(name);
        let words = text.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
        let variables: Vec<_> =
            words.filter(|word| word.starts_with("LARDER_") && word.len() > 7).collect();
        assert!(!variables.is_empty(), "{name}");
        for variable in variables {
            assert!(is_key(variable), "{name}: {variable}");
        }
    }
}

#[test]
fn the_unit_waits_longer_than_larder_takes_to_stop() {
    let unit = deploy("larder.service");
    let line = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
    let waits: units::Span = line.parse().unwrap();
    let world = World::empty("/nonexistent".into());
    let takes = load(&Flags::default(), &world).unwrap().settings.server.stop_timeout;
    assert!(waits.0 >= takes.0 + Duration::from_secs(3), "{waits} {takes}");
}

/// The blocks of a page in one language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let begin = format!("```{language}\n");
    let found = text.split(&begin).skip(1).filter_map(|rest| rest.split("```").next());
    found.map(str::to_owned).collect()
}

#[test]
fn recipes_of_credentials_are_good_configurations() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/credentials.md");
    let text = fs::read_to_string(path).unwrap();
    let tables = blocks(&text, "toml");
    assert!(tables.len() >= 5, "{}", tables.len());
    for table in tables {
        // What is no part of the recipe: where public modules come from.
        let whole = format!("{table}\n[upstream]\nproxies = \"direct\"\n");
        check(&whole).unwrap_or_else(|problems| panic!("{table}\n{problems}"));
    }
    let mut world = World::empty("/nonexistent".into());
    for line in blocks(&text, "sh").concat().lines() {
        let (name, value) = line.strip_prefix("export ").unwrap().split_once('=').unwrap();
        world = world.with(name, value);
    }
    let resolved = load(&Flags::default(), &world).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(resolved.grants.len(), 1);
}
