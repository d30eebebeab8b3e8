//! `larder warm`, alone and through a server, against a fake upstream.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::disallowed_methods, reason = "tests make their own files")]
#![expect(clippy::disallowed_types, reason = "tests run the binary")]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use testkit::{FakeUpstream, ModuleVersion, Modules};

/// An upstream with two modules, and a working directory.
struct Stage {
    folder: TempDir,
    upstream: FakeUpstream,
}

impl Stage {
    fn new() -> Self {
        let mut modules = Modules::new();
        let upper = ModuleVersion::new("example.com/Upper", "v1.0.0");
        modules.add(&upper);
        modules.latest(&upper);
        modules.query("main", &upper);
        modules.add(&ModuleVersion::new("example.com/b", "v0.1.0"));
        let folder = tempfile::tempdir().unwrap();
        Self { folder, upstream: FakeUpstream::start(modules).unwrap() }
    }

    fn larder(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .env("GOPROXY", self.upstream.url())
            .env("LARDER_STORE_DATA", self.folder.path().join("data"))
            .env("LARDER_SUMDB_VERIFY", "off")
            .env("LARDER_STORE_MIN_FREE", "0")
            .env("LARDER_SERVER_DRAIN", "0s")
            .env("LARDER_LOG_FORMAT", "json");
        command
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn has(&self, path: &str) -> bool {
        self.folder.path().join("data/modules").join(path).exists()
    }

    /// Clients are answered before a file is durable: it appears a little later.
    fn will_have(&self, path: &str) -> bool {
        (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            self.has(path)
        })
    }
}

/// A running `larder serve` on a free port, ended when dropped.
struct Served {
    child: Child,
    url: String,
}

impl Served {
    fn start(stage: &Stage) -> Self {
        let mut command = stage.larder(&["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(&line).ok()?;
            line.get("address")?.as_str().map(str::to_owned)
        });
        // A free data folder is open before the first address is told: from then on it is ready.
        assert!(address.is_some(), "it is never ready");
        // The rest of the log is read, so that the pipe never fills.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url: format!("http://{}", address.unwrap()) }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn last_line(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned()
}

#[test]
fn warm_fetches_through_the_running_server_and_says_what_was_here() {
    let stage = Stage::new();
    let served = Served::start(&stage);
    stage.write(
        "go.mod",
        "module example.com/app\n\nrequire (\n\texample.com/Upper v1.0.0\n\texample.com/b v0.1.0\n)\n",
    );
    let warm = || stage.larder(&["warm", "--server", &served.url, "go.mod"]).output().unwrap();
    let first = warm();
    // An `.info` brings its `.mod` along, which may be here before it is asked for.
    let fetched = ["6 fetched, 0", "5 fetched, 1", "4 fetched, 2"];
    let fetched = fetched.map(|fetched| format!("{fetched} already here, 0 failed"));
    assert!(fetched.contains(&last_line(&first)), "{first:?}");
    assert_eq!(first.status.code(), Some(0));
    assert_eq!(stage.upstream.calls("*"), 6);
    assert!(stage.will_have("example.com/!upper/@v/v1.0.0.zip"));
    stage.upstream.reset_counts();
    let second = warm();
    assert_eq!(last_line(&second), "0 fetched, 6 already here, 0 failed", "{second:?}");
    assert_eq!(stage.upstream.calls("*"), 0);
}

#[test]
fn warm_without_a_server_fetches_into_the_data_folder() {
    let stage = Stage::new();
    let h1 = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    stage.write(
        "go.sum",
        &format!("example.com/Upper v1.0.0/go.mod {h1}\nexample.com/b v0.1.0 {h1}\n"),
    );
    // Nobody listens there: the port was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let listen = free.to_string();
    let ended = stage.larder(&["warm", "--listen", &listen, "go.sum"]).output().unwrap();
    assert_eq!(last_line(&ended), "3 fetched, 0 already here, 0 failed", "{ended:?}");
    assert!(stage.has("example.com/b/@v/v0.1.0.zip") && stage.has("example.com/b/@v/v0.1.0.info"));
    assert!(stage.has("example.com/!upper/@v/v1.0.0.mod"));
    assert!(!stage.has("example.com/!upper/@v/v1.0.0.zip"), "its go.mod line alone was named");
}

#[test]
fn warm_resolves_queries_and_lists_failures_with_status_1() {
    let stage = Stage::new();
    let served = Served::start(&stage);
    let what = ["example.com/Upper@latest", "example.com/Upper@main", "example.com/none@v1.0.0"];
    let args: Vec<&str> = ["warm", "--server", &served.url].into_iter().chain(what).collect();
    let ended = stage.larder(&args).output().unwrap();
    assert_eq!(last_line(&ended), "3 fetched, 0 already here, 3 failed", "{ended:?}");
    assert_eq!(ended.status.code(), Some(1));
    let out = String::from_utf8_lossy(&ended.stdout);
    assert!(out.contains("failed: example.com/none@v1.0.0 zip: 404"), "{out}");
}

#[test]
fn warm_says_when_the_named_server_does_not_answer() {
    let stage = Stage::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}");
    let ended = stage.larder(&["warm", "--server", &url, "a.example/b@v1.0.0"]).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let err = String::from_utf8_lossy(&ended.stderr);
    assert!(err.contains("no larder answers at"), "{err}");
}
