//! `.info` as the `go` command writes it, with where the version comes from.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use units::Timestamp;

/// Where a version comes from; fields and their order are Go's.
///
/// Source: codehost/codehost.go `Origin`; protocol.md §12. `RepoSum` is told of what does not
/// exist, so no `.info` of git has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Provenance {
    #[serde(rename = "VCS")]
    pub(crate) vcs: String,
    #[serde(rename = "URL")]
    pub(crate) url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) subdir: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) hash: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) tag_prefix: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) tag_sum: String,
    #[serde(rename = "Ref", skip_serializing_if = "String::is_empty")]
    pub(crate) reference: String,
}

/// The whole `.info`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Written<'a> {
    version: &'a str,
    time: String,
    origin: &'a Provenance,
}

/// What is read back of one.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Read {
    origin: Option<Provenance>,
}

impl Provenance {
    /// Reads it from an `.info`; `None` for one that names no commit of git.
    pub(crate) fn of_info(bytes: &[u8]) -> Option<Self> {
        let read: Read = serde_json::from_slice(bytes).ok()?;
        read.origin.filter(|origin| origin.vcs == "git" && !origin.hash.is_empty())
    }
}

/// Writes an `.info`: to the byte what `go` keeps in its cache.
pub(crate) fn info(version: &str, time: Timestamp, origin: &Provenance) -> Bytes {
    let written = Written { version, time: time.to_string(), origin };
    // Strings and structs of strings always serialise.
    let text = serde_json::to_string(&written).unwrap_or_default();
    // As Go's encoder does, for JSON that ends up in HTML.
    let text = text.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e");
    Bytes::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Provenance {
        Provenance {
            vcs: "git".to_owned(),
            url: "https://a.b/r?x=<1>&y".to_owned(),
            subdir: "sub".to_owned(),
            hash: "0123".to_owned(),
            tag_prefix: "sub/".to_owned(),
            tag_sum: "t1:x".to_owned(),
            reference: "refs/heads/main".to_owned(),
        }
    }

    #[test]
    fn an_info_is_written_as_go_writes_it() {
        let time = Timestamp::parse_rfc3339("2020-01-02T03:04:05Z").unwrap();
        let bytes = info("v1.0.0", time, &origin());
        assert_eq!(
            str::from_utf8(&bytes).unwrap(),
            r#"{"Version":"v1.0.0","Time":"2020-01-02T03:04:05Z","Origin":{"VCS":"git","URL":"https://a.b/r?x=\u003c1\u003e\u0026y","Subdir":"sub","Hash":"0123","TagPrefix":"sub/","TagSum":"t1:x","Ref":"refs/heads/main"}}"#
        );
        assert_eq!(Provenance::of_info(&bytes), Some(origin()));
        let short = Provenance { vcs: "git".into(), url: "u".into(), ..Provenance::default() };
        let bytes = info("v1.0.0", time, &short);
        let end = br#""Origin":{"VCS":"git","URL":"u"}}"#;
        assert!(bytes.ends_with(end), "{bytes:?}");
    }

    #[test]
    fn only_a_commit_of_git_is_read_back() {
        for text in [
            "",
            "{}",
            r#"{"Version":"v1.0.0"}"#,
            r#"{"Origin":null}"#,
            r#"{"Origin":{"VCS":"hg","Hash":"0123"}}"#,
            r#"{"Origin":{"VCS":"git"}}"#,
            r#"{"Origin":7}"#,
        ] {
            assert_eq!(Provenance::of_info(text.as_bytes()), None, "{text}");
        }
    }
}
