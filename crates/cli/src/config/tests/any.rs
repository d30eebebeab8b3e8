//! Whatever stands in files and variables: an answer, never a panic, and no secret in it.

use proptest::prelude::*;

use super::{super::problem::Excerpt, *};
use keys::KEYS;

/// Text that is TOML now and then.
fn toml_like() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("[server]".to_owned()),
        Just("[[policy.deny]]".to_owned()),
        Just("listen = [".to_owned()),
        Just("]".to_owned()),
        Just("modules = 'a'".to_owned()),
        Just("upstream.source.a = {url = 'https://a', token = 'x'}".to_owned()),
        Just("=".to_owned()),
        Just("'".to_owned()),
        Just("\n".to_owned()),
        Just("\t".to_owned()),
        Just("ä€𝄞".to_owned()),
        "[ -~]{0,12}",
        ".{0,6}",
    ];
    prop::collection::vec(word, 0..12).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn any_file_is_loaded_or_explained(text in toml_like()) {
        let world = World::empty("/nonexistent".into());
        let (_, problems) = layers::of_file(Path::new("larder.toml"), &text, &world);
        for problem in problems {
            let shown = problem.to_string();
            prop_assert!(shown.starts_with("error: ") && shown.contains('^'), "{}", shown);
        }
    }

    #[test]
    fn any_value_of_any_variable_is_taken_or_explained(
        index in 0..KEYS.len(),
        text in prop_oneof![".{1,20}", "[0-9a-z:/,.\\[\\]{}'= ]{1,30}"],
    ) {
        let name = keys::variable(&KEYS[index].path.replace('*', "x"));
        let world = World::empty("/nonexistent".into()).with(&name, text);
        let (entries, problems) = layers::of_environment(&world);
        prop_assert_eq!(entries.len() + usize::from(!problems.is_empty()), 1);
        for problem in problems {
            prop_assert!(problem.to_string().contains(&name));
            prop_assert!(problem.expected.is_some());
        }
    }

    #[test]
    fn any_span_of_any_text_is_an_excerpt(text in ".{0,30}\n.{0,30}", a in 0..80_usize, b in 0..80_usize) {
        let excerpt = Excerpt::new(Path::new("f"), &text, a..b);
        let shown = Problem::new("x", &Source::File(excerpt)).to_string();
        prop_assert!(shown.contains('^'));
    }

    #[test]
    fn what_is_taken_is_taken_again_in_its_normal_form(
        index in 0..KEYS.len(),
        text in "[0-9]{1,4}(s|m|h|MiB|GiB|)",
    ) {
        let kind = KEYS[index].kind;
        if let Ok(value) = kind.check_text(&text) {
            let normal = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            prop_assert_eq!(kind.check_text(&normal), Ok(value));
        }
    }
}

#[test]
fn every_key_refuses_what_it_is_not_and_names_itself() {
    let free = |key: &keys::Key| {
        use kind::Kind::{Destination, Levels, List, Path, Secret, Text};
        // Texts of any form; a level may be the name of a room.
        matches!(key.kind, Text | Path | Secret | Destination | Levels | List(Path))
    };
    for key in KEYS.iter().filter(|key| !free(key)) {
        let path = key.path.replace('*', "x");
        let name = keys::variable(&path);
        let world = World::empty("/nonexistent".into()).with(&name, "no such thing, at all");
        let (entries, problems) = layers::of_environment(&world);
        assert!(entries.is_empty() && !problems.is_empty(), "{path}");
        let shown = problems[0].to_string();
        assert!(shown.starts_with(&format!("error: {path}: ")), "{shown}");
        assert!(shown.contains(&name) && shown.contains("expected"), "{shown}");
    }
    for key in KEYS {
        let path = key.path.replace('*', "x");
        let text = format!("{path} = 2001-01-01\n");
        let world = World::empty("/nonexistent".into());
        let (entries, problems) = layers::of_file(Path::new("larder.toml"), &text, &world);
        assert!(entries.is_empty() && problems.len() == 1, "{path}");
        let shown = problems[0].to_string();
        assert!(shown.contains("this is a datetime") || shown.contains("= ****"), "{shown}");
    }
}
