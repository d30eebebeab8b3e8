//! The key is changed under one name: two sign for a while, and no step can be cut short wrongly.

use std::fs;
use std::sync::Arc;

use db::{KeyState, LogKey};
use store::OwnFile;
use sumdb::{Kind, OwnError, OwnLog, OwnParts, Retired};
use tlog::{LogName, SignedCheckpoint, SignedHead, Signer, SigningKey, VerifierKey};

use crate::site::{NAME, Running, Site, append, assert_extends, audit, grow, key, memory, module};

fn verifier(number: u8) -> VerifierKey {
    key(number).verifier()
}

/// The same store and database with other keys at hand.
fn with(parts: &OwnParts, held: &[u8]) -> OwnParts {
    OwnParts { signers: held.iter().map(|number| key(*number)).collect(), ..parts.clone() }
}

/// A log of 300 records, and its parts with the keys 0 and 1 at hand.
async fn log() -> OwnParts {
    let parts = memory().await;
    let running = Running::start(OwnLog::create(&parts).await.unwrap());
    grow(&running.log, 300).await;
    running.stop().await;
    with(&parts, &[0, 1])
}

/// A log on disk of 300 records.
async fn site() -> Site {
    let site = Site::new();
    let running = site.create().await;
    grow(&running.log, 300).await;
    running.stop().await;
    site
}

/// Which of the keys 0 to 3 signed a head or checkpoint.
fn signed_by(message: &[u8]) -> Vec<u8> {
    let signed = |number: &u8| {
        let key = verifier(*number);
        SignedHead::open(&key, message).is_ok() || SignedCheckpoint::open(&key, message).is_ok()
    };
    (0..4).filter(signed).collect()
}

/// Who signs what the log answers with, and what stands in the store.
async fn signs(log: &OwnLog, parts: &OwnParts, keys: &[u8]) {
    let lookup = log.lookup(&module(0)).await.unwrap().unwrap();
    let lookup = tlog::Lookup::parse(&module(0), &lookup).unwrap();
    let (proven, bundle) = log.prove(&module(1)).await.unwrap().unwrap();
    for number in keys {
        assert_eq!(bundle.verify(&verifier(*number)).as_ref(), Ok(&proven));
    }
    assert_eq!(signed_by(log.head().message().as_bytes()), keys);
    assert_eq!(signed_by(lookup.message.as_bytes()), keys);
    assert_eq!(signed_by(&log.checkpoint()), keys);
    assert_eq!(published(parts).await, [keys, keys]);
}

/// Who signed `latest` and `checkpoint` in the store.
async fn published(parts: &OwnParts) -> [Vec<u8>; 2] {
    let mut signed = [Vec::new(), Vec::new()];
    for (signed, file) in signed.iter_mut().zip([OwnFile::Latest, OwnFile::Checkpoint]) {
        let object = parts.store.open(&store::Key::Own(&parts.name, file), None).await.unwrap();
        *signed = signed_by(&object.unwrap().bytes(1 << 20).await.unwrap());
    }
    signed
}

async fn listed(parts: &OwnParts) -> Vec<LogKey> {
    parts.state.log(NAME).await.unwrap().unwrap().standing().await.unwrap().keys
}

/// `+1` is a key 0 that signs, `-1` the same retired, as a list.
fn list(keys: &[i8]) -> Vec<LogKey> {
    let row = |number: &i8| LogKey {
        key: verifier(number.unsigned_abs() - 1).to_string(),
        state: if *number > 0 { KeyState::Signs } else { KeyState::Retired },
    };
    keys.iter().map(row).collect()
}

/// The log goes on: `keys` sign, and its tree is the one there was.
async fn goes_on(parts: &OwnParts, keys: &[u8]) {
    let log = OwnLog::open(parts.clone()).await.unwrap();
    assert_eq!(log.frozen(), None);
    let before = log.head();
    let running = Running::start(log);
    append(&running.log, before.size()).await.unwrap();
    let log = running.log.clone();
    running.stop().await;
    signs(&log, parts, keys).await;
    assert_extends(&log, before.head()).await;
    assert_eq!(audit(&log).await.len() as u64, before.size() + 1);
}

/// The log only answers, and says why.
async fn frozen(parts: &OwnParts, word: &str) -> OwnLog {
    let log = OwnLog::open(parts.clone()).await.unwrap();
    let reason = log.frozen().unwrap_or_default();
    assert!(reason.contains(word), "{reason:?}");
    let running = Running::start(log);
    let refused = append(&running.log, 9_999).await;
    assert!(matches!(refused, Err(OwnError::Frozen { .. })), "{refused:?}");
    assert_eq!(append(&running.log, 3).await.unwrap().id, 3);
    assert!(running.log.lookup(&module(0)).await.unwrap().is_some());
    let log = running.log.clone();
    running.stop().await;
    log
}

async fn rotate(parts: &OwnParts) {
    OwnLog::rotate(parts, &verifier(1)).await.unwrap();
}

async fn finish(parts: &OwnParts) -> Retired {
    OwnLog::finish_rotation(parts).await.unwrap()
}

#[tokio::test]
async fn both_keys_sign_until_the_older_one_retires() {
    let parts = log().await;
    let before = OwnLog::open(with(&parts, &[0])).await.unwrap();
    signs(&before, &parts, &[0]).await;
    rotate(&parts).await;
    let log = OwnLog::open(parts.clone()).await.unwrap();
    // The newest head is the same tree, and the answers of old look-ups are signed by both at once.
    assert_eq!(log.head().head(), before.head().head());
    signs(&log, &parts, &[0, 1]).await;
    assert_eq!(log.verifier(), &verifier(1), "what clients set");
    assert_eq!(log.verifiers(), [verifier(0), verifier(1)]);
    assert_eq!(listed(&parts).await, list(&[1, 2]));
    goes_on(&parts, &[0, 1]).await;
    let retired = finish(&parts).await;
    assert_eq!(retired, Retired { key: verifier(1), old: vec![verifier(0)] });
    assert_eq!(listed(&parts).await, list(&[-1, 2]));
    // The retired key need not be there, and does nothing if it is.
    goes_on(&parts, &[1]).await;
    goes_on(&with(&parts, &[1]), &[1]).await;
    let old = SignedHead::open(&verifier(0), log.head().message().as_bytes());
    assert!(old.is_ok(), "what was given out stays true for whoever knows the old key");
}

#[tokio::test]
async fn older_heads_stay_as_they_were_signed() {
    let parts = log().await;
    rotate(&parts).await;
    goes_on(&parts, &[0, 1]).await;
    let rows = parts.state.log(NAME).await.unwrap().unwrap();
    let heads = rows.heads(0, 500).await.unwrap();
    let signed: Vec<_> = heads.iter().map(|head| signed_by(head.note.as_bytes())).collect();
    let first = signed.iter().position(|keys| *keys == [0, 1]).unwrap();
    assert!(first > 0 && signed[..first].iter().all(|keys| *keys == [0]), "{signed:?}");
    assert_eq!(signed[first..], [vec![0, 1], vec![0, 1]], "the newest then, and all since");
}

#[tokio::test]
async fn a_third_key_waits_for_the_end_of_the_first() {
    let parts = with(&log().await, &[0, 1, 2]);
    let refused = |word: &'static str| {
        move |done: Result<(), OwnError>| {
            let Err(error @ OwnError::Existence { .. }) = done else { panic!("{done:?}") };
            assert!(error.to_string().contains(word), "{error}");
        }
    };
    refused("already")(OwnLog::rotate(&parts, &verifier(0)).await);
    let stranger: LogName = "other.example".parse().unwrap();
    let stranger = Arc::new(SigningKey::from_seed(stranger, [1; 32])) as Arc<dyn Signer>;
    let mut with_stranger = parts.clone();
    with_stranger.signers.push(Arc::clone(&stranger));
    refused("another name")(OwnLog::rotate(&with_stranger, &stranger.verifier()).await);
    rotate(&parts).await;
    for number in [0, 1, 2] {
        refused("two keys already")(OwnLog::rotate(&parts, &verifier(number)).await);
    }
    assert_eq!(listed(&parts).await, list(&[1, 2]));
    finish(&parts).await;
    // A key that retired never comes back; the next one does come.
    refused("had it before")(OwnLog::rotate(&parts, &verifier(0)).await);
    OwnLog::rotate(&parts, &verifier(2)).await.unwrap();
    assert_eq!(listed(&parts).await, list(&[-1, 2, 3]));
    goes_on(&parts, &[1, 2]).await;
    assert_eq!(finish(&parts).await.old, [verifier(1)]);
    assert_eq!(listed(&parts).await, list(&[-1, -2, 3]));
    goes_on(&with(&parts, &[2]), &[2]).await;
}

#[tokio::test]
async fn a_key_that_the_database_does_not_list_signs_nothing() {
    // Cut short after the key was made: it lies there, and nothing else has happened.
    let parts = log().await;
    goes_on(&parts, &[0]).await;
    rotate(&parts).await;
    goes_on(&parts, &[0, 1]).await;
    // Which of them lies where does not matter.
    goes_on(&with(&parts, &[2, 1, 0]), &[0, 1]).await;
}

#[tokio::test]
async fn without_one_of_two_keys_a_log_only_answers() {
    let parts = log().await;
    rotate(&parts).await;
    for (held, word) in [(0, verifier(1)), (1, verifier(0))] {
        let log = frozen(&with(&parts, &[held]), &format!("{word} is missing")).await;
        assert_eq!(signed_by(log.head().message().as_bytes()), [0, 1]);
        let again = OwnLog::rotate(&with(&parts, &[held]), &verifier(1)).await;
        assert!(matches!(again, Err(OwnError::Frozen { .. })), "{again:?}");
    }
    let without_new = OwnLog::finish_rotation(&with(&parts, &[0])).await;
    assert!(matches!(without_new, Err(OwnError::Frozen { .. })), "{without_new:?}");
    assert_eq!(listed(&parts).await, list(&[1, 2]));
    // The old key is what retires: it may be lost.
    finish(&with(&parts, &[1])).await;
    goes_on(&with(&parts, &[1]), &[1]).await;
}

/// The store as it was before a step, over the database as it is after: what a crash leaves that
/// comes between the two.
#[tokio::test]
async fn a_step_that_was_kept_and_not_published_is_done_again() {
    for again in [false, true] {
        let site = site().await;
        let before = site.back_up("data").await;
        let parts = site.parts().await;
        rotate(&with(&parts, &[0, 1])).await;
        drop(parts);
        site.restore("data", &before);
        let parts = with(&site.parts().await, &[0, 1]);
        assert_eq!(published(&parts).await, [[0], [0]]);
        if again {
            rotate(&parts).await;
            assert_eq!(published(&parts).await, [[0, 1], [0, 1]]);
        }
        // Whoever serves publishes it too.
        goes_on(&parts, &[0, 1]).await;
        drop(parts);
        let before = site.back_up("data").await;
        let parts = site.parts().await;
        finish(&with(&parts, &[0, 1])).await;
        drop(parts);
        site.restore("data", &before);
        let parts = with(&site.parts().await, &[0, 1]);
        assert_eq!(published(&parts).await, [[0, 1], [0, 1]]);
        if again {
            assert_eq!(finish(&parts).await, Retired { key: verifier(1), old: Vec::new() });
            assert_eq!(published(&parts).await, [[1], [1]]);
        }
        goes_on(&parts, &[1]).await;
    }
}

/// A step whose two files were published one without the other.
#[tokio::test]
async fn a_half_published_step_is_done_again() {
    let site = site().await;
    let checkpoint = site.folder.path().join(format!("data/log/{NAME}/@/checkpoint"));
    let before = fs::read(&checkpoint).unwrap();
    let parts = site.parts().await;
    rotate(&with(&parts, &[0, 1])).await;
    drop(parts);
    fs::write(&checkpoint, before).unwrap();
    let parts = with(&site.parts().await, &[0, 1]);
    assert_eq!(published(&parts).await, [vec![0, 1], vec![0]]);
    rotate(&parts).await;
    assert_eq!(published(&parts).await, [[0, 1], [0, 1]]);
}

fn private(_module: &gomod::ModVer) -> Kind {
    Kind::Private
}

async fn recovered(parts: &OwnParts, keys: &[u8]) {
    let recovered = OwnLog::recover(parts, &[], private).await.unwrap();
    let expected: Vec<_> = keys.iter().map(|number| verifier(*number)).collect();
    assert_eq!(recovered.keys, expected);
    goes_on(parts, keys).await;
}

/// A database from before a step over the store from after it.
async fn restored(to: usize) -> (Site, OwnParts) {
    let site = site().await;
    let mut backups = vec![site.back_up("db").await];
    let parts = with(&site.parts().await, &[0, 1]);
    rotate(&parts).await;
    drop(parts);
    backups.push(site.back_up("db").await);
    let parts = with(&site.parts().await, &[0, 1]);
    if to == 1 {
        finish(&parts).await;
    }
    drop(parts);
    site.restore("db", &backups[to]);
    let parts = with(&site.parts().await, &[0, 1]);
    (site, parts)
}

#[tokio::test]
async fn a_database_from_before_the_change_freezes_and_recover_takes_over_both_keys() {
    let (_site, parts) = restored(0).await;
    let log = frozen(&parts, "which the database does not list").await;
    assert_eq!(signed_by(log.head().message().as_bytes()), [0, 1], "what was published goes on");
    for refused in
        [OwnLog::rotate(&parts, &verifier(1)).await, OwnLog::rotate(&parts, &verifier(2)).await]
    {
        assert!(matches!(refused, Err(OwnError::Frozen { .. })), "{refused:?}");
    }
    recovered(&parts, &[0, 1]).await;
    assert_eq!(listed(&parts).await, list(&[1, 2]));
}

#[tokio::test]
async fn a_database_from_before_the_end_freezes_and_recover_retires_the_old_key() {
    let (_site, parts) = restored(1).await;
    let log = frozen(&parts, "the end of that key").await;
    assert_eq!(signed_by(log.head().message().as_bytes()), [1]);
    let again = OwnLog::finish_rotation(&parts).await;
    assert!(matches!(again, Err(OwnError::Frozen { .. })), "{again:?}");
    recovered(&parts, &[1]).await;
    assert_eq!(listed(&parts).await, list(&[-1, 2]));
    // A retired key is no reason, whether it signed what is published or not.
    goes_on(&with(&parts, &[1]), &[1]).await;
}

#[tokio::test]
async fn a_database_from_before_everything_recovers_with_the_new_key_alone() {
    let site = site().await;
    let backup = site.back_up("db").await;
    let parts = with(&site.parts().await, &[0, 1]);
    rotate(&parts).await;
    goes_on(&parts, &[0, 1]).await;
    finish(&parts).await;
    drop(parts);
    site.restore("db", &backup);
    let parts = with(&site.parts().await, &[1]);
    frozen(&parts, "which the database does not list").await;
    recovered(&parts, &[1]).await;
    assert_eq!(listed(&parts).await, list(&[-1, 2]));
}

#[tokio::test]
async fn the_keys_of_a_lost_database_are_found_in_the_newest_head() {
    for (rotated, keys) in [(false, &[0][..]), (true, &[0, 1])] {
        let site = site().await;
        let parts = with(&site.parts().await, &[0, 1]);
        if rotated {
            rotate(&parts).await;
        }
        let head = OwnLog::open(parts.clone()).await.unwrap().head();
        drop(parts);
        site.back_up("db").await;
        fs::remove_dir_all(site.folder.path().join("db")).unwrap();
        // Also when the newer key lies first.
        let parts = with(&site.parts().await, &[1, 0]);
        let found = OwnLog::recover(&parts, &[], private).await.unwrap();
        assert_eq!((found.records, found.restored), (300, 300));
        assert_eq!(OwnLog::open(parts.clone()).await.unwrap().head(), head, "bit by bit");
        goes_on(&parts, keys).await;
    }
}

#[tokio::test]
async fn recover_changes_no_keys_of_a_database_that_is_not_older() {
    let site = site().await;
    let before = site.back_up("data").await;
    let parts = site.parts().await;
    rotate(&with(&parts, &[0, 1])).await;
    drop(parts);
    // Kept, not published.
    site.restore("data", &before);
    let parts = with(&site.parts().await, &[0, 1]);
    let missing = OwnLog::recover(&with(&parts, &[0]), &[], private).await;
    assert!(matches!(missing, Err(OwnError::Existence { .. })), "{missing:?}");
    recovered(&parts, &[0, 1]).await;
}

/// The commands want the data folder for themselves; were one to get past that, nothing is signed
/// by keys that the database does not list.
#[tokio::test]
async fn who_runs_while_keys_change_signs_no_more() {
    let parts = log().await;
    for (held, keys) in [(&[0][..], &[0, 1][..]), (&[0, 1], &[1])] {
        let running = Running::start(OwnLog::open(with(&parts, held)).await.unwrap());
        let size = running.log.head().size();
        append(&running.log, size).await.unwrap();
        if keys.len() == 2 {
            rotate(&parts).await;
        } else {
            finish(&parts).await;
        }
        for number in [7_000, 7_001] {
            let refused = append(&running.log, number).await;
            assert!(matches!(refused, Err(OwnError::Unavailable { .. })), "{refused:?}");
        }
        assert_eq!(published(&parts).await, [keys, keys], "its head of the same size stays here");
        // Opened by the keys from before, and begun after: as after a restart of the sequencer.
        goes_on(&parts, keys).await;
        drop(running);
    }
}

#[tokio::test]
async fn who_opened_before_keys_changed_signs_nothing_afterwards() {
    let parts = log().await;
    let opened = OwnLog::open(with(&parts, &[0])).await.unwrap();
    rotate(&parts).await;
    let running = Running::start(opened);
    let refused = append(&running.log, 300).await;
    let Err(OwnError::Frozen { reason, .. }) = &refused else { panic!("{refused:?}") };
    assert!(reason.contains("keys were changed"), "{reason}");
    running.stop().await;
    assert_eq!(published(&parts).await, [[0, 1], [0, 1]]);
    goes_on(&parts, &[0, 1]).await;
}
