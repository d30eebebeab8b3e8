//! `larder sumdb prove` and `verify-bundle`: proofs that need nobody to be checked.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use gomod::ModVer;
use sumdb::OwnLog;
use tlog::{Bundle, Proven, TlogProof, VerifierKey};

use super::module_of;
use crate::args::ProofFormat;
use crate::config::{self, Resolved};
use crate::exit::Exit;
use crate::{output, serve};

/// Prints the proof of what a database records of a version.
///
/// # Errors
/// It is not recorded, was erased, or the data folder cannot be read.
pub(super) fn prove(
    resolved: &Resolved,
    module: &str,
    format: ProofFormat,
    to: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    let module = module_of(module)?;
    let runtime = serve::fill_runtime(resolved)?;
    let text = runtime.block_on(async {
        let own = serve::own_beside(resolved).await?;
        match format {
            ProofFormat::Bundle => bundle(resolved, own.as_ref(), &module).await,
            ProofFormat::TlogProof => tlog_proof(own.as_ref(), &module).await,
        }
    })?;
    match to {
        None => output::out(text.trim_end()),
        Some(file) => write(file, &text)?,
    }
    Ok(Exit::Done.into())
}

async fn bundle(
    resolved: &Resolved,
    own: Option<&OwnLog>,
    module: &ModVer,
) -> anyhow::Result<String> {
    if let Some(own) = own
        && let Some((_proven, bundle)) = own.prove(module).await?
    {
        return Ok(bundle.to_string());
    }
    if let Some(database) = resolved.databases.first() {
        let sumdb = serve::sumdb_beside(resolved, serve::store_beside(resolved)?).await?;
        if let Some((_proven, bundle)) = sumdb.proven(&database.name, module).await? {
            return Ok(bundle.to_string());
        }
    }
    bail!("there is no stored proof of {module}: no database confirmed it here")
}

async fn tlog_proof(own: Option<&OwnLog>, module: &ModVer) -> anyhow::Result<String> {
    let only = "only larder's own log has checkpoints, which a tlog-proof is made of";
    let own = own.with_context(|| format!("{only}, and there is none here"))?;
    let proof = own.tlog_proof(module).await?;
    let proof = proof.with_context(|| {
        format!("{only}, and {} does not record {module}: try --format bundle", own.name())
    })?;
    Ok(proof.to_string())
}

#[expect(clippy::disallowed_methods, reason = "the command's own output file")]
fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}

/// A proof in one of the formats; the first line tells which.
enum Proof {
    Bundle(Bundle),
    Tlog(TlogProof),
}

impl Proof {
    fn parse(text: &[u8]) -> Result<Self, tlog::Error> {
        if TlogProof::is_one(text) {
            return TlogProof::parse(text).map(Self::Tlog);
        }
        Bundle::parse(text).map(Self::Bundle)
    }

    fn verify(&self, key: &VerifierKey) -> Result<Proven, tlog::Error> {
        match self {
            Self::Bundle(bundle) => bundle.verify(key),
            Self::Tlog(proof) => proof.verify(key),
        }
    }
}

/// Checks a proof by one key, or by those of the configured databases.
///
/// # Errors
/// The file cannot be read, or is none; there is no key.
pub(super) fn verify(
    resolved: &Resolved,
    file: &Path,
    key: Option<VerifierKey>,
) -> anyhow::Result<ExitCode> {
    let text = config::required(file)?;
    let proof = Proof::parse(text.as_bytes()).with_context(|| file.display().to_string())?;
    let keys: Vec<VerifierKey> = if let Some(key) = key {
        vec![key]
    } else {
        let own = serve::held_keys(resolved)?.into_iter().map(|key| key.verifier());
        own.chain(resolved.databases.iter().map(|db| db.key.clone())).collect()
    };
    let mut last = None;
    for key in &keys {
        match proof.verify(key) {
            Ok(proven) => {
                let (record, head) = (proven.record(), proven.head());
                output::out(&format!(
                    "record {} of {} ({} records) says:",
                    proven.id(),
                    key.name(),
                    head.size
                ));
                output::out(record.text().trim_end());
                return Ok(Exit::Done.into());
            }
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) => output::err(&format!("{} proves nothing: {error}", file.display())),
        None => {
            bail!("no key to verify with: name one with --key, or a database in the configuration")
        }
    }
    Ok(Exit::Failed.into())
}
