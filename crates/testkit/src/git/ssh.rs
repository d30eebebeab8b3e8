//! The machine's own `sshd`, for repositories over ssh.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, ensure};

/// Where distributions put it; usually not on a user's PATH.
const PROGRAMS: [&str; 4] =
    ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd", "/opt/homebrew/sbin/sshd"];

/// An ssh server on a free port of 127.0.0.1; ends, with all its connections, when dropped.
///
/// `sshd` itself runs once for each connection that is accepted here (`sshd -i`), under this user,
/// with a host key and a list of users' keys of its own: nothing of the machine's settings counts.
#[derive(Debug)]
pub struct SshServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    user: String,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    program: PathBuf,
    stopping: AtomicBool,
    connections: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
}

impl SshServer {
    /// Serves every repository that this user may read; keys and the log are put into `folder`.
    ///
    /// # Errors
    ///
    /// When `sshd` or `ssh-keygen` is not installed, or the machine has no free port.
    pub fn start(folder: impl Into<PathBuf>) -> anyhow::Result<Self> {
        let folder = folder.into();
        std::fs::create_dir_all(&folder)?;
        let program = PROGRAMS.iter().map(PathBuf::from).find(|program| program.exists());
        let program =
            program.context("sshd must be installed (Debian: apt install openssh-server)")?;
        make_key(&folder, "host")?;
        make_key(&folder, "user")?;
        std::fs::copy(folder.join("user.pub"), folder.join("authorized"))?;
        std::fs::write(folder.join("config"), config(&folder))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a free port")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            folder,
            program,
            stopping: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            open: Mutex::default(),
        });
        let for_accept = Arc::clone(&shared);
        let accept = move || accept(&listener, &for_accept);
        let accepting = std::thread::Builder::new().name("ssh-server".to_owned()).spawn(accept)?;
        Ok(Self { shared, address, user: user()?, accepting: Some(accepting) })
    }

    /// `ssh://USER@127.0.0.1:PORT`, without a slash at the end; a folder's whole path goes behind.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ssh://{}@{}", self.user, self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The private key that is let in.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.shared.folder.join("user")
    }

    /// Makes a key that is not let in.
    ///
    /// # Errors
    ///
    /// When there is one of that name.
    pub fn stranger(&self, name: &str) -> anyhow::Result<PathBuf> {
        make_key(&self.shared.folder, name)?;
        Ok(self.shared.folder.join(name))
    }

    /// Writes a file in the form of `ssh_known_hosts` that knows this server.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn known_hosts(&self) -> anyhow::Result<PathBuf> {
        self.known_by("known", &self.shared.folder.join("host"))
    }

    /// Writes such a file that knows this address by the key of another server.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn known_by(&self, name: &str, key: &Path) -> anyhow::Result<PathBuf> {
        let public = std::fs::read_to_string(key.with_extension("pub"))?;
        let file = self.shared.folder.join(name);
        let (ip, port) = (self.address.ip(), self.address.port());
        std::fs::write(&file, format!("[{ip}]:{port} {public}"))?;
        Ok(file)
    }

    /// How many connections were made.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// What `sshd` has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.shared.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.open().iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
        // Wakes the accepting thread, which then sees that it is over and closes the port.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let mut command = self.sshd();
        let (input, output) = (OwnedFd::from(stream.try_clone()?), OwnedFd::from(stream));
        command.stdin(input).stdout(output).stderr(Stdio::null());
        // Not waited for under a limit: it ends with its connection.
        command.spawn()?.wait().map(drop)
    }

    /// Started by root, sshd wants a folder of the system's, which only its service makes; here it
    /// gets one in a name space that only it sees.
    fn sshd(&self) -> Command {
        let mut command = if is_root() {
            let mut command = Command::new("/usr/bin/unshare");
            let script = "mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && exec \"$@\"";
            command.args(["-m", "/bin/sh", "-c", script, "sh"]).arg(&self.program);
            command
        } else {
            Command::new(&self.program)
        };
        command.arg("-i").arg("-f").arg(self.folder.join("config"));
        command.arg("-E").arg(self.folder.join("log"));
        command
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        shared.connections.fetch_add(1, Ordering::SeqCst);
        if let Ok(handle) = stream.try_clone() {
            shared.open().push(handle);
        }
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            // Whatever goes wrong with the peer is the peer's matter.
            let _ = shared.serve(stream);
        });
    }
}

fn config(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "HostKey {folder}/host\n\
         AuthorizedKeysFile {folder}/authorized\n\
         AuthenticationMethods publickey\n\
         PermitRootLogin prohibit-password\n\
         StrictModes no\n\
         UsePAM no\n\
         PidFile none\n\
         PrintMotd no\n\
         PrintLastLog no\n\
         DisableForwarding yes\n\
         PermitTTY no\n\
         AcceptEnv GIT_PROTOCOL\n\
         LogLevel VERBOSE\n"
    )
}

fn make_key(folder: &Path, name: &str) -> anyhow::Result<()> {
    let file = folder.join(name);
    ensure!(!file.exists(), "{} is there", file.display());
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(&file);
    let output = command.stdin(Stdio::null()).output().context("ssh-keygen")?;
    ensure!(output.status.success(), "ssh-keygen: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn is_root() -> bool {
    asked(&["-u"]).is_ok_and(|uid| uid == "0")
}

fn user() -> anyhow::Result<String> {
    asked(&["-un"])
}

fn asked(args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("id").args(args).output().context("id")?;
    ensure!(output.status.success(), "id {args:?}");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::GitRepo;

    fn ls_remote(server: &SshServer, key: &Path, known: &Path, repo: &GitRepo) -> (bool, String) {
        let ssh = format!(
            "ssh -F /dev/null -i {} -o UserKnownHostsFile={} -o StrictHostKeyChecking=yes -o BatchMode=yes",
            key.display(),
            known.display()
        );
        let url = format!("{}{}", server.url(), repo.folder().display());
        let mut command = Command::new("git");
        command.args(["ls-remote", &url]).env("GIT_SSH_COMMAND", ssh);
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    #[test]
    fn its_key_is_let_in_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let repo = GitRepo::init(folder.path().join("repo")).unwrap();
        repo.commit("first").unwrap();
        let server = SshServer::start(folder.path().join("ssh")).unwrap();
        let known = server.known_hosts().unwrap();
        let (ok, said) = ls_remote(&server, &server.key(), &known, &repo);
        assert!(ok, "{said}\n{}", server.log());
        let stranger = server.stranger("stranger").unwrap();
        let (ok, said) = ls_remote(&server, &stranger, &known, &repo);
        assert!(!ok && said.contains("Permission denied"), "{said}");
        assert_eq!(server.connections(), 2);
    }
}
