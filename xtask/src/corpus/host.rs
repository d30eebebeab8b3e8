//! The folder over smart http, as the hosts of public repositories serve theirs: parts of a history, objects by name.
//!
//! `git http-backend` does the work; here is what stands between it and a connection.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, ensure};

use super::ask::{Head, read_body, read_head};

/// What a host allows, whatever a mirror's own configuration says.
const ALLOWED: [(&str, &str); 3] = [
    ("uploadpack.allowFilter", "true"),
    ("uploadpack.allowAnySHA1InWant", "true"),
    ("safe.directory", "*"),
];

/// A host on 127.0.0.1 until it is dropped.
#[derive(Debug)]
pub(crate) struct Host {
    port: u16,
    stop: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Host {
    /// Serves all repositories below `folder`, for reading.
    pub(crate) fn start(folder: &Path) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (port, folder) = (listener.local_addr()?.port(), folder.to_owned());
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let accepting = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let folder = folder.clone();
                // A connection that breaks is larder's to tell.
                thread::spawn(move || drop(serve(&stream, &folder)));
            }
        });
        Ok(Self { port, stop, accepting: Some(accepting) })
    }

    /// Where a repository is.
    pub(crate) fn url(&self, repo: &str) -> String {
        format!("http://127.0.0.1:{}/{repo}.git", self.port)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the accepting thread, which then sees that it is over.
        if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
            let _joined = self.accepting.take().map(JoinHandle::join);
        }
    }
}

/// One question on one connection.
fn serve(mut stream: &TcpStream, folder: &Path) -> anyhow::Result<()> {
    let mut asked = BufReader::new(stream);
    let head = read_head(&mut asked)?;
    let (method, target) = head.first.split_once(' ').context("no request")?;
    let target = target.split(' ').next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if !is_reading(method, path) {
        let none = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return Ok(stream.write_all(none.as_bytes())?);
    }
    let body = match method {
        "POST" => read_body(&mut asked, &head)?,
        _ => Vec::new(),
    };
    let mut backend = backend(folder, &head)
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_LENGTH", body.len().to_string())
        .spawn()
        .context("git is needed")?;
    let answered = answer(&mut backend, &body, stream);
    // Nobody listens any more when the answer could not be written.
    if answered.is_err() {
        backend.kill()?;
    }
    backend.wait()?;
    answered
}

/// Smart http, and reading only.
fn is_reading(method: &str, path: &str) -> bool {
    let plain = !path.split('/').any(|element| element == "..");
    let asked = [("GET", "/info/refs"), ("POST", "/git-upload-pack")];
    plain && asked.iter().any(|(verb, end)| *verb == method && path.ends_with(end))
}

fn backend(folder: &Path, head: &Head) -> Command {
    let mut command = Command::new("git");
    command.arg("http-backend").stdin(Stdio::piped()).stdout(Stdio::piped());
    command.stderr(Stdio::null()).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("GIT_PROJECT_ROOT", folder).env("GIT_HTTP_EXPORT_ALL", "1");
    // Snapshots may be partial clones: what they lack is not looked for elsewhere.
    command.env("GIT_NO_LAZY_FETCH", "1").env("GIT_CONFIG_NOSYSTEM", "1");
    command.env("GIT_CONFIG_COUNT", ALLOWED.len().to_string());
    for (at, (key, value)) in ALLOWED.iter().enumerate() {
        command.env(format!("GIT_CONFIG_KEY_{at}"), key);
        command.env(format!("GIT_CONFIG_VALUE_{at}"), value);
    }
    for (header, variable) in [
        ("git-protocol", "GIT_PROTOCOL"),
        ("content-type", "CONTENT_TYPE"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
    ] {
        if let Some(value) = head.header(header) {
            command.env(variable, value);
        }
    }
    command
}

/// The question in, the answer out: git reads a question whole before it answers.
fn answer(backend: &mut Child, body: &[u8], mut stream: &TcpStream) -> anyhow::Result<()> {
    backend.stdin.take().context("no way to git")?.write_all(body)?;
    let mut out = BufReader::new(backend.stdout.take().context("no way from git")?);
    let (mut status, mut headers) = ("200 OK".to_owned(), String::new());
    loop {
        let mut line = String::new();
        ensure!(out.read_line(&mut line)? > 0, "git http-backend said nothing");
        match line.trim_end() {
            "" => break,
            line => match line.strip_prefix("Status: ") {
                Some(said) => said.clone_into(&mut status),
                None => headers = format!("{headers}{line}\r\n"),
            },
        }
    }
    write!(stream, "HTTP/1.1 {status}\r\n{headers}Connection: close\r\n\r\n")?;
    std::io::copy(&mut out, &mut stream)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(folder: &Path, args: &[&str]) -> String {
        let mut command = Command::new("git");
        command.current_dir(folder).args(args).env("GIT_CONFIG_GLOBAL", "/dev/null");
        let output = command.env("GIT_ALLOW_PROTOCOL", "http").output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn parts_of_a_history_and_objects_by_name_are_given() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        git(path, &["init", "--quiet", "Owner/name.git"]);
        let repository = path.join("Owner/name.git");
        std::fs::write(repository.join("file"), "text").unwrap();
        git(&repository, &["add", "file"]);
        let who = ["-c", "user.name=n", "-c", "user.email=e"];
        git(&repository, &[&who[..], &["commit", "--quiet", "--message=m"]].concat());
        let host = Host::start(path).unwrap();
        let url = host.url("Owner/name");
        let clone = ["clone", "--quiet", "--bare", "--filter=blob:none", &url, "clone"];
        git(path, &clone);
        let clone = path.join("clone");
        let missing = ["rev-list", "--objects", "--all", "--missing=print"];
        assert!(git(&clone, &missing).contains("\n?"));
        assert_eq!(git(&clone, &["cat-file", "blob", "HEAD:file"]), "text");
        assert!(!git(&clone, &missing).contains("\n?"));
    }

    #[test]
    fn nothing_but_reading_is_allowed() {
        for (method, path) in [
            ("GET", "/a/b.git/HEAD"),
            ("GET", "/a/b.git/git-upload-pack"),
            ("POST", "/a/b.git/git-receive-pack"),
            ("POST", "/a/b.git/info/refs"),
            ("GET", "/a/../../b.git/info/refs"),
        ] {
            assert!(!is_reading(method, path), "{method} {path}");
        }
        assert!(is_reading("GET", "/a/b.git/info/refs"));
        assert!(is_reading("POST", "/a/b.git/git-upload-pack"));
    }
}
