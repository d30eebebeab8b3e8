//! Many fetches, some at once.

use std::{fmt, future::Future};

use futures_util::{StreamExt as _, stream};

use super::plan::Target;

/// How one fetch ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is here now.
    Fetched,
    /// It was here before.
    Here,
    /// Status and text, as the server answered.
    Failed(String),
}

/// How all of them ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files that are here now.
    pub fetched: usize,
    /// Files that were here before.
    pub here: usize,
    /// What failed, and why.
    pub failures: Vec<String>,
}

impl Summary {
    /// Counts a failure of `what`.
    pub fn fail(&mut self, what: &dyn fmt::Display, why: &str) {
        self.failures.push(format!("{what}: {why}"));
    }

    /// Counts the files of `other` too.
    pub fn add(&mut self, other: Self) {
        self.fetched += other.fetched;
        self.here += other.here;
        self.failures.extend(other.failures);
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in &self.failures {
            writeln!(f, "failed: {failure}")?;
        }
        let failed = self.failures.len();
        write!(f, "{} fetched, {} already here, {failed} failed", self.fetched, self.here)
    }
}

/// Runs `work` on all items, `jobs` at once, and tells `done` of each; results in order of ending.
pub async fn in_parallel<I, R, F>(
    items: Vec<I>,
    jobs: usize,
    work: impl Fn(I) -> F,
    done: impl Fn(&R),
) -> Vec<R>
where
    F: Future<Output = R>,
{
    let running = stream::iter(items).map(work).buffer_unordered(jobs.max(1));
    running.inspect(done).collect().await
}

/// Fetches all targets, `jobs` at once, and tells `seen` of each.
pub async fn fetch_all<F>(
    targets: Vec<Target>,
    jobs: usize,
    fetch: impl Fn(Target) -> F,
    seen: impl Fn(&Target, &Outcome),
) -> Summary
where
    F: Future<Output = Outcome>,
{
    let work = |target: Target| {
        let running = fetch(target.clone());
        async move { (target, running.await) }
    };
    let ended = in_parallel(targets, jobs, work, |(target, outcome)| seen(target, outcome)).await;
    let mut summary = Summary::default();
    for (target, outcome) in ended {
        match outcome {
            Outcome::Fetched => summary.fetched += 1,
            Outcome::Here => summary.here += 1,
            Outcome::Failed(why) => summary.fail(&target, &why),
        }
    }
    summary.failures.sort();
    summary
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use gomod::{ModVer, ModulePath, Version};

    use super::*;

    fn targets() -> Vec<Target> {
        let path = ModulePath::parse("example.com/a").unwrap();
        let module = ModVer::new(path, Version::parse("v1.0.0").unwrap()).unwrap();
        Target::all_of(&module).collect()
    }

    #[tokio::test]
    async fn outcomes_are_counted_and_failures_listed() {
        let fetch = |target: Target| async move {
            match target.path().rsplit_once('.').unwrap().1 {
                "info" => Outcome::Here,
                "mod" => Outcome::Fetched,
                _ => Outcome::Failed("404: not found".to_owned()),
            }
        };
        let seen = Cell::new(0);
        let summary = fetch_all(targets(), 2, fetch, |_, _| seen.set(seen.get() + 1)).await;
        assert_eq!(seen.get(), 3);
        insta::assert_snapshot!(summary, @r"
        failed: example.com/a@v1.0.0 zip: 404: not found
        1 fetched, 1 already here, 1 failed
        ");
    }

    #[tokio::test]
    async fn no_more_than_jobs_run_at_once() {
        let (now, most) = (Cell::new(0), Cell::new(0));
        let work = |_: usize| async {
            now.set(now.get() + 1);
            most.set(most.get().max(now.get()));
            tokio::task::yield_now().await;
            now.set(now.get() - 1);
        };
        in_parallel((0..20).collect(), 3, work, |()| {}).await;
        assert_eq!(most.get(), 3);
    }
}
