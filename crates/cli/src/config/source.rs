//! Where a value came from.

use std::{fmt, path::PathBuf};

use super::problem::Excerpt;

/// Where a value came from; shown by `config show` and in problems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody said anything.
    Default,
    /// A line of a TOML file.
    File(Excerpt),
    /// An environment variable of larder's.
    Variable(String),
    /// A command-line flag.
    Flag(&'static str),
    /// One of Go's own settings, by name.
    Go {
        /// The variable, as `GOPROXY`.
        key: &'static str,
        /// Which of Go's places it stood in.
        place: GoPlace,
    },
    /// A file that holds a secret, and who named it.
    Secret {
        /// The file.
        file: PathBuf,
        /// Who named it.
        named_by: Box<Source>,
    },
}

/// The places the `go` command takes its settings from, the strongest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GoPlace {
    /// The process environment.
    Environment,
    /// The file that `go env -w` writes.
    UserFile(PathBuf),
    /// `go.env` of an installed Go.
    Installation(PathBuf),
}

impl Source {
    /// The excerpt to show with a problem, when the source is a text file.
    #[must_use]
    pub fn excerpt(&self) -> Option<&Excerpt> {
        match self {
            Self::File(excerpt) => Some(excerpt),
            Self::Secret { named_by, .. } => named_by.excerpt(),
            _ => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(excerpt) => f.write_str(&excerpt.place()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Go { key, place } => write!(f, "{key} from {place}"),
            Self::Secret { file, named_by } => {
                write!(f, "file {} named by {named_by}", file.display())
            }
        }
    }
}

impl fmt::Display for GoPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("the environment"),
            Self::UserFile(file) => write!(f, "go env -w file {}", file.display()),
            Self::Installation(file) => write!(f, "go.env of GOROOT {}", file.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_says_where_it_is() {
        let user = GoPlace::UserFile("/home/u/.config/go/env".into());
        for (source, want) in [
            (Source::Default, "default"),
            (Source::Variable("LARDER_A".into()), "environment variable LARDER_A"),
            (Source::Flag("--listen"), "flag --listen"),
            (
                Source::Go { key: "GOPROXY", place: GoPlace::Environment },
                "GOPROXY from the environment",
            ),
            (
                Source::Go { key: "GOPROXY", place: user },
                "GOPROXY from go env -w file /home/u/.config/go/env",
            ),
            (
                Source::Go { key: "GOSUMDB", place: GoPlace::Installation("/go/go.env".into()) },
                "GOSUMDB from go.env of GOROOT /go/go.env",
            ),
            (
                Source::Secret {
                    file: "/run/t".into(),
                    named_by: Box::new(Source::Variable("LARDER_T_FILE".into())),
                },
                "file /run/t named by environment variable LARDER_T_FILE",
            ),
        ] {
            assert_eq!(source.to_string(), want);
        }
    }
}
