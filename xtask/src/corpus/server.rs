//! larder as it is checked: straight from version control, repositories from the folder, nothing from the network.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;

use super::host::Host;
use super::mirrors::Mirrors;
use super::report::Cost;
use super::rows::Row;
use crate::bench::process::{Server, free_port};

/// What is written into `larder.toml`.
#[derive(Debug, Serialize)]
struct Settings {
    vcs: Vcs,
    direct: Direct,
}

#[derive(Debug, Serialize)]
struct Vcs {
    rewrite: BTreeSet<String>,
}

#[derive(Debug, Serialize)]
struct Direct {
    r#override: Vec<Override>,
}

#[derive(Debug, Serialize)]
struct Override {
    prefix: String,
    url: String,
}

impl Settings {
    /// Repositories by the URL that the module paths lead to, which is the folder's: GitHub names some by the names that
    /// they had, and the hosts of other paths, whose pages say where their repositories are, are not asked.
    fn new(rows: &[Row], host: &Host) -> Self {
        let (mut rewrite, mut overrides) = (BTreeSet::new(), BTreeMap::new());
        for row in rows {
            let to = host.url(&row.repo);
            let mut url = format!("https://github.com/{}", row.repo);
            if row.code_root.starts_with("github.com/") {
                url = format!("https://{}", row.code_root);
            } else {
                overrides.insert(row.code_root.clone(), url.clone());
            }
            rewrite.insert(format!("{url}={to}"));
            rewrite.insert(format!("{url}.git={to}"));
        }
        let overrides = overrides.into_iter().map(|(prefix, url)| Override { prefix, url });
        Self { vcs: Vcs { rewrite }, direct: Direct { r#override: overrides.collect() } }
    }
}

/// A larder that runs until it is dropped.
pub(crate) struct Larder {
    server: Server,
    data: PathBuf,
}

impl Larder {
    /// Starts it with an empty data folder.
    pub(crate) fn start(
        larder: &Path,
        work: &Path,
        rows: &[Row],
        host: &Host,
    ) -> anyhow::Result<Self> {
        let (data, settings) = (work.join("data"), work.join("larder.toml"));
        match fs::remove_dir_all(&data) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => fs::create_dir_all(&data)?,
        }
        fs::write(&settings, toml::to_string(&Settings::new(rows, host))?)?;
        let port = free_port()?;
        let mut command = Command::new(larder);
        command.args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--config"]);
        command.arg(&settings).arg("--data").arg(&data);
        // The machine's own settings of `go` and larder are no part of it; PATH is for git.
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs([("GOENV", "off"), ("GOPROXY", "direct"), ("GOSUMDB", "off")]);
        let server = Server::start("larder", command, port, &work.join("larder.log"))?;
        Ok(Self { server, data })
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.port
    }

    /// The highest sum of resident memory of larder and its git processes, looked at every so often, in MB.
    pub(crate) fn highest_memory_until(&self, every: Duration, done: impl Fn() -> bool) -> f64 {
        let mut highest = 0.0_f64;
        while !done() {
            highest = highest.max(self.server.whole_rss_mb());
            thread::sleep(every);
        }
        highest
    }

    /// What it has cost so far; times and memory of the whole run are the caller's.
    pub(crate) fn cost(&self, rows: &[Row], mirrors: &Mirrors) -> anyhow::Result<Cost> {
        let repositories: BTreeSet<&str> = rows.iter().map(|row| row.repo.as_str()).collect();
        let sizes = repositories.iter().map(|repo| size_mb(&mirrors.path(repo)));
        Ok(Cost {
            cpu_secs: self.server.cpu_secs(),
            peak_mb: self.server.peak_rss_mb().context("larder is gone: see its log")?,
            repositories_mb: sizes.sum::<anyhow::Result<f64>>()?,
            git_mb: size_mb(&self.data.join("git"))?,
            modules_mb: size_mb(&self.data.join("modules"))?,
            ..Cost::default()
        })
    }
}

/// Lengths of all files below a folder, in MB.
fn size_mb(folder: &Path) -> anyhow::Result<f64> {
    let mut sum = 0.0;
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        // What larder is just removing may be gone.
        sum += match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size_mb(&entry.path()).unwrap_or_default(),
            Ok(metadata) => megabytes(metadata.len()),
            Err(_) => 0.0,
        };
    }
    Ok(sum)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::super::rows;
    use super::*;

    fn settings(code_root: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::start(folder.path()).unwrap();
        let row = rows::parse(rows::tests::LINE).unwrap().remove(0);
        let row = Row { code_root: code_root.to_owned(), ..row };
        let text = toml::to_string(&Settings::new(&[row], &host)).unwrap();
        text.replace(&host.url("Owner/name"), "http://host/Owner/name.git")
    }

    #[test]
    fn paths_of_other_hosts_are_told_their_repository() {
        let settings = settings("go.a.test/x");
        assert!(settings.contains("\"https://github.com/Owner/name=http://host/Owner/name.git\""));
        let with_suffix = "\"https://github.com/Owner/name.git=http://host/Owner/name.git\"";
        assert!(settings.contains(with_suffix));
        assert!(
            settings.contains("prefix = \"go.a.test/x\"\nurl = \"https://github.com/Owner/name\"")
        );
    }

    #[test]
    fn paths_of_github_go_by_their_own_url_even_where_the_repository_moved() {
        let settings = settings("github.com/Old/name");
        assert!(settings.contains("\"https://github.com/Old/name=http://host/Owner/name.git\""));
        assert!(!settings.contains("prefix"), "{settings}");
    }

    #[test]
    fn sizes_are_of_all_files_below() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("a/b/c"), vec![0; 2_000_000]).unwrap();
        fs::write(folder.path().join("d"), vec![0; 500_000]).unwrap();
        assert!((size_mb(folder.path()).unwrap() - 2.5).abs() < 1e-9);
        assert!(size_mb(&folder.path().join("absent")).is_err());
    }
}
