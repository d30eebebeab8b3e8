//! The access log's writer: a thread of its own, off the cores that serve.

use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use prometheus_client::metrics::counter::Counter;
use server::access::{self, Format, Sender};

use crate::config::settings::{Destination, Log, LogFormat};

/// How long a stop waits for the last access lines.
const LAST_LINES: Duration = Duration::from_secs(2);
/// How often it looks whether they are written.
const LOOK: Duration = Duration::from_millis(5);

/// The log and its thread; none when it is off.
pub(super) struct AccessLog {
    sender: Option<Sender>,
    stop: Arc<AtomicBool>,
    writer: Option<JoinHandle<()>>,
}

impl AccessLog {
    /// # Errors
    /// The file cannot be opened.
    #[expect(clippy::disallowed_methods, reason = "serve owns this thread: joined in stop")]
    pub(super) fn start(log: &Log, dropped: Counter) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let Some((out, terminal)) = open(&log.access)? else {
            return Ok(Self { sender: None, stop, writer: None });
        };
        let format = match log.format {
            LogFormat::Text => Format::Text,
            LogFormat::Json => Format::Json,
            LogFormat::Auto => {
                if terminal {
                    Format::Text
                } else {
                    Format::Json
                }
            }
        };
        let (sender, receiver) = access::channel(format, access::MAX_WAITING_BYTES, dropped);
        let stopped = Arc::clone(&stop);
        let writer = std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || access::run(&receiver, out, &stopped))
            .context("starting the access log")?;
        Ok(Self { sender: Some(sender), stop, writer: Some(writer) })
    }

    pub(super) fn sender(&self) -> Option<Sender> {
        self.sender.clone()
    }

    /// Writes what is waiting and ends the thread, or leaves it to its fate where nobody takes the
    /// lines: a pipe that is not read must not hold the process.
    pub(super) async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.sender);
        let Some(writer) = self.writer else { return };
        let ended = async {
            while !writer.is_finished() {
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(LAST_LINES, ended).await.is_err() {
            tracing::warn!("the last access lines were given up: nobody takes them");
        } else if let Err(_panic) = writer.join() {
            tracing::error!("the access log's writer had failed");
        }
    }
}

type Out = Box<dyn Write + Send>;

#[expect(clippy::disallowed_types, reason = "cli opens the file that the configuration names")]
fn open(destination: &Destination) -> anyhow::Result<Option<(Out, bool)>> {
    Ok(match destination {
        Destination::Off => None,
        Destination::Stdout => Some((Box::new(io::stdout()), io::stdout().is_terminal())),
        Destination::Stderr => Some((Box::new(io::stderr()), io::stderr().is_terminal())),
        Destination::File(path) => {
            let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
            let file = file.with_context(|| format!("log.access: opening {}", path.display()))?;
            Some((Box::new(file), false))
        }
    })
}
