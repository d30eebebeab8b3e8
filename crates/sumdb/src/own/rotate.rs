//! Changing the key under one name: for a while two keys sign, then the older one retires.
//!
//! Each step is one transaction over the list of keys and the newest head, which is signed anew by
//! the keys of the list; then the head is published. Cut short anywhere, the database says who
//! signs, and the same step asked for again does what is left.
//!
//! The signer's floor stays where it is: a head that is signed again was given out before, so its
//! further signature says nothing new about the tree.

use db::LogHead;
use tlog::{TreeHead, VerifierKey};

use super::keys::{Keys, sign};
use super::start::Found;
use super::{OwnError, OwnLog, OwnParts};

/// What the end of a rotation left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retired {
    /// The key that signs on, alone.
    pub key: VerifierKey,
    /// The keys that no longer do; none when they had retired before.
    pub old: Vec<VerifierKey>,
}

impl OwnLog {
    /// Lets a second key sign, beside the one that does: clients that know either believe the log.
    ///
    /// For a person to ask for, with the log's only sequencer stopped. Durable and published on
    /// return. Cut short, it can be asked again.
    ///
    /// # Errors
    ///
    /// [`OwnError::Existence`] when two keys sign already, when `next` is or was one of the log's
    /// keys, or is of another name; [`OwnError::Frozen`] when the log is, a missing key included;
    /// [`OwnError::Unavailable`] when database or store do not answer.
    pub async fn rotate(parts: &OwnParts, next: &VerifierKey) -> Result<(), OwnError> {
        let wrong = |problem| OwnError::Existence { log: parts.name.clone(), problem };
        let found = Found::read(parts).await?;
        found.sound(parts)?;
        if let Err(missing) = found.keys.signers(parts) {
            return Err(parts.is_frozen(missing));
        }
        let mut signing = found.keys.signing();
        match (signing.next(), signing.next()) {
            (Some(_only), None) => {
                if found.keys.all().any(|key| key == next) {
                    return Err(wrong("has that key already, or had it before"));
                }
                if *next.name() != parts.name {
                    return Err(wrong("cannot have a key of another name"));
                }
                change(parts, &found, &found.keys.with(next)).await?;
            }
            // Cut short before it was published.
            (_, Some(newest)) if newest == next && !found.is_published() => {}
            _ => {
                return Err(wrong(
                    "is signed by two keys already: end that by `larder sumdb rotate --finish` first",
                ));
            }
        }
        publish(parts).await
    }

    /// Lets all keys but the newest retire.
    ///
    /// As [`rotate`](Self::rotate) otherwise. The keys that retire need not be at hand any more.
    ///
    /// # Errors
    ///
    /// [`OwnError::Frozen`] when the log is, for another reason than a missing key that retires;
    /// [`OwnError::Unavailable`] when database or store do not answer.
    pub async fn finish_rotation(parts: &OwnParts) -> Result<Retired, OwnError> {
        let found = Found::read(parts).await?;
        found.sound(parts)?;
        let newest = found.keys.newest().ok_or_else(|| found.damaged("no key signs"))?;
        let old: Vec<_> = found.keys.signing().filter(|key| *key != newest).cloned().collect();
        if !old.is_empty() {
            change(parts, &found, &found.keys.with_only(newest)).await?;
        }
        publish(parts).await?;
        Ok(Retired { key: newest.clone(), old })
    }
}

impl OwnParts {
    fn is_frozen(&self, reason: String) -> OwnError {
        OwnError::Frozen { log: self.name.clone(), reason }
    }
}

impl Found {
    /// An error when anything but a missing key freezes the log.
    fn sound(&self, parts: &OwnParts) -> Result<(), OwnError> {
        match self.contradiction(parts) {
            Some(reason) => Err(parts.is_frozen(reason)),
            None => Ok(()),
        }
    }
}

/// Sets the keys of the log, and signs its newest head by them.
async fn change(parts: &OwnParts, found: &Found, keys: &Keys) -> Result<(), OwnError> {
    let database = |error: db::Error| OwnError::database(&error);
    // From here on no other process signs: it would do so by the keys that it knows.
    let epoch = found.rows.lead().await.map_err(database)?;
    if !sign_again(parts, (&found.rows, epoch), &found.head, keys).await? {
        return Err(OwnError::Unavailable { reason: "another process writes the log".into() });
    }
    Ok(())
}

/// Sets the keys and puts their signatures on a head that was given out; false: it is not the
/// newest, or the epoch has ended.
pub(super) async fn sign_again(
    parts: &OwnParts,
    (rows, epoch): (&db::Log, u64),
    head: &LogHead,
    keys: &Keys,
) -> Result<bool, OwnError> {
    let signers = keys.signers(parts).map_err(|missing| parts.is_frozen(missing))?;
    let head = TreeHead { size: head.size, root: head.root };
    let signed = sign(&signers, &head, parts.clock.now())?;
    let kept = rows.set_keys(epoch, &keys.rows(), &signed.row).await;
    kept.map_err(|error| OwnError::database(&error))
}

/// Publishes what the database holds, or says that it could not.
async fn publish(parts: &OwnParts) -> Result<(), OwnError> {
    let log = OwnLog::open(parts.clone()).await?;
    match log.frozen() {
        Some(reason) => Err(parts.is_frozen(reason)),
        None => log.inner.try_publish_files().await,
    }
}
