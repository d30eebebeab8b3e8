//! Checks the store against what is stored of checksum databases, without asking anybody.

use std::sync::{Mutex, PoisonError};

use futures_util::{StreamExt, TryStreamExt};
use gomod::ModVer;
use policy::{Facts, Verification};
use store::{Found, Object, Store};
use sumdb::Sumdb;
use tlog::LogName;

use crate::fsck::everything;
use crate::load::{Target, check_again};
use crate::{Error, Kind, facts};

/// What the checks need.
#[derive(Debug, Clone, Copy)]
pub struct Checks<'a> {
    /// The module files.
    pub store: &'a Store,
    /// The records, tiles and heads.
    pub sumdb: &'a Sumdb,
    /// Our own log, which private versions are recorded in.
    pub own: Option<&'a sumdb::OwnLog>,
    /// The database that confirms.
    pub database: Option<&'a LogName>,
    /// Names that are looked up in no public database.
    pub private: &'a policy::Private,
    /// The same, from GONOSUMDB.
    pub no_sumdb: &'a policy::Private,
    /// How many files are hashed at once: the number of cores.
    pub at_once: usize,
}

/// A file that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which file, or which line.
    pub what: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Versions of which a file was looked at.
    pub versions: u64,
    /// Bytes that were hashed.
    pub bytes: u64,
    /// Files whose hash a stored record has, proven up to a stored tree head.
    pub confirmed: u64,
    /// Files of private modules: no database knows them.
    pub exempt: u64,
    /// Files that no database has confirmed yet; no fault, but no proof either.
    pub unconfirmed: u64,
    /// Lines of a go.sum whose file is not stored.
    pub absent: u64,
    /// Files that contradict their record, cannot be read, or whose proof is gone.
    pub findings: Vec<Finding>,
}

struct Verify<'a> {
    checks: &'a Checks<'a>,
    report: Mutex<VerifyReport>,
    progress: &'a (dyn Fn(&ModVer, u64) + Sync),
}

/// Hashes every stored `.mod` and zip again and holds it against its stored record, which is proven
/// against the newest stored tree head of the database.
///
/// `progress` is called with each version that is done and its bytes. Nothing is changed.
///
/// # Errors
///
/// The store cannot be read as a whole; what is wrong with single files is in the report.
pub async fn verify(
    checks: &Checks<'_>,
    progress: &(dyn Fn(&ModVer, u64) + Sync),
) -> Result<VerifyReport, Error> {
    let verify = Verify { checks, report: Mutex::default(), progress };
    let looks = everything(checks.store).await?.map(|found| verify.look(found));
    looks.buffer_unordered(checks.at_once.max(1)).try_collect::<()>().await?;
    Ok(verify.report.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Compares the lines of a go.sum, as `gomod::gosum` reads them, with the stored files, hashed again.
///
/// # Errors
///
/// The store cannot be read.
pub async fn verify_go_sum(
    store: &Store,
    lines: &[(ModVer, bool, String)],
    progress: &(dyn Fn(&ModVer, u64) + Sync),
) -> Result<VerifyReport, Error> {
    let mut report = VerifyReport::default();
    for (module, is_go_mod, hash) in lines {
        let kind = if *is_go_mod { Kind::Mod } else { Kind::Zip };
        let target = Target { kind, module: module.clone() };
        let Some(object) = store.open(&target.key(), None).await? else {
            report.absent += 1;
            continue;
        };
        report.versions += 1;
        report.bytes += object.len();
        match check_again(&target, &object).await {
            Ok(checked) if checked.h1().to_string() == *hash => report.confirmed += 1,
            Ok(checked) => {
                let reason = format!("stored as {}, in go.sum as {hash}", checked.h1());
                report.findings.push(Finding { what: target.to_string(), reason });
            }
            Err(error) => {
                let reason = error.to_string();
                report.findings.push(Finding { what: target.to_string(), reason });
            }
        }
        progress(module, object.len());
    }
    Ok(report)
}

impl Verify<'_> {
    fn with<T>(&self, change: impl FnOnce(&mut VerifyReport) -> T) -> T {
        change(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn look(&self, found: Result<Found, store::Error>) -> Result<(), Error> {
        let Found::Version { module, go_mod, zip, .. } = found? else { return Ok(()) };
        let facts = facts::read(self.checks.store, &module).await?;
        let expected = self.expected(&module, &facts).await?;
        let mut bytes = 0;
        for (kind, _) in [(Kind::Mod, go_mod), (Kind::Zip, zip)].into_iter().filter(|file| file.1) {
            let target = Target { kind, module: module.clone() };
            let Some(object) = self.checks.store.open(&target.key(), None).await? else { continue };
            bytes += object.len();
            self.file(&target, &object, &expected, &facts).await;
        }
        self.with(|report| {
            report.versions += 1;
            report.bytes += bytes;
        });
        (self.progress)(&module, bytes);
        Ok(())
    }

    async fn expected(&self, module: &ModVer, facts: &Facts) -> Result<Expected, Error> {
        let Checks { sumdb, own, private, no_sumdb, .. } = self.checks;
        if own.is_some_and(|own| own.is_erased(module)) {
            return Ok(Expected::Nothing);
        }
        let exempt = crate::exempting(private, no_sumdb, module.path()).is_some();
        if exempt {
            let Some(own) = own else { return Ok(Expected::Exempt) };
            if let Some((proven, _bundle)) = own.prove(module).await? {
                return Ok(Expected::of(&proven));
            }
        }
        // What was public when it was confirmed, and is private now, has its proof there still. But
        // what a public database says of a name that was private always is of somebody else's module.
        let confirming = self.checks.database.filter(|_| !exempt).cloned();
        let Some(database) = self.named(facts).or(confirming) else {
            return Ok(Expected::Unknown);
        };
        let proven = sumdb.proven(&database, module).await;
        match proven.map_err(|error| Error::Sumdb(error.into()))? {
            None => Ok(Expected::Unknown),
            Some((proven, _bundle)) => Ok(Expected::of(&proven)),
        }
    }

    /// The database that confirmed a version, while it is configured.
    fn named(&self, facts: &Facts) -> Option<LogName> {
        let mut files = [&facts.zip, &facts.go_mod].into_iter().flatten();
        files.find_map(|file| self.confirmed_by(file.verified.as_ref()))
    }

    /// The database that confirmed a file, while it is configured.
    fn confirmed_by(&self, verified: Option<&Verification>) -> Option<LogName> {
        let Verification::Database { name, .. } = verified? else { return None };
        self.checks.sumdb.databases().into_iter().find(|database| database.as_str() == name)
    }

    async fn file(&self, target: &Target, object: &Object, expected: &Expected, facts: &Facts) {
        let checked = check_again(target, object).await;
        let finding = |reason: String| Finding { what: target.to_string(), reason };
        let verified = facts::of(facts, target.kind).and_then(|file| file.verified.as_ref());
        let outcome = match (checked, expected) {
            (Err(error), _) => Err(finding(error.to_string())),
            (Ok(_), Expected::Exempt) => Ok(Sound::Exempt),
            (Ok(_), Expected::Nothing) => {
                let told = "its record was erased, and the file is here: erase it again";
                Err(finding(told.to_owned()))
            }
            (Ok(_), Expected::Unknown) => match self.confirmed_by(verified) {
                Some(name) => {
                    Err(finding(format!("was confirmed by {name}, and its proof is gone")))
                }
                None => Ok(Sound::Unconfirmed),
            },
            (Ok(checked), Expected::Hashes { zip, go_mod }) => {
                let recorded = if target.kind == Kind::Zip { zip } else { go_mod };
                let found = checked.h1().to_string();
                if found == *recorded {
                    Ok(Sound::Confirmed)
                } else {
                    Err(finding(format!("stored as {found}, recorded as {recorded}")))
                }
            }
        };
        self.with(|report| match outcome {
            Ok(Sound::Confirmed) => report.confirmed += 1,
            Ok(Sound::Exempt) => report.exempt += 1,
            Ok(Sound::Unconfirmed) => report.unconfirmed += 1,
            Err(finding) => report.findings.push(finding),
        });
    }
}

/// What the files of a version should be.
#[derive(Debug)]
enum Expected {
    Hashes {
        zip: String,
        go_mod: String,
    },
    Exempt,
    Unknown,
    /// The version was erased.
    Nothing,
}

impl Expected {
    fn of(proven: &tlog::Proven) -> Self {
        let record = proven.record();
        Self::Hashes { zip: record.zip_h1().to_owned(), go_mod: record.mod_h1().to_owned() }
    }
}

/// A file without fault.
#[derive(Debug, Clone, Copy)]
enum Sound {
    Confirmed,
    Exempt,
    Unconfirmed,
}
