//! Mutable answers: lists and look-ups as they were last heard.

use std::{sync::atomic::Ordering, time::Duration};

use gomod::ModulePath;
use units::Timestamp;

use crate::{Error, Index};

/// Longest answer that is kept, in bytes: a list of some 300,000 versions.
pub const MAX_ANSWER_BYTES: usize = 16 << 20;

/// How long a negative answer stays, should its source fail.
pub const NEGATIVE_LIFETIME: Duration = Duration::from_hours(24);

/// Most negative answers, about 200 bytes each: anyone who may ask can ask for anything.
pub const MAX_NEGATIVE: u32 = 100_000;

/// Most answers of both kinds; the oldest leave first.
pub const MAX_KEPT: u32 = 1_000_000;

/// Answers between two prunings, by which the two numbers above may be exceeded.
const PRUNE_EVERY: u64 = 256;

/// Which mutable answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Mutable {
    /// The `list` of a module.
    List(ModulePath),
    /// The `@latest` of a module.
    Latest(ModulePath),
    /// The `.info` of a branch, tag or commit.
    Query(ModulePath, String),
}

impl Mutable {
    /// Returns kind, path and query, as they stand in the table.
    fn columns(&self) -> (&'static str, &str, &str) {
        match self {
            Self::List(path) => ("list", path.as_str(), ""),
            Self::Latest(path) => ("latest", path.as_str(), ""),
            Self::Query(path, query) => ("query", path.as_str(), query),
        }
    }
}

/// A kept answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What was said.
    pub answer: KeptAnswer,
    /// When it was heard.
    pub fetched: Timestamp,
    /// Who said it.
    pub origin: String,
}

/// What a source said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptAnswer {
    /// The body as served: a list with one version a line, or the bytes of an `.info`.
    Found(Vec<u8>),
    /// It does not exist.
    NotFound {
        /// 404 or 410.
        status: u16,
        /// The source's own words, one line.
        text: String,
    },
}

impl Index {
    /// Removes all kept answers of a module path.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`.
    pub async fn forget_answers(&self, path: &ModulePath) -> Result<(), Error> {
        let forgotten = sqlx::query("DELETE FROM kept WHERE path = $1")
            .bind(path.as_str())
            .execute(&self.writer)
            .await;
        self.note("forget answers", forgotten).map(drop)
    }

    /// Returns the answer that was last kept, however old. Its age the caller judges.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`.
    pub async fn kept(&self, what: &Mutable) -> Result<Option<Kept>, Error> {
        type Columns = (Option<i64>, Vec<u8>, String, i64);
        const QUESTION: &str = "show a kept answer";
        let (kind, path, query) = what.columns();
        let found: Result<Option<Columns>, _> = sqlx::query_as(
            "SELECT status, body, origin, fetched FROM kept
             WHERE kind = $1 AND path = $2 AND query = $3",
        )
        .bind(kind)
        .bind(path)
        .bind(query)
        .fetch_optional(&self.readers)
        .await;
        let Some((status, body, origin, fetched)) = self.note(QUESTION, found)? else {
            return Ok(None);
        };
        let answer = match status {
            None => KeptAnswer::Found(body),
            Some(status) => KeptAnswer::NotFound {
                status: u16::try_from(status).map_err(|_no_status| Error::nonsense(QUESTION))?,
                text: String::from_utf8(body).map_err(|_no_text| Error::nonsense(QUESTION))?,
            },
        };
        Ok(Some(Kept { answer, fetched: Timestamp::from_unix_nanos(fetched), origin }))
    }

    /// Keeps an answer in place of the one before. From time to time it also removes negative
    /// answers older than [`NEGATIVE_LIFETIME`] at `kept.fetched`, and the oldest beyond
    /// [`MAX_NEGATIVE`] and [`MAX_KEPT`].
    ///
    /// # Errors
    /// `TooLarge` above [`MAX_ANSWER_BYTES`]; `Unavailable`, `Damaged`.
    pub async fn keep(&self, what: &Mutable, kept: &Kept) -> Result<(), Error> {
        let (status, body) = match &kept.answer {
            KeptAnswer::Found(body) => (None, body.as_slice()),
            KeptAnswer::NotFound { status, text } => (Some(i64::from(*status)), text.as_bytes()),
        };
        if body.len() > MAX_ANSWER_BYTES {
            return Err(Error::TooLarge { bytes: body.len() });
        }
        let (kind, path, query) = what.columns();
        let written = sqlx::query(
            "INSERT INTO kept (kind, path, query, status, body, origin, fetched)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (kind, path, query) DO UPDATE SET status = excluded.status,
                 body = excluded.body, origin = excluded.origin, fetched = excluded.fetched",
        )
        .bind(kind)
        .bind(path)
        .bind(query)
        .bind(status)
        .bind(body)
        .bind(&kept.origin)
        .bind(kept.fetched.unix_nanos())
        .execute(&self.writer)
        .await;
        self.note("keep an answer", written)?;
        self.metrics().written.inc();
        if self.keeps.fetch_add(1, Ordering::Relaxed) % PRUNE_EVERY == PRUNE_EVERY - 1 {
            self.prune(kept.fetched, MAX_NEGATIVE, MAX_KEPT).await?;
        }
        Ok(())
    }

    /// Removes negative answers that are old at `now`, then the oldest beyond the two numbers.
    async fn prune(&self, now: Timestamp, negative: u32, all: u32) -> Result<(), Error> {
        let lifetime = i64::try_from(NEGATIVE_LIFETIME.as_nanos()).unwrap_or(i64::MAX);
        let oldest = now.unix_nanos().saturating_sub(lifetime);
        let aged = sqlx::query("DELETE FROM kept WHERE status IS NOT NULL AND fetched < $1")
            .bind(oldest)
            .execute(&self.writer)
            .await;
        let aged = self.note("prune old answers", aged)?.rows_affected();
        // By age index, newest first: what stands behind the bound goes.
        let surplus = sqlx::query(
            "DELETE FROM kept WHERE rowid IN (
                 SELECT rowid FROM kept WHERE status IS NOT NULL
                 ORDER BY fetched DESC LIMIT -1 OFFSET $1)",
        )
        .bind(negative)
        .execute(&self.writer)
        .await;
        let surplus = self.note("prune negative answers", surplus)?.rows_affected();
        let rest = sqlx::query(
            "DELETE FROM kept WHERE rowid IN (
                 SELECT rowid FROM kept ORDER BY fetched DESC LIMIT -1 OFFSET $1)",
        )
        .bind(all)
        .execute(&self.writer)
        .await;
        let rest = self.note("prune answers", rest)?.rows_affected();
        self.metrics().pruned.inc_by(aged + surplus + rest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn keep(index: &Index, number: i64, answer: KeptAnswer) -> Mutable {
        let what = Mutable::List(ModulePath::parse(&format!("example.com/m{number}")).unwrap());
        let fetched = Timestamp::from_unix_secs(number);
        let kept = Kept { answer, fetched, origin: String::new() };
        index.keep(&what, &kept).await.unwrap();
        what
    }

    async fn left(index: &Index, questions: &[Mutable]) -> Vec<usize> {
        let mut left = Vec::new();
        for (number, what) in questions.iter().enumerate() {
            left.extend(index.kept(what).await.unwrap().map(|_kept| number));
        }
        left
    }

    #[tokio::test]
    async fn the_oldest_beyond_each_bound_are_pruned() {
        let index = Index::memory().await.unwrap();
        let mut questions = Vec::new();
        for number in 0..10 {
            let negative = KeptAnswer::NotFound { status: 404, text: String::new() };
            let answer = if number < 5 { negative } else { KeptAnswer::Found(Vec::new()) };
            questions.push(keep(&index, number, answer).await);
        }
        let now = Timestamp::from_unix_secs(10);
        let left = async |negative, all| {
            index.prune(now, negative, all).await.unwrap();
            left(&index, &questions).await
        };
        assert_eq!(left(5, 10).await, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], "at the bounds");
        assert_eq!(left(4, 10).await, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(left(2, 7).await, [3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(left(2, 6).await, [4, 5, 6, 7, 8, 9]);
    }
}
