//! The binary as people and supervisors see it: exit codes, what goes where.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::disallowed_methods, reason = "tests make their own files")]
#![expect(clippy::disallowed_types, reason = "tests run the binary")]

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// How a run of the binary ended.
struct Ended {
    code: i32,
    out: String,
    err: String,
}

/// Runs `larder` in `folder` with nothing in its environment but `variables`.
fn larder(folder: &Path, args: &[&str], variables: &[(&str, &str)]) -> Ended {
    let run = Command::new(env!("CARGO_BIN_EXE_larder"))
        .args(args)
        .current_dir(folder)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ended { code: run.status.code().unwrap(), out: text(&run.stdout), err: text(&run.stderr) }
}

fn folder_with(toml: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("larder.toml"), toml).unwrap();
    folder
}

#[test]
fn help_and_version_are_0_and_go_to_standard_output() {
    let folder = folder_with("");
    for args in [&["--help"][..], &["-h"], &["serve", "-h"], &["--version"], &["version"]] {
        let ended = larder(folder.path(), args, &[]);
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{args:?}");
        assert!(ended.out.contains("larder"), "{args:?}: {}", ended.out);
    }
}

#[test]
fn a_wrong_command_line_is_64() {
    let folder = folder_with("");
    for args in [
        &[][..],
        &["unknown"],
        &["serve", "--unknown"],
        &["config"],
        &["warm"],
        &["warm", "not-a-module"],
        &["completions", "klingon"],
    ] {
        let ended = larder(folder.path(), args, &[("HOME", "/nonexistent")]);
        assert_eq!((ended.code, ended.out.as_str()), (64, ""), "{args:?}");
        assert!(!ended.err.is_empty(), "{args:?}");
    }
}

#[test]
fn a_wrong_configuration_is_78_in_every_command() {
    let folder = folder_with("[server]\nlisten = 8080\n");
    for args in
        [&["serve"][..], &["config", "show"], &["config", "check"], &["fsck"], &["warm", "a.b@v1"]]
    {
        let ended = larder(folder.path(), args, &[]);
        assert_eq!((ended.code, ended.out.as_str()), (78, ""), "{args:?}");
        assert!(ended.err.contains("larder.toml:2:10"), "{args:?}: {}", ended.err);
        assert!(ended.err.contains("^^^^"), "{args:?}: {}", ended.err);
    }
    let folder = folder_with("");
    let ended = larder(folder.path(), &["config", "check"], &[("LARDER_SERVER_CORE", "1")]);
    assert_eq!(ended.code, 78);
    assert!(ended.err.contains("perhaps LARDER_SERVER_CORES"), "{}", ended.err);
}

#[test]
fn a_good_configuration_is_0_and_warnings_go_to_standard_error() {
    let folder = folder_with("upstream.proxies = 'http://localhost:8080,https://a.example'\n");
    let ended = larder(folder.path(), &["config", "check"], &[]);
    assert_eq!((ended.code, ended.out.as_str()), (0, "the configuration is good\n"));
    assert!(ended.err.starts_with("warning: upstream http://localhost:8080"), "{}", ended.err);
}

#[test]
fn show_prints_sources_and_takes_flags() {
    let folder = folder_with("store.min_free = '2GiB'\n");
    let args = ["config", "show", "--listen", "[::1]:1", "--data", "d", "--offline"];
    let ended = larder(folder.path(), &args, &[("GOPROXY", "https://a.example")]);
    assert_eq!(ended.code, 0);
    for want in [
        "server.listen = [\"[::1]:1\"]  # flag --listen",
        "store.min_free = \"2GiB\"  # larder.toml:1",
        "upstream.proxies = \"https://a.example\"  # GOPROXY from the environment",
        "proxy.offline = true  # flag --offline",
    ] {
        assert!(ended.out.lines().any(|line| line == want), "{want}: {}", ended.out);
    }
}

#[test]
fn completions_are_made_for_shells() {
    let folder = folder_with("");
    for shell in ["bash", "zsh", "fish"] {
        let ended = larder(folder.path(), &["completions", shell], &[]);
        assert_eq!(ended.code, 0);
        assert!(ended.out.contains("larder"), "{shell}");
    }
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let mut run = Command::new(env!("CARGO_BIN_EXE_larder"))
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(run.stdout.take());
    let ended = run.wait_with_output().unwrap();
    assert!(!String::from_utf8_lossy(&ended.stderr).contains("panicked"));
    assert_eq!(ended.status.code(), Some(0));
}

#[test]
fn a_data_folder_in_use_is_75_for_fsck() {
    let folder = folder_with("");
    let data = folder.path().join("data");
    let config = store::Config { min_free: units::ByteSize(0), fsync: false };
    let held = store::Store::disk(&data, &config).unwrap();
    let args = ["fsck", "--data", data.to_str().unwrap()];
    let ended = larder(folder.path(), &args, &[]);
    assert_eq!(ended.code, 75, "{}", ended.err);
    assert!(ended.err.contains("in use"), "{}", ended.err);
    drop(held);
    // A process that another test is just starting may hold what it inherited a moment longer.
    let ended = (0..50).map(|_| larder(folder.path(), &args, &[])).find(|ended| ended.code != 75);
    let ended = ended.expect("the data folder is free");
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.out.contains("0 damaged"), "{}", ended.out);
}
