//! The registry of keys: one row per key, from which everything else is made.
//!
//! The file and the environment are checked by it, `config show` and `docs/config.md` are printed
//! from it, and [`super::settings`] is filled from its defaults; tests hold them together.

use super::kind::Kind;

mod table;
mod vcs;

/// Every key that larder knows, in the order in which they are documented and shown.
pub const KEYS: &[Key] = &joined::<{ table::KEYS.len() + vcs::KEYS.len() }>(table::KEYS, vcs::KEYS);

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn joined<const N: usize>(first: &[Key], second: &[Key]) -> [Key; N] {
    let mut all = [first[0]; N];
    let mut at = 0;
    while at < N {
        all[at] = if at < first.len() { first[at] } else { second[at - first.len()] };
        at += 1;
    }
    all
}

/// What stands before each variable.
pub const PREFIX: &str = "LARDER_";

/// One key of `larder.toml`.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Dotted path; `*` stands for a name that the operator chooses.
    pub path: &'static str,
    /// What its value must look like.
    pub kind: Kind,
    /// The value when nobody says anything.
    pub default: Default,
    /// What it means.
    pub doc: &'static str,
    /// What happens with a value that is valid but wrong for the place.
    pub wrong: &'static str,
}

/// The value of a key that nobody set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// This text, as a variable would hold it.
    Is(&'static str),
    /// Computed at start; the text says how.
    Computed(&'static str),
    /// Nothing: the key is optional.
    None,
    /// There is none: the key must be there (in an array of tables).
    Required,
}

impl Key {
    /// Must the key be there?
    #[must_use]
    pub fn required(&self) -> bool {
        self.default == Default::Required
    }

    /// Is its value never shown?
    #[must_use]
    pub fn secret(&self) -> bool {
        matches!(self.kind, Kind::Secret)
    }

    /// The environment variable of this key: `LARDER_` and the path.
    #[must_use]
    pub fn variable(&self) -> String {
        variable(&self.path.replace('*', "<NAME>"))
    }

    /// Is `path` (names filled in) one of this key's?
    #[must_use]
    pub fn is_of(&self, path: &str) -> bool {
        matches(self.path, path)
    }

    /// The command-line flag of this key, if it has one.
    #[must_use]
    pub fn flag(&self) -> Option<&'static str> {
        FLAGS.iter().find(|(_, path)| *path == self.path).map(|(flag, _)| *flag)
    }
}

/// Flags and their keys.
pub const FLAGS: [(&str, &str); 3] =
    [("--listen", "server.listen"), ("--data", "store.data"), ("--offline", "proxy.offline")];

/// What a path in a file or a variable means.
#[derive(Debug, Clone, Copy)]
pub enum Found {
    /// This key.
    Key(&'static Key),
    /// The file that holds this secret key.
    FileOf(&'static Key),
    /// A table on the way to keys.
    Section,
    /// Nothing that larder knows.
    Nothing,
}

/// Finds what `path` (dotted, names filled in) means.
#[must_use]
pub fn find(path: &str) -> Found {
    if let Some(key) = KEYS.iter().find(|key| matches(key.path, path)) {
        return Found::Key(key);
    }
    if let Some(stem) = path.strip_suffix("_file")
        && let Some(key) = KEYS.iter().find(|key| key.secret() && matches(key.path, stem))
    {
        return Found::FileOf(key);
    }
    let depth = path.split('.').count();
    let above = |key: &&Key| {
        let mut ends = key.path.match_indices('.').map(|(at, _)| at);
        let Some(end) = ends.nth(depth - 1) else { return false };
        matches(key.path.get(..end).unwrap_or_default(), path)
    };
    if KEYS.iter().any(|key| above(&key)) { Found::Section } else { Found::Nothing }
}

fn matches(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('.'), path.split('.'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some("*"), Some(name)) if is_name(name) => {}
            (Some(a), Some(b)) if a == b => {}
            _ => return false,
        }
    }
}

/// Is `name` one that an operator may give to a table: `[a-z0-9-]`, at most 64 bytes?
#[must_use]
pub fn is_name(name: &str) -> bool {
    // Such a name and its variable map to each other without loss.
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !name.is_empty() && name.len() <= 64 && name.bytes().all(plain)
}

/// The variable of a path: `LARDER_`, then upper case, `.` and `-` as `_`.
#[must_use]
pub fn variable(path: &str) -> String {
    format!("{PREFIX}{}", path.to_ascii_uppercase().replace(['.', '-'], "_"))
}

/// The path and meaning of a variable (`_FILE` of secrets too), if it is larder's.
#[must_use]
pub fn of_variable(name: &str) -> Option<(String, Found)> {
    KEYS.iter().find_map(|key| {
        if let Some(path) = path_of(key.path, name) {
            return Some((path, Found::Key(key)));
        }
        let stem = name.strip_suffix("_FILE").filter(|_| key.secret())?;
        path_of(key.path, stem).map(|path| (format!("{path}_file"), Found::FileOf(key)))
    })
}

fn path_of(pattern: &str, name: &str) -> Option<String> {
    let Some((before, after)) = pattern.split_once('*') else {
        return (variable(pattern) == name).then(|| pattern.to_owned());
    };
    let (prefix, suffix) = (variable(before), after.to_ascii_uppercase().replace('.', "_"));
    let middle = name.strip_prefix(&prefix)?.strip_suffix(&suffix)?;
    let middle = middle.to_ascii_lowercase().replace('_', "-");
    is_name(&middle).then(|| format!("{before}{middle}{after}"))
}

/// Keys that will mean something, and mean nothing yet: the format has their place.
pub const RESERVED: [(&str, &str); 2] = [
    ("sumdb.witnesses", "heads that wait for cosignatures of witnesses"),
    ("sumdb.blinding", "records with a blinding line"),
];

/// The known name that is most like `given`, when one is near enough to be meant.
#[must_use]
pub fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let scored = known.map(|name| {
        let whole = distance(given, name);
        // `listen` at the top is meant as `server.listen`.
        let tail = if last(name) == last(given) { 1 } else { usize::MAX };
        (whole.min(tail), name)
    });
    let limit = (given.len() / 4).max(2);
    scored.min_by_key(|(score, _)| *score).filter(|(score, _)| *score <= limit).map(|(_, n)| n)
}

/// Levenshtein distance in bytes; names of keys are ASCII.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (y, &above) in b.bytes().zip(row.iter().skip(1)) {
            left = (above + 1).min(left + 1).min(diagonal + usize::from(x != y));
            diagonal = above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_key_has_a_doc_an_effect_and_a_valid_default() {
        for key in KEYS {
            let path = key.path;
            for text in [key.doc, key.wrong] {
                assert!(text.len() > 15 && text.ends_with('.'), "{path}: {text:?}");
            }
            match key.default {
                Default::Is(text) => assert!(key.kind.check_text(text).is_ok(), "{path}: {text}"),
                Default::Computed(text) => assert!(!text.is_empty(), "{path}"),
                Default::None => {}
                Default::Required => panic!("{path}: nothing at the top is required"),
            }
            if let Kind::Count { max, .. } = key.kind {
                assert!(i64::try_from(max).is_ok(), "{path}");
            }
        }
    }

    #[test]
    fn variables_are_unique_and_none_is_what_kubernetes_injects() {
        let mut seen = BTreeSet::new();
        for key in KEYS {
            let mut names = vec![key.variable()];
            if key.secret() {
                names.push(format!("{}_FILE", key.variable()));
            }
            for name in names {
                assert!(!name.starts_with("LARDER_PORT") && !name.starts_with("LARDER_SERVICE_"));
                assert!(name != "LARDER_CONFIG");
                assert!(seen.insert(name.clone()), "{name}");
            }
        }
    }

    #[test]
    fn a_variable_names_the_path_it_was_made_from() {
        for key in KEYS {
            let path = key.path.replace('*', "corp-eu");
            let (back, found) = of_variable(&variable(&path)).unwrap();
            assert_eq!(back, path);
            assert!(matches!(found, Found::Key(k) if k.path == key.path), "{path}");
        }
        let (path, found) = of_variable("LARDER_UPSTREAM_SOURCE_CORP_EU_TOKEN_FILE").unwrap();
        assert_eq!(path, "upstream.source.corp-eu.token_file");
        assert!(matches!(found, Found::FileOf(_)));
        assert!(of_variable("LARDER_STORE_MIN_FREE_FILE").is_none(), "only secrets have files");
        assert!(of_variable("LARDER_UPSTREAM_SOURCE__TOKEN").is_none());
    }

    #[test]
    fn paths_are_keys_sections_or_nothing() {
        assert!(matches!(find("store.min_free"), Found::Key(_)));
        assert!(matches!(find("upstream.source.corp.token"), Found::Key(_)));
        assert!(matches!(find("upstream.source.corp.token_file"), Found::FileOf(_)));
        for section in ["server", "server.tls", "upstream.source", "upstream.source.corp"] {
            assert!(matches!(find(section), Found::Section), "{section}");
        }
        for nothing in ["serve", "store.min", "upstream.source.Corp", "store.min_free.x", ""] {
            assert!(matches!(find(nothing), Found::Nothing), "{nothing}");
        }
    }

    #[test]
    fn nearest_takes_slips_and_missing_sections_only() {
        let known = || KEYS.iter().map(|key| key.path);
        for (given, want) in [
            ("server.lisen", Some("server.listen")),
            ("listen", Some("server.listen")),
            ("store.minfree", Some("store.min_free")),
            ("proxy.list_frsh", Some("proxy.list_fresh")),
            ("something.else", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, known()), want, "{given}");
        }
    }

    #[test]
    fn a_name_is_lower_case_and_at_most_64_bytes() {
        assert!(is_name("corp-eu-1") && is_name(&"a".repeat(64)));
        for bad in ["", "Corp", "a_b", "a.b", "ä", &"a".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
