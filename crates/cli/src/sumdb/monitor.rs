//! `larder sumdb monitor`: watches a log, tells what it does wrong, and ends with a code for it.

mod files;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use gomod::pattern::Patterns;
use indicatif::{ProgressBar, ProgressStyle};
use sumdb::monitor::{Finding, Monitor, Names, Parts, Walked};
use url::Url;

use crate::args::MonitorArgs;
use crate::config::database::Database;
use crate::config::{self, Resolved, World};
use crate::exit::{Exit, Usage};
use crate::{output, serve};

use files::Files;

/// Watches the log of `args`: one round, or until something is found.
///
/// # Errors
/// The log cannot be asked, the state cannot be kept, or the command line or configuration is wrong.
pub(super) fn run(args: &MonitorArgs, world: &World) -> anyhow::Result<ExitCode> {
    let resolved = config::load(&args.config.clone().into(), world)?;
    let database = database(&resolved, &args.database, args.url.as_ref())?;
    let compare = args.compare.as_deref();
    let compare = compare.map(|text| self::database(&resolved, text, None)).transpose()?;
    let state = args.state.clone().unwrap_or_else(|| default_state(&resolved, &database));
    let (files, kept, seen) = Files::open(&state, &database.key)?;
    for finding in kept.untold() {
        output::out(&format!("{finding} (found by a run that did not end)"));
    }
    let follow = args.follow.map(|span| span.0);
    let parts = parts(&resolved, args, (database, compare))?;
    let monitor = Monitor::new(parts, kept, seen).context("the state is of another log")?;
    let watch = Watch { monitor, files, bar: bar(), findings: 0 };
    serve::fill_runtime(&resolved)?.block_on(watch.run(follow))
}

/// Below the data folder, so that it is found again.
fn default_state(resolved: &Resolved, database: &sumdb::Database) -> PathBuf {
    let folder = resolved.settings.store.data.join("monitor");
    folder.join(database.name.as_str()).join("state")
}

/// A log by its key, or by the name of a configured or known one; where it answers itself, never
/// through a proxy of modules: that could show the monitor another tree than its clients.
fn database(resolved: &Resolved, text: &str, url: Option<&Url>) -> anyhow::Result<sumdb::Database> {
    let configured = resolved.databases.iter().find(|database| database.name.as_str() == text);
    let named = match configured {
        Some(database) => database.clone(),
        None => Database::parse(text)
            .map_err(Usage)?
            .ok_or_else(|| Usage("off is no database".to_owned()))?,
    };
    let url = match url.cloned().or(named.url) {
        Some(url) => url,
        None => Url::parse(&format!("https://{}", named.name))?,
    };
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Usage(format!("{url} is not http or https")).into());
    }
    Ok(sumdb::Database { name: named.name, key: named.key, urls: vec![url] })
}

fn parts(
    resolved: &Resolved,
    args: &MonitorArgs,
    (database, compare): (sumdb::Database, Option<sumdb::Database>),
) -> anyhow::Result<Parts> {
    Ok(Parts {
        database,
        compare,
        sample: args.sample,
        names: Names {
            realm: args.realm.as_deref().map(Patterns::parse),
            private: policy::Private::new(resolved.private.clone()),
        },
        max_age: args.max_age.map(|span| span.0),
        at_once: usize::from(args.jobs),
        client: serve::client(resolved)?,
        via: Arc::from("1.1 larder"),
        clock: sumdb::Clock::new({
            let clock = proxy::Clock::system();
            move || clock.now()
        }),
    })
}

/// Drawn on a terminal only.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} records {eta}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A monitor at work.
struct Watch {
    monitor: Monitor,
    files: Files,
    bar: ProgressBar,
    findings: usize,
}

impl Watch {
    async fn run(mut self, follow: Option<Duration>) -> anyhow::Result<ExitCode> {
        loop {
            let round = self.round().await;
            self.bar.suspend(|| self.summary());
            let worst = self.monitor.kept().worst();
            match (round, follow, worst) {
                // What was found counts, whatever else went wrong.
                (Err(error), _, Some(kind)) => {
                    output::err(&format!("error: {error:#}"));
                    return Ok(kind.code().into());
                }
                (Err(error), None, None) => return Err(error),
                // It may be back the next time; its silence is told by --max-age.
                (Err(error), Some(_), None) => output::err(&format!("error: {error:#}")),
                (Ok(()), _, Some(kind)) => {
                    self.monitor.told();
                    self.save()?;
                    return Ok(kind.code().into());
                }
                (Ok(()), None, None) => return Ok(Exit::Done.into()),
                (Ok(()), Some(_), None) => {}
            }
            tokio::time::sleep(follow.unwrap_or_default()).await;
        }
    }

    /// From the newest head to the last record.
    async fn round(&mut self) -> anyhow::Result<()> {
        let looked = self.monitor.look().await;
        self.tell()?;
        looked?;
        self.save()?;
        self.bar.set_length(self.monitor.kept().size());
        loop {
            let walked = self.monitor.walk().await;
            self.tell()?;
            let walked = walked?;
            self.save()?;
            self.bar.set_position(self.monitor.kept().records());
            if walked == Walked::End {
                return Ok(());
            }
        }
    }

    /// Evidence first: a line that names a file is true.
    fn tell(&mut self) -> anyhow::Result<()> {
        for Finding { kind, what, evidence } in self.monitor.findings() {
            self.findings += 1;
            let evidence = evidence.map(|evidence| self.files.keep(&evidence)).transpose()?;
            let file = evidence.map(|file| format!(", see {}", file.display()));
            let line = format!("{kind}: {what}{}", file.unwrap_or_default());
            self.bar.suspend(|| output::out(&line));
        }
        Ok(())
    }

    fn save(&mut self) -> anyhow::Result<()> {
        self.files.save(self.monitor.kept(), self.monitor.seen())
    }

    fn summary(&self) {
        let kept = self.monitor.kept();
        let (records, size, findings) = (kept.records(), kept.size(), self.findings);
        output::out(&format!("{records} of {size} records judged, {findings} findings"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

    fn resolved(databases: &str) -> Resolved {
        let world = World::empty("/nowhere".into()).with("LARDER_SUMDB_DATABASES", databases);
        config::load(&config::Flags::default(), &world).unwrap()
    }

    #[test]
    fn a_log_is_named_by_key_by_a_known_name_or_by_a_configured_one() {
        let url = Url::parse("https://mirror.example/db").unwrap();
        let configured = format!("{KEY} https://other.example");
        for (databases, text, url, want) in [
            ("off", KEY, None, "https://sum.golang.org/"),
            ("off", "sum.golang.org", None, "https://sum.golang.org/"),
            ("off", KEY, Some(&url), "https://mirror.example/db"),
            (&configured, "sum.golang.org", None, "https://other.example/"),
            (&configured, "sum.golang.org", Some(&url), "https://mirror.example/db"),
        ] {
            let database = database(&resolved(databases), text, url).unwrap();
            assert_eq!(database.urls.first().map(Url::as_str), Some(want));
            assert_eq!(database.key.to_string(), KEY);
        }
    }

    #[test]
    fn other_names_and_urls_are_a_wrong_command_line() {
        let file = Url::parse("file:///bundle").unwrap();
        for (text, url) in [("sum.example", None), ("off", None), ("a+b", None), (KEY, Some(&file))]
        {
            let error = database(&resolved("off"), text, url).unwrap_err();
            assert_eq!(Exit::of(&error), Exit::Usage, "{text}");
        }
    }

    #[test]
    fn the_state_lies_below_the_data_folder() {
        let resolved = resolved("off");
        let database = database(&resolved, KEY, None).unwrap();
        let state = default_state(&resolved, &database);
        assert!(state.ends_with("monitor/sum.golang.org/state"), "{}", state.display());
    }

    #[test]
    fn the_progress_bar_has_a_valid_template() {
        let style = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} records {eta}");
        assert!(style.is_ok());
    }
}
