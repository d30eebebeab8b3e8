//! `.info` and `@latest`: validated, then handed on as they came.

use std::fmt;

use bytes::Bytes;
use gomod::{ModulePath, Query, Version};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use units::Timestamp;

use crate::{Error, Origin};

/// The most bytes of an `.info`. Real ones stay below 1 KiB; the client has no limit.
pub const MAX_INFO_BYTES: u64 = 1 << 20;

/// A validated `.info`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// Canonical and fitting the path.
    pub version: Version,
    /// The commit's time, when it is told.
    pub time: Option<Timestamp>,
    /// The answer as it came, unknown fields (`Origin`) and all.
    pub bytes: Bytes,
    /// Who answered.
    pub origin: Origin,
}

impl Info {
    /// Judges the answer to a query.
    ///
    /// Read as Go reads it: one JSON object, names of fields in any case, the last of several wins,
    /// unknown ones ignored, nothing behind it; `Time` is RFC 3339 or absent. `Version` must be
    /// canonical and fit the path, and equal a query that is a version. Source: protocol.md §3.2.
    ///
    /// # Errors
    ///
    /// `Invalid` with the rule that is broken.
    pub fn parse(
        path: &ModulePath,
        query: &Query,
        bytes: Bytes,
        origin: Origin,
    ) -> Result<Self, Error> {
        let invalid = |origin, reason| {
            let what = format!("{path}@{}", query.as_str());
            Error::Invalid { what, origin, reason }
        };
        let (version, time) = match read(path, &bytes) {
            Ok(read) => read,
            Err(reason) => return Err(invalid(origin, reason)),
        };
        match query {
            Query::Version(wanted) if *wanted != version => {
                let reason = format!("it names version {version} in place of {wanted}");
                Err(invalid(origin, reason))
            }
            _ => Ok(Self { version, time, bytes, origin }),
        }
    }

    /// Judges the answer to `@latest`, which is bound to no query.
    ///
    /// # Errors
    ///
    /// `Invalid` with the rule that is broken.
    pub fn parse_latest(path: &ModulePath, bytes: Bytes, origin: Origin) -> Result<Self, Error> {
        match read(path, &bytes) {
            Ok((version, time)) => Ok(Self { version, time, bytes, origin }),
            Err(reason) => Err(Error::Invalid { what: format!("{path}@latest"), origin, reason }),
        }
    }
}

fn read(path: &ModulePath, bytes: &[u8]) -> Result<(Version, Option<Timestamp>), String> {
    if bytes.len() as u64 > MAX_INFO_BYTES {
        return Err(format!("it is larger than {MAX_INFO_BYTES} bytes"));
    }
    let fields: Fields =
        serde_json::from_slice(bytes).map_err(|error| format!("it is no info in JSON: {error}"))?;
    let text = fields.version.unwrap_or_default();
    let version =
        Version::parse(&text).ok().filter(|version| version.fits(path)).ok_or_else(|| {
            format!("its Version {text:.80?} is not canonical or does not fit {path}")
        })?;
    let time = match fields.time.as_deref().map(Timestamp::parse_rfc3339) {
        // Go's zero time stands for none and is before what a timestamp can tell.
        None | Some(Err(units::Error::OutOfRange)) => None,
        Some(Ok(time)) => Some(time),
        Some(Err(error)) => return Err(format!("its Time is wrong: {error}")),
    };
    Ok((version, time))
}

/// The fields that we look at.
#[derive(Debug, Default)]
struct Fields {
    version: Option<String>,
    time: Option<String>,
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a Version")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields::default();
        while let Some(name) = map.next_key::<String>()? {
            let field = match () {
                () if is_field(&name, "version") => &mut fields.version,
                () if is_field(&name, "time") => &mut fields.time,
                () => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            // A null leaves the field as it is, as in Go.
            if let Some(value) = map.next_value::<Option<String>>()? {
                *field = Some(value);
            }
        }
        Ok(fields)
    }
}

/// Go compares names under simple Unicode folding, which takes two letters outside ASCII for `s`
/// and `k`: who reads them otherwise sees another version than the client does.
fn is_field(name: &str, field: &str) -> bool {
    let folded = name.chars().map(|c| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    });
    folded.eq(field.chars())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use gomod::{ModulePath, Query, Request, Version};
    use units::Timestamp;

    use super::{Info, MAX_INFO_BYTES};
    use crate::{Error, Origin};

    fn path() -> ModulePath {
        ModulePath::parse("example.com/m").unwrap()
    }

    fn query(text: &str) -> Query {
        match Request::parse(&format!("/example.com/m/@v/{text}.info")).unwrap() {
            Request::Info(_, query) => query,
            other => panic!("{other:?}"),
        }
    }

    fn parse(asked: &str, body: &str) -> Result<Info, String> {
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let info = Info::parse(&path(), &query(asked), bytes, Origin(Arc::from("mirror")));
        info.map_err(|error| match error {
            Error::Invalid { reason, .. } => reason,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn the_bytes_stay_as_they_came() {
        let body =
            "{ \"Version\":\"v1.0.0\",\"Time\":\"2020-01-02T03:04:05Z\",\"Origin\":{\"a\":1}}\n";
        let info = parse("v1.0.0", body).unwrap();
        assert_eq!(info.bytes, body.as_bytes());
        assert_eq!(info.version, Version::parse("v1.0.0").unwrap());
        assert_eq!(info.time, Some(Timestamp::parse_rfc3339("2020-01-02T03:04:05Z").unwrap()));
    }

    #[test]
    fn fields_are_found_as_go_finds_them() {
        for body in [
            r#"{"version":"v1.0.0"}"#,
            r#"{"VERSION":"v1.0.0","TIME":null}"#,
            r#"{"Ver\u017fion":"v1.0.0"}"#,
            r#"{"Version":"v9.0.0","version":"v1.0.0"}"#,
            r#"{"Version":"v1.0.0","Version":null}"#,
            r#"{"Version":"v1.0.0","Time":"0001-01-01T00:00:00Z"}"#,
        ] {
            assert!(parse("v1.0.0", body).is_ok(), "{body}");
        }
    }

    #[test]
    fn what_is_no_info_is_refused() {
        for body in [
            "",
            "null",
            "[]",
            "\"v1.0.0\"",
            "{}",
            "<html>",
            r#"{"Version":1}"#,
            r#"{"Version":"v1.0.0"} {}"#,
            r#"{"Version":"v1.0.0"}x"#,
            r#"{"Version":"v1.0.0""#,
            r#"{"Version":"v1.0.0","Time":"yesterday"}"#,
            r#"{"Version":"v1.0.0","Time":7}"#,
        ] {
            assert!(parse("v1.0.0", body).is_err(), "{body}");
        }
    }

    #[test]
    fn a_version_must_be_canonical_fitting_and_the_one_asked_for() {
        let named = |asked, version| parse(asked, &format!("{{\"Version\":\"{version}\"}}"));
        assert!(named("v1.0.0", "v1.0.1").unwrap_err().contains("in place of v1.0.0"));
        assert!(named("main", "v1.0.1").is_ok());
        assert!(named("main", "v0.0.0-20200102030405-0123456789ab").is_ok());
        assert!(named("main", "v2.0.0+incompatible").is_ok());
        for version in ["v1.0", "v1.0.0+meta", "v2.0.0", "main", "1.0.0", ""] {
            assert!(named("main", version).is_err(), "{version}");
        }
    }

    #[test]
    fn the_size_is_bounded() {
        let body = |size: u64| {
            let start = "{\"Version\":\"v1.0.0\"}";
            format!("{start}{}", " ".repeat(usize::try_from(size).unwrap() - start.len()))
        };
        assert!(parse("v1.0.0", &body(MAX_INFO_BYTES)).is_ok());
        assert!(parse("v1.0.0", &body(MAX_INFO_BYTES + 1)).is_err());
    }
}
