//! `larder verify`: holds what is stored against stored proofs, or against a go.sum.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use indicatif::{HumanBytes, ProgressBar};
use proxy::VerifyReport;

use crate::config::{self, Resolved};
use crate::exit::Exit;
use crate::{output, serve};

/// Checks the data folder of `resolved`, beside a server that may run, and asks nobody.
///
/// # Errors
/// The data folder or the go.sum cannot be read.
pub fn run(resolved: &Resolved, go_sum: Option<&Path>) -> anyhow::Result<ExitCode> {
    let runtime = serve::fill_runtime(resolved)?;
    let bar = ProgressBar::new_spinner();
    let tick = |module: &gomod::ModVer, bytes: u64| {
        bar.inc(bytes.max(1));
        bar.set_message(module.to_string());
    };
    let report = runtime.block_on(async {
        let store = serve::store_beside(resolved)?;
        if let Some(file) = go_sum {
            let text = config::required(file)?;
            let lines = gomod::gosum::parse(&text).with_context(|| file.display().to_string())?;
            return Ok(proxy::verify_go_sum(&store, &lines, &tick).await?);
        }
        let sumdb = serve::sumdb_beside(resolved, store.clone()).await?;
        let own = serve::own_beside(resolved).await?;
        let private = policy::Private::new(resolved.private.clone());
        let no_sumdb = policy::Private::new(resolved.no_sumdb.clone());
        if let Some(own) = &own {
            proxy::keep_private(own, &private, &no_sumdb).await?;
        }
        let checks = proxy::Checks {
            own: own.as_ref(),
            database: resolved.databases.first().map(|database| &database.name),
            private: &private,
            no_sumdb: &no_sumdb,
            at_once: std::thread::available_parallelism().map_or(1, usize::from),
            store: &store,
            sumdb: &sumdb,
        };
        anyhow::Ok(proxy::verify(&checks, &tick).await?)
    })?;
    bar.finish_and_clear();
    Ok(tell(&report, bar.elapsed().as_secs_f64()).into())
}

fn tell(report: &VerifyReport, secs: f64) -> Exit {
    for finding in &report.findings {
        output::out(&format!("bad: {}: {}", finding.what, finding.reason));
    }
    let absent = match report.absent {
        0 => String::new(),
        absent => format!(", {absent} not stored"),
    };
    output::out(&format!(
        "{} versions, {} in {secs:.1} s: {} files confirmed, {} exempt, {} unconfirmed{absent}, {} bad",
        report.versions,
        HumanBytes(report.bytes),
        report.confirmed,
        report.exempt,
        report.unconfirmed,
        report.findings.len()
    ));
    if report.findings.is_empty() { Exit::Done } else { Exit::Failed }
}
