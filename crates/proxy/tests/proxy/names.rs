//! What our own log recorded a name as, it stays, whatever the patterns say later.

use proxy::Error;
use sumdb::{Binding, Kind, OwnError};
use testkit::ModuleVersion;

use crate::company::{AT, Company, LOG, P, look_up, named, of_log, private_modules};
use crate::verified::{NAME, is_stored, m};
use crate::world::{Choices, M, World, not_found};

/// The public world offers a version of the private name, and all that is asked of it is heard.
fn squat(company: &Company, world: &World) {
    for (path, version) in [(P, "v1.2.0"), ("git.example/p/v2", "v2.0.0"), (P, "v1.1.0")] {
        let evil = ModuleVersion::new(path, version).file("evil.go", "package p\n");
        world.upstream.change(|modules| modules.add(&evil));
    }
    company.sumdb.add_modules(&world.upstream.modules());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_was_recorded_as_private_stays_so_without_its_pattern() {
    let company = Company::new().await;
    let world = company.world(company.choices()).await;
    look_up(&world, &format!("{P}@v1.0.0")).await.unwrap();
    let world = world.restarted(company.open()).await;
    squat(&company, &world);
    for module in [format!("{P}@v1.2.0"), "git.example/p/v2@v2.0.0".to_owned()] {
        let error = look_up(&world, &module).await.unwrap_err();
        assert_eq!(not_found(&error).0, 404, "{module}");
        let (path, version) = module.split_once('@').unwrap();
        for suffix in ["info", "mod", "zip"] {
            let error = world.near(&format!("/{path}/@v/{version}.{suffix}")).await.unwrap_err();
            assert_eq!(not_found(&error).0, 404, "{module} {suffix}");
        }
        let public = world.near(&format!("/sumdb/{NAME}/lookup/{module}")).await;
        assert!(matches!(public, Err(Error::PrivateLookup { .. })), "{public:?}");
    }
    assert_eq!(company.heard(&world), [""; 0]);
    // Versions that are there come from where they always came from.
    let zip = world.near(&format!("{AT}v1.1.0.zip")).await.unwrap();
    assert_eq!(zip, *private_modules().file("/git.example/p/@v/v1.1.0.zip").unwrap());
    look_up(&world, &format!("{P}@v1.1.0")).await.unwrap();
    assert_eq!(company.heard(&world), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_as_private_is_not_told_to_a_far_caller_without_its_pattern() {
    let company = Company::new().await;
    let world = company.world(company.choices()).await;
    look_up(&world, &format!("{P}@v1.0.0")).await.unwrap();
    let world = world.restarted(company.open()).await;
    let lookup = format!("/sumdb/{LOG}/lookup/{P}@v1.0.0");
    for path in [lookup, format!("{AT}v1.0.0.zip"), format!("{AT}list")] {
        let answer = world.ask(&path).await;
        assert!(matches!(answer, Err(Error::Private { .. })), "{path}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_keeps_its_other_majors_private_at_once() {
    let company = Company::new().await;
    let second = ModuleVersion::new("git.example/p/v2", "v2.0.0");
    company.git.change(|modules| modules.add(&second));
    let choices = Choices { private: named("git.example/p/v2"), ..company.open() };
    let world = company.world(choices).await;
    squat(&company, &world);
    look_up(&world, "git.example/p/v2@v2.0.0").await.unwrap();
    let error = look_up(&world, &format!("{P}@v1.2.0")).await.unwrap_err();
    assert_eq!(not_found(&error).0, 404);
    assert_eq!(company.heard(&world), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_gonosumdb_covers_is_recorded_and_stays_open_to_all() {
    let company = Company::new().await;
    let choices = || Choices { no_sumdb: named("example.com/m"), ..company.open() };
    let world = company.world(choices()).await;
    look_up(&world, "example.com/m@v1.0.0").await.unwrap();
    let binding = company.log.binding(m("v1.0.0").path()).await.unwrap();
    assert_eq!(binding, Some(Binding::Private));
    world.get(&format!("{M}v1.10.0.zip")).await;
    let world = world.restarted(choices()).await;
    world.get(&format!("{M}v1.2.0.zip")).await;
    assert_eq!(company.sumdb.calls("/lookup/*"), 0);
    assert_eq!(company.git.calls("*"), 0);
    // Without it nobody knows what the name is: it is treated as what it was recorded as.
    let world = world.restarted(company.open()).await;
    let far = world.ask(&format!("{M}v1.2.0.zip")).await;
    assert!(matches!(far, Err(Error::Private { .. })), "{far:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_as_public_is_not_fetched_as_private() {
    let company = Company::new().await;
    let world = company.world(company.choices()).await;
    look_up(&world, "example.com/m@v1.0.0").await.unwrap();
    let choices = Choices { private: named("example.com"), ..company.open() };
    let world = world.restarted(choices).await;
    for suffix in ["info", "mod", "zip"] {
        let error = of_log(world.near(&format!("{M}v1.2.0.{suffix}")).await);
        assert!(matches!(error, OwnError::Bound { binding: Binding::Public, .. }), "{error:?}");
    }
    assert!(matches!(
        of_log(look_up(&world, "example.com/m@v1.2.0").await),
        OwnError::Bound { .. }
    ));
    world.settle().await;
    assert_eq!(company.git.calls("*"), 0);
    assert!(!is_stored(&world, &store::Key::Zip(&m("v1.2.0"))).await);
    // What was recorded is answered, and the mistake taken back leaves nothing behind.
    look_up(&world, "example.com/m@v1.0.0").await.unwrap();
    let world = world.restarted(company.choices()).await;
    look_up(&world, "example.com/m@v1.2.0").await.unwrap();
    world.get(&format!("{M}v1.2.0.zip")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_as_public_stays_so_beside_a_private_name() {
    let company = Company::new().await;
    let world = company.world(company.choices()).await;
    look_up(&world, "example.com/m@v1.0.0").await.unwrap();
    let fork = ModuleVersion::new("example.com/m/v3", "v3.0.0");
    company.git.change(|modules| modules.add(&fork));
    let choices = Choices { private: named("example.com/m/v3"), ..company.open() };
    let world = world.restarted(choices).await;
    look_up(&world, "example.com/m/v3@v3.0.0").await.unwrap();
    let world = world.restarted(company.open()).await;
    look_up(&world, "example.com/m@v1.2.0").await.unwrap();
    world.get(&format!("{M}v1.2.0.zip")).await;
    let far = world.ask("/example.com/m/v3/@v/v3.0.0.zip").await;
    assert!(matches!(far, Err(Error::Private { .. })), "{far:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reserved_names_are_public_whatever_the_patterns_say() {
    let company = Company::new().await;
    let names = [
        ("golang.org/toolchain", "v0.0.1-go1.27.3.linux-amd64", Kind::Toolchain),
        ("golang.org/x/text", "v0.9.0", Kind::Public),
    ];
    let choices = Choices { private: named("*"), ..company.open() };
    let world = company.world(choices).await;
    for (path, version, _) in names {
        let inside = ModuleVersion::new(path, version).file("inside.go", "package inside\n");
        company.git.change(|modules| modules.add(&inside));
        world.upstream.change(|modules| modules.add(&ModuleVersion::new(path, version)));
    }
    company.sumdb.add_modules(&world.upstream.modules());
    for (path, version, kind) in names {
        let file = format!("/{path}/@v/{version}.zip");
        let (_, zip) = world.get(&file).await;
        assert_eq!(zip, *world.upstream.modules().file(&file).unwrap());
        let record = look_up(&world, &format!("{path}@{version}")).await.unwrap();
        assert_eq!(record.zip_h1(), testkit::h1_of_zip(&zip).unwrap());
        let module = gomod::ModVer::new(path.parse().unwrap(), version.parse().unwrap()).unwrap();
        assert_eq!(company.log.record(&module).await.unwrap().unwrap().kind, kind);
    }
    assert_eq!(company.git.calls("/golang.org/*"), 0);
}
