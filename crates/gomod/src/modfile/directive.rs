//! The directives of go.mod files that matter of a dependency.

use crate::modfile::parser::Comments;
use crate::modfile::unquote::unquote;
use crate::modfile::{Error, GoMod, MAX_ENTRIES, Retract};
use crate::path;
use crate::version::{fits_major, semver};

/// Collects the directives of a file.
#[derive(Debug, Default)]
pub(super) struct Builder {
    file: GoMod,
    seen_module: bool,
}

/// What is wrong with a directive, in Go's words.
type Problem = &'static str;

impl Builder {
    pub(super) fn into_file(self) -> GoMod {
        self.file
    }

    /// Reads one line; lines of a block come with the word before it.
    pub(super) fn line(
        &mut self,
        verb: &str,
        args: &[&str],
        comments: &Comments,
        line: usize,
    ) -> Result<(), Error> {
        let read = match verb {
            "module" => self.module(args, comments),
            "go" => self.go(args),
            "require" => self.require(args),
            "retract" => {
                self.retract(args, comments);
                Ok(())
            }
            "ignore" => ignore(args),
            "toolchain" => {
                self.toolchain(args);
                Ok(())
            }
            _ => Ok(()),
        };
        read.map_err(|problem| Error::Directive { line, problem })?;
        if self.file.require.len() + self.file.retract.len() > MAX_ENTRIES {
            return Err(Error::TooMany);
        }
        Ok(())
    }

    fn module(&mut self, args: &[&str], comments: &Comments) -> Result<(), Problem> {
        if std::mem::replace(&mut self.seen_module, true) {
            return Err("repeated module statement");
        }
        let [path] = *args else { return Err("usage: module module/path") };
        self.file.module = Some(string(path)?);
        self.file.deprecated = deprecation(comments.text()).map(str::to_owned);
        Ok(())
    }

    fn go(&mut self, args: &[&str]) -> Result<(), Problem> {
        if self.file.go.is_some() {
            return Err("repeated go statement");
        }
        let [version] = *args else { return Err("go directive expects exactly one argument") };
        let version = go_version(version).ok_or("invalid go version: must match format 1.23.0")?;
        self.file.go = Some(version.to_owned());
        Ok(())
    }

    fn toolchain(&mut self, args: &[&str]) {
        let [name] = *args else { return };
        let valid = matches!(name, "default" | "go1") || name.starts_with("go1.");
        if valid && self.file.toolchain.is_none() {
            self.file.toolchain = Some(name.to_owned());
        }
    }

    fn require(&mut self, args: &[&str]) -> Result<(), Problem> {
        let [path, version] = *args else { return Err("usage: require module/path v1.2.3") };
        let path = string(path)?;
        let version = string(version)?;
        let mut canonical = semver::canonical(&version).ok_or("invalid version")?.into_owned();
        if semver::build(&version) == "+incompatible" {
            canonical.push_str("+incompatible");
        }
        let (_, path_major) = path::split_major(&path).ok_or("invalid module path")?;
        if !fits_major(&canonical, path_major) {
            return Err("version does not fit the module path");
        }
        self.file.require.push((path, canonical));
        Ok(())
    }

    /// What is not an interval is skipped: later Go releases may write other things here.
    fn retract(&mut self, args: &[&str], comments: &Comments) {
        let interval = match *args {
            ["[", low, ",", high, "]", ..] => string(low).ok().zip(string(high).ok()),
            [] | ["(" | "[", ..] => None,
            [version, ..] => string(version).ok().map(|version| (version.clone(), version)),
        };
        if let Some((low, high)) = interval {
            let rationale = comments.text().to_owned();
            self.file.retract.push(Retract { low, high, rationale });
        }
    }
}

/// Directories to ignore mean nothing to a proxy, but a malformed line is an error to Go.
fn ignore(args: &[&str]) -> Result<(), Problem> {
    let [directory] = *args else { return Err("ignore directive expects exactly one argument") };
    string(directory).map(|_directory| ())
}

/// Reads a string, quoted or not.
fn string(token: &str) -> Result<String, Problem> {
    if token.starts_with('"') {
        return unquote(token).ok_or("invalid quoted string: invalid syntax");
    }
    if token.contains(['"', '\'', '`']) {
        return Err("invalid quoted string: unquoted string cannot contain quote");
    }
    Ok(token.to_owned())
}

/// Returns the Go version; of one with a tail that is not understood (`1.23-x`), what precedes it.
fn go_version(text: &str) -> Option<&str> {
    if is_go_version(text) {
        return Some(text);
    }
    let text = text.strip_prefix('v').unwrap_or(text);
    let (major, rest) = text.split_once('.')?;
    let minor_len = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (minor, tail) = rest.split_at_checked(minor_len)?;
    let valid = is_number(major) && major != "0" && is_number(minor) && !tail.is_empty();
    valid.then(|| text.get(..major.len() + 1 + minor.len()))?
}

/// `1.23`, `1.23.4`, `1.24rc1`, `1.24.0beta2`
fn is_go_version(text: &str) -> bool {
    let bare = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let numbers = bare.trim_end_matches(|c: char| c.is_ascii_lowercase());
    // Letters must stand directly behind a number, and digits behind the letters.
    let has_suffix = numbers.len() < bare.len();
    if has_suffix && bare.len() == text.len() {
        return false;
    }
    let numbers = if has_suffix { numbers } else { text };
    let mut parts = numbers.split('.');
    let major_ok = parts.next().is_some_and(|part| is_number(part) && part != "0");
    let minor_ok = parts.next().is_some_and(is_number);
    let patch_ok = parts.next().is_none_or(is_number);
    major_ok && minor_ok && patch_ok && parts.next().is_none()
}

/// Digits without a leading zero.
fn is_number(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'))
}

/// Returns the paragraph that begins with `Deprecated:`, without that word.
fn deprecation(comments: &str) -> Option<&str> {
    const MARK: &str = "Deprecated:";
    let paragraph = match comments.strip_prefix(MARK) {
        Some(paragraph) => paragraph,
        None => comments.split_once("\n\nDeprecated:")?.1,
    };
    let message = paragraph.trim_start_matches(' ');
    let message = message.split_once("\n\n").map_or(message, |(message, _)| message);
    (!message.is_empty()).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_versions_are_read_as_go_reads_them() {
        for (text, version) in [
            ("1.21", Some("1.21")),
            ("1.21.0", Some("1.21.0")),
            ("1.0", Some("1.0")),
            ("1.24rc1", Some("1.24rc1")),
            ("1.24.1beta12", Some("1.24.1beta12")),
            ("1.21-x", Some("1.21")),
            ("v1.21.3", Some("1.21")),
            ("1.21.01", Some("1.21")),
            ("1.21rc", Some("1.21")),
            ("1", None),
            ("1.", None),
            ("0.1", None),
            ("01.2", None),
            ("1.021", None),
            ("v1.21", None),
            ("1.x", None),
            ("", None),
        ] {
            assert_eq!(go_version(text), version, "{text}");
        }
    }

    #[test]
    fn a_deprecation_is_a_paragraph() {
        for (comments, message) in [
            ("Deprecated: use x", Some("use x")),
            ("Deprecated:   use\nx\n\nmore", Some("use\nx")),
            ("Intro.\n\nDeprecated: use x", Some("use x")),
            ("Intro.\nDeprecated: use x", None),
            ("deprecated: use x", None),
            ("Deprecated:", None),
            ("", None),
        ] {
            assert_eq!(deprecation(comments), message, "{comments}");
        }
    }
}
