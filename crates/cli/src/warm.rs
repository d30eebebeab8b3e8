//! `larder warm`: fetches modules ahead, through the running server.

pub mod client;
pub mod fetch;
pub mod plan;

use std::{net::SocketAddr, process::ExitCode};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use url::Url;

use crate::{
    args::WarmArgs,
    config::{self, Resolved, World},
    exit::Exit,
    output, serve,
};
use client::Client;
use fetch::{Outcome, Summary, fetch_all};
use plan::{Plan, Target};

/// Fetches what `args` names, prints failures and a summary.
///
/// # Errors
/// A file or module that cannot be read, a server that does not answer, a wrong configuration.
pub fn run(args: WarmArgs, world: &World) -> anyhow::Result<ExitCode> {
    let plan = Plan::read(&args.what, world.directory())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (server, resolved) = if let Some(server) = args.server {
        (server, None)
    } else {
        let resolved = config::load(&args.config.into(), world)?;
        (server_of(&resolved)?, Some(resolved))
    };
    let jobs = usize::from(args.jobs);
    runtime.block_on(async {
        let client = Client::new(&server)?;
        let summary = match (client.is_there().await, resolved) {
            (Ok(()), _) => through(&client, plan, jobs).await,
            (Err(_), Some(resolved)) => return serve::warm_alone(resolved, plan, jobs).await,
            (Err(why), None) => anyhow::bail!("no larder answers at {server}: {why}"),
        };
        report(&summary);
        Ok(if summary.failures.is_empty() { Exit::Done } else { Exit::Failed }.into())
    })
}

/// Where a server with this configuration is reached from this host.
fn server_of(resolved: &Resolved) -> anyhow::Result<Url> {
    let server = &resolved.settings.server;
    if let (Some(_), Some(public)) = (&server.tls, &server.public_url) {
        // Its certificate names the public host, not 127.0.0.1.
        return Ok(public.clone());
    }
    let first = server.listen.first().context("server.listen is empty")?;
    let scheme = if server.tls.is_some() { "https" } else { "http" };
    Url::parse(&format!("{scheme}://{}", dialled(*first))).context("address of the server")
}

/// The address by which a listener is reached: loopback for "all of them".
fn dialled(listen: SocketAddr) -> SocketAddr {
    let ip = match listen {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => [127, 0, 0, 1].into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        other => other.ip(),
    };
    SocketAddr::new(ip, listen.port())
}

pub(crate) async fn through(client: &Client, plan: Plan, jobs: usize) -> Summary {
    let mut summary = Summary::default();
    let (mut targets, queries) = plan.into_targets();
    let bar = ProgressBar::new((targets.len() + queries.len()) as u64);
    // Drawn on a terminal only.
    bar.set_style(style());
    let resolve = |query: plan::Query| async { (client.resolve(&query).await, query) };
    let answers = fetch::in_parallel(queries, jobs, resolve, |_| bar.inc(1)).await;
    for (answer, query) in answers {
        match answer {
            Ok(module) => targets.extend(Target::all_of(&module)),
            Err(why) => summary.fail(&query, &why),
        }
    }
    // Two queries may mean one version.
    targets.sort();
    targets.dedup();
    bar.set_length(bar.position() + targets.len() as u64);
    let tick = |target: &Target, _: &Outcome| {
        bar.inc(1);
        bar.set_message(target.to_string());
    };
    summary.add(fetch_all(targets, jobs, |target| client.fetch(target), tick).await);
    bar.finish_and_clear();
    summary
}

fn style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {wide_msg}");
    style.unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Failures as they are seen by `go`, then one line of numbers.
pub fn report(summary: &Summary) {
    output::out(&summary.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_dialled_on_loopback() {
        for (listen, want) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("192.0.2.1:80", "192.0.2.1:80"),
        ] {
            assert_eq!(dialled(listen.parse().unwrap()).to_string(), want);
        }
    }

    #[test]
    fn the_server_is_where_the_configuration_listens() {
        let folder = tempfile::tempdir().unwrap();
        let pem = folder.path().join("pem");
        let text = "-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n";
        #[expect(clippy::disallowed_methods, reason = "tests make their own files")]
        std::fs::write(&pem, text).unwrap();
        let pem = pem.to_string_lossy();
        let world = World::empty(folder.path().to_owned());
        let of = |world: &World| {
            let resolved = config::load(&config::Flags::default(), world).unwrap();
            server_of(&resolved).unwrap().to_string()
        };
        assert_eq!(of(&world), "http://127.0.0.1:8080/");
        let named = world.with("LARDER_SERVER_PUBLIC_URL", "https://go.example.com");
        let everywhere = named.with("LARDER_SERVER_LISTEN", "[::]:81,127.0.0.1:82");
        assert_eq!(of(&everywhere), "http://[::1]:81/", "plain http needs no name");
        let tls = everywhere
            .with("LARDER_SERVER_TLS_CERT_FILE", pem.clone())
            .with("LARDER_SERVER_TLS_KEY_FILE", pem);
        assert_eq!(of(&tls), "https://go.example.com/");
        assert_eq!(of(&tls.with("LARDER_SERVER_PUBLIC_URL", "")), "https://[::1]:81/");
    }

    #[test]
    fn the_progress_bar_has_a_valid_template() {
        assert!(ProgressStyle::with_template("{bar:30} {pos}/{len} {wide_msg}").is_ok());
    }
}
