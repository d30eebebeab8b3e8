//! Child processes: pinned to a core, measured, ended by id.

use std::ffi::OsStr;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// Clock ticks a second in /proc/PID/stat. Source: `sysconf(_SC_CLK_TCK)`, 100 on every Linux port in use.
const TICKS_PER_SEC: f64 = 100.0;

/// A server under measurement.
pub(crate) struct Server {
    pub(crate) name: String,
    child: Child,
    pub(crate) port: u16,
}

/// Restricts this process (and what it starts) to one core.
pub(crate) fn pin_self(core: usize) -> anyhow::Result<()> {
    let me = std::process::id().to_string();
    let done = Command::new("taskset")
        .args(["-a", "-cp", &core.to_string(), &me])
        .stdout(Stdio::null())
        .status()
        .context("taskset (package util-linux) is needed")?;
    if !done.success() {
        bail!("taskset failed: are there two cores?");
    }
    Ok(())
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A command that runs on `core`.
pub(crate) fn on_core(core: usize, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.arg("-c").arg(core.to_string()).arg(program);
    command
}

impl Server {
    /// Starts `command` and waits until `port` accepts connections. Output goes to `log`.
    pub(crate) fn start(
        name: &str,
        mut command: Command,
        port: u16,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let output = fs::File::create(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        let mut server = Self { name: name.to_owned(), child, port };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = server.child.try_wait()? {
                bail!("{name} ended at once ({status}): see {}", log.display());
            }
            if Instant::now() > deadline {
                bail!("{name} does not listen: see {}", log.display());
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(server)
    }

    fn tree(&self) -> Vec<u32> {
        let mut tree = vec![self.child.id()];
        let mut next = 0;
        while let Some(pid) = tree.get(next).copied() {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
            tree.extend(
                children
                    .unwrap_or_default()
                    .split_whitespace()
                    .filter_map(|pid| pid.parse::<u32>().ok()),
            );
            next += 1;
        }
        tree
    }

    /// User and system time so far, in seconds, of the tree.
    pub(crate) fn cpu_secs(&self) -> f64 {
        let ticks: f64 = self.tree().into_iter().filter_map(ticks_of).sum();
        ticks / TICKS_PER_SEC
    }

    /// Anonymous resident memory of the tree, in MB (page cache not counted).
    pub(crate) fn rss_mb(&self) -> f64 {
        self.tree().into_iter().filter_map(|pid| status_kb(pid, "RssAnon:")).sum::<f64>() / 1000.0
    }

    /// Whole resident memory, in MB.
    pub(crate) fn whole_rss_mb(&self) -> f64 {
        self.tree().into_iter().filter_map(|pid| status_kb(pid, "VmRSS:")).sum::<f64>() / 1000.0
    }

    /// Highest whole resident memory so far of the process that was started, in MB.
    pub(crate) fn peak_rss_mb(&self) -> Option<f64> {
        Some(status_kb(self.child.id(), "VmHWM:")? / 1000.0)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn ticks_of(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // Fields 14 to 17 of proc(5): own and reaped children's user and system time.
    fields.get(11..15)?.iter().map(|field| field.parse::<f64>().ok()).sum()
}

fn status_kb(pid: u32, name: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        let deadline = Instant::now() + Duration::from_secs(10);
        while asked.is_ok() && Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}
