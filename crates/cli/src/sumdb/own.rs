//! `larder sumdb init`, `setup` and `recover`: our own log.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use sumdb::{Kind, OwnLog};
use tlog::{LogName, SigningKey};
use zeroize::Zeroizing;

use crate::config::Resolved;
use crate::exit::Exit;
use crate::{output, serve};

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
    // By the lock of the data folder no server runs: it would not see the new log.
    let store = serve::store(resolved)?;
    let file = serve::key_file(resolved);
    let key = match serve::signing_key(&file)? {
        // Begun before, and cut short: making the log is what is missing.
        Some(key) if *key.verifier().name() == name => key,
        Some(key) => bail!("{} holds the key of {}", file.display(), key.verifier().name()),
        None => make_key(&file, name.clone())?,
    };
    let runtime = serve::fill_runtime(resolved)?;
    runtime.block_on(async {
        let state = serve::state(resolved).await.context("the state cannot be used")?;
        let parts = serve::own_parts(name, Some(key.clone()), store, state.clone());
        OwnLog::create(&parts).await?;
        state.close().await;
        anyhow::Ok(())
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
fn make_key(file: &Path, name: LogName) -> anyhow::Result<SigningKey> {
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
    let key =
        serve::verifier(resolved)?.context("there is no log: run `larder sumdb init NAME`")?;
    let server = &resolved.settings.server;
    let url = match (&server.public_url, server.listen.first()) {
        (Some(url), _) => url.as_str().trim_end_matches('/').to_owned(),
        (None, Some(address)) => format!("http://{address}"),
        (None, None) => bail!("no address to listen on"),
    };
    output::out(&format!("go env -w GOPROXY={url}"));
    output::out(&format!("go env -w GOSUMDB={key}"));
    output::out("go env -u GOPRIVATE GONOPROXY GONOSUMDB GONOSUMCHECK GOINSECURE");
    output::err(
        "# One database for public and private modules: nothing is exempt any more. go commands before \
         1.25.13 and 1.26.6 can be fooled by whoever runs this server (CVE-2026-42501, -56864, -56865).",
    );
    Ok(Exit::Done.into())
}

/// Makes database and store whole from each other, and thaws the log.
///
/// # Errors
/// They contradict each other, records are lost for which a head was given out, or the key is missing.
pub(super) fn recover(resolved: &Resolved) -> anyhow::Result<ExitCode> {
    let store = serve::store(resolved)?;
    let file = serve::key_file(resolved);
    let key = serve::signing_key(&file)?
        .with_context(|| format!("there is no key in {}: restore it first", file.display()))?;
    let private = policy::Private::new(resolved.private.clone());
    let kind = |module: &gomod::ModVer| {
        if private.find(module.path()).is_some() {
            Kind::Private
        } else if module.path().as_str() == "golang.org/toolchain" {
            Kind::Toolchain
        } else {
            Kind::Public
        }
    };
    let runtime = serve::fill_runtime(resolved)?;
    let recovered = runtime.block_on(async {
        let state = serve::state(resolved).await.context("the state cannot be used")?;
        let name = key.verifier().name().clone();
        let parts = serve::own_parts(name, Some(key), store, state.clone());
        let recovered = OwnLog::recover(&parts, kind).await?;
        state.close().await;
        anyhow::Ok(recovered)
    })?;
    output::out(&format!(
        "{} records; {} restored to the database, {} files written to the store; the log is whole",
        recovered.records, recovered.restored, recovered.rewritten
    ));
    Ok(Exit::Done.into())
}
