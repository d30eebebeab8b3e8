use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{Finished, Limits, MAX_STDERR_BYTES, Run, Stopped};
use crate::space::Disk;

fn limits() -> Limits {
    Limits { time: Duration::from_secs(20), stdout: 1000, memory: 1 << 30, disk: None }
}

fn sh(script: &str, limits: Limits) -> Run {
    Run {
        program: PathBuf::from("/bin/sh"),
        args: vec!["-c".into(), script.into()],
        env: Some(vec![("ONLY".into(), "this".into()), ("PATH".into(), "/usr/bin:/bin".into())]),
        folder: PathBuf::from("/"),
        stdin: b"in".to_vec(),
        output: None,
        limits,
    }
}

async fn finish(script: &str, limits: Limits) -> Result<Finished, Stopped> {
    sh(script, limits).finish().await
}

#[tokio::test]
async fn a_run_has_its_own_environment_and_input() {
    let done = finish("cat; echo \" $ONLY $HOME\"; echo bad >&2; exit 3", limits()).await.unwrap();
    assert_eq!(done.stdout, b"in this \n");
    assert_eq!((done.stderr.as_str(), done.status.code()), ("bad\n", Some(3)));
}

#[tokio::test]
async fn output_is_bounded() {
    let at_bound = finish("head -c 1000 /dev/zero", limits()).await.unwrap();
    assert_eq!(at_bound.stdout.len(), 1000);
    let past = finish("head -c 1001 /dev/zero", limits()).await;
    assert!(matches!(past, Err(Stopped::Output(1000))), "{past:?}");
}

#[tokio::test]
async fn the_end_of_the_complaints_is_kept() {
    let script = "head -c 400000 /dev/zero | tr '\\0' x >&2; echo the reason >&2";
    let done = finish(script, limits()).await.unwrap();
    assert_eq!(done.stderr.len(), MAX_STDERR_BYTES);
    assert!(done.stderr.ends_with("the reason\n"));
}

#[tokio::test]
async fn a_time_limit_ends_the_whole_group() {
    let folder = tempfile::tempdir().unwrap();
    let alive = folder.path().join("alive");
    let script = format!("(sleep 1; touch {}) & sleep 30", alive.display());
    let late = finish(&script, Limits { time: Duration::from_millis(200), ..limits() }).await;
    assert!(matches!(late, Err(Stopped::Time(_))), "{late:?}");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(!alive.exists(), "a grandchild lived on");
}

#[tokio::test]
async fn dropping_a_run_ends_the_whole_group() {
    let folder = tempfile::tempdir().unwrap();
    let alive = folder.path().join("alive");
    let script = format!("(sleep 1; touch {}) & sleep 30", alive.display());
    let run = sh(&script, limits()).finish();
    assert!(tokio::time::timeout(Duration::from_millis(200), run).await.is_err());
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(!alive.exists(), "a grandchild lived on");
}

#[tokio::test]
async fn disk_is_bounded_over_many_files() {
    let folder = tempfile::tempdir().unwrap();
    let write = |count: u32| {
        format!(
            "cd {}; for i in 1 2 3 4 5; do [ $i -le {count} ] && head -c 1000 /dev/zero > f$i; sleep 0.2; done",
            folder.path().display()
        )
    };
    let limits = |growth| {
        let disk = Disk { folder: folder.path().to_owned(), growth, min_free: 0 };
        Limits { disk: Some(disk), ..limits() }
    };
    assert!(finish(&write(2), limits(2000)).await.is_ok());
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let past = finish(&write(5), limits(1999)).await;
    assert!(matches!(past, Err(Stopped::Disk(1999))), "{past:?}");
}

#[tokio::test]
async fn memory_core_files_and_cpu_are_limited_for_all_of_them() {
    // The limits come just after the start; a child of just before has them, too.
    let script = "(sleep 0.3; ulimit -v; ulimit -c; ulimit -t) & wait; ulimit -v";
    let done = finish(script, limits()).await.unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    assert_eq!(said.lines().collect::<Vec<_>>(), ["1048576", "0", "20", "1048576"]);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let run = Run { program: Path::new("/nowhere/git").to_owned(), ..sh("", limits()) };
    let error = run.finish().await.unwrap_err().to_string();
    assert!(error.starts_with("cannot run /nowhere/git"), "{error}");
}

#[tokio::test]
async fn nothing_is_run_that_would_write_to_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk { folder: folder.path().to_owned(), growth: 1000, min_free: u64::MAX };
    let begun = folder.path().join("begun");
    let script = format!("touch {}", begun.display());
    let full = finish(&script, Limits { disk: Some(disk), ..limits() }).await;
    assert!(matches!(full, Err(Stopped::Space(_))), "{full:?}");
    assert!(full.unwrap_err().to_string().contains("store.min_free"));
    assert!(!begun.exists());
}

#[tokio::test]
async fn a_run_is_stopped_when_the_disk_fills_up() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk { folder: folder.path().to_owned(), growth: 1000, min_free: u64::MAX };
    let full = tokio::time::timeout(Duration::from_secs(10), super::watch(Some(disk))).await;
    assert!(matches!(full, Ok(Stopped::Space(_))), "{full:?}");
}

/// Names the folder for [`a_process_to_be_killed`].
const TO_BE_KILLED: &str = "LARDER_TEST_TO_BE_KILLED";

#[tokio::test]
#[ignore = "run and killed by killing_larder_ends_what_it_runs"]
async fn a_process_to_be_killed() {
    let Some(folder) = std::env::var_os(TO_BE_KILLED) else { return };
    // The program does not notice that its pipes are closed, nor does its child.
    let script = format!(
        "cd {} || exit; echo $$ > parent; sleep 60 & echo $! > child.new; mv child.new child; wait",
        folder.to_string_lossy()
    );
    finish(&script, limits()).await.unwrap();
}

/// Whether a process is there and not only waits to be reaped.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.starts_with(" Z"))
}

#[test]
fn killing_larder_ends_what_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let mut larder = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "run::tests::a_process_to_be_killed", "--ignored"])
        .env(TO_BE_KILLED, folder.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let wait = |done: &dyn Fn() -> bool| {
        (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            done()
        })
    };
    let child = folder.path().join("child");
    assert!(wait(&|| child.exists()), "it has begun");
    let pids =
        ["child", "parent"].map(|name| std::fs::read_to_string(folder.path().join(name)).unwrap());
    assert!(pids.iter().all(|pid| lives(pid)), "{pids:?}");
    let pid = Pid::from_raw(i32::try_from(larder.id()).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    larder.wait().unwrap();
    assert!(wait(&|| !pids.iter().any(|pid| lives(pid))), "{pids:?} live on");
}
