//! With a log of our own: what waits for its record goes to nobody, and what contradicts one neither.
//!
//! The modules that are ours are named in GONOSUMDB here, so that testkit's upstream has them.

use std::io::Cursor;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use gomod::{ModVer, ModulePath};
use policy::Verification;
use proxy::{Checks, Error, Fetching, OwnError};
use store::{Key, Store};
use sumdb::{Kind, Mode, OwnLog, OwnParts};
use testkit::{FakeSumdb, ModuleVersion, Modules};
use tlog::{LogName, Signer, SigningKey};
use tokio_util::sync::CancellationToken;

use crate::verified::{
    NAME, asking, at_once, confirmed_by, is_stored, m, of_database, on_disk, pass_until, recorded,
};
use crate::world::{Choices, M, World, some_modules, start};

const OWN: &str = "sum.corp.example/go";
/// A hash that nothing has.
const OTHER: &str = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
const FILES: [&str; 2] = ["mod", "zip"];

/// A store with a log of its own.
struct Site {
    store: Store,
    state: db::State,
    _folder: tempfile::TempDir,
}

#[derive(Clone, Copy)]
enum Signing {
    Key,
    /// The log is frozen.
    NoKey,
}

impl Site {
    async fn new(store: Store) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = db::State::open(&folder.path().join("state.sqlite")).await.unwrap();
        let site = Self { store, state, _folder: folder };
        OwnLog::create(&site.parts(Signing::Key)).await.unwrap();
        site
    }

    fn parts(&self, signing: Signing) -> OwnParts {
        let name: LogName = OWN.parse().unwrap();
        let key = || Arc::new(SigningKey::from_seed(name.clone(), [7; 32])) as Arc<dyn Signer>;
        let signers = matches!(signing, Signing::Key).then(key).into_iter().collect();
        let (store, state) = (self.store.clone(), self.state.clone());
        OwnParts { name, signers, store, state, clock: sumdb::Clock::new(start) }
    }

    async fn open(&self, signing: Signing) -> OwnLog {
        OwnLog::open(self.parts(signing)).await.unwrap()
    }

    /// The path is recorded in our log alone.
    async fn ours(&self, path: &str, signing: Signing) -> Choices {
        Choices {
            store: self.store.clone(),
            no_sumdb: vec![(path.to_owned(), "test".to_owned())],
            own: Some(self.open(signing).await),
            config: at_once(),
            ..Choices::default()
        }
    }

    /// The path is what everybody's is: confirmed by the public database.
    async fn public(&self, sumdb: &FakeSumdb) -> Choices {
        let own = Some(self.open(Signing::Key).await);
        Choices { store: self.store.clone(), own, ..asking(sumdb, Mode::Require) }
    }

    /// Records something while nobody serves.
    async fn record(&self, module: &ModVer, (zip, go_mod): (&str, &str), kind: Kind) {
        let log = self.open(Signing::Key).await;
        let stop = CancellationToken::new();
        let append = async {
            let logged = log.append(module, zip, go_mod, kind).await;
            stop.cancel();
            logged.unwrap()
        };
        tokio::join!(append, log.run(stop.cancelled()));
    }
}

/// Does something while the log and the passes run.
fn running<'a, T>(world: &'a World, work: impl Future<Output = T> + 'a) -> LocalBoxFuture<'a, T> {
    Box::pin(async {
        let stop = CancellationToken::new();
        let work = async {
            let done = work.await;
            stop.cancel();
            done
        };
        tokio::join!(work, world.proxy.run(stop.clone())).0
    })
}

fn own_error(error: &Error) -> &OwnError {
    match error {
        Error::Own(error) => error,
        other => panic!("not of our log: {other:?}"),
    }
}

fn version(path: &str, version: &str) -> ModVer {
    ModVer::new(ModulePath::parse(path).unwrap(), version.parse().unwrap()).unwrap()
}

/// Other content under the name of a version of `some_modules`.
fn other() -> ModuleVersion {
    let go_mod = "module example.com/m\n\ngo 1.20\n";
    ModuleVersion::new("example.com/m", "v1.0.0").go_mod(go_mod).file("x.go", "package m\n")
}

fn honest() -> ModuleVersion {
    ModuleVersion::new("example.com/m", "v1.0.0")
}

fn hashes(module: &ModVer, content: &ModuleVersion) -> (String, String) {
    let zip = modzip::check(module, Cursor::new(content.zip_bytes().unwrap())).unwrap();
    let go_mod = modzip::Checked::go_mod(module, &content.mod_bytes()).unwrap();
    (zip.h1().to_string(), go_mod.h1().to_string())
}

async fn ask(world: &World, suffix: &str) -> Result<Bytes, Error> {
    let answer = world.ask(&format!("{M}v1.0.0.{suffix}")).await?;
    crate::world::read(answer.body).await
}

/// Neither file of `v1.0.0` is in the store.
async fn none_stored(world: &World) -> bool {
    let module = m("v1.0.0");
    !is_stored(world, &Key::Mod(&module)).await && !is_stored(world, &Key::Zip(&module)).await
}

/// Whether both files of `v1.0.0` were put into the evidence, once.
fn are_evidence(folder: &tempfile::TempDir) -> bool {
    let module = m("v1.0.0");
    let kept = |number: &str, key: Key<'_>| {
        folder.path().join("evidence/damaged").join(number).join(key.path()).exists()
    };
    let both = |number| [kept(number, Key::Mod(&module)), kept(number, Key::Zip(&module))];
    both("1") == [true, true] && both("2") == [false, false]
}

fn by(name: &str, verified: Option<&Verification>) -> bool {
    matches!(verified, Some(Verification::Database { name: found, .. }) if found == name)
}

async fn all_by(name: &str, world: &World, version: &str) -> bool {
    confirmed_by(world, version).await.iter().all(|verified| by(name, verified.as_ref()))
}

/// `v1.0.0` is stored, with this content, and waits for its record: the log is frozen.
async fn waiting(site: &Site, content: ModuleVersion) -> World {
    let world = World::with(some_modules(), site.ours("example.com", Signing::NoKey).await).await;
    world.upstream.change(|modules| modules.add(&content));
    let error = ask(&world, "zip").await.unwrap_err();
    assert!(matches!(own_error(&error), OwnError::Frozen { .. }), "{error}");
    world.settle().await;
    let pending = Some(Verification::Pending);
    assert_eq!(confirmed_by(&world, "v1.0.0").await, [pending.clone(), pending]);
    assert!(is_stored(&world, &Key::Zip(&m("v1.0.0"))).await);
    world.upstream.change(|modules| modules.add(&honest()));
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_its_record_goes_to_nobody_however_often_it_is_asked_for() {
    let site = Site::new(Store::memory()).await;
    let world = waiting(&site, honest()).await;
    let world = world.restarted(site.ours("example.com", Signing::NoKey).await).await;
    for suffix in FILES.repeat(3) {
        for fetching in [Fetching::Allowed, Fetching::CachedOnly] {
            let error = world.ask_as(&format!("{M}v1.0.0.{suffix}"), fetching).await.unwrap_err();
            assert!(matches!(own_error(&error), OwnError::Frozen { .. }), "{suffix}: {error}");
        }
    }
    let world = world.restarted(site.ours("example.com", Signing::Key).await).await;
    running(&world, async {
        assert_eq!(ask(&world, "zip").await.unwrap(), honest().zip_bytes().unwrap());
        assert_eq!(ask(&world, "mod").await.unwrap(), honest().mod_bytes());
    })
    .await;
    assert_eq!(world.upstream.calls("*.zip"), 1);
    assert!(all_by(OWN, &world, "v1.0.0").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn private_bytes_of_a_path_that_is_bound_to_public_are_not_kept() {
    let sumdb = recorded(&some_modules());
    let site = Site::new(Store::memory()).await;
    site.record(&m("v1.10.0"), (OTHER, OTHER), Kind::Public).await;
    // A pattern by mistake: the repository has other content than the public module.
    let world = World::with(some_modules(), site.ours("example.com", Signing::Key).await).await;
    world.upstream.change(|modules| modules.add(&other()));
    let error = running(&world, ask(&world, "zip")).await.unwrap_err();
    assert!(matches!(own_error(&error), OwnError::Bound { .. }), "{error}");
    world.settle().await;
    assert!(none_stored(&world).await);
    assert_eq!(confirmed_by(&world, "v1.0.0").await, [None, None]);
    // The pattern is taken back.
    world.upstream.change(|modules| modules.add(&honest()));
    let world = world.restarted(site.public(&sumdb).await).await;
    assert_eq!(ask(&world, "zip").await.unwrap(), honest().zip_bytes().unwrap());
    assert_eq!(ask(&world, "mod").await.unwrap(), honest().mod_bytes());
    world.settle().await;
    assert!(all_by(NAME, &world, "v1.0.0").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn pending_bytes_of_a_path_that_is_public_now_are_fetched_anew_and_confirmed() {
    let sumdb = recorded(&some_modules());
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(on_disk(&folder)).await;
    let world = waiting(&site, other()).await;
    let world = world.restarted(site.public(&sumdb).await).await;
    for suffix in FILES {
        let refused = world.ask_as(&format!("{M}v1.0.0.{suffix}"), Fetching::CachedOnly).await;
        assert!(matches!(refused, Err(Error::NotHere { .. })), "{suffix}: {refused:?}");
    }
    assert_eq!(ask(&world, "zip").await.unwrap(), honest().zip_bytes().unwrap());
    assert_eq!(ask(&world, "mod").await.unwrap(), honest().mod_bytes());
    world.settle().await;
    assert!(all_by(NAME, &world, "v1.0.0").await);
    assert!(are_evidence(&folder));
}

#[tokio::test(flavor = "multi_thread")]
async fn pending_bytes_that_no_public_database_knows_are_never_served_as_public() {
    let sumdb = recorded(&Modules::new());
    let site = Site::new(Store::memory()).await;
    let world = waiting(&site, honest()).await;
    let world = world.restarted(site.public(&sumdb).await).await;
    for suffix in FILES.repeat(2) {
        let error = ask(&world, suffix).await.unwrap_err();
        let error = of_database(&error);
        assert!(matches!(error, proxy::SumdbError::NotRecorded { .. }), "{suffix}: {error}");
    }
    assert!(none_stored(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pass_takes_pending_files_away_whose_path_is_public_now_and_asks_nobody() {
    let sumdb = recorded(&some_modules());
    let site = Site::new(Store::memory()).await;
    let world = waiting(&site, honest()).await;
    let choices = Choices { config: at_once(), ..site.public(&sumdb).await };
    let world = world.restarted(choices).await;
    pass_until(&world, async || none_stored(&world).await).await;
    assert_eq!(sumdb.calls("*"), 0);
}

/// Files from before there was a log: nobody marked them.
async fn from_before(store: &Store, modules: Modules, paths: &[(&str, &str)]) -> World {
    let no_sumdb = vec![("example.com".to_owned(), "test".to_owned())];
    let choices = Choices { store: store.clone(), no_sumdb, ..Choices::default() };
    let world = World::with(modules, choices).await;
    for (path, version) in paths {
        for suffix in FILES {
            world.get(&format!("/{path}/@v/{version}.{suffix}")).await;
        }
    }
    world.settle().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn what_our_log_contradicts_is_set_aside_when_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(on_disk(&folder)).await;
    let module = m("v1.0.0");
    let world = from_before(&site.store, some_modules(), &[("example.com/m", "v1.0.0")]).await;
    let (zip, go_mod) = hashes(&module, &honest());
    site.record(&module, (&zip, &go_mod), Kind::Private).await;
    // Whoever can write to the folder changes the files, and the facts are gone.
    let tampered = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.path().join("modules/example.com/m/@v").join(name), bytes).unwrap();
    };
    tampered("v1.0.0.mod", &other().mod_bytes());
    tampered("v1.0.0.zip", &other().zip_bytes().unwrap());
    world.store.remove(&Key::Facts(&module)).await.unwrap();
    let world = world.restarted(site.ours("example.com", Signing::NoKey).await).await;
    let cached = world.ask_as(&format!("{M}v1.0.0.mod"), Fetching::CachedOnly).await;
    assert!(matches!(cached, Err(Error::NotHere { .. })), "{cached:?}");
    assert_eq!(ask(&world, "zip").await.unwrap(), honest().zip_bytes().unwrap());
    world.settle().await;
    assert!(by(OWN, confirmed_by(&world, "v1.0.0").await[1].as_ref()));
    assert!(are_evidence(&folder));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pass_sets_a_lone_file_aside_that_our_log_contradicts() {
    let site = Site::new(Store::memory()).await;
    let module = m("v1.0.0");
    let world = from_before(&site.store, some_modules(), &[("example.com/m", "v1.0.0")]).await;
    let (zip, _) = hashes(&module, &honest());
    site.record(&module, (&zip, OTHER), Kind::Private).await;
    world.store.remove(&Key::Zip(&module)).await.unwrap();
    let world = world.restarted(site.ours("example.com", Signing::NoKey).await).await;
    pass_until(&world, async || none_stored(&world).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_agrees_with_our_log_is_served_without_a_mark_and_gets_one() {
    let site = Site::new(Store::memory()).await;
    let module = m("v1.0.0");
    let world = from_before(&site.store, some_modules(), &[("example.com/m", "v1.0.0")]).await;
    let (zip, go_mod) = hashes(&module, &honest());
    site.record(&module, (&zip, &go_mod), Kind::Private).await;
    world.store.remove(&Key::Facts(&module)).await.unwrap();
    let world = world.restarted(site.ours("example.com", Signing::NoKey).await).await;
    for suffix in FILES {
        ask(&world, suffix).await.unwrap();
    }
    assert!(all_by(OWN, &world, "v1.0.0").await);
    assert_eq!(world.upstream.calls("*.zip"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_that_our_log_contradicts_or_refuses_hold_up_no_other() {
    let site = Site::new(Store::memory()).await;
    let (mut modules, mut paths) = (some_modules(), Vec::new());
    for path in ["example.com/a", "example.com/b"] {
        for number in ["v1.0.0", "v1.0.1", "v1.0.2", "v1.0.3"] {
            modules.add(&ModuleVersion::new(path, number));
            paths.push((path, number));
        }
    }
    paths.push(("example.com/m", "v1.0.0"));
    let world = from_before(&site.store, modules, &paths).await;
    for (path, number) in paths.iter().filter(|(path, _)| *path == "example.com/a") {
        site.record(&version(path, number), (OTHER, OTHER), Kind::Private).await;
    }
    site.record(&version("example.com/b", "v1.9.0"), (OTHER, OTHER), Kind::Public).await;
    let world = world.restarted(site.ours("example.com", Signing::Key).await).await;
    pass_until(&world, async || all_by(OWN, &world, "v1.0.0").await).await;
    for (path, number) in paths {
        let module = version(path, number);
        let stays = is_stored(&world, &Key::Zip(&module)).await
            && is_stored(&world, &Key::Mod(&module)).await;
        assert_eq!(stays, path != "example.com/a", "{module}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_log_holds_up_no_public_version_and_a_dead_database_no_private_one() {
    let sumdb = recorded(&some_modules());
    let (mut modules, mut paths) = (some_modules(), Vec::new());
    for number in ["v1.0.0", "v1.0.1", "v1.0.2", "v1.0.3"] {
        modules.add(&ModuleVersion::new("example.com/a", number));
        paths.push(("example.com/a", number));
    }
    paths.push(("example.com/m", "v1.0.0"));
    let site = Site::new(Store::memory()).await;
    let world = from_before(&site.store, modules.clone(), &paths).await;
    let ours = site.ours("example.com/a", Signing::NoKey).await;
    let choices = Choices { own: ours.own, no_sumdb: ours.no_sumdb, ..site.public(&sumdb).await };
    let world = world.restarted(Choices { config: at_once(), ..choices }).await;
    pass_until(&world, async || all_by(NAME, &world, "v1.0.0").await).await;
    // The other way round.
    let site = Site::new(Store::memory()).await;
    let world = from_before(&site.store, modules, &paths).await;
    sumdb.behave("*", testkit::Behaviour::new().status(500));
    let ours = site.ours("example.com/m", Signing::Key).await;
    let choices = Choices { own: ours.own, no_sumdb: ours.no_sumdb, ..site.public(&sumdb).await };
    let world = world.restarted(Choices { config: at_once(), ..choices }).await;
    pass_until(&world, async || all_by(OWN, &world, "v1.0.0").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pending_bytes_that_a_recovered_record_contradicts_are_fetched_anew() {
    let site = Site::new(Store::memory()).await;
    let world =
        waiting(&site, other().go_mod(&String::from_utf8_lossy(&honest().mod_bytes()))).await;
    let (zip, go_mod) = hashes(&m("v1.0.0"), &honest());
    site.record(&m("v1.0.0"), (&zip, &go_mod), Kind::Private).await;
    let world = world.restarted(site.ours("example.com", Signing::Key).await).await;
    running(&world, async {
        assert_eq!(ask(&world, "zip").await.unwrap(), honest().zip_bytes().unwrap());
        assert_eq!(ask(&world, "mod").await.unwrap(), honest().mod_bytes());
    })
    .await;
    world.settle().await;
    assert!(all_by(OWN, &world, "v1.0.0").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_mark_no_file_gets_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(on_disk(&folder)).await;
    // Where the facts would lie is something else.
    let facts = folder.path().join("facts/example.com");
    std::fs::create_dir_all(&facts).unwrap();
    std::fs::write(facts.join("m"), "in the way").unwrap();
    let world = World::with(some_modules(), site.ours("example.com", Signing::NoKey).await).await;
    for suffix in FILES.repeat(2) {
        assert!(ask(&world, suffix).await.is_err(), "{suffix}");
        world.settle().await;
        assert!(none_stored(&world).await, "{suffix}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_from_before_the_log_is_not_marked_by_its_neighbour() {
    let site = Site::new(Store::memory()).await;
    let no_sumdb = vec![("example.com".to_owned(), "test".to_owned())];
    let choices = Choices { store: site.store.clone(), no_sumdb, ..Choices::default() };
    let world = World::with(some_modules(), choices).await;
    ask(&world, "mod").await.unwrap();
    let world = world.restarted(site.ours("example.com", Signing::NoKey).await).await;
    assert!(ask(&world, "zip").await.is_err());
    world.settle().await;
    let [go_mod, zip] = confirmed_by(&world, "v1.0.0").await;
    assert_eq!((go_mod, zip), (Some(Verification::Exempt), Some(Verification::Pending)));
    assert_eq!(ask(&world, "mod").await.unwrap(), honest().mod_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_knows_the_proof_of_what_was_public_before_it_was_ours() {
    let sumdb = recorded(&some_modules());
    let site = Site::new(Store::memory()).await;
    let world = World::with(some_modules(), site.public(&sumdb).await).await;
    for suffix in FILES {
        ask(&world, suffix).await.unwrap();
    }
    world.settle().await;
    let own = site.open(Signing::Key).await;
    let no_sumdb = policy::Private::new(vec![("example.com".to_owned(), "test".to_owned())]);
    let checks = Checks {
        store: &world.store,
        sumdb: &world.sumdb,
        own: Some(&own),
        database: Some(sumdb.name()),
        private: &policy::Private::default(),
        no_sumdb: &no_sumdb,
        at_once: 2,
    };
    let verify = async || proxy::verify(&checks, &|_, _| ()).await.unwrap();
    let report = verify().await;
    assert_eq!((report.confirmed, report.unconfirmed), (2, 0), "{:?}", report.findings);
    assert_eq!(report.findings, []);
    // A proof that is gone is still told, and what the public database says of a private name is not.
    let record = Key::Record(sumdb.name(), &m("v1.0.0")).path();
    let key = Key::Record(sumdb.name(), &m("v1.0.0"));
    assert!(is_stored(&world, &key).await, "{record}");
    world.store.remove(&Key::Facts(&m("v1.0.0"))).await.unwrap();
    assert_eq!(verify().await.unconfirmed, 2);
}
