//! The keys of the log: which of them sign is said by the database, and by nothing else.
//!
//! A key that lies at hand signs nothing unless the database lists it, and a key that it lists must
//! be at hand. One thing is told by others: whether the database is older than the last change of
//! keys, by the newest head that was given out.

use std::sync::Arc;

use db::{KeyState, LogHead, LogKey, LogStanding};
use tlog::{
    Note, SignedCheckpoint, SignedHead, Signer, TreeHead, VerifierKey, sign_checkpoint, sign_head,
};
use units::Timestamp;

use super::start::RECOVER;
use super::{OwnError, OwnParts};

/// The keys of a log in the order in which they came; at least one signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys(Vec<(VerifierKey, KeyState)>);

impl Keys {
    /// Reads the list of the database; `None`: it is none.
    pub(super) fn read(standing: &LogStanding) -> Option<Self> {
        let parse = |row: &LogKey| Some((row.key.parse().ok()?, row.state));
        Self(standing.keys.iter().map(parse).collect::<Option<_>>()?).usable()
    }

    /// The keys of a log whose list is lost: those at hand that signed the newest head, in the order
    /// of their signatures; of a log without a head, the first one at hand.
    pub(super) fn found(held: &[VerifierKey], latest: Option<&Note>) -> Option<Self> {
        let keys = match latest {
            Some(latest) => signers_of(latest, held),
            None => held.first().cloned().into_iter().collect(),
        };
        Self(keys.into_iter().map(|key| (key, KeyState::Signs)).collect()).usable()
    }

    fn usable(self) -> Option<Self> {
        let signs = self.signing().next().is_some();
        signs.then_some(self)
    }

    /// The keys that sign, the oldest first.
    pub(super) fn signing(&self) -> impl DoubleEndedIterator<Item = &VerifierKey> {
        self.0.iter().filter(|(_key, state)| *state == KeyState::Signs).map(|(key, _state)| key)
    }

    /// All keys, those that retired too.
    pub(super) fn all(&self) -> impl Iterator<Item = &VerifierKey> {
        self.0.iter().map(|(key, _state)| key)
    }

    /// The key for clients to set: the newest that signs.
    pub(super) fn newest(&self) -> Option<&VerifierKey> {
        self.signing().next_back()
    }

    /// The list with one more key that signs.
    pub(super) fn with(&self, next: &VerifierKey) -> Self {
        let mut keys = self.0.clone();
        keys.push((next.clone(), KeyState::Signs));
        Self(keys)
    }

    /// The list with one key that signs.
    pub(super) fn with_only(&self, newest: &VerifierKey) -> Self {
        let state = |key| if key == newest { KeyState::Signs } else { KeyState::Retired };
        Self(self.all().map(|key| (key.clone(), state(key))).collect())
    }

    /// The list as the database keeps it.
    pub(super) fn rows(&self) -> Vec<LogKey> {
        let row =
            |(key, state): &(VerifierKey, KeyState)| LogKey { key: key.to_string(), state: *state };
        self.0.iter().map(row).collect()
    }

    /// Opens what one of the keys signed, or did before it retired.
    pub(super) fn open<T>(
        &self,
        open: impl Fn(&VerifierKey) -> Result<T, tlog::Error>,
    ) -> Option<T> {
        self.all().find_map(|key| open(key).ok())
    }

    /// Why the list is older than the newest head that was given out; `None`: it is not.
    ///
    /// A head that lacks the newest signature was signed before the change, or its change was cut
    /// short: that is mended by publishing. Nothing but a newer list explains the other two cases.
    pub(super) fn outdated(&self, held: &[VerifierKey], latest: &Note) -> Option<String> {
        let signed = |key: &&VerifierKey| latest.verify(key).is_ok();
        let unlisted = |key: &&VerifierKey| !self.all().any(|listed| listed == *key);
        if let Some(key) = held.iter().filter(unlisted).find(signed) {
            return Some(format!(
                "the newest head is signed by {key}, which the database does not list: it is older \
                 than the change of keys; {RECOVER}"
            ));
        }
        let first = self.signing().position(|key| signed(&key))?;
        let key = self.signing().take(first).last()?;
        Some(format!(
            "the newest head is not signed by {key}, which signs by the database: it is older than \
             the end of that key; {RECOVER}"
        ))
    }

    /// The list as the newest head tells it: what signed it signs, what did not retired.
    pub(super) fn taken_over(&self, held: &[VerifierKey], latest: &Note) -> Option<Self> {
        let state = |(key, state): &(VerifierKey, KeyState)| match state {
            KeyState::Signs if latest.verify(key).is_ok() => (key.clone(), KeyState::Signs),
            _ => (key.clone(), KeyState::Retired),
        };
        let mut keys: Vec<_> = self.0.iter().map(state).collect();
        for key in signers_of(latest, held) {
            if !self.all().any(|listed| *listed == key) {
                keys.push((key, KeyState::Signs));
            }
        }
        Self(keys).usable()
    }

    /// Those who sign, in their order.
    ///
    /// # Errors
    ///
    /// A key that is missing, in a person's words.
    pub(super) fn signers(&self, parts: &OwnParts) -> Result<Vec<Arc<dyn Signer>>, String> {
        let held = |key: &VerifierKey| {
            let signer = parts.signers.iter().find(|signer| signer.verifier() == *key);
            signer.cloned().ok_or_else(|| self.missing(key, parts))
        };
        self.signing().map(held).collect()
    }

    fn missing(&self, key: &VerifierKey, parts: &OwnParts) -> String {
        let stranger = |held: &VerifierKey| !self.all().any(|listed| listed == held);
        match parts.held().into_iter().find(stranger) {
            Some(other) => {
                format!("its key {key} is missing; {other}, which is there, is not one of its keys")
            }
            None => format!("its key {key} is missing"),
        }
    }
}

impl OwnParts {
    /// The keys at hand that are of this name.
    pub(super) fn held(&self) -> Vec<VerifierKey> {
        let keys = self.signers.iter().map(|signer| signer.verifier());
        keys.filter(|key| *key.name() == self.name).collect()
    }
}

/// Those of the keys that signed a note, in the order of their signatures.
fn signers_of(note: &Note, keys: &[VerifierKey]) -> Vec<VerifierKey> {
    let place = |key: &VerifierKey| note.signatures.iter().position(|one| one.key_id == key.id());
    let signed = keys.iter().filter(|key| note.verify(key).is_ok());
    let mut signed: Vec<_> = signed.cloned().collect();
    signed.sort_by_key(place);
    signed.dedup();
    signed
}

/// A head, signed, as clients, witnesses and the database get it.
pub(super) struct Signed {
    pub(super) head: SignedHead,
    pub(super) checkpoint: SignedCheckpoint,
    pub(super) row: LogHead,
}

/// Signs a head. What it returns may not leave before the database holds it.
pub(super) fn sign(
    signers: &[Arc<dyn Signer>],
    head: &TreeHead,
    now: Timestamp,
) -> Result<Signed, OwnError> {
    let refused = |error: tlog::Error| OwnError::Unavailable { reason: error.to_string() };
    let (size, root) = (head.size, head.root);
    let head = sign_head(signers, head).map_err(refused)?;
    let checkpoint = sign_checkpoint(signers, head.head()).map_err(refused)?;
    let (note, text) = (head.message().to_owned(), checkpoint.message().to_owned());
    let row = LogHead { size, root, note, checkpoint: text, signed: now };
    Ok(Signed { head, checkpoint, row })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tlog::SigningKey;

    fn key(number: u8) -> Arc<dyn Signer> {
        Arc::new(SigningKey::from_seed("log.example".parse().unwrap(), [number; 32]))
    }

    fn verifiers(numbers: &[u8]) -> Vec<VerifierKey> {
        numbers.iter().map(|number| key(*number).verifier()).collect()
    }

    /// `+1` signs, `-1` is retired.
    fn keys(list: &[i8]) -> Keys {
        let state = |number: i8| if number > 0 { KeyState::Signs } else { KeyState::Retired };
        let key = |number: i8| key(number.unsigned_abs()).verifier();
        Keys(list.iter().map(|number| (key(*number), state(*number))).collect())
    }

    fn latest(signers: &[u8]) -> Note {
        let signers: Vec<_> = signers.iter().map(|number| key(*number)).collect();
        let head = sign_head(&signers, &TreeHead { size: 7, root: [1; 32] }).unwrap();
        Note::parse(head.message().as_bytes()).unwrap()
    }

    #[test]
    fn a_list_is_read_as_it_was_written() {
        let of = |keys: &Keys| LogStanding {
            keys: keys.rows(),
            next: 0,
            integrated: 0,
            epoch: 0,
            frozen: None,
        };
        let keys = keys(&[-1, 2, 3]);
        assert_eq!(Keys::read(&of(&keys)), Some(keys.clone()));
        assert_eq!(keys.newest(), Some(&key(3).verifier()));
        assert_eq!(Keys::read(&of(&self::keys(&[-1]))), None, "nobody signs");
        let mut damaged = of(&keys);
        damaged.keys[0].key.push('x');
        assert_eq!(Keys::read(&damaged), None);
    }

    #[test]
    fn keys_come_and_go_in_order() {
        let both = keys(&[1]).with(&key(2).verifier());
        assert_eq!(both, keys(&[1, 2]));
        assert_eq!(both.with_only(&key(2).verifier()), keys(&[-1, 2]));
        assert_eq!(keys(&[-1, 2, 3]).with_only(&key(3).verifier()), keys(&[-1, -2, 3]));
    }

    /// The list, the keys at hand, who signed the newest head: a word of the reason, and what
    /// `recover` makes of it.
    #[test]
    fn only_a_newer_list_makes_a_list_outdated() {
        for (list, held, signed, word, after) in [
            (&[1][..], &[1][..], &[1][..], None, &[1][..]),
            // The change was kept, and cut short before its head was published.
            (&[1, 2], &[1, 2], &[1], None, &[1, -2]),
            (&[1, 2], &[1, 2], &[1, 2], None, &[1, 2]),
            (&[-1, 2], &[1, 2], &[1, 2], None, &[-1, 2]),
            (&[-1, 2], &[2], &[2], None, &[-1, 2]),
            // A key was made and is not used yet.
            (&[1], &[1, 2], &[1], None, &[1]),
            // Databases from backups.
            (&[1], &[1, 2], &[1, 2], Some("does not list"), &[1, 2]),
            (&[1], &[2], &[2], Some("does not list"), &[-1, 2]),
            (&[1, 2], &[1, 2], &[2], Some("the end of that key"), &[-1, 2]),
            (&[-1, 2], &[3, 2], &[2, 3], Some("does not list"), &[-1, 2, 3]),
        ] {
            let (list, held, latest) = (keys(list), verifiers(held), latest(signed));
            let reason = list.outdated(&held, &latest);
            let said = reason.as_deref().unwrap_or_default();
            assert_eq!(reason.is_some(), word.is_some(), "{list:?}: {said}");
            assert!(said.contains(word.unwrap_or_default()), "{said}");
            assert_eq!(list.taken_over(&held, &latest), Some(keys(after)), "{list:?}");
        }
        assert_eq!(keys(&[1]).taken_over(&verifiers(&[1]), &latest(&[3])), None);
    }

    #[test]
    fn a_lost_list_is_found_in_the_newest_head() {
        let held = verifiers(&[3, 2, 1, 2]);
        assert_eq!(Keys::found(&held, Some(&latest(&[1, 2]))), Some(keys(&[1, 2])));
        assert_eq!(Keys::found(&held, Some(&latest(&[4, 2]))), Some(keys(&[2])));
        assert_eq!(Keys::found(&held, Some(&latest(&[4]))), None);
        assert_eq!(Keys::found(&held, None), Some(keys(&[3])));
        assert_eq!(Keys::found(&[], None), None);
    }
}
