//! `larder sumdb init`, `setup` and `recover`: our own log.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use policy::Private;
use sumdb::{Kind, OwnLog};
use tlog::{LogName, SigningKey, VerifierKey};
use zeroize::Zeroizing;

use crate::config::{self, Resolved};
use crate::exit::Exit;
use crate::{output, serve};

/// Names that mean Go's public database to every `go` command.
const PUBLIC: [&str; 2] = ["sum.golang.org", "sum.golang.google.cn"];

/// Makes key and log.
///
/// # Errors
/// There is a key or a log already; the data folder is in use or cannot be written.
pub(super) fn init(resolved: &Resolved, name: &str) -> anyhow::Result<ExitCode> {
    let name = LogName::parse(name).with_context(|| {
        format!(
            "{name:?} is no name of a log: a host in lower case and a path, sum.corp.example/go"
        )
    })?;
    let public = resolved.databases.iter().map(|database| database.name.as_str());
    if public.chain(PUBLIC).any(|public| public == name.as_str()) {
        bail!("{name} is the name of a public database: the log's name is for you to choose");
    }
    // By the lock of the data folder no server runs: it would not see the new log.
    let store = serve::store(resolved)?;
    let file = serve::key_file(resolved);
    let runtime = serve::fill_runtime(resolved)?;
    let key = runtime.block_on(async {
        let state = serve::state(resolved).await.context("the state cannot be used")?;
        if let Some(other) = state.log_name().await? {
            bail!("this data folder has the log {other} already, and can have one");
        }
        let mut parts = serve::own_parts(name.clone(), Vec::new(), store, state.clone());
        OwnLog::is_new(&parts).await?;
        let key = match serve::signing_key(&file)? {
            // Begun before, and cut short: making the log is what is missing.
            Some(key) if *key.verifier().name() == name => key,
            Some(key) => bail!("{} holds the key of {}", file.display(), key.verifier().name()),
            None => make_key(&file, name)?,
        };
        parts.signers.push(Arc::new(key.clone()));
        OwnLog::create(&parts).await?;
        state.close().await;
        anyhow::Ok(key)
    })?;
    output::err(&format!(
        "the key is in {}: back it up, apart from the data folder",
        file.display()
    ));
    output::out(&key.verifier().to_string());
    Ok(Exit::Done.into())
}

/// A new key, in a file that only its owner reads. An existing file is never touched.
#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the key file is made here"
)]
pub(super) fn make_key(file: &Path, name: LogName) -> anyhow::Result<SigningKey> {
    let writing = || format!("writing {}", file.display());
    let seed = Zeroizing::new(rand::random::<[u8; 32]>());
    let key = SigningKey::from_seed(name, *seed);
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(writing)?;
    }
    let options = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).clone();
    let mut made = options.open(file).with_context(writing)?;
    made.write_all(key.reveal().as_bytes()).with_context(writing)?;
    made.write_all(b"\n").with_context(writing)?;
    made.sync_all().with_context(writing)?;
    Ok(key)
}

/// Prints what clients set.
///
/// # Errors
/// There is no log.
pub(super) fn setup(resolved: &Resolved) -> anyhow::Result<ExitCode> {
    let keys = signing(resolved)?;
    let (key, older) =
        keys.split_last().context("there is no log: run `larder sumdb init NAME`")?;
    let server = &resolved.settings.server;
    let url = match (&server.public_url, server.listen.first()) {
        (Some(url), _) => url.as_str().trim_end_matches('/').to_owned(),
        (None, Some(address)) => format!("http://{address}"),
        (None, None) => bail!("no address to listen on"),
    };
    output::out(&format!("go env -w GOPROXY={url}"));
    output::out(&format!("go env -w GOSUMDB={key}"));
    output::out("go env -u GOPRIVATE GONOPROXY GONOSUMDB GOINSECURE");
    output::err(
        "# One database for public and private modules: nothing is exempt any more. go commands before \
         1.25.13 and 1.26.6 can be fooled by whoever runs this server (CVE-2026-42501, -56864, -56865).",
    );
    for older in older {
        output::err(&format!(
            "# The key is being changed: clients that have the older line go on until `larder sumdb \
             rotate --finish`:\n# {older}"
        ));
    }
    Ok(Exit::Done.into())
}

/// The keys that sign by the state, the oldest first; without a log there, the key that lies at hand.
fn signing(resolved: &Resolved) -> anyhow::Result<Vec<VerifierKey>> {
    let runtime = serve::fill_runtime(resolved)?;
    let listed = runtime.block_on(async {
        let Some(state) = serve::state_beside(resolved).await? else { return Ok(None) };
        let Some(name) = state.log_name().await? else { return Ok(None) };
        let Some(log) = state.log(&name).await? else { return Ok(None) };
        let keys = log.standing().await?.keys;
        state.close().await;
        anyhow::Ok(Some(keys))
    })?;
    let Some(listed) = listed else {
        let key = serve::signing_key(&serve::key_file(resolved))?;
        return Ok(key.iter().map(SigningKey::verifier).collect());
    };
    let signs = listed.iter().filter(|key| key.state == db::KeyState::Signs);
    signs.map(|key| Ok(key.key.parse()?)).collect()
}

/// Makes database and store whole from each other, and thaws the log.
///
/// # Errors
/// They contradict each other, records are lost for which a head was signed, or the key is missing.
pub(super) fn recover(resolved: &Resolved, heads: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let read = |head: &PathBuf| anyhow::Ok(config::required(head)?.into());
    let outside = heads.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    let store = serve::store(resolved)?;
    let file = serve::key_file(resolved);
    let keys = serve::held_keys(resolved)?;
    let first = keys.first();
    let first = first
        .with_context(|| format!("there is no key in {}: restore it first", file.display()))?;
    let name = first.verifier().name().clone();
    let ours = [&resolved.private, &resolved.no_sumdb].map(|list| Private::new(list.clone()));
    let kind = |module: &gomod::ModVer| {
        if module.path().as_str() == "golang.org/toolchain" {
            Kind::Toolchain
        } else if ours.iter().any(|list| list.find(module.path()).is_some()) {
            Kind::Private
        } else {
            Kind::Public
        }
    };
    let runtime = serve::fill_runtime(resolved)?;
    let recovered = runtime.block_on(async {
        let state = serve::state(resolved).await.context("the state cannot be used")?;
        let parts = serve::own_parts(name, keys, store, state.clone());
        let recovered = OwnLog::recover(&parts, &outside, kind).await?;
        state.close().await;
        anyhow::Ok(recovered)
    })?;
    output::out(&format!(
        "{} records, {} of them erased; {} restored to the database, {} files written to the store; the log is whole",
        recovered.records, recovered.erased, recovered.restored, recovered.rewritten
    ));
    for key in recovered.keys {
        output::out(&format!("signed by {key}"));
    }
    Ok(Exit::Done.into())
}
