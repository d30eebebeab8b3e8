//! Erased versions: gone from the store, and never fetched, listed or recorded again.

use std::sync::Arc;

use gomod::ModVer;
use proxy::{Checks, Error, OwnError};
use store::Key;
use sumdb::{OwnLog, OwnParts};
use tlog::SigningKey;
use tokio_util::sync::CancellationToken;

use crate::verified::{at_once, is_stored, m, pass_until};
use crate::world::{Choices, M, World, some_modules, start};

const NAME: &str = "log.example";

async fn parts() -> OwnParts {
    let name: tlog::LogName = NAME.parse().unwrap();
    let key = SigningKey::from_seed(name.clone(), [1; 32]);
    OwnParts {
        name,
        signers: vec![Arc::new(key)],
        store: store::Store::memory(),
        state: db::State::memory().await.unwrap(),
        clock: sumdb::Clock::new(start),
    }
}

fn choices(parts: &OwnParts, own: OwnLog) -> Choices {
    Choices {
        config: at_once(),
        store: parts.store.clone(),
        // Looked up in no public database, so recorded in ours.
        no_sumdb: vec![("example.com/m".to_owned(), "test".to_owned())],
        own: Some(own),
        ..Choices::default()
    }
}

/// A world that has served versions, and has ended since.
async fn served(parts: &OwnParts, versions: &[&str]) -> World {
    let own = OwnLog::create(parts).await.unwrap();
    let world = World::with(some_modules(), choices(parts, own)).await;
    let stop = CancellationToken::new();
    let asks = async {
        for version in versions {
            for suffix in ["info", "mod", "zip"] {
                world.get(&format!("{M}{version}.{suffix}")).await;
            }
        }
        assert!(world.text(&format!("{M}list")).await.contains("v1.10.0\n"));
        world.get("/example.com/m/@latest").await;
        world.settle().await;
        stop.cancel();
    };
    tokio::join!(world.proxy.run(stop.clone()), asks);
    world
}

async fn erase(parts: &OwnParts, world: &World, module: &ModVer) -> Option<proxy::Erased> {
    proxy::erase(parts, Some(&world.index), module).await.unwrap()
}

fn assert_erased(asked: &Result<proxy::Answer, Error>, what: &str) {
    let Err(Error::Own(error)) = asked else { panic!("{what}: {asked:?}") };
    assert!(matches!(**error, OwnError::Erased { .. }), "{what}: {error}");
    assert_eq!(error.to_string(), "example.com/m@v1.10.0 was erased by whoever runs this log");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_version_is_gone_and_is_not_asked_for_again() {
    let parts = parts().await;
    let world = served(&parts, &["v1.10.0", "v1.2.0"]).await;
    let module = m("v1.10.0");
    let erased = erase(&parts, &world, &module).await.unwrap();
    let folder = "modules/example.com/m/@v/v1.10.0";
    let expected = ["info", "zip", "ziphash", "mod"].map(|suffix| format!("{folder}.{suffix}"));
    assert_eq!(erased.files[..4], expected);
    assert_eq!(erased.files[4..], ["facts/example.com/m/@v/v1.10.0.json"]);
    assert_eq!(world.index.version(&module).await.unwrap(), None);
    assert!(world.index.version(&m("v1.2.0")).await.unwrap().is_some());
    let list = world.store.open(&Key::ListFile(module.path()), None).await.unwrap().unwrap();
    assert_eq!(list.bytes(100).await.unwrap(), "v1.2.0\n");
    // Again: nothing is left. And what is not recorded is not erased.
    assert_eq!(erase(&parts, &world, &module).await.unwrap().files, [""; 0]);
    assert_eq!(erase(&parts, &world, &m("v1.0.0")).await, None);
    let own = OwnLog::open(parts.clone()).await.unwrap();
    let world = world.restarted(choices(&parts, own)).await;
    let calls = world.upstream.calls("*v1.10.0*");
    for suffix in ["info", "mod", "zip"] {
        let path = format!("{M}v1.10.0.{suffix}");
        assert_erased(&world.ask(&path).await, &path);
        assert_erased(&world.ask(&path).await, &path);
    }
    let lookup = format!("/sumdb/{NAME}/lookup/example.com/m@v1.10.0");
    assert_erased(&world.ask(&lookup).await, &lookup);
    assert_eq!(world.upstream.calls("*v1.10.0*"), calls, "nobody was asked");
    // The source still knows it.
    let list = world.text(&format!("{M}list")).await;
    assert_eq!(list, "v1.0.0\nv1.2.0\nv2.0.0-rc.1+incompatible\n");
    assert_erased(&world.ask("/example.com/m/@latest").await, "latest");
    for suffix in ["info", "mod", "zip"] {
        world.get(&format!("{M}v1.2.0.{suffix}")).await;
    }
    assert!(!is_stored(&world, &Key::Zip(&module)).await);
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "a backup is put back")]
async fn files_that_a_backup_brings_back_are_not_served_and_are_told() {
    let parts = parts().await;
    let last = "v2.0.0-rc.1+incompatible";
    let world = served(&parts, &["v1.0.0", "v1.10.0", "v1.2.0", last]).await;
    let erased = ["v1.0.0", "v1.10.0", "v1.2.0"].map(m);
    for module in &erased {
        let keys = [Key::Info(module), Key::Mod(module), Key::Zip(module)];
        let mut bodies = Vec::new();
        for key in &keys {
            let object = world.store.open(key, None).await.unwrap().unwrap();
            bodies.push(object.bytes(1 << 20).await.unwrap());
        }
        erase(&parts, &world, module).await.unwrap();
        for (key, body) in keys.iter().zip(bodies) {
            let mut staged = world.store.stage().await.unwrap();
            staged.write(body).await.unwrap();
            world.store.create(key, staged).await.unwrap();
        }
    }
    let own = OwnLog::open(parts.clone()).await.unwrap();
    let world = world.restarted(choices(&parts, own.clone())).await;
    for suffix in ["info", "mod", "zip"] {
        let path = format!("{M}v1.10.0.{suffix}");
        assert_erased(&world.ask(&path).await, &path);
    }
    // They are so many that they would end a pass that counts them as failures.
    let last = m(last);
    world.store.remove(&Key::Facts(&last)).await.unwrap();
    pass_until(&world, async || is_stored(&world, &Key::Facts(&last)).await).await;
    let checks = Checks {
        store: &world.store,
        sumdb: &world.sumdb,
        own: Some(&own),
        database: None,
        private: &policy::Private::default(),
        no_sumdb: &policy::Private::new(vec![("example.com/m".into(), "test".into())]),
        at_once: 1,
    };
    let report = proxy::verify(&checks, &|_, _| ()).await.unwrap();
    assert_eq!((report.confirmed, report.findings.len()), (2, 6), "{report:?}");
    assert!(report.findings.iter().all(|finding| finding.reason.contains("erased")));
    for module in &erased {
        erase(&parts, &world, module).await.unwrap();
    }
    let report = proxy::verify(&checks, &|_, _| ()).await.unwrap();
    assert_eq!((report.confirmed, report.findings.len()), (2, 0), "{report:?}");
}
