//! One run of a program: bounded in time, output, disk and memory, and gone when dropped.

use std::{
    ffi::OsString,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Resource, Rlimit, Signal};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
};

use crate::space::{Disk, Shortage};

/// Most of a program's complaints that is kept: the end, where the reason stands.
pub(crate) const MAX_STDERR_BYTES: usize = 64 << 10;
/// How often the disk is looked at while a program writes to it.
const WATCH_EVERY: Duration = Duration::from_millis(250);
/// Where systems keep their shell, whatever the PATH.
const SHELL: &str = "/bin/sh";
/// Nothing is ever written to its input, which ends when larder does, however that comes about.
const WATCHDOG: &str = "read -r _; kill -s KILL 0";

/// What to run, and how much of it is borne.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    /// `None`: the program is the operator's own and gets larder's.
    pub(crate) env: Option<Vec<(OsString, OsString)>>,
    pub(crate) folder: PathBuf,
    pub(crate) stdin: Vec<u8>,
    /// Where its output goes instead of into memory.
    pub(crate) output: Option<File>,
    pub(crate) limits: Limits,
}

/// What a run may use.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) time: Duration,
    /// Bytes of output; more ends the run.
    pub(crate) stdout: u64,
    /// Address space of each process.
    pub(crate) memory: u64,
    /// What it writes to.
    pub(crate) disk: Option<Disk>,
}

/// A run that came to its end.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// Why a run did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stopped {
    #[error("cannot run {0}: {1}")]
    Start(String, #[source] io::Error),
    #[error("took longer than {0:?}")]
    Time(Duration),
    #[error("said more than {0} bytes")]
    Output(u64),
    #[error("wrote more than {0} bytes")]
    Disk(u64),
    #[error("{0}")]
    Space(Shortage),
    #[error("lost the program: {0}")]
    Lost(#[source] io::Error),
}

impl Run {
    /// Runs to the end.
    ///
    /// Dropped: the program and all that it started are killed; what they wrote stays. The same
    /// happens when larder itself is killed.
    pub(crate) async fn finish(mut self) -> Result<Finished, Stopped> {
        if let Some(disk) = &self.limits.disk {
            disk.has_room().await.map_err(Stopped::Space)?;
        }
        let output = self.output.take();
        let start = |error| Stopped::Start(self.program.display().to_string(), error);
        let mut group = Group::watched();
        let mut child = self.command(output, &group).spawn().map_err(start)?;
        group.adopt(&child);
        limit_all(&child, &self.limits);
        let Limits { time, disk, .. } = self.limits.clone();
        let work = self.talk(&mut child);
        let result = tokio::select! {
            result = work => result,
            () = tokio::time::sleep(time) => Err(Stopped::Time(time)),
            stopped = watch(disk) => Err(stopped),
        };
        if result.is_ok() {
            group.disarm();
        }
        result
    }

    fn command(&self, output: Option<File>, group: &Group) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).current_dir(&self.folder);
        if let Some(env) = &self.env {
            command.env_clear().envs(env.iter().map(|(name, value)| (name, value)));
        }
        command.stdin(Stdio::piped()).stderr(Stdio::piped());
        command.stdout(output.map_or_else(Stdio::piped, Stdio::from));
        command.process_group(group.number()).kill_on_drop(true);
        command
    }

    async fn talk(&self, child: &mut Child) -> Result<Finished, Stopped> {
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A program that reads no further says itself why.
                let _ = stdin.write_all(&self.stdin).await;
            }
            Ok(())
        };
        let wait = async { child.wait().await.map_err(Stopped::Lost) };
        let (stdout, stderr, (), status) = futures_util::try_join!(
            read_all(stdout, self.limits.stdout),
            read_end(stderr),
            feed,
            wait,
        )?;
        Ok(Finished { status, stdout, stderr })
    }
}

async fn read_all(pipe: Option<impl AsyncRead + Unpin>, limit: u64) -> Result<Vec<u8>, Stopped> {
    let mut read = Vec::new();
    if let Some(pipe) = pipe {
        let mut pipe = pipe.take(limit.saturating_add(1));
        pipe.read_to_end(&mut read).await.map_err(Stopped::Lost)?;
    }
    if read.len() as u64 > limit {
        return Err(Stopped::Output(limit));
    }
    Ok(read)
}

async fn read_end(pipe: Option<impl AsyncRead + Unpin>) -> Result<String, Stopped> {
    let mut read = Vec::new();
    let Some(mut pipe) = pipe else { return Ok(String::new()) };
    loop {
        if pipe.read_buf(&mut read).await.map_err(Stopped::Lost)? == 0 {
            break;
        }
        if read.len() > 2 * MAX_STDERR_BYTES {
            read.drain(..read.len() - MAX_STDERR_BYTES);
        }
    }
    let kept = read.len().saturating_sub(MAX_STDERR_BYTES);
    Ok(String::from_utf8_lossy(read.get(kept..).unwrap_or_default()).into_owned())
}

/// Ends when the folder has grown by more than it may, or the disk has too little left.
async fn watch(disk: Option<Disk>) -> Stopped {
    let Some(disk) = disk else { return std::future::pending().await };
    let measure = || {
        let folder = disk.folder.clone();
        tokio::task::spawn_blocking(move || size_of(&folder))
    };
    let before = measure().await.unwrap_or(0);
    loop {
        tokio::time::sleep(WATCH_EVERY).await;
        let size = measure().await.unwrap_or(0);
        if size.saturating_sub(before) > disk.growth {
            return Stopped::Disk(disk.growth);
        }
        if let Err(shortage) = disk.has_room().await {
            return Stopped::Space(shortage);
        }
    }
}

/// Bytes of all files below a folder. What vanishes meanwhile counts nothing.
pub(crate) fn size_of(folder: &Path) -> u64 {
    let mut size = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) => size += metadata.len(),
                Err(_vanished) => {}
            }
        }
    }
    size
}

/// Whether what is run ends with larder even when that is killed.
pub(crate) fn is_watched() -> bool {
    Path::new(SHELL).exists()
}

/// The process group of a run: killed as a whole when dropped.
///
/// Its leader is a shell that waits for the end of its input and then kills its own group. larder
/// holds the other end of that pipe and nobody else does, so the group ends with larder, by
/// whatever signal. The leader is not reaped before the group is killed: as long as it stands in
/// the table of processes, nobody else can get its number.
#[derive(Debug)]
struct Group {
    number: Option<Pid>,
    leader: Option<Child>,
}

impl Group {
    /// Starts the leader. Without a shell there is none, and the group is the program's own.
    fn watched() -> Self {
        let mut command = Command::new(SHELL);
        command.args(["-c", WATCHDOG]).env_clear().current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.process_group(0).kill_on_drop(true);
        let leader = command.spawn().ok();
        Self { number: leader.as_ref().and_then(number_of), leader }
    }

    /// What a new process is to be told; 0 makes it the leader of a group of its own.
    fn number(&self) -> i32 {
        self.number.map_or(0, Pid::as_raw_pid)
    }

    fn adopt(&mut self, child: &Child) {
        self.number = self.number.or_else(|| number_of(child));
    }

    /// The run is over. Without a leader of ours, its number may soon be another's.
    fn disarm(mut self) {
        if self.leader.is_none() {
            self.number = None;
        }
    }
}

fn number_of(child: &Child) -> Option<Pid> {
    child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
}

/// Limits the program, then whatever it may have started before that: what it starts later
/// inherits. (Limits set before it runs would need `pre_exec`, which is unsafe.)
fn limit_all(child: &Child, limits: &Limits) {
    let mut pids: Vec<Pid> = number_of(child).into_iter().collect();
    while let Some(pid) = pids.pop() {
        limit(pid, limits);
        pids.extend(children(pid));
    }
}

fn limit(pid: Pid, limits: &Limits) {
    let set = |resource, value| {
        let limit = Rlimit { current: Some(value), maximum: Some(value) };
        // A program that has ended already needs no limit.
        let _ = rustix::process::prlimit(Some(pid), resource, limit);
    };
    // A core file would hold the credentials of the environment.
    set(Resource::Core, 0);
    set(Resource::As, limits.memory);
    set(Resource::Cpu, limits.time.as_secs().max(1));
    if let Some(disk) = &limits.disk {
        set(Resource::Fsize, disk.growth);
    }
}

/// What a process has started. Source: proc(5), `/proc/tid/children`.
fn children(pid: Pid) -> Vec<Pid> {
    let pid = pid.as_raw_nonzero();
    let listed = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let listed = listed.unwrap_or_default();
    listed.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.number {
            // The leader is not reaped yet, so the number is still ours.
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
