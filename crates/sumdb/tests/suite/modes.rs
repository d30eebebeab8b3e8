//! What happens while the database cannot be asked, and when none is to be.

use std::time::Duration;

use policy::Verification;
use sumdb::{Asking, Error, Mode, Sumdb};
use testkit::{Behaviour, Lie};

use crate::world::{World, confirm, content, figure, lookup, name, unrecorded};

#[tokio::test]
async fn without_a_database_or_with_the_mode_off_nobody_is_asked() {
    let mut world = World::with(10).await;
    let module = world.module(1);
    world.config.mode = Mode::Off;
    let off = world.open().await;
    let mut parts = world.parts();
    parts.databases.clear();
    parts.config.mode = Mode::Require;
    let none = Sumdb::open(parts).await.unwrap();
    for sumdb in [off, none] {
        assert_eq!(sumdb.confirming(), None);
        for record in [sumdb.record(&module).await, sumdb.record_now(&module).await] {
            let record = record.unwrap();
            assert!(record.is_open() && record.expected().is_none());
            let verified = record.confirm(&content(&module)).unwrap();
            assert_eq!(verified.by(), &Verification::Off);
        }
        assert_eq!(figure(&sumdb, "sumdb_confirmations_total{outcome=\"off\"}"), 2);
    }
    assert_eq!(world.fake.calls("*"), 0);
}

#[tokio::test]
async fn with_the_mode_off_clients_are_answered_all_the_same() {
    let mut world = World::with(10).await;
    let module = world.module(1);
    world.config.mode = Mode::Off;
    let sumdb = world.open().await;
    assert!(lookup(&sumdb, &module, Asking::Anyone).await.is_ok());
}

#[tokio::test]
async fn exempt_modules_are_confirmed_without_asking() {
    let world = World::with(10).await;
    let sumdb = world.open().await;
    let record = sumdb.exempt(&unrecorded(1));
    assert!(!record.is_open());
    let verified = record.confirm(&content(&unrecorded(1))).unwrap();
    assert_eq!(verified.by(), &Verification::Exempt);
    assert_eq!(world.fake.calls("*"), 0);
    assert_eq!(figure(&sumdb, "sumdb_confirmations_total{outcome=\"exempt\"}"), 1);
}

#[tokio::test]
async fn an_unreachable_database_is_an_error_or_a_first_use() {
    let mut world = World::with(10).await;
    let (known, module) = (world.module(1), world.module(2));
    confirm(&world.open().await, &known).await.unwrap();
    world.fake.behave("*", Behaviour::new().status(503));
    let require = world.open().await;
    let error = require.record(&module).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");

    world.config.mode = Mode::TrustOnFirstUse;
    let trust = world.open().await;
    let record = trust.record(&module).await.unwrap();
    assert!(record.is_open() && record.expected().is_none());
    assert_eq!(record.confirm(&content(&module)).unwrap().by(), &Verification::FirstUse);
    let error = trust.record_now(&module).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    // What was proven before is not a matter of trust.
    let record = trust.record(&known).await.unwrap();
    assert!(!record.is_open() && record.expected().is_some());

    world.fake.be_honest();
    let verified = trust.record_now(&module).await.unwrap().confirm(&content(&module)).unwrap();
    assert!(matches!(verified.by(), Verification::Database { .. }));
}

#[tokio::test]
async fn silence_is_unreachable() {
    let mut world = World::with(10).await;
    world.config.mode = Mode::TrustOnFirstUse;
    let module = world.module(1);
    world.fake.behave("*", Behaviour::silent());
    let sumdb = world.open().await;
    // The room's own limit is ten seconds for the first byte.
    let record = tokio::time::timeout(Duration::from_secs(25), sumdb.record(&module)).await;
    assert!(record.unwrap().unwrap().is_open());
}

#[tokio::test]
async fn trust_on_first_use_excuses_no_lie_and_no_absence() {
    let mut world = World::with(10).await;
    world.config.mode = Mode::TrustOnFirstUse;
    let module = world.module(1);
    for lie in [Lie::BadSignature, Lie::UnknownSigner, Lie::WrongHash, Lie::OtherModule] {
        world.fake.be_honest();
        world.fake.lie(lie.clone());
        let error = world.open().await.record(&module).await.unwrap_err();
        let expected = matches!(error, Error::Invalid { .. } | Error::Misbehaved { .. });
        assert!(expected, "{lie:?}: {error:?}");
    }
    world.fake.be_honest();
    let error = world.open().await.record(&unrecorded(2)).await.unwrap_err();
    assert!(matches!(error, Error::NotRecorded { .. }), "{error:?}");
}

#[tokio::test]
async fn without_a_state_nothing_is_believed() {
    let mut world = World::with(10).await;
    let module = world.module(1);
    assert!(world.open().await.has_state());
    world.state = None;
    let sumdb = world.open().await;
    assert!(!sumdb.has_state());
    let error = sumdb.record(&module).await.unwrap_err();
    assert!(matches!(error, Error::Kept { .. }), "{error:?}");
    assert!(error.to_string().contains("no state"), "{error}");
    assert!(sumdb.refresh(&name()).await.is_err());
    assert!(lookup(&sumdb, &module, Asking::Anyone).await.is_err());
    world.config.mode = Mode::TrustOnFirstUse;
    let record = world.open().await.record(&module).await.unwrap();
    assert!(record.is_open());
}

#[tokio::test]
async fn a_state_that_fails_is_our_own_fault() {
    let mut world = World::with(10).await;
    world.config.mode = Mode::TrustOnFirstUse;
    let module = world.module(1);
    let sumdb = world.open().await;
    world.state.as_ref().unwrap().close().await;
    let error = sumdb.record(&module).await.unwrap_err();
    assert!(matches!(error, Error::Kept { .. }), "{error:?}");
    assert_eq!(sumdb.head(&name()).await, None, "never used before it is kept");
    assert!(matches!(Sumdb::open(world.parts()).await, Err(Error::Kept { .. })));
}

#[tokio::test]
async fn a_stored_head_of_another_key_is_not_taken_over() {
    let world = World::with(10).await;
    confirm(&world.open().await, &world.module(1)).await.unwrap();
    let mut parts = world.parts();
    let seed = tlog::SigningKey::from_seed(name(), [9; 32]);
    parts.databases[0].key = seed.verifier();
    let error = Sumdb::open(parts).await.unwrap_err();
    assert!(error.to_string().contains("the stored tree head"), "{error}");
}
