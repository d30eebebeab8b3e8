//! Figures as tables: medians with minimum and maximum.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

/// Prints what was measured, as Markdown.
pub(crate) struct Report;

/// Values of one measure over the rounds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn cell(&self) -> String {
        let low = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let high = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if self.0.len() < 2 {
            return number(self.median());
        }
        format!("{} [{}–{}]", number(self.median()), number(low), number(high))
    }
}

fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 1000.0 => format!("{value:.0}"),
        v if v >= 100.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Figures by peer and measure, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Table {
    peers: Vec<String>,
    measures: Vec<&'static str>,
    values: BTreeMap<(String, &'static str), Series>,
}

impl Table {
    pub(crate) fn add(&mut self, peer: &str, measure: &'static str, value: f64) {
        if !self.peers.iter().any(|known| known == peer) {
            self.peers.push(peer.to_owned());
        }
        if !self.measures.contains(&measure) {
            self.measures.push(measure);
        }
        self.values.entry((peer.to_owned(), measure)).or_default().push(value);
    }

    /// The ratios of `measure` to `base` in the same round, as a measure of its own.
    pub(crate) fn ratio(&mut self, measure: &'static str, base: &str, name: &'static str) {
        let Some(base) = self.values.get(&(base.to_owned(), measure)).cloned() else { return };
        for peer in self.peers.clone() {
            let Some(own) = self.values.get(&(peer.clone(), measure)).cloned() else { continue };
            for (own, base) in own.0.iter().zip(&base.0) {
                self.add(&peer, name, own / base);
            }
        }
    }

    pub(crate) fn print(&self) {
        println!("| | {} |", self.measures.join(" | "));
        println!("|---|{}", "---|".repeat(self.measures.len()));
        for peer in &self.peers {
            let cells: Vec<String> = self
                .measures
                .iter()
                .map(|measure| {
                    let series = self.values.get(&(peer.clone(), *measure));
                    series.map_or_else(|| "–".to_owned(), Series::cell)
                })
                .collect();
            println!("| {peer} | {} |", cells.join(" | "));
        }
        println!();
    }
}

impl Report {
    /// Says what machine this is.
    pub(crate) fn machine() {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name\t: ")).unwrap_or("?");
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let nginx =
            Command::new("nginx").arg("-v").output().map(|out| out.stderr).unwrap_or_default();
        println!(
            "Machine: {} × {model}, Linux {}; {}",
            cpu.matches("processor\t").count(),
            kernel.trim(),
            String::from_utf8_lossy(&nginx).trim()
        );
    }

    pub(crate) fn heading(name: &str) {
        println!("\n### {name}\n");
    }

    pub(crate) fn line(text: &str) {
        println!("{text}");
    }
}
