//! Version control in its place of a chain, and the gate before it.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use gomod::{ModVer, ModulePath, Query, goproxy::Separator::Comma};
use policy::Private;
use store::Staged;
use upstream::{
    Chain, Error, Fetched, Gate, GoMod, Info, Link, LinkKind, Listed, Origin, Trouble, Upstream,
};

use crate::{
    chain,
    fake::{Fake, Routes, not_found, ok, status},
    link, module, path, query, source, staged,
};

/// Stands for version control: counts what it is asked, and answers all of it alike.
#[derive(Debug)]
struct Direct {
    error: Option<Error>,
    asked: AtomicUsize,
    paths: Mutex<Vec<String>>,
}

fn origin() -> Origin {
    Origin(upstream::DIRECT.into())
}

impl Direct {
    fn with(error: Option<Error>) -> Arc<Self> {
        Arc::new(Self { error, asked: AtomicUsize::new(0), paths: Mutex::default() })
    }

    fn down(kind: Trouble) -> Arc<Self> {
        let reason = "no connection".to_owned();
        Self::with(Some(Error::Unavailable { origin: origin(), kind, reason, retry_after: None }))
    }

    fn absent() -> Arc<Self> {
        let (what, text) = ("it".to_owned(), Some("not found: unknown revision".to_owned()));
        Self::with(Some(Error::NotFound { what, origin: origin(), status: 404, text }))
    }

    fn note(&self, path: &ModulePath) -> Result<(), Error> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.paths.lock().unwrap().push(path.to_string());
        self.error.clone().map_or(Ok(()), Err)
    }

    fn count(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn info(path: &ModulePath) -> Result<Info, Error> {
        Info::parse_latest(path, r#"{"Version":"v1.0.0"}"#.into(), origin())
    }
}

#[async_trait::async_trait]
impl Upstream for Direct {
    async fn list(&self, path: &ModulePath) -> Result<Listed, Error> {
        self.note(path)?;
        Ok(Listed { versions: Vec::new(), origin: origin() })
    }

    async fn latest(&self, path: &ModulePath) -> Result<Info, Error> {
        self.note(path)?;
        Self::info(path)
    }

    async fn info(&self, path: &ModulePath, _query: &Query) -> Result<Info, Error> {
        self.note(path)?;
        Self::info(path)
    }

    async fn go_mod(&self, module: &ModVer) -> Result<GoMod, Error> {
        self.note(module.path())?;
        Ok(GoMod { bytes: "module x\n".into(), origin: origin() })
    }

    async fn zip(&self, module: &ModVer, into: &mut Staged) -> Result<Fetched, Error> {
        self.note(module.path())?;
        into.write("PK".into()).await.unwrap();
        Ok(Fetched { size: 2, origin: origin() })
    }

    fn origin(&self) -> Option<Origin> {
        Some(origin())
    }
}

fn direct(source: &Arc<Direct>) -> Link {
    let source = Arc::clone(source) as Arc<dyn Upstream>;
    Link { kind: LinkKind::Direct(Some(source)), fall: Comma }
}

/// A proxy that knows one module, by its list, and version control behind it.
async fn behind_a_proxy(routes: Routes, control: &Arc<Direct>) -> (Fake, Arc<Chain>) {
    let fake = Fake::start(routes).await;
    let links = vec![link(source(&fake.url()), Comma), direct(control)];
    (fake, chain(links))
}

fn knows_m() -> Routes {
    [("a.b/c/m/@v/list", ok("v1.0.0\n")), ("*", not_found("not found: by the proxy"))].into()
}

fn told(error: &Error) -> String {
    match error {
        Error::NotFound { text, .. } => text.clone().unwrap_or_default(),
        Error::Unavailable { reason, .. } => reason.clone(),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn direct_is_asked_when_the_proxies_do_not_know() {
    let control = Direct::with(None);
    let (_fake, chain) = behind_a_proxy(knows_m(), &control).await;
    let unknown = path("a.b/x");
    let listed = chain.list(&unknown).await.unwrap();
    assert_eq!((listed.origin, control.count()), (origin(), 1));
    assert_eq!(chain.list(&path("a.b/c/m")).await.unwrap().versions.len(), 1);
    assert_eq!(control.count(), 1);
}

#[tokio::test]
async fn nobody_is_asked_after_direct() {
    let (control, last) = (Direct::absent(), Fake::always(ok("v1.0.0")).await);
    let both = chain(vec![direct(&control), link(source(&last.url()), Comma)]);
    assert!(both.list(&path("a.b/x")).await.unwrap_err().is_not_found());
    assert_eq!((control.count(), last.count()), (1, 0));
}

#[tokio::test]
async fn what_direct_says_is_told_before_what_a_proxy_did_not_know() {
    let (_fake, chain) = behind_a_proxy(knows_m(), &Direct::absent()).await;
    let error = chain.list(&path("a.b/x")).await.unwrap_err();
    assert_eq!(told(&error), "not found: unknown revision");
}

#[tokio::test]
async fn a_proxy_s_404_stands_below_a_module_while_direct_cannot_be_reached() {
    for kind in [Trouble::Broken, Trouble::Timeout, Trouble::Barred] {
        let (_fake, chain) = behind_a_proxy(knows_m(), &Direct::down(kind)).await;
        for below in ["a.b/c/m/pkg", "a.b/c/m/pkg/deeper"] {
            let error = chain.list(&path(below)).await.unwrap_err();
            assert_eq!(told(&error), "not found: by the proxy", "{below}");
        }
        for other in ["a.b/c/other/pkg", "a.b/c", "a.b"] {
            let error = chain.list(&path(other)).await.unwrap_err();
            assert_eq!(told(&error), "no connection", "{other}");
        }
    }
}

#[tokio::test]
async fn a_module_without_a_list_is_found_by_its_latest_version() {
    let routes = [
        ("a.b/c/m/@latest", ok(r#"{"Version":"v0.0.0-20200102030405-0123456789ab"}"#)),
        ("*", not_found("not found: by the proxy")),
    ];
    let (_fake, chain) = behind_a_proxy(routes.into(), &Direct::down(Trouble::Broken)).await;
    let error = chain.list(&path("a.b/c/m/pkg")).await.unwrap_err();
    assert_eq!(told(&error), "not found: by the proxy");
}

#[tokio::test]
async fn prefixes_are_asked_once_a_minute_and_never_of_direct() {
    let control = Direct::down(Trouble::Broken);
    let (fake, chain) = behind_a_proxy(knows_m(), &control).await;
    for _ in 0..3 {
        assert!(chain.list(&path("a.b/c/x/y")).await.is_err());
    }
    // Each time the path itself; list and latest of three prefixes once.
    assert_eq!((fake.count(), control.count()), (3 + 2 * 3, 3));
    assert!(control.paths.lock().unwrap().iter().all(|path| path == "a.b/c/x/y"));
}

#[tokio::test]
async fn prefixes_beyond_the_bound_are_not_asked() {
    let deep = |elements: usize| path(&format!("a.b/c/m{}", "/p".repeat(elements)));
    for (elements, stands) in [(8, true), (9, false)] {
        let (_fake, chain) = behind_a_proxy(knows_m(), &Direct::down(Trouble::Broken)).await;
        let error = chain.list(&deep(elements)).await.unwrap_err();
        assert_eq!(error.is_not_found(), stands, "{elements}");
    }
}

#[tokio::test]
async fn a_proxy_in_trouble_proves_no_module() {
    let routes = [("a.b/c/m/pkg/@v/list", not_found("no")), ("*", status(500))];
    let (_fake, chain) = behind_a_proxy(routes.into(), &Direct::down(Trouble::Broken)).await;
    let error = chain.list(&path("a.b/c/m/pkg")).await.unwrap_err();
    assert_eq!(told(&error), "no connection");
}

#[tokio::test]
async fn other_errors_of_direct_are_told_as_they_are() {
    let (what, text) = ("it".to_owned(), Some("GOVCS disallows".to_owned()));
    let control = Direct::with(Some(Error::Forbidden { what, origin: origin(), text }));
    let (_fake, chain) = behind_a_proxy(knows_m(), &control).await;
    let error = chain.list(&path("a.b/c/m/pkg")).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden { .. }), "{error:?}");
}

#[tokio::test]
async fn a_pinned_direct_is_asked_first_and_leads_back_to_the_proxies() {
    let control = Direct::absent();
    let (fake, chain) = behind_a_proxy(knows_m(), &control).await;
    let pinned = chain.pinned(&origin());
    assert_eq!(pinned.list(&path("a.b/c/m")).await.unwrap().versions.len(), 1);
    assert_eq!((fake.count(), control.count()), (1, 1));
}

fn gate(chain: Arc<Chain>, control: Option<&Arc<Direct>>) -> Arc<Gate> {
    let list = |text: &str, source: &str| Private::new(vec![(text.to_owned(), source.to_owned())]);
    let control = control.map(|control| Arc::clone(control) as Arc<dyn Upstream>);
    let (private, no_proxy) = (list("corp.com", "GOPRIVATE"), list("slow.org/x", "GONOPROXY"));
    Arc::new(Gate::new(private, no_proxy, chain, control))
}

/// Every question there is.
async fn ask_everything(upstream: &dyn Upstream, name: &str) -> Vec<Option<Error>> {
    let (path, module) = (path(name), module(name, "v1.0.0"));
    let mut into = staged().await;
    vec![
        upstream.list(&path).await.err(),
        upstream.latest(&path).await.err(),
        upstream.info(&path, &query(&path, "v1.0.0")).await.err(),
        upstream.info(&path, &query(&path, "main")).await.err(),
        upstream.go_mod(&module).await.err(),
        upstream.zip(&module, &mut into).await.err(),
    ]
}

#[tokio::test]
async fn private_names_are_asked_of_version_control_only() {
    let fake = Fake::always(ok("v1.0.0")).await;
    for control in [Direct::with(None), Direct::absent(), Direct::down(Trouble::Broken)] {
        let chain = chain(vec![link(source(&fake.url()), Comma), direct(&control)]);
        let first = chain.health()[0].0.clone();
        let gate = gate(chain, Some(&control));
        for name in ["corp.com/secret", "host.internal/secret", "slow.org/x"] {
            assert!(gate.is_private(&path(name)));
            let errors = ask_everything(&*gate, name).await;
            assert!(errors.iter().all(|error| error.is_some() == control.error.is_some()));
            ask_everything(&*gate.pinned(&first), name).await;
        }
        assert_eq!((fake.count(), control.count()), (0, 3 * 2 * 6));
    }
}

#[tokio::test]
async fn public_names_go_to_the_chain() {
    let (fake, control) = (Fake::start(knows_m()).await, Direct::absent());
    let links = vec![link(source(&fake.url()), Comma), direct(&control)];
    let gate = gate(chain(links), Some(&control));
    assert!(!gate.is_private(&path("a.b/c/m")));
    assert_eq!(gate.list(&path("a.b/c/m")).await.unwrap().versions.len(), 1);
    let first = gate.health()[0].0.clone();
    assert_eq!(gate.pinned(&first).list(&path("a.b/c/m")).await.unwrap().versions.len(), 1);
    assert_eq!((fake.count(), control.count(), gate.health().len()), (2, 0, 2));
}

#[tokio::test]
async fn without_git_a_private_name_has_no_source_and_the_reason_says_why() {
    let fake = Fake::always(ok("v1.0.0")).await;
    let gate = gate(chain(vec![link(source(&fake.url()), Comma)]), None);
    for (name, words) in
        [("corp.com/secret", "\"corp.com\" (GOPRIVATE)"), ("slow.org/x", "GONOPROXY")]
    {
        for error in ask_everything(&*gate, name).await {
            let error = error.unwrap();
            assert!(matches!(error, Error::NoSource { direct: true, .. }), "{error:?}");
            let text = error.to_string();
            assert!(text.contains(words) && text.contains("no git"), "{text}");
        }
    }
    assert_eq!(fake.count(), 0);
}
