//! What our own log recorded a name as, it stays: private names in every place that asks somebody.

use gomod::ModulePath;
use policy::Private;
use sumdb::{Binding, OwnError, OwnLog};

use crate::{Error, Rooms};

/// Tells `private` what our log has recorded as private, so that it stays so without its pattern.
///
/// To be called before anything is asked of anybody. Paths that GONOSUMDB covers (`no_sumdb`) are
/// passed over: they are in our log because no public database is asked of them, not because they
/// are private. Reads all bindings of the log once.
///
/// # Errors
///
/// The log's database does not answer: then nobody knows what must not be asked.
pub async fn keep_private(
    own: &OwnLog,
    private: &Private,
    no_sumdb: &Private,
) -> Result<(), Error> {
    let keep = |path: &ModulePath| {
        if private.find(path).is_some() || no_sumdb.find(path).is_none() {
            private.bind_private(path);
        }
    };
    each(own, Binding::Private, keep).await?;
    // Of public names only those count that lie below or beside a private one.
    let except = |path: &ModulePath| {
        if private.find(path).is_some() {
            private.bind_public(path);
        }
    };
    each(own, Binding::Public, except).await
}

async fn each(own: &OwnLog, to: Binding, act: impl Fn(&ModulePath)) -> Result<(), Error> {
    let mut after = None;
    loop {
        let page = own.bound(to, after.as_ref()).await?;
        page.iter().for_each(&act);
        let Some(last) = page.into_iter().next_back() else { return Ok(()) };
        after = Some(last);
    }
}

impl Rooms {
    /// Keeps a name private that was recorded as such now.
    pub(crate) fn stays_private(&self, path: &ModulePath) {
        // Else it is ours by GONOSUMDB alone.
        if self.private.find(path).is_some() {
            self.private.bind_private(path);
        }
    }

    /// Refuses to fetch as private what our log recorded as public: it could never be recorded.
    ///
    /// # Errors
    ///
    /// [`OwnError::Bound`]; the log's database does not answer.
    pub(crate) async fn judge_binding(&self, path: &ModulePath) -> Result<(), Error> {
        let Some(own) = self.own_log_of(path) else { return Ok(()) };
        match own.binding(path).await? {
            Some(binding @ Binding::Public) => {
                Err(OwnError::Bound { path: path.clone(), binding }.into())
            }
            Some(Binding::Private) | None => Ok(()),
        }
    }
}
