//! `larder sumdb monitor`: watches a log, tells what it does wrong, and ends with a code for it.

mod files;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use gomod::pattern::Patterns;
use indicatif::{ProgressBar, ProgressStyle};
use sumdb::monitor::{Finding, Misbehaviour, Monitor, Names, Parts, Unfit, Walked};
use url::Url;

use crate::args::MonitorArgs;
use crate::config::database::Database;
use crate::config::{self, Resolved, World};
use crate::exit::{Exit, Usage};
use crate::{output, serve};

use files::Files;

/// The shortest time between two rounds: a log is not to be flooded.
const MIN_FOLLOW: Duration = Duration::from_millis(100);

/// Watches the log of `args`: one round, or until something is found.
///
/// # Errors
/// The log cannot be asked, the state cannot be kept, or the command line or configuration is wrong.
pub(super) fn run(args: &MonitorArgs, world: &World) -> anyhow::Result<ExitCode> {
    let resolved = config::load(&args.config.clone().into(), world)?;
    let database = database(&resolved, &args.database, args.url.as_ref())?;
    let compare = args.compare.as_deref();
    let compare = compare.map(|text| self::database(&resolved, text, None)).transpose()?;
    let follow = args.follow.map(|span| span.0);
    if follow.is_some_and(|follow| follow < MIN_FOLLOW) {
        return Err(Usage("--follow: at least 100ms".to_owned()).into());
    }
    let parts = parts(&resolved, args, (database, compare))?;
    let state = args.state.clone();
    let state = state.unwrap_or_else(|| default_state(&resolved, &parts.database));
    let (files, kept, seen) = Files::open(&state, &parts.database.key)?;
    let mut heard = Heard::All;
    for finding in kept.untold() {
        heard.say(&format!("{finding} (found by a run that did not end)"));
    }
    let monitor = Monitor::new(parts, kept, seen).map_err(|unfit| unfit_state(&state, &unfit))?;
    let watch = Watch { monitor, files, bar: bar(), findings: 0, heard, unsaved: None };
    serve::fill_runtime(&resolved)?.block_on(watch.run(follow))
}

/// A state that is for other terms is a wrong command line.
fn unfit_state(state: &Path, unfit: &Unfit) -> anyhow::Error {
    let terms = matches!(unfit, Unfit::Terms { .. });
    let text =
        format!("{}: {unfit}; name another --state to judge all records again", state.display());
    if terms { Usage(text).into() } else { anyhow!(text) }
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
    // An empty list says that there are no private names, as not saying anything does not.
    let realm = args.realm.as_deref().map(Patterns::parse);
    let names_private =
        realm.is_some() || resolved.private.iter().any(|(list, _)| !list.is_empty());
    if compare.is_some() && !names_private {
        let text = "--compare tells the names of all public records to the other database: name the \
                    private modules first, by --realm or in the configuration (--realm '': none are)";
        return Err(Usage(text.to_owned()).into());
    }
    let heads = args.head.iter().map(|file| files::signed(file, &database.key));
    let heads = heads.filter_map(Result::transpose).collect::<anyhow::Result<_>>()?;
    Ok(Parts {
        terms: terms(args, compare.as_ref()),
        heads,
        database,
        compare,
        sample: args.sample,
        names: Names {
            realm: realm.filter(|realm| !realm.is_empty()),
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

/// What decides what a record is judged to be. Not the private patterns of the configuration: they
/// change for reasons of their own.
fn terms(args: &MonitorArgs, compare: Option<&sumdb::Database>) -> String {
    let realm = match args.realm.as_deref() {
        None | Some("") => "no realm".to_owned(),
        Some(realm) => format!("--realm {realm}"),
    };
    match compare {
        None => format!("{realm}, not compared"),
        Some(other) => format!("{realm}, --compare {} --sample {}", other.name, args.sample),
    }
}

/// Drawn on a terminal only.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} records {eta}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Whether all findings could be printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    All,
    Not,
}

impl Heard {
    fn say(&mut self, line: &str) {
        if let Err(error) = output::try_out(line) {
            output::err(&format!("error: a finding could not be printed: {error}"));
            *self = Self::Not;
        }
    }
}

/// A monitor at work.
struct Watch {
    monitor: Monitor,
    files: Files,
    bar: ProgressBar,
    findings: usize,
    heard: Heard,
    /// Why the state could not be kept, the last time that it was tried.
    unsaved: Option<anyhow::Error>,
}

impl Watch {
    async fn run(mut self, follow: Option<Duration>) -> anyhow::Result<ExitCode> {
        loop {
            self.round(follow.is_some()).await;
            self.bar.suspend(|| self.summary());
            // What lasts, and was told, is no reason to end.
            let worst = match follow {
                None => self.monitor.worst(),
                Some(_) => self.monitor.kept().worst(),
            };
            let trouble = self.trouble();
            if let Some(kind) = worst {
                return Ok(self.told(kind, trouble));
            }
            match (trouble, follow) {
                (None, None) => return Ok(Exit::Done.into()),
                (Some(trouble), None) => return Err(trouble),
                (Some(trouble), Some(_)) if self.monitor.is_overdue() => {
                    return Err(trouble.context("records could not be compared for too long"));
                }
                // It may be back the next time; its silence is told by --max-age.
                (Some(trouble), Some(_)) => output::err(&format!("error: {trouble:#}")),
                (None, Some(_)) => {}
            }
            tokio::time::sleep(follow.unwrap_or_default()).await;
        }
    }

    /// What was found counts, whatever else went wrong; what nobody could read is told again.
    fn told(&mut self, kind: Misbehaviour, trouble: Option<anyhow::Error>) -> ExitCode {
        if self.heard == Heard::All {
            self.monitor.told();
            self.save();
        }
        let unsaved = self.unsaved.take();
        for error in trouble.into_iter().chain(unsaved) {
            output::err(&format!("error: {error:#}"));
        }
        kind.code().into()
    }

    /// From the newest head to the last record; one who follows ends when something was found.
    async fn round(&mut self, follows: bool) {
        self.monitor.look().await;
        self.keep();
        self.bar.set_length(self.monitor.kept().size());
        while !(follows && self.monitor.kept().worst().is_some()) {
            let walked = self.monitor.walk().await;
            self.keep();
            self.bar.set_position(self.monitor.kept().records());
            if walked == Walked::End {
                self.monitor.finish();
                self.keep();
                return;
            }
        }
    }

    fn keep(&mut self) {
        self.tell();
        self.save();
    }

    /// Evidence first: a line that names a file is true. It is told without, if need be.
    fn tell(&mut self) {
        for Finding { kind, what, evidence } in self.monitor.findings() {
            self.findings += 1;
            let see = match evidence.map(|evidence| self.files.keep(&evidence)) {
                None => String::new(),
                Some(Ok(file)) => format!(", see {}", file.display()),
                Some(Err(error)) => format!(" (its evidence is not kept: {error:#})"),
            };
            let line = format!("{kind}: {what}{see}");
            self.bar.suspend(|| self.heard.say(&line));
        }
    }

    /// Where that fails, the walk goes on: what is found now is told now.
    fn save(&mut self) {
        match self.files.save(self.monitor.kept(), self.monitor.seen()) {
            Ok(()) => {
                self.unsaved = None;
                self.monitor.saved();
            }
            Err(error) => self.unsaved = Some(error),
        }
    }

    /// What could not be asked, or kept, in this round.
    fn trouble(&mut self) -> Option<anyhow::Error> {
        let asked = self.monitor.trouble().iter().map(ToString::to_string);
        let unsaved = self.unsaved.take().map(|error| format!("{error:#}"));
        let all: Vec<_> = asked.chain(unsaved).collect();
        (!all.is_empty()).then(|| anyhow!(all.join("; ")))
    }

    fn summary(&self) {
        let (kept, findings) = (self.monitor.kept(), self.findings);
        let (unjudged, uncompared) = (kept.unjudged(), kept.uncompared());
        let (judged, size) = (kept.records().saturating_sub(unjudged), kept.size());
        let also = |records: u64, how: &str| match records {
            0 => String::new(),
            _ => format!(", {records} {how}"),
        };
        let also = also(unjudged, "passed over") + &also(uncompared, "not compared");
        output::out(&format!("{judged} of {size} records judged, {findings} findings{also}"));
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
