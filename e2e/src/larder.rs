//! The binary under test.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// How a larder is started.
///
/// It gets no environment but what stands here: no HOME, no PATH, no Go settings.
#[derive(Debug, Clone)]
pub struct Settings {
    data: PathBuf,
    variables: Vec<(String, String)>,
    disk: Disk,
    authority: Option<String>,
    listen: IpAddr,
}

/// What the data folder lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// The test machine's own disk.
    Usual,
    /// A file system of its own, empty at start, of so many MiB. Only this larder sees it.
    Small(u32),
    /// As `Usual`, but nothing can be written. Only for this larder.
    ReadOnly,
}

impl Settings {
    /// A data folder and where modules come from (GOPROXY's grammar).
    #[must_use]
    pub fn new(data: &Path, upstream: &str) -> Self {
        let settings = Self {
            data: data.to_path_buf(),
            variables: Vec::new(),
            disk: Disk::Usual,
            authority: None,
            listen: Ipv4Addr::LOCALHOST.into(),
        };
        settings
            .with("LARDER_UPSTREAM_PROXIES", upstream)
            .with("LARDER_SUMDB_DATABASES", "off")
            // A test machine may be short of space; only the test of this key sets another.
            .with("LARDER_STORE_MIN_FREE", "1MiB")
            // No name of a test is ever looked for in the world: who wants git says so.
            .with("LARDER_VCS_PROGRAM", "/no/git")
            // Nobody balances load here.
            .with("LARDER_SERVER_DRAIN", "0s")
    }

    /// Sets a variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Fetches from git: whatever is asked of `https://github.com/` is a repository below `folder`.
    #[must_use]
    pub fn git(self, folder: &Path) -> Self {
        let rewrite = format!("https://github.com/=file://{}/", folder.display());
        self.with("LARDER_VCS_PROGRAM", "git").with("LARDER_VCS_REWRITE", &rewrite)
    }

    /// Speaks TLS under a certificate for 127.0.0.1, issued by this authority.
    ///
    /// # Errors
    ///
    /// When the certificate cannot be written beside the data folder.
    pub fn tls(self, authority: &testkit::Authority) -> anyhow::Result<Self> {
        let issued = authority.issue(&["127.0.0.1"])?;
        let (cert, key) =
            (self.data.with_extension("cert.pem"), self.data.with_extension("key.pem"));
        std::fs::write(&cert, issued.cert_pem)?;
        std::fs::write(&key, issued.key_pem)?;
        let with = |settings: Self, name: &str, file: &Path| {
            settings.with(name, &file.display().to_string())
        };
        let settings = with(
            with(self, "LARDER_SERVER_TLS_CERT_FILE", &cert),
            "LARDER_SERVER_TLS_KEY_FILE",
            &key,
        );
        Ok(Self { authority: Some(authority.pem()), ..settings })
    }

    /// Puts the data folder on another disk, by a mount that only this larder sees.
    #[must_use]
    pub fn on(mut self, disk: Disk) -> Self {
        self.disk = disk;
        self
    }

    /// Listens on another address than 127.0.0.1; `0.0.0.0` is all of this machine.
    #[must_use]
    pub fn listen(mut self, address: IpAddr) -> Self {
        self.listen = address;
        self
    }

    /// The last value of a variable.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().rev().find(|(set, _)| set == name).map(|(_, value)| value.as_str())
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Has fetched modules confirmed by a checksum database that the upstream relays.
    #[must_use]
    pub fn confirmed_by(self, sumdb: &testkit::FakeSumdb) -> Self {
        let key = sumdb.key().to_string();
        self.with("LARDER_SUMDB_DATABASES", &key).with("LARDER_SUMDB_MISSING_WAIT", "0s")
    }

    /// A command of larder's on this data folder (`fsck`, `sumdb head`), not yet started.
    ///
    /// # Errors
    ///
    /// When there is no built larder.
    pub fn command(&self, name: &str) -> anyhow::Result<Command> {
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        let mut command = match self.mount() {
            None => Command::new(binary()?),
            Some(mount) => {
                std::fs::create_dir_all(&self.data)?;
                // A name space of its own needs no privilege; `exec` keeps the process id.
                let mut command = Command::new("/usr/bin/unshare");
                let script = format!("{mount} && exec \"$@\"");
                command.args(["-rm", "/bin/sh", "-c", &script, "sh"]).arg(binary()?);
                command
            }
        };
        command.args(name.split(' ')).arg("--data").arg(&self.data);
        command.env_clear().envs(variables).stdin(Stdio::null());
        Ok(command)
    }

    /// The shell command that puts the data folder on its disk.
    fn mount(&self) -> Option<String> {
        let data = self.data.display();
        match self.disk {
            Disk::Usual => None,
            Disk::Small(mib) => Some(format!("/bin/mount -t tmpfs -o size={mib}m tmpfs '{data}'")),
            Disk::ReadOnly => Some(format!(
                "/bin/mount --bind '{data}' '{data}' && /bin/mount -o remount,ro,bind '{data}'"
            )),
        }
    }

    /// Runs a command and returns what it said.
    ///
    /// # Errors
    ///
    /// When it does not exit with 0; the error holds what it said.
    pub fn run(&self, name: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.command(name)?.args(arguments).output();
        crate::succeeded(&output.with_context(|| name.to_owned())?, &format!("larder {name}"))
    }

    /// Runs `larder fsck` and returns what it said; a server on the folder must have ended.
    ///
    /// # Errors
    ///
    /// When it found something; the error holds what it said.
    pub fn fsck(&self) -> anyhow::Result<String> {
        self.run("fsck", &[])
    }
}

/// A running `larder serve`; killed when dropped.
#[derive(Debug)]
pub struct Larder {
    child: Child,
    url: String,
    log: PathBuf,
    authority: Option<String>,
}

impl Larder {
    /// Starts it on a free port and waits until it is ready. The log goes beside the data folder.
    ///
    /// # Errors
    ///
    /// When it does not come up; the error holds its log.
    pub fn start(settings: &Settings) -> anyhow::Result<Self> {
        Self::start_until(settings, "/readyz")
    }

    /// Starts it and waits until it is alive, whether or not it can serve yet.
    ///
    /// # Errors
    ///
    /// When it does not come up; the error holds its log.
    pub fn start_alive(settings: &Settings) -> anyhow::Result<Self> {
        Self::start_until(settings, "/healthz")
    }

    fn start_until(settings: &Settings, probe: &str) -> anyhow::Result<Self> {
        let log = settings.data.with_extension("log");
        let output = std::fs::File::options().create(true).append(true).open(&log)?;
        let port = crate::free_port()?;
        // What listens on all addresses is asked by the loopback one.
        let asked = if settings.listen.is_unspecified() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            settings.listen
        };
        let address = SocketAddr::new(asked, port);
        let listen = SocketAddr::new(settings.listen, port).to_string();
        let mut command = settings.command("serve")?;
        command.args(["--listen", &listen]).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().context("starting larder")?;
        let authority = settings.authority.clone();
        let scheme = if authority.is_some() { "https" } else { "http" };
        let mut larder = Self { child, url: format!("{scheme}://{address}"), log, authority };
        let alive = crate::becomes_true(|| {
            larder.has_ended() || larder.get(probe).is_ok_and(|answer| answer.status == 200)
        });
        ensure!(alive && !larder.has_ended(), "larder did not come up:\n{}", larder.log());
        Ok(larder)
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same larder at another address of this machine.
    #[must_use]
    pub fn url_at(&self, address: IpAddr) -> String {
        let port = self.url.rsplit(':').next().unwrap_or_default();
        match address {
            IpAddr::V4(ip) => format!("http://{ip}:{port}"),
            IpAddr::V6(ip) => format!("http://[{ip}]:{port}"),
        }
    }

    /// Asks for a path, which goes out as written.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub fn get(&self, path: &str) -> anyhow::Result<testkit::Response> {
        self.request("GET", path).send().with_context(|| self.log())
    }

    /// A request for a path, which goes out as written; over TLS its authority is trusted.
    #[must_use]
    pub fn request(&self, method: &str, path: &str) -> testkit::Request {
        let request = testkit::Request::new(method, &format!("{}{path}", self.url));
        match &self.authority {
            Some(authority) => request.trust(authority),
            None => request,
        }
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Sends a signal.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Waits for the end that something else brings about.
    ///
    /// # Errors
    ///
    /// When it cannot be waited for.
    pub fn wait(mut self) -> anyhow::Result<ExitStatus> {
        Ok(self.child.wait()?)
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Errors
    ///
    /// When it had ended before.
    pub fn stop(mut self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        Ok(self.child.wait()?)
    }

    /// Ends it by SIGKILL, in the middle of whatever it does.
    ///
    /// # Errors
    ///
    /// When it had ended before, by itself.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        let status = self.child.wait()?;
        ensure!(status.signal() == Some(9), "ended by itself: {status}\n{}", self.log());
        Ok(())
    }
}

impl Drop for Larder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn binary() -> anyhow::Result<PathBuf> {
    if let Some(named) = std::env::var_os("LARDER_BIN") {
        return Ok(named.into());
    }
    let built = crate::target()?.join("debug/larder");
    ensure!(
        built.is_file(),
        "{} is not built: run `cargo build --package cli`, or name another by LARDER_BIN",
        built.display()
    );
    Ok(built)
}
