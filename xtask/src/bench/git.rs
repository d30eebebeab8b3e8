//! Modules straight from git: many versions of one repository, a large one, many commits.

use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::bail;

use super::load::Client;
use super::process::{Server, free_port, on_core};
use super::report::{Report, Table};
use super::{Bench, SERVER_CORE};

/// Files of the ordinary repository: 7.4 MB of text in 1,000 files, like golang.org/x/tools.
const FILES: usize = 1000;
const FILE_BYTES: usize = 7400;
const TAGS: usize = 30;
/// Every version changes one file in twenty.
const CHANGED: usize = FILES / 20;
/// Commits of the repository that is asked for pseudo-versions.
const COMMITS: usize = 1000;
/// The large repository: every version brings 10 MB that do not compress, so the mirror is this many times larger.
const LARGE_TAGS: usize = 34;
const LARGE_FILES: usize = 100;
const LARGE_FILE_BYTES: usize = 100_000;

/// 30 versions in order, the list again, 50 versions at once.
pub(crate) fn tags(bench: &Bench) -> anyhow::Result<()> {
    let hosted = hosted(bench)?;
    let mut table = Table::default();
    for _ in 0..bench.options.rounds {
        let (server, data) = start(bench, &hosted)?;
        let mut client = Client::connect(server.port)?;
        let started = Instant::now();
        let mut later = Vec::new();
        for tag in 0..TAGS {
            let one = Instant::now();
            for kind in ["info", "mod", "zip"] {
                fetch(&mut client, &format!("/github.com/b/ordinary/@v/v1.{tag}.0.{kind}"))?;
            }
            if tag > 0 {
                later.push(one.elapsed().as_secs_f64() * 1000.0);
            }
        }
        table.add("larder", "30 versions s", started.elapsed().as_secs_f64());
        later.sort_by(f64::total_cmp);
        table.add(
            "larder",
            "later version, median ms",
            later.get(later.len() / 2).copied().unwrap_or(0.0),
        );
        table.add("larder", "slowest ms", later.last().copied().unwrap_or(0.0));
        table.add("larder", "CPU s", server.cpu_secs());
        table.add("larder", "peak RSS MB", server.rss_mb());
        table.add("larder", "mirror MB", megabytes(&data.join("git"))?);
        table.add("larder", "modules MB", megabytes(&data.join("modules"))?);
        fetch(&mut client, "/github.com/b/ordinary/@v/list")?;
        let again = Instant::now();
        fetch(&mut client, "/github.com/b/ordinary/@v/list")?;
        table.add("larder", "list again ms", again.elapsed().as_secs_f64() * 1000.0);
        drop(server);
    }
    table.print();
    at_once(bench, &hosted)
}

/// 50 requests at once for versions of a repository that is not here yet.
fn at_once(bench: &Bench, hosted: &Path) -> anyhow::Result<()> {
    let mut table = Table::default();
    for _ in 0..bench.options.rounds {
        let (server, _) = start(bench, hosted)?;
        let port = server.port;
        let started = Instant::now();
        std::thread::scope(|scope| -> anyhow::Result<()> {
            let ask = |at: usize| {
                scope.spawn(move || -> anyhow::Result<()> {
                    let kind = ["zip", "info"].get(at / TAGS).copied().unwrap_or("mod");
                    let path = format!("/github.com/b/ordinary/@v/v1.{}.0.{kind}", at % TAGS);
                    fetch(&mut Client::connect(port)?, &path)
                })
            };
            let asked: Vec<_> = (0..50).map(ask).collect();
            for one in asked {
                one.join().map_err(|panic| anyhow::anyhow!("a client failed: {panic:?}"))??;
            }
            Ok(())
        })?;
        table.add("larder", "50 at once s", started.elapsed().as_secs_f64());
        table.add("larder", "RSS MB", server.rss_mb());
    }
    table.print();
    Ok(())
}

/// A version more of a repository whose mirror is large.
pub(crate) fn large(bench: &Bench) -> anyhow::Result<()> {
    let hosted = hosted(bench)?;
    let mut table = Table::default();
    let (server, data) = start(bench, &hosted)?;
    let mut client = Client::connect(server.port)?;
    for tag in 0..LARGE_TAGS {
        let one = Instant::now();
        for kind in ["info", "mod", "zip"] {
            fetch(&mut client, &format!("/github.com/b/large/@v/v1.{tag}.0.{kind}"))?;
        }
        let name = if tag == 0 { "first version s" } else { "later version s" };
        table.add("larder", name, one.elapsed().as_secs_f64());
        table.add("larder", "RSS MB", server.rss_mb());
    }
    table.add("larder", "mirror MB", megabytes(&data.join("git"))?);
    table.print();
    Ok(())
}

/// The `.info` of each commit, first come first served, and whether later ones cost more.
pub(crate) fn commits(bench: &Bench) -> anyhow::Result<()> {
    let hosted = hosted(bench)?;
    let hashes = git(&hosted.join("b/many"), &["rev-list", "--reverse", "main"])?;
    let mut table = Table::default();
    for _ in 0..bench.options.rounds {
        let (server, _) = start(bench, &hosted)?;
        let mut client = Client::connect(server.port)?;
        let mut times = Vec::new();
        for hash in hashes.lines() {
            let one = Instant::now();
            fetch(&mut client, &format!("/github.com/b/many/@v/{hash}.info"))?;
            times.push(one.elapsed().as_secs_f64() * 1000.0);
        }
        let mean = |some: &[f64]| some.iter().sum::<f64>() / some.len().max(1) as f64;
        let (early, late) =
            (times.get(1..101).unwrap_or(&[]), times.get(times.len() - 100..).unwrap_or(&[]));
        table.add("larder", "mean ms", mean(&times));
        table.add("larder", "first hundred ms", mean(early));
        table.add("larder", "last hundred ms", mean(late));
        table.add("larder", "CPU s", server.cpu_secs());
    }
    table.print();
    Report::line(&format!("{} commits, each asked for by its hash\n", hashes.lines().count()));
    Ok(())
}

fn fetch(client: &mut Client, path: &str) -> anyhow::Result<()> {
    let got = client.get(path)?;
    if got.status != 200 {
        bail!("{path}: {}", got.status);
    }
    Ok(())
}

fn start(bench: &Bench, hosted: &Path) -> anyhow::Result<(Server, PathBuf)> {
    let folder = bench.work.join("git-larder");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let (port, data) = (free_port()?, folder.join("data"));
    let mut command = on_core(SERVER_CORE, &bench.larder);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.arg("serve").arg("--listen").arg(format!("127.0.0.1:{port}")).arg("--data").arg(&data);
    command.env("GOENV", "off").env("GOPROXY", "direct").env("GOSUMDB", "off");
    command.env("LARDER_LOG_ACCESS", folder.join("access.log")).env("LARDER_SERVER_CORES", "1");
    let rewrite = format!("https://github.com/=file://{}/", hosted.display());
    command.env("LARDER_VCS_REWRITE", rewrite);
    Ok((Server::start("larder", command, port, &folder.join("output.log"))?, data))
}

/// The repositories, made once.
fn hosted(bench: &Bench) -> anyhow::Result<PathBuf> {
    let hosted = bench.work.join("hosted");
    if !hosted.join("made").exists() {
        if hosted.exists() {
            fs::remove_dir_all(&hosted)?;
        }
        make(&hosted.join("b/ordinary"), |out| (0..TAGS).try_for_each(|tag| ordinary(out, tag)))?;
        make(&hosted.join("b/large"), |out| {
            for tag in 0..LARGE_TAGS {
                commit(out, tag)?;
                for file in 0..LARGE_FILES {
                    put(out, &format!("d/f{file}.bin"), &noise(tag * LARGE_FILES + file))?;
                }
                tag_it(out, tag)?;
            }
            Ok(())
        })?;
        make(&hosted.join("b/many"), |out| {
            for at in 0..COMMITS {
                commit(out, at)?;
                put(out, "p.txt", at.to_string().as_bytes())?;
                if at % 50 == 0 {
                    tag_it(out, at / 50)?;
                }
            }
            Ok(())
        })?;
        fs::write(hosted.join("made"), "")?;
    }
    Ok(hosted)
}

/// One version of the ordinary repository.
fn ordinary(out: &mut dyn Write, tag: usize) -> anyhow::Result<()> {
    const EVERY: usize = FILES / CHANGED;
    commit(out, tag)?;
    for file in (0..FILES).filter(|file| tag == 0 || file % EVERY == tag % EVERY) {
        put(out, &format!("p{}/f{file}.txt", file / 50), text(tag, file).as_bytes())?;
    }
    tag_it(out, tag)
}

fn make(
    folder: &Path,
    write: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    git(folder, &["init", "--quiet", "--bare", "--initial-branch=main", "."])?;
    let mut import = Command::new("git")
        .args(["fast-import", "--quiet"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .spawn()?;
    let Some(input) = import.stdin.take() else { bail!("no way to git fast-import") };
    let mut input = std::io::BufWriter::new(input);
    write(&mut input)?;
    input.flush()?;
    drop(input);
    if !import.wait()?.success() {
        bail!("git fast-import failed");
    }
    Ok(())
}

fn commit(out: &mut dyn Write, at: usize) -> anyhow::Result<()> {
    let when = 1_700_000_000 + at * 60;
    writeln!(out, "commit refs/heads/main\ncommitter A <a@b.c> {when} +0000\ndata 1\nx")?;
    if at == 0 {
        put(out, "go.mod", b"module github.com/b/any\n\ngo 1.21\n")?;
    }
    Ok(())
}

fn put(out: &mut dyn Write, path: &str, content: &[u8]) -> anyhow::Result<()> {
    writeln!(out, "M 100644 inline {path}\ndata {}", content.len())?;
    out.write_all(content)?;
    writeln!(out)?;
    Ok(())
}

fn tag_it(out: &mut dyn Write, minor: usize) -> anyhow::Result<()> {
    writeln!(out, "reset refs/tags/v1.{minor}.0\nfrom refs/heads/main\n")?;
    Ok(())
}

/// Text that compresses as source does.
fn text(tag: usize, file: usize) -> String {
    let mut text = format!("// file {file} of version {tag}\n");
    let mut seed = (tag * 1_000_003 + file) as u64;
    while text.len() < FILE_BYTES {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (value, argument, number) = (seed >> 56, seed >> 58, seed >> 48);
        let _ = writeln!(text, "\tvalue{value} := compute(argument{argument}, {number})");
    }
    text
}

fn noise(seed: usize) -> Vec<u8> {
    let mut state = seed as u64 + 1;
    let mut bytes = Vec::with_capacity(LARGE_FILE_BYTES);
    while bytes.len() < LARGE_FILE_BYTES {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&(state >> 16).to_le_bytes()[..6]);
    }
    bytes
}

fn git(folder: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let done = Command::new("git").args(arguments).current_dir(folder).output()?;
    if !done.status.success() {
        bail!("git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(String::from_utf8(done.stdout)?)
}

/// Size of everything in a folder, in MB.
fn megabytes(folder: &Path) -> anyhow::Result<f64> {
    let done = Command::new("du").args(["-sk"]).arg(folder).output()?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let kilobytes = text.split_whitespace().next().and_then(|size| size.parse::<f64>().ok());
    Ok(kilobytes.unwrap_or(0.0) * 1.024 / 1000.0)
}
