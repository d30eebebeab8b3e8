//! Settings.

use std::{fmt, time::Duration};

use serde::Deserialize;

/// How long a version that is not recorded yet is waited for. Source: sumdb.md §9.3.
const MISSING_WAIT: Duration = Duration::from_mins(1);

/// Settings, below `sumdb.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What must have happened before content is published. Default [`Mode::Require`].
    pub mode: Mode,
    /// How long a version is waited for that the database does not record yet: a fresh tag takes
    /// a while. Default one minute. Too short: the first fetch of a new tag fails; too long: a
    /// private module that is not named as one keeps its client waiting.
    pub missing_wait: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { mode: Mode::default(), missing_wait: MISSING_WAIT }
    }
}

/// What must have happened before the content of a public module is published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The database confirmed it; while the database cannot be asked, nothing new is published.
    #[default]
    Require,
    /// The same, but while the database cannot be asked the first content is believed, marked, and
    /// confirmed later.
    TrustOnFirstUse,
    /// Nothing: no database is asked for what larder itself publishes.
    Off,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Require => "require",
            Self::TrustOnFirstUse => "trust-on-first-use",
            Self::Off => "off",
        })
    }
}

#[cfg(test)]
mod tests {
    use serde::de::{IntoDeserializer, value::Error};

    use super::*;

    #[test]
    fn modes_are_written_as_they_are_read() {
        for mode in [Mode::Require, Mode::TrustOnFirstUse, Mode::Off] {
            let text = mode.to_string();
            let text: serde::de::value::StringDeserializer<Error> = text.into_deserializer();
            assert_eq!(Mode::deserialize(text), Ok(mode));
        }
        assert_eq!(Config::default().mode, Mode::Require);
        assert_eq!(Config::default().missing_wait, Duration::from_mins(1));
    }
}
