//! `larder config show`: every value with its source.

use std::fmt::Write as _;

use toml::Value;

use super::{
    database,
    keys::{Default, KEYS, Key},
    problem::mask_userinfo,
    resolved::{Resolved, shown_go_settings},
    source::Source,
};

/// The configuration as TOML, each value with its source behind it.
///
/// Secrets are `****`. What is no key (Go's other settings, warnings) stands in comments, so that
/// the text can be put into `larder.toml` as it is.
#[must_use]
pub fn show(resolved: &Resolved) -> String {
    let mut out = String::new();
    let file = resolved.file.as_ref().map_or("none".to_owned(), |file| file.display().to_string());
    line(&mut out, &format!("# configuration file: {file}"));
    for key in KEYS {
        key_lines(&mut out, key, resolved);
    }
    for name in shown_go_settings() {
        if let Some(setting) = resolved.go.get(name) {
            let value = quoted(&setting.value);
            line(&mut out, &format!("# {name} = {value}  # {}", setting.source));
        }
    }
    for warning in &resolved.warnings {
        line(&mut out, &format!("# warning: {warning}"));
    }
    out
}

fn line(out: &mut String, text: &str) {
    // Writing into a String cannot fail.
    let _ = writeln!(out, "{text}");
}

fn key_lines(out: &mut String, key: &Key, resolved: &Resolved) {
    let given: Vec<_> = resolved.entries.iter().filter(|(path, _)| key.is_of(path)).collect();
    for (path, entry) in &given {
        let value = if key.secret() { quoted("****") } else { value(&entry.value) };
        line(out, &format!("{path} = {value}  # {}", entry.source));
    }
    // An entry that was skipped is gone from the effective list.
    match key.path {
        "upstream.proxies" => {
            let (text, source) = &resolved.proxies;
            let shown = format!("{} = {}  # {source}", key.path, quoted(text));
            match given.first() {
                Some((_, entry)) if &entry.source == source => {}
                Some(_) => line(out, &format!("# in effect: {shown}")),
                None => line(out, &shown),
            }
        }
        "sumdb.databases" if given.is_empty() => {
            let of_go = resolved.go.get("GOSUMDB").map(|set| set.value.clone());
            let texts = vec![Value::String(of_go.unwrap_or_else(|| database::DEFAULT.to_owned()))];
            let source = &resolved.databases_source;
            line(out, &format!("{} = {}  # {source}", key.path, value(&Value::Array(texts))));
        }
        // Tables that nobody made are not worth a line.
        path if path.contains('*') => {}
        _ if given.is_empty() && key.default == Default::None => {
            line(out, &format!("# {} is not set  # {}", key.path, Source::Default));
        }
        _ => {}
    }
}

fn value(value: &Value) -> String {
    mask_userinfo(&value.to_string())
}

fn quoted(text: &str) -> String {
    value(&Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests;
