//! Load: wrk for small answers, a closed loop of our own for large ones and for cold work.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// What wrk measured.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rate {
    pub(crate) per_sec: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// Runs wrk over `paths`, in order, `connections` at once.
pub(crate) fn wrk(
    url: &str,
    paths: &[String],
    connections: usize,
    secs: u64,
    work: &Path,
) -> anyhow::Result<Rate> {
    let script = work.join("wrk.lua");
    let mut lua = String::from("local list = {}\ninit = function(args)\n");
    for path in paths {
        writeln!(lua, "  list[#list + 1] = wrk.format('GET', '{path}')")?;
    }
    lua.push_str("end\nlocal n = 0\nrequest = function()\n  n = n + 1\n");
    lua.push_str("  if n > #list then n = 1 end\n  return list[n]\nend\n");
    fs::write(&script, lua)?;
    let output = Command::new("wrk")
        .args(["-t1", "--latency", &format!("-c{connections}"), &format!("-d{secs}s"), "-s"])
        .arg(&script)
        .arg(url)
        .output()
        .context("wrk is needed")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("Non-2xx") || text.contains("Socket errors: connect") {
        bail!("wrk met errors:\n{text}");
    }
    let field = |name: &str| -> Option<&str> {
        let line = text.lines().find(|line| line.trim_start().starts_with(name))?;
        line.split_whitespace().last()
    };
    let per_sec = field("Requests/sec:").and_then(|text| text.parse().ok());
    Ok(Rate {
        per_sec: per_sec.with_context(|| format!("wrk printed no rate:\n{text}"))?,
        p50_ms: field("50%").and_then(millis).unwrap_or_default(),
        p99_ms: field("99%").and_then(millis).unwrap_or_default(),
    })
}

fn millis(text: &str) -> Option<f64> {
    let split = text.find(|c: char| c.is_alphabetic())?;
    let (number, unit) = text.split_at_checked(split)?;
    let factor = match unit {
        "us" => 0.001,
        "ms" => 1.0,
        "s" => 1000.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

/// One answer, read to its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) bytes: u64,
    pub(crate) first_byte: Duration,
    pub(crate) whole: Duration,
}

/// A keep-alive connection that reads 256 KiB at a time.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_mins(2)))?;
        Ok(Self { stream, buffer: vec![0; 256 << 10] })
    }

    /// Asks and reads; the body is counted, not kept.
    pub(crate) fn get(&mut self, path: &str) -> anyhow::Result<Got> {
        let started = Instant::now();
        write!(self.stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")?;
        let mut held = 0;
        let (head_len, first_byte) = loop {
            let space = self.buffer.get_mut(held..).unwrap_or_default();
            let read = self.stream.read(space)?;
            if read == 0 {
                bail!("{path}: closed before the header ended");
            }
            held += read;
            let text = self.buffer.get(..held).unwrap_or_default();
            if let Some(end) = text.windows(4).position(|four| four == b"\r\n\r\n") {
                break (end + 4, started.elapsed());
            }
        };
        let header = String::from_utf8_lossy(self.buffer.get(..head_len).unwrap_or_default());
        let status = header.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let len = content_length(&header);
        let mut bytes = (held - head_len) as u64;
        while len.is_none_or(|len| bytes < len) {
            let read = self.stream.read(&mut self.buffer)?;
            if read == 0 {
                break;
            }
            bytes += read as u64;
        }
        if len.is_some_and(|len| bytes < len) {
            bail!("{path}: cut after {bytes} bytes");
        }
        Ok(Got { status, bytes, first_byte, whole: started.elapsed() })
    }
}

fn content_length(head: &str) -> Option<u64> {
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    })
}

/// A figure of a closed loop.
#[derive(Debug, Clone, Default)]
pub(crate) struct Loop {
    pub(crate) wall_secs: f64,
    pub(crate) answers: usize,
    pub(crate) failed: usize,
    pub(crate) bytes: u64,
    pub(crate) millis: Vec<f64>,
}

impl Loop {
    pub(crate) fn mb_per_sec(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.wall_secs
    }

    /// The latency below which this share of the answers came.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let mut sorted = self.millis.clone();
        sorted.sort_by(f64::total_cmp);
        let at = (share * sorted.len() as f64) as usize;
        sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
    }
}

/// `clients` connections ask for the groups of `work`, a group in order on one connection, until none is left or
/// `limit` has passed.
pub(crate) fn closed_loop(
    port: u16,
    clients: usize,
    work: &[Vec<String>],
    limit: Duration,
) -> anyhow::Result<Loop> {
    let next = AtomicUsize::new(0);
    let started = Instant::now();
    let deadline = started + limit;
    let worker = || -> anyhow::Result<Loop> {
        let mut sum = Loop::default();
        let mut client = Client::connect(port)?;
        while let Some(group) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
            if Instant::now() >= deadline {
                break;
            }
            for path in group {
                match client.get(path) {
                    Ok(got) if got.status == 200 => {
                        sum.answers += 1;
                        sum.bytes += got.bytes;
                        sum.millis.push(got.whole.as_secs_f64() * 1000.0);
                    }
                    Ok(_) => sum.failed += 1,
                    Err(_) => {
                        sum.failed += 1;
                        client = Client::connect(port)?;
                    }
                }
            }
        }
        Ok(sum)
    };
    let sums: Vec<anyhow::Result<Loop>> = thread::scope(|scope| {
        let handles: Vec<_> = (0..clients).map(|_| scope.spawn(worker)).collect();
        handles.into_iter().filter_map(|handle| handle.join().ok()).collect()
    });
    let mut all = Loop { wall_secs: started.elapsed().as_secs_f64(), ..Loop::default() };
    for sum in sums {
        let sum = sum?;
        all.answers += sum.answers;
        all.failed += sum.failed;
        all.bytes += sum.bytes;
        all.millis.extend(sum.millis);
    }
    Ok(all)
}
