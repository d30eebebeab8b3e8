//! Kinds of values: what a text or a TOML value must look like to be one.

use std::{net::SocketAddr, ops::Range, str::FromStr as _, time::Duration};

use toml::{
    Spanned, Value,
    de::{DeArray, DeTable, DeValue},
};
use units::{ByteSize, Span};

use super::{database::Database, keys::Key, problem::mask_userinfo, upstreams};

/// Longest duration that a key takes: ten years. More is a slip of the keyboard.
pub const MAX_SPAN: Span = Span(Duration::from_hours(10 * 365 * 24));

/// Most elements of one list, most rows of one array of tables.
pub const MAX_ELEMENTS: usize = 4096;

/// What a value must look like.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number in a range.
    Count {
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
    },
    /// A duration; zero is allowed.
    Age,
    /// A duration of at least a millisecond.
    Limit,
    /// A size in bytes.
    Size,
    /// Any text but the empty one.
    Text,
    /// A file or folder; relative ones are seen from the folder of the file that names them.
    Path,
    /// `IP:port` or `localhost:port`.
    Address,
    /// An absolute `http` or `https` URL without userinfo, query and fragment.
    Url,
    /// A path of this server, `/a/b`.
    UrlPath,
    /// `FROM=TO`, beginnings of URLs.
    Rewrite,
    /// An IP network or address.
    Network,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A GOPROXY list.
    Proxies,
    /// One module pattern, as GOPRIVATE has them.
    Pattern,
    /// Module patterns in one text, as GOPRIVATE has them.
    Patterns,
    /// A checksum database, as GOSUMDB has them.
    Database,
    /// Log levels, `info` or `info,proxy=debug`.
    Levels,
    /// `stdout`, `stderr`, `off` or a file.
    Destination,
    /// A text that is never shown.
    Secret,
    /// A list.
    List(&'static Kind),
    /// An array of tables with these keys.
    Tables(&'static [Key]),
}

/// A value that is no such kind: where (bytes, in a TOML text) and what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Place of the value within the text that was parsed.
    pub span: Option<Range<usize>>,
    /// What is wrong.
    pub reason: String,
    /// What would be right.
    pub expected: String,
}

type Checked = Result<Value, Vec<Wrong>>;

impl Kind {
    /// What a right value is, with an example: ends the sentence "expected ...".
    #[must_use]
    pub fn expected(&self) -> String {
        let text = match self {
            Self::Bool => "true or false",
            Self::Count { min, max } => return format!("a whole number from {min} to {max}"),
            Self::Age => r#"a duration with its unit, such as "30s" or "1h30m""#,
            Self::Limit => r#"a duration above zero with its unit, such as "30s" or "1h30m""#,
            Self::Size => r#"a size with its unit, such as "512MiB" or "2GB""#,
            Self::Text => "a text",
            Self::Path => r#"a path, such as "/var/lib/larder""#,
            Self::Address => r#"an address with its port, such as "127.0.0.1:8080" or "[::]:8080""#,
            Self::Url => r#"a URL, such as "https://go.example.com""#,
            Self::UrlPath => r#"a path that begins with "/", such as "/api/go/public""#,
            Self::Rewrite => r#"two URLs, such as "https://a.example/=file:///srv/""#,
            Self::Network => r#"an address or network, such as "10.0.0.0/8""#,
            Self::Choice(words) => return format!("one of {}", quoted(words)),
            Self::Proxies => r#"a GOPROXY list, such as "https://go.example.com,direct""#,
            Self::Pattern => r#"a module pattern, such as "corp.example.com" or "*.example.com""#,
            Self::Patterns => r#"module patterns, such as "corp.example.com,*.example.com""#,
            Self::Database => r#"a checksum database as in GOSUMDB, such as "sum.golang.org""#,
            Self::Levels => r#"log levels, such as "info" or "info,proxy=debug""#,
            Self::Destination => r#""stdout", "stderr", "off" or a file"#,
            Self::Secret => "a text (it is not shown here)",
            Self::List(item) => return format!("a list; each is {}", item.expected()),
            Self::Tables(keys) => return format!("an array of tables with {}", names(keys)),
        };
        text.to_owned()
    }

    /// Checks a text from the environment, a flag or the table of defaults.
    ///
    /// Lists are split at commas, or read as a TOML array when they stand in `[` and `]`.
    ///
    /// # Errors
    /// One [`Wrong`] per bad element, without spans.
    pub fn check_text(&self, text: &str) -> Checked {
        match self {
            Self::Bool => match text {
                "true" => Ok(Value::Boolean(true)),
                "false" => Ok(Value::Boolean(false)),
                _ => Err(self.wrong(&format!("{text:?} is neither"), None)),
            },
            Self::Count { .. } => self.check_number(text, text.parse().ok(), None),
            // `[::1]:80,[::1]:81` is no array.
            Self::List(_) | Self::Tables(_) if is_array(text) => {
                let parsed = DeValue::parse(text.trim());
                let parsed = parsed.map_err(|error| self.wrong(error.message(), None))?;
                self.check_toml(&parsed).map_err(|wrongs| {
                    wrongs.into_iter().map(|wrong| Wrong { span: None, ..wrong }).collect()
                })
            }
            Self::List(item) => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                collect(parts.map(|part| item.check_text(part)))
            }
            Self::Tables(_) => Err(self.wrong("it does not stand in `[` and `]`", None)),
            _ => self.check_string(text, None),
        }
    }

    /// Checks a TOML value.
    ///
    /// # Errors
    /// One [`Wrong`] per bad element, with spans.
    pub fn check_toml(&self, value: &Spanned<DeValue<'_>>) -> Checked {
        let span = Some(value.span());
        match (self, value.get_ref()) {
            (Self::Bool, DeValue::Boolean(value)) => Ok(Value::Boolean(*value)),
            (Self::Count { .. }, DeValue::Integer(value)) => {
                let number = u64::from_str_radix(value.as_str(), value.radix()).ok();
                self.check_number(value.as_str(), number, span)
            }
            (Self::List(item), DeValue::Array(items)) => {
                within(items, self, span)?;
                collect(items.iter().map(|value| item.check_toml(value)))
            }
            (Self::Tables(keys), DeValue::Array(items)) => {
                within(items, self, span)?;
                collect(items.iter().map(|value| self.check_row(keys, value)))
            }
            (Self::Bool | Self::Count { .. } | Self::List(_) | Self::Tables(_), other) => {
                Err(self.wrong(&format!("this is {}", article(other.type_str())), span))
            }
            (_, DeValue::String(text)) => self.check_string(text, span),
            (_, other) => Err(self.wrong(&format!("this is {}", article(other.type_str())), span)),
        }
    }

    fn check_row(&self, keys: &'static [Key], row: &Spanned<DeValue<'_>>) -> Checked {
        let DeValue::Table(table) = row.get_ref() else {
            let reason = format!("this is {}", article(row.get_ref().type_str()));
            return Err(self.wrong(&reason, Some(row.span())));
        };
        let (mut out, mut wrongs) = (toml::Table::new(), Vec::new());
        for (name, value) in table {
            let Some(key) = keys.iter().find(|key| key.path == name.get_ref().as_ref()) else {
                let reason = format!("unknown key {:?} in this table", name.get_ref());
                wrongs.extend(self.wrong(&reason, Some(name.span())));
                continue;
            };
            match key.kind.check_toml(value) {
                Ok(value) => out.insert(key.path.to_owned(), value).map_or((), drop),
                Err(more) => wrongs.extend(more),
            }
        }
        wrongs.extend(missing(keys, table).map(|key| Wrong {
            span: Some(row.span()),
            reason: format!("`{key}` is missing"),
            expected: self.expected(),
        }));
        if wrongs.is_empty() { Ok(Value::Table(out)) } else { Err(wrongs) }
    }

    fn check_number(&self, text: &str, number: Option<u64>, span: Option<Range<usize>>) -> Checked {
        let Self::Count { min, max } = self else { return Err(self.wrong("no number", span)) };
        match number.filter(|number| (min..=max).contains(&number)) {
            // A registry test holds every `max` below i64::MAX.
            Some(number) => Ok(Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))),
            None => Err(self.wrong(&format!("{text:?} is out of range"), span)),
        }
    }

    fn check_string(&self, text: &str, span: Option<Range<usize>>) -> Checked {
        match self.normalise(text) {
            Ok(text) => Ok(Value::String(text)),
            Err(reason) => Err(self.wrong(&reason, span)),
        }
    }

    /// The text as it is kept, or what is wrong with it.
    fn normalise(&self, text: &str) -> Result<String, String> {
        let kept = text.to_owned();
        match self {
            Self::Age | Self::Limit => span(text, matches!(self, Self::Limit)),
            Self::Size => ByteSize::from_str(text)
                .map(|size| size.to_string())
                .map_err(|_expected| format!("{text:?} is no size")),
            Self::Address => address(text),
            Self::Url => url(text),
            Self::UrlPath => url_path(text),
            Self::Rewrite if is_rewrite(text) => Ok(kept),
            Self::Rewrite => Err(format!("{text:?} are none")),
            Self::Network => network(text),
            Self::Choice(words) if words.contains(&text) => Ok(kept),
            Self::Choice(_) => Err(format!("{text:?} is none of them")),
            Self::Proxies => upstreams::parse(text).map(|_| kept),
            Self::Pattern => pattern(text),
            Self::Patterns => text.split(',').try_for_each(|p| pattern(p).map(drop)).map(|()| kept),
            Self::Database => Database::parse(text).map(|_| kept),
            Self::Levels => tracing_subscriber::EnvFilter::try_new(text)
                .map(|_| kept)
                .map_err(|error| format!("{text:?}: {error}")),
            _ if text.is_empty() => Err("it is empty".to_owned()),
            _ => Ok(kept),
        }
    }

    fn wrong(&self, reason: &str, span: Option<Range<usize>>) -> Vec<Wrong> {
        vec![Wrong { span, reason: mask_userinfo(reason), expected: self.expected() }]
    }
}

fn is_array(text: &str) -> bool {
    text.trim().starts_with('[') && text.trim().ends_with(']')
}

fn within(items: &DeArray<'_>, kind: &Kind, span: Option<Range<usize>>) -> Result<(), Vec<Wrong>> {
    if items.len() <= MAX_ELEMENTS {
        return Ok(());
    }
    Err(kind.wrong(&format!("more than {MAX_ELEMENTS} elements"), span))
}

fn missing<'a>(keys: &'a [Key], table: &DeTable<'_>) -> impl Iterator<Item = &'a str> {
    let required = keys.iter().filter(|key| key.required());
    required.filter(|key| !table.contains_key(key.path)).map(|key| key.path)
}

fn collect(items: impl Iterator<Item = Checked>) -> Checked {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Ok(value) => good.push(value),
            Err(wrongs) => bad.extend(wrongs),
        }
    }
    if bad.is_empty() { Ok(Value::Array(good)) } else { Err(bad) }
}

fn span(text: &str, above_zero: bool) -> Result<String, String> {
    let span = Span::from_str(text).map_err(|_expected| format!("{text:?} is no duration"))?;
    if span > MAX_SPAN {
        return Err(format!("{text:?} is longer than {MAX_SPAN}"));
    }
    if above_zero && span.0 < Duration::from_millis(1) {
        return Err(format!("{text:?} leaves no time"));
    }
    Ok(span.to_string())
}

fn address(text: &str) -> Result<String, String> {
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    if let Ok(address) = numeric.parse::<SocketAddr>() {
        return Ok(address.to_string());
    }
    match text.strip_prefix(':') {
        Some(port) => Err(format!("{text:?} names no address; all of them is \"[::]:{port}\"")),
        None => Err(format!("{text:?} is no address with a port")),
    }
}

fn url(text: &str) -> Result<String, String> {
    let url = url::Url::parse(text).map_err(|error| format!("{text:?}: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("scheme {:?} is neither http nor https", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds credentials".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{text:?} has a query or a fragment"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn url_path(text: &str) -> Result<String, String> {
    let path = text.trim_end_matches('/');
    let good = |segment: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&b);
        !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(plain)
    };
    match path.strip_prefix('/') {
        Some(rest) if rest.split('/').all(good) => Ok(path.to_owned()),
        _ => Err(format!("{text:?} is no such path")),
    }
}

fn is_rewrite(text: &str) -> bool {
    text.split_once('=').is_some_and(|(from, to)| from.contains("://") && to.contains("://"))
}

fn network(text: &str) -> Result<String, String> {
    if let Ok(network) = text.parse::<ipnet::IpNet>() {
        return Ok(network.trunc().to_string());
    }
    match text.parse::<std::net::IpAddr>() {
        Ok(ip) => Ok(ipnet::IpNet::from(ip).to_string()),
        Err(_) => Err(format!("{text:?} is neither")),
    }
}

fn pattern(text: &str) -> Result<String, String> {
    let strange = |c: char| c.is_whitespace() || c == ',';
    let open = text.matches('[').count() != text.matches(']').count();
    if text.is_empty() || text.contains(strange) || text.contains("://") || open {
        // The go command ignores such a pattern silently: a private name would leave.
        return Err(format!("{text:?} would never match a module"));
    }
    Ok(text.to_owned())
}

fn article(kind: &str) -> String {
    let vowel = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if vowel { "an" } else { "a" })
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ")
}

fn names(keys: &[Key]) -> String {
    let name = |key: &Key| {
        let optional = if key.required() { "" } else { " (optional)" };
        format!("`{}`{optional}", key.path)
    };
    keys.iter().map(name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
