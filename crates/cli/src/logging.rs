//! The log: one subscriber for the whole process, on standard error.

use std::io::{self, IsTerminal as _};

use anyhow::Context as _;
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry,
    fmt::{self, MakeWriter},
    layer::SubscriberExt as _,
};

use crate::config::settings::{Log, LogFormat};

/// Form of lines, decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people, in colour on a terminal.
    Text(Colour),
    /// For collectors.
    Json,
}

/// Are terminal colours used?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// They are.
    On,
    /// They are not.
    Off,
}

/// Where the log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// By a person.
    Terminal,
    /// From a pipe or file.
    Other,
}

impl Form {
    /// What `format` means where the log is read by `reader`.
    #[must_use]
    pub fn new(format: LogFormat, reader: Reader) -> Self {
        match (format, reader) {
            (LogFormat::Auto | LogFormat::Text, Reader::Terminal) => Self::Text(Colour::On),
            (LogFormat::Text, Reader::Other) => Self::Text(Colour::Off),
            (LogFormat::Json, _) | (LogFormat::Auto, Reader::Other) => Self::Json,
        }
    }
}

/// Sets the log up for the whole process; once.
///
/// # Errors
/// It was set up before, or the filter of `log.level` does not parse.
pub fn start(log: &Log) -> anyhow::Result<()> {
    let reader = if io::stderr().is_terminal() { Reader::Terminal } else { Reader::Other };
    let form = Form::new(log.format, reader);
    let subscriber = subscriber(form, &log.level, io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).context("setting up the log")
}

fn subscriber<W>(
    form: Form,
    level: &str,
    to: W,
) -> anyhow::Result<Box<dyn Subscriber + Send + Sync>>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(level).with_context(|| format!("log.level {level:?}"))?;
    let lines = fmt::layer().with_writer(to);
    let layer = match form {
        Form::Text(colour) => lines.with_ansi(colour == Colour::On).boxed(),
        Form::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    };
    Ok(Box::new(Registry::default().with(layer.with_filter(filter))))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Debug, Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(form: Form, level: &str, say: impl FnOnce()) -> String {
        let lines = Lines::default();
        let to = lines.clone();
        let subscriber = subscriber(form, level, move || to.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, say);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn auto_is_text_on_a_terminal_and_json_elsewhere() {
        for (format, reader, want) in [
            (LogFormat::Auto, Reader::Terminal, Form::Text(Colour::On)),
            (LogFormat::Auto, Reader::Other, Form::Json),
            (LogFormat::Text, Reader::Other, Form::Text(Colour::Off)),
            (LogFormat::Json, Reader::Terminal, Form::Json),
        ] {
            assert_eq!(Form::new(format, reader), want);
        }
    }

    #[test]
    fn json_lines_hold_message_and_fields_side_by_side() {
        let say = || tracing::info!(module = "m@v1.0.0", bytes = 3, "stored m@v1.0.0");
        let line: serde_json::Value =
            serde_json::from_str(&logged(Form::Json, "info", say)).unwrap();
        assert_eq!(line["message"], "stored m@v1.0.0");
        assert_eq!(line["module"], "m@v1.0.0");
        assert_eq!(line["bytes"], 3);
        assert_eq!(line["level"], "INFO");
        for name in line.as_object().unwrap().keys() {
            let known = crate::pages::log_fields::EVENTS.iter().any(|(field, _)| field == name);
            assert!(known, "{name} is not documented");
        }
    }

    #[test]
    fn levels_hold_per_room() {
        let say = || {
            tracing::debug!(target: "proxy", "shown");
            tracing::debug!(target: "store", "hidden");
        };
        let text = logged(Form::Text(Colour::Off), "info,proxy=debug", say);
        assert!(text.contains("shown") && !text.contains("hidden"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn a_bad_filter_is_an_error() {
        assert!(subscriber(Form::Json, "proxy=loud", io::sink).is_err());
    }
}
