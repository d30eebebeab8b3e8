//! A checksum database, as GOSUMDB names it.
//!
//! Source: cmd/go/internal/modfetch (`dbDial`), protocol of go.dev/ref/mod#checksum-database.

use tlog::{LogName, VerifierKey};
use url::Url;

/// The database that the `go` command knows by its name alone, with its verifier key.
const KNOWN: [(&str, &str); 1] =
    [("sum.golang.org", "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8")];

/// The database when nobody says anything: nothing is published that nobody confirms.
pub const DEFAULT: &str = "sum.golang.org";

/// Another address of a known database: the value that stands for it, name and URL.
const ALIAS: (&str, &str, &str) =
    ("sum.golang.google.cn", "sum.golang.org", "https://sum.golang.google.cn");

/// A checksum database that clients may reach through larder.
#[derive(Debug, Clone)]
pub struct Database {
    /// Its name; may hold slashes.
    pub name: LogName,
    /// Its verifier key.
    pub key: VerifierKey,
    /// Where it answers, when that is not `https://<name>`.
    pub url: Option<Url>,
}

impl Database {
    /// Parses `off` (none), a known name, or `name+hash+key`, the last two with a URL or without.
    ///
    /// # Errors
    /// What is wrong with it, as a part of a sentence.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        let mut words = text.split_whitespace();
        let (first, url) = match (words.next(), words.next(), words.next()) {
            (Some("off"), None, None) => return Ok(None),
            (Some(alias), None, None) if alias == ALIAS.0 => (ALIAS.1, Some(ALIAS.2)),
            (Some(first), url, None) => (first, url),
            (None, ..) => return Err("it is empty".to_owned()),
            _ => return Err(format!("{text:?} has more than a key and a URL")),
        };
        let known = KNOWN.iter().find(|(name, _)| *name == first);
        if known.is_none() && !first.contains('+') {
            return Err(format!("{first:?} is no database whose key is known"));
        }
        let key = known.map_or(first, |(_, key)| *key);
        let key = VerifierKey::parse(key).map_err(|error| format!("{key:?}: {error}"))?;
        Ok(Some(Self { name: key.name().clone(), url: url.map(parse_url).transpose()?, key }))
    }
}

fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{text:?}: {error}"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        // `go` takes folders too; what larder confirms by, it has to be able to ask.
        other => Err(format!("scheme {other:?} of {text:?} is not http or https")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

    fn name_and_url(text: &str) -> (String, Option<String>) {
        let database = Database::parse(text).unwrap().unwrap();
        (database.name.as_str().to_owned(), database.url.map(|url| url.to_string()))
    }

    #[test]
    fn a_database_is_a_known_name_or_a_key_with_or_without_url() {
        let org = "sum.golang.org".to_owned();
        assert_eq!(name_and_url("sum.golang.org"), (org.clone(), None));
        assert_eq!(name_and_url(KEY), (org.clone(), None));
        let mirror = Some("https://m.example/s".to_owned());
        assert_eq!(name_and_url("sum.golang.org https://m.example/s"), (org.clone(), mirror));
        let alias = Some("https://sum.golang.google.cn/".to_owned());
        assert_eq!(name_and_url("sum.golang.google.cn"), (org, alias));
        assert!(Database::parse("off").unwrap().is_none());
    }

    #[test]
    fn other_values_are_refused() {
        for bad in [
            "",
            "sum.example.com",
            "a+b+c",
            "sum.golang.org x y",
            "sum.golang.org ftp://x",
            "sum.golang.org file:///x",
        ] {
            assert!(Database::parse(bad).is_err(), "{bad}");
        }
        // One letter of the key changed: its hash no longer fits.
        assert!(Database::parse(&KEY.replace("Ac4z", "Ac5z")).is_err());
    }
}
