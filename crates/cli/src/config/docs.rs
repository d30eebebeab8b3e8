//! `docs/config.md`, made from the registry.

use std::fmt::Write as _;

use super::{
    keys::{Default, KEYS, Key},
    kind::Kind,
};

const HEAD: &str = "\
# Configuration

This page is generated from the registry of keys; a test fails when it is stale, and
`UPDATE_DOCS=1 cargo test -p cli` writes it anew.

larder needs no configuration: without any it listens on 127.0.0.1:8080, keeps its data in the
platform's data folder, and takes its upstreams as the `go` command of the same user would.

What stands first wins: command-line flag, environment variable, `larder.toml`, Go's own settings,
default. The file is the one that `--config` names, else the one that `LARDER_CONFIG` names, else
`./larder.toml`, else `/etc/larder/larder.toml`. `larder config show` prints every value with its
source, `larder config check` only what is wrong (exit code 78).

* **Variables.** Each key has one: `LARDER_` and its path in upper case, `.` and `-` as `_`. Lists
  are split at commas, or written as in TOML (`[\"a\", \"b\"]`). An empty variable counts as not set.
  `LARDER_PORT…` and `LARDER_SERVICE_…`, which Kubernetes injects for a service named larder, are
  no keys; any other unknown variable that begins with `LARDER_` is an error, as is an unknown key.
* **Secrets** may also stand in a file: the key with `_file` behind it, the variable with `_FILE`.
* **Durations and sizes** are texts with units: `\"250ms\"`, `\"30s\"`, `\"1h30m\"`, `\"365d\"`; `\"64KiB\"`,
  `\"512MiB\"`, `\"2GB\"`.
* **Relative paths** in a file are seen from its folder, in variables and flags from the working
  directory.
* **Go's own settings** are GOPROXY, GOPRIVATE, GONOPROXY, GOSUMDB, GONOSUMDB, GOINSECURE and GOVCS:
  from the environment, then from the file of `go env -w`, then from `go.env` of the Go installation
  in `GOROOT` or around the `go` on `PATH`. An upstream among them that is larder itself is skipped
  with a warning; when nothing is left, the next of these places is taken. Credentials for upstreams
  are also taken from a netrc file (`$NETRC`, else `~/.netrc`), for https alone.
";

/// The whole page.
#[must_use]
pub fn page() -> String {
    let mut out = HEAD.to_owned();
    let mut section = "";
    for key in KEYS {
        let head = key.path.split('.').next().unwrap_or_default();
        if head != section {
            section = head;
            let _ = write!(out, "\n## {section}\n");
        }
        entry(&mut out, key);
    }
    out
}

fn entry(out: &mut String, key: &Key) {
    let path = key.path.replace('*', "NAME");
    let _ = write!(out, "\n### `{path}`\n\n{}\n\n", key.doc);
    let _ = writeln!(out, "* Value: {}.", key.kind.expected());
    if let Kind::Tables(columns) = key.kind {
        for column in columns {
            let _ = writeln!(out, "  * `{}`: {}", column.path, column.doc);
        }
    }
    let default = match (key.default, key.kind) {
        (Default::Is("[]"), _) => "empty".to_owned(),
        (Default::Is(text), Kind::Bool | Kind::Count { .. }) => format!("`{text}`"),
        (Default::Is(text), Kind::List(_)) => format!("`[\"{text}\"]`"),
        (Default::Is(text), _) => format!("`\"{text}\"`"),
        (Default::Computed(text), _) => text.to_owned(),
        (Default::None | Default::Required, _) => "none".to_owned(),
    };
    let _ = writeln!(out, "* Default: {default}.");
    let variable = key.variable();
    let _ = write!(out, "* Variable: `{variable}`");
    if key.secret() {
        let _ = write!(out, " or `{variable}_FILE`; in the file also `{path}_file`");
    }
    match key.flag() {
        Some(flag) => {
            let _ = writeln!(out, ". Flag: `{flag}`.");
        }
        None => out.push_str(".\n"),
    }
    let _ = writeln!(out, "* When wrong: {}", key.wrong);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::assert_fresh;

    #[test]
    fn docs_config_md_is_fresh() {
        assert_fresh("docs/config.md", &page());
    }

    #[test]
    fn every_key_stands_on_the_page_once() {
        let page = page();
        for key in KEYS {
            let head = format!("\n### `{}`\n", key.path.replace('*', "NAME"));
            assert_eq!(page.matches(&head).count(), 1, "{}", key.path);
        }
    }

    #[test]
    fn an_entry_tells_value_default_variable_and_effect() {
        let mut out = String::new();
        entry(&mut out, KEYS.iter().find(|key| key.path == "server.listen").unwrap());
        insta::assert_snapshot!(out, @r#"

        ### `server.listen`

        Addresses to listen on. A port of 0 takes any free one; the log names it.

        * Value: a list; each is an address with its port, such as "127.0.0.1:8080" or "[::]:8080".
        * Default: `["127.0.0.1:8080"]`.
        * Variable: `LARDER_SERVER_LISTEN`. Flag: `--listen`.
        * When wrong: An address that is taken or not this host's ends `serve` with a message; one that is reachable from outside opens the proxy to everybody there.
        "#);
    }
}
