//! Exit codes, which scripts and supervisors act on.

use std::process::ExitCode;

use crate::config::Problems;

/// How a command ends. Source: sysexits.h for the last three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Found something, or failed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 64,
    /// The data folder is in use by another larder: trying later may help.
    Busy = 75,
    /// The configuration is wrong.
    Config = 78,
}

/// The command line is wrong in a way that only its command can see.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// The code that tells the cause of `error`.
    #[must_use]
    pub fn of(error: &anyhow::Error) -> Self {
        if error.chain().any(<dyn std::error::Error>::is::<Problems>) {
            return Self::Config;
        }
        if error.is::<Usage>() {
            return Self::Usage;
        }
        let busy = |cause: &store::Error| matches!(cause, store::Error::Busy);
        if error.chain().filter_map(|cause| cause.downcast_ref()).any(busy) {
            return Self::Busy;
        }
        Self::Failed
    }
}

/// What is printed about an error: configuration problems as they are, others in one line.
#[must_use]
pub fn text(error: &anyhow::Error) -> String {
    match error.downcast_ref::<Problems>() {
        Some(problems) => problems.to_string(),
        None => format!("error: {error:#}"),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;
    use crate::config::{Problem, Source};

    fn problems() -> anyhow::Error {
        Problems::from(Problem::new("store.data: no", &Source::Default)).into()
    }

    #[test]
    fn the_cause_decides_however_deep_it_lies() {
        let busy = || anyhow::Error::from(store::Error::Busy);
        for (error, want) in [
            (problems(), Exit::Config),
            (busy(), Exit::Busy),
            (Err::<(), _>(busy()).context("opening the store").unwrap_err(), Exit::Busy),
            (Usage("what?".to_owned()).into(), Exit::Usage),
            (anyhow::anyhow!("else"), Exit::Failed),
        ] {
            assert_eq!(Exit::of(&error), want, "{error:#}");
        }
    }

    #[test]
    fn problems_are_printed_as_they_are_and_causes_in_one_line() {
        assert_eq!(text(&problems()), "error: store.data: no");
        let deep = anyhow::anyhow!("disk on fire").context("opening the store");
        assert_eq!(text(&deep), "error: opening the store: disk on fire");
    }
}
