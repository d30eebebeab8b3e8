//! What module paths were logged as first: private or public, for ever.

use gomod::ModulePath;
use units::Timestamp;

use super::{Binding, Change, Log};
use crate::Error;

impl Log {
    /// Returns what a module path was logged as first; `None`: never logged.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`.
    pub async fn binding(&self, path: &ModulePath) -> Result<Option<Binding>, Error> {
        const QUESTION: &str = "tell a module's binding";
        let bound: Option<String> =
            sqlx::query_scalar("SELECT bound FROM log_bind WHERE log = $1 AND module = $2")
                .bind(self.id)
                .bind(path.as_str())
                .fetch_optional(&self.readers)
                .await
                .map_err(|error| Error::sql(QUESTION, error))?;
        let parse = |bound: String| Binding::parse(&bound).ok_or_else(|| Error::nonsense(QUESTION));
        bound.map(parse).transpose()
    }

    /// Returns at most `count` module paths that were logged so first, in order, those behind `after`.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`.
    pub async fn bindings(
        &self,
        to: Binding,
        after: Option<&ModulePath>,
        count: u16,
    ) -> Result<Vec<ModulePath>, Error> {
        const QUESTION: &str = "show the modules of a binding";
        let rows: Vec<String> = sqlx::query_scalar(
            "SELECT module FROM log_bind WHERE log = $1 AND bound = $2 AND module > $3
             ORDER BY module LIMIT $4",
        )
        .bind(self.id)
        .bind(to.as_str())
        .bind(after.map_or("", ModulePath::as_str))
        .bind(i64::from(count))
        .fetch_all(&self.readers)
        .await
        .map_err(|error| Error::sql(QUESTION, error))?;
        let parse = |path: String| ModulePath::parse(&path).ok();
        rows.into_iter().map(parse).collect::<Option<_>>().ok_or_else(|| Error::nonsense(QUESTION))
    }

    /// Binds a path, if it is not bound, and returns what it is bound to.
    pub(super) async fn bind(
        &self,
        change: &mut Change,
        path: &ModulePath,
        wanted: Binding,
        now: Timestamp,
    ) -> Result<Binding, Error> {
        const QUESTION: &str = "bind a module";
        // Sets what is there already: a conflict that does nothing would return nothing.
        let bound: String = sqlx::query_scalar(
            "INSERT INTO log_bind (log, module, bound, seen) VALUES ($1, $2, $3, $4)
             ON CONFLICT (log, module) DO UPDATE SET bound = bound RETURNING bound",
        )
        .bind(self.id)
        .bind(path.as_str())
        .bind(wanted.as_str())
        .bind(now.unix_nanos())
        .fetch_one(change.connection())
        .await
        .map_err(|error| Error::sql(QUESTION, error))?;
        Binding::parse(&bound).ok_or_else(|| Error::nonsense(QUESTION))
    }
}
