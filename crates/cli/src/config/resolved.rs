//! From layers to what `serve` needs.

use std::{ffi::OsString, path::PathBuf};

use outbound::ProxyEnvironment;
use sumdb::Mode;

use super::{
    checks,
    database::{self, Database},
    direct::{self, Grants},
    gosettings::{self, GoSettings},
    layers::{self, Entries, Flags},
    netrc::Netrc,
    own::Own,
    problem::{Problem, Problems},
    settings::Settings,
    source::Source,
    upstreams::{self, Extras, Upstream},
    world::World,
};

/// A whole configuration: parsed, secrets loaded, cross-checked.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// All keys.
    pub settings: Settings,
    /// Where modules come from; never empty.
    pub upstreams: Vec<Upstream>,
    /// Patterns of private modules, each list with where it was said; for `policy::Private`.
    pub private: Vec<(String, String)>,
    /// Who larder is at which repositories.
    pub grants: Vec<upstream::Grant>,
    /// PATH, for git and what it starts.
    pub search_path: Option<OsString>,
    /// Patterns that are never looked up in a public checksum database, with where it was said.
    pub no_sumdb: Vec<(String, String)>,
    /// The checksum databases that clients may reach through larder.
    pub databases: Vec<Database>,
    /// Go's own settings.
    pub go: GoSettings,
    /// `HTTPS_PROXY` and its like.
    pub proxy_environment: ProxyEnvironment,
    /// `SSL_CERT_FILE`: the bundle of certificate authorities in place of the system's.
    pub system_ca_file: Option<PathBuf>,
    /// What the operator should know, although it is no error.
    pub warnings: Vec<String>,
    /// Every value with its source, for `config show`.
    pub entries: Entries,
    /// The configuration file, if there is one.
    pub file: Option<PathBuf>,
    /// `upstream.proxies` as it came out, and where it was set.
    pub proxies: (String, Source),
    /// Where the databases were named.
    pub databases_source: Source,
}

impl Resolved {
    /// Who confirms what is fetched, in words.
    fn confirmation(&self) -> String {
        match (self.settings.sumdb.verify, self.databases.first()) {
            (Mode::Off, _) | (_, None) => "NOTHING that is fetched is confirmed".to_owned(),
            (Mode::Require, Some(first)) => {
                format!("{} confirms what is fetched before it is published", first.name.as_str())
            }
            (Mode::TrustOnFirstUse, Some(first)) => {
                format!("{} confirms what is fetched, later if need be", first.name.as_str())
            }
        }
    }

    /// The first lines of the log: upstreams, private patterns, checksum mode, with sources.
    #[must_use]
    pub fn summary(&self) -> Vec<String> {
        let (text, source) = &self.proxies;
        let offline = if self.settings.proxy.offline { "; offline: nobody is asked" } else { "" };
        let mut lines = vec![format!("upstreams: {text} ({source}){offline}")];
        let pairs = |lists: &[(String, String)]| {
            let shown = lists.iter().map(|(list, source)| format!("{list} ({source})"));
            shown.collect::<Vec<_>>().join(", ")
        };
        let private = pairs(&self.private);
        let rest = "names below .internal, .local, .corp, .lan and .home.arpa";
        let also = if private.is_empty() { String::new() } else { format!("{private}, ") };
        lines.push(format!("private: {also}{rest}"));
        let names: Vec<_> = self.databases.iter().map(|db| db.name.as_str()).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let source = &self.databases_source;
        lines.push(format!("checksum databases: {names} ({source}); {}", self.confirmation()));
        if !self.no_sumdb.is_empty() {
            lines.push(format!("not looked up in them: {}", pairs(&self.no_sumdb)));
        }
        lines
    }
}

/// Reads, checks and resolves the configuration.
///
/// # Errors
/// Everything that is wrong with it, as far as it can be told in one go.
pub fn load(flags: &Flags, world: &World) -> Result<Resolved, Problems> {
    let file = layers::find_file(flags, world)?;
    let of_file = file.as_ref().map(|(path, text)| layers::of_file(path, text, world));
    let stronger = [
        of_file.unwrap_or_default(),
        layers::of_environment(world),
        layers::of_flags(flags, world),
    ];
    let (mut entries, mut problems) = layers::of_defaults(world);
    for (more, wrong) in stronger {
        entries.extend(more);
        problems.extend(wrong);
    }
    if problems.is_empty() {
        problems.extend(checks::of_entries(&entries));
    }
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let values = entries.iter().map(|(path, entry)| (path.as_str(), &entry.value));
    let settings = Settings::from_values(values)
        .map_err(|error| Problem::new(error.message(), &Source::Default))?;
    problems.extend(checks::of_settings(&settings, &entries));
    let grants = direct::grants(&settings.direct, &entries);
    let grants = grants.unwrap_or_else(|wrong| {
        problems.extend(wrong);
        Grants::default()
    });
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let file = file.map(|(path, _)| path);
    resolve((settings, grants), entries, file, world)
}

fn resolve(
    (settings, grants): (Settings, Grants),
    entries: Entries,
    file: Option<PathBuf>,
    world: &World,
) -> Result<Resolved, Problems> {
    let go = GoSettings::read(world);
    let netrc = Netrc::read(world);
    let own = Own {
        listen: &settings.server.listen,
        public_url: settings.server.public_url.as_ref(),
        world,
    };
    let configured = entries.get("upstream.proxies").map(|entry| &entry.source);
    let configured = settings.upstream.proxies.as_deref().zip(configured);
    let mut chosen = upstreams::choose(configured, &go, &own)?;
    chosen.warnings.extend(go.unreadable.iter().map(|why| format!("Go's settings in {why}")));
    let netrc = netrc.unwrap_or_else(|error| {
        chosen.warnings.push(format!("cannot read the netrc file: {error}"));
        Netrc::default()
    });
    let tables = settings.upstream.source.iter();
    let tables: Vec<_> = tables.map(|(name, table)| (name.as_str(), table)).collect();
    let extras = Extras { tables: &tables, netrc: &netrc };
    let dressed = chosen.entries.iter().map(|entry| extras.dress(entry, &chosen.source));
    let upstreams = dressed.collect::<Result<Vec<_>, _>>()?;
    chosen.warnings.extend(extras.unused(&upstreams));
    let (databases, databases_source) = databases(&settings, &entries, &go)?;
    let (databases, more) = confirming(databases, &databases_source, &own, settings.sumdb.verify);
    chosen.warnings.extend(more);
    Ok(Resolved {
        private: private(&settings, &entries, &go).chain(grants.private).collect(),
        grants: grants.grants,
        search_path: world.variable("PATH").map(OsString::from),
        no_sumdb: no_sumdb(&go),
        proxy_environment: proxy_environment(world),
        system_ca_file: world.variable("SSL_CERT_FILE").map(PathBuf::from),
        proxies: (upstreams::text(&chosen.entries), chosen.source),
        warnings: chosen.warnings,
        upstreams,
        databases,
        databases_source,
        settings,
        entries,
        file,
        go,
    })
}

fn private(
    settings: &Settings,
    entries: &Entries,
    go: &GoSettings,
) -> impl Iterator<Item = (String, String)> {
    let own = &settings.policy.private;
    let source = entries.get("policy.private").map(|entry| &entry.source);
    let own = source
        .filter(|_| !own.is_empty())
        .map(|source| (own.join(","), format!("policy.private, {source}")));
    let of_go = ["GOPRIVATE", "GONOPROXY"].into_iter().filter_map(|key| pair(go, key));
    let of_go: Vec<_> = of_go.collect();
    own.into_iter().chain(of_go)
}

/// GONOSUMDB; GOPRIVATE stands in for it.
fn no_sumdb(go: &GoSettings) -> Vec<(String, String)> {
    pair(go, "GONOSUMDB").or_else(|| pair(go, "GOPRIVATE")).into_iter().collect()
}

fn pair(go: &GoSettings, key: &str) -> Option<(String, String)> {
    go.get(key).map(|setting| (setting.value.clone(), setting.source.to_string()))
}

fn databases(
    settings: &Settings,
    entries: &Entries,
    go: &GoSettings,
) -> Result<(Vec<Database>, Source), Problem> {
    const KEY: &str = "sumdb.databases";
    let of_go = go.get("GOSUMDB");
    let (texts, source) = match (&settings.sumdb.databases, entries.get(KEY), of_go) {
        (Some(texts), Some(entry), _) => (texts.clone(), entry.source.clone()),
        (.., Some(setting)) => (vec![setting.value.clone()], setting.source.clone()),
        _ => (vec![database::DEFAULT.to_owned()], Source::Default),
    };
    let mut databases: Vec<Database> = Vec::new();
    for text in &texts {
        let parsed = Database::parse(text).map_err(|reason| {
            Problem::new(format!("{KEY}: {reason}"), &source).expected("a value of GOSUMDB")
        })?;
        let Some(database) = parsed else { continue };
        if databases.iter().any(|other| other.name == database.name) {
            let message = format!("{KEY}: {} stands twice", database.name.as_str());
            return Err(Problem::new(message, &source).expected("each database once"));
        }
        databases.push(database);
    }
    Ok((databases, source))
}

/// The databases that are not larder itself: what we answer ourselves confirms nothing. And what the
/// operator should know about that.
fn confirming(
    databases: Vec<Database>,
    source: &Source,
    own: &Own<'_>,
    verify: Mode,
) -> (Vec<Database>, Vec<String>) {
    let is_own = |database: &Database| database.url.as_ref().is_some_and(|url| own.is(url));
    let (ours, databases): (Vec<_>, Vec<_>) = databases.into_iter().partition(is_own);
    let left_out = |database: &Database| {
        let name = database.name.as_str();
        format!("checksum database {name} of {source} is asked at larder itself: left out")
    };
    let mut warnings: Vec<_> = ours.iter().map(left_out).collect();
    if verify != Mode::Off && databases.is_empty() {
        warnings.push(format!(
            "no checksum database ({source}): nothing that is fetched is confirmed. Name one in \
             sumdb.databases, or write sumdb.verify = \"off\""
        ));
    }
    (databases, warnings)
}

/// As Go's net/http has it: upper case first.
fn proxy_environment(world: &World) -> ProxyEnvironment {
    let either = |upper: &str| {
        let lower = upper.to_ascii_lowercase();
        world.variable(upper).or_else(|| world.variable(&lower)).map(str::to_owned)
    };
    // In a CGI process HTTP_PROXY is the client's header.
    let cgi = world.variable("REQUEST_METHOD").is_some();
    ProxyEnvironment {
        http: either("HTTP_PROXY").filter(|_| !cgi),
        https: either("HTTPS_PROXY"),
        no: either("NO_PROXY"),
    }
}

/// Go's settings in the order in which they are shown, but for those that became keys.
pub fn shown_go_settings() -> impl Iterator<Item = &'static str> {
    gosettings::KEYS.into_iter().filter(|key| !matches!(*key, "GOPROXY" | "GOSUMDB"))
}
