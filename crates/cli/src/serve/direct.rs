//! Version control as a source, from settings; none without git.

use std::sync::Arc;

use anyhow::Context as _;
use gomod::{govcs::Govcs, pattern::Patterns};
use upstream::{
    Discovery, DiscoverySettings, Override, Upstream, VcsParts, VcsSettings, VcsSource,
};
use vcs::{Egress, Git, Place};

use super::build::{Observed, limits};
use crate::config::{Resolved, upstreams::Target};

/// Where mirrors lie in the data folder.
const MIRRORS_FOLDER: &str = "git";

/// Opens git; none when there is none, which is said once if it matters.
pub(super) async fn git(resolved: &Resolved) -> Option<Git> {
    let place = Place {
        folder: resolved.settings.store.data.join(MIRRORS_FOLDER),
        path: resolved.search_path.clone(),
        ca_bundle: resolved.system_ca_file.clone(),
        egress: Egress {
            https: resolved.proxy_environment.https.clone().map(Into::into),
            no: resolved.proxy_environment.no.clone(),
        },
        min_free: resolved.settings.store.min_free.0,
    };
    match Git::open(resolved.settings.vcs.clone(), place).await {
        Ok(git) => {
            for warning in git.warnings() {
                tracing::warn!("git {}: {warning}", git.version());
            }
            Some(git)
        }
        Err(error) if is_wanted(resolved) => {
            tracing::warn!(%error, "no git: direct counts as absent, private modules have no source: {error}");
            None
        }
        Err(error) => {
            tracing::debug!(%error, "no git, and nothing that needs it");
            None
        }
    }
}

/// Whether any setting leads to version control.
pub(super) fn is_wanted(resolved: &Resolved) -> bool {
    let direct =
        |upstream: &crate::config::upstreams::Upstream| matches!(upstream.target, Target::Direct);
    !resolved.private.is_empty() || resolved.upstreams.iter().any(direct)
}

/// The source.
pub(super) fn source(
    resolved: &Resolved,
    (git, store, private): (Git, store::Store, policy::Private),
    observed: &Observed,
    drifts: proxy::Drifts,
) -> anyhow::Result<Arc<dyn Upstream>> {
    let go = |key: &str| resolved.go.get(key).map_or("", |setting| setting.value.as_str());
    let insecure = Patterns::parse(go("GOINSECURE"));
    let direct = &resolved.settings.direct;
    let pairs = direct.discovery_rewrite.iter().map(|pair| pair.split_once('='));
    let pairs = pairs.map(|pair| pair.map(|(from, to)| (from.to_owned(), to.to_owned())));
    let discovery = DiscoverySettings {
        private: private.clone(),
        insecure: insecure.clone(),
        credentials: upstream::Credentials::new(resolved.grants.clone()),
        via: observed.via_header(),
        rewrite: pairs
            .collect::<Option<_>>()
            .context("direct.discovery_rewrite: expected FROM=TO")?,
        ..DiscoverySettings::default()
    };
    let overrides = direct.r#override.iter().map(|entry| Override {
        prefix: entry.prefix.clone(),
        url: entry.url.clone(),
        root: entry.root.clone(),
        subdir: entry.subdir.clone().unwrap_or_default(),
    });
    let settings = VcsSettings {
        govcs: Govcs::parse(go("GOVCS")).context("GOVCS")?,
        private,
        insecure,
        protocols: resolved.settings.vcs.protocols(),
        overrides: overrides.collect(),
        credentials: upstream::Credentials::new(resolved.grants.clone()),
        via: observed.via_header(),
        limits: limits(&resolved.settings),
        packed_bytes: Some(direct.packed_size.0),
        builds: std::thread::available_parallelism().map_or(1, usize::from),
        refuse_newer: false,
        on_drift: Some(Arc::new(move |drift| drifts.note(drift))),
    };
    let client = observed.client().clone();
    let discovery = Discovery::new(client.clone(), discovery)?;
    Ok(Arc::new(VcsSource::new(VcsParts { git, discovery, store, client, settings })))
}
