//! `larder fsck`: hashes everything stored and sets damage aside.

use std::process::ExitCode;

use indicatif::ProgressBar;
pub use proxy::Reindex;

use crate::config::Resolved;
use crate::exit::Exit;
use crate::{output, serve};

/// Checks the data folder of `resolved`.
///
/// # Errors
/// The data folder is in use, or cannot be read.
pub fn run(resolved: &Resolved, reindex: Reindex) -> anyhow::Result<ExitCode> {
    let runtime = serve::fill_runtime(resolved)?;
    let store = serve::store(resolved)?;
    let bar = ProgressBar::new_spinner();
    let report = runtime.block_on(async {
        let index = match reindex {
            Reindex::Yes => serve::index(resolved).await,
            Reindex::No => None,
        };
        let tick = |module: &gomod::ModVer| {
            bar.inc(1);
            bar.set_message(module.to_string());
        };
        let sumdb = serve::sumdb_beside(resolved, store.clone()).await?;
        let report = proxy::fsck((&store, &sumdb), index.as_ref(), reindex, &tick).await;
        if let Some(index) = index {
            index.close().await;
        }
        anyhow::Ok(report?)
    })?;
    bar.finish_and_clear();
    for damage in &report.damage {
        output::out(&format!("damaged: {}: {}", damage.what, damage.reason));
    }
    for unproven in &report.unproven {
        output::out(&format!("unproven: {}: {}", unproven.what, unproven.reason));
    }
    for stranger in &report.strangers {
        output::out(&format!("stranger, left alone: {}", stranger.display()));
    }
    output::out(&format!(
        "{} versions, {} files, {} bytes read; {} damaged and set aside in evidence/, {} unproven, \
         {} strangers",
        report.versions,
        report.files,
        report.bytes,
        report.damage.len(),
        report.unproven.len(),
        report.strangers.len()
    ));
    let sound = report.damage.is_empty() && report.unproven.is_empty();
    Ok(if sound { Exit::Done } else { Exit::Failed }.into())
}
