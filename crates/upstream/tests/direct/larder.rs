//! What larder says of the same repositories.

use std::path::Path;

use gomod::{ModVer, ModulePath, Query};
use outbound::{Client, Config, ProxyEnvironment};
use serde::Deserialize;
use store::{Staged, Store};
use upstream::{
    Discovery, DiscoverySettings, Error, Info, Upstream, VcsParts, VcsSettings, VcsSource,
};

use crate::{
    Case,
    builder::Made,
    oracle::{Answer, Origin},
};

/// What a text of ours begins with, and Go's does not.
const ABSENT: &str = "not found: ";

/// Version control with the repositories of a folder in GitHub's place.
pub(crate) async fn source(folder: &Path, store: Store, settings: VcsSettings) -> VcsSource {
    source_in(folder, &folder.join("mirrors"), store, settings).await
}

/// The same with its mirrors elsewhere.
pub(crate) async fn source_in(
    folder: &Path,
    mirrors: &Path,
    store: Store,
    settings: VcsSettings,
) -> VcsSource {
    source_at(folder, vcs::Place::at(mirrors), store, settings).await
}

/// The same with its mirrors at a place.
pub(crate) async fn source_at(
    folder: &Path,
    place: vcs::Place,
    store: Store,
    settings: VcsSettings,
) -> VcsSource {
    let rewrite = format!("https://github.com/=file://{}/", folder.display());
    let config = vcs::Config { rewrite: vec![rewrite.parse().unwrap()], ..vcs::Config::default() };
    let git = vcs::Git::open(config, place).await.unwrap();
    let client = Client::new(&Config::default(), &ProxyEnvironment::default()).unwrap();
    let discovery = Discovery::new(client.clone(), DiscoverySettings::default()).unwrap();
    VcsSource::new(VcsParts { git, discovery, store, client, settings })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    version: String,
    time: String,
    origin: Origin,
}

/// The answers to everything that the cases ask, in the order of `golden`.
pub(crate) async fn answers(source: &VcsSource, golden: &[Answer]) -> Vec<Answer> {
    let mut answers = Vec::new();
    for theirs in golden {
        let path = ModulePath::parse(&theirs.module).unwrap();
        answers.push(answer(source, &path, &theirs.query).await);
    }
    answers
}

/// Everything that is asked of a case, as questions without answers.
pub(crate) fn questions(cases: &[(Case, Made)]) -> Vec<(String, String)> {
    let questions = cases.iter().flat_map(|(case, made)| {
        case.asked.iter().flat_map(|(module, queries)| {
            queries.iter().map(|query| (module.clone(), made.fill(query)))
        })
    });
    questions.collect()
}

async fn answer(source: &VcsSource, path: &ModulePath, query: &str) -> Answer {
    let (module, asked) = (path.to_string(), query.to_owned());
    let mut answer = Answer { module, query: asked, ..Answer::default() };
    let info = match query {
        "list" => {
            match source.list(path).await {
                Ok(listed) => {
                    answer.versions = listed.versions.iter().map(ToString::to_string).collect();
                }
                Err(error) => answer.error = text(&error),
            }
            return answer;
        }
        "latest" => source.latest(path).await,
        query => source.info(path, &Query::parse(query, path).unwrap()).await,
    };
    match info {
        Ok(info) => fill(source, path, &info, &mut answer).await,
        Err(error) => answer.error = text(&error),
    }
    answer
}

async fn fill(source: &VcsSource, path: &ModulePath, info: &Info, answer: &mut Answer) {
    let told: Told = serde_json::from_slice(&info.bytes).unwrap();
    answer.origin = Some(told.origin.settled(&answer.query, &told.version));
    answer.version = told.version;
    answer.time = told.time;
    let module = ModVer::new(path.clone(), info.version.clone()).unwrap();
    match source.go_mod(&module).await {
        Ok(go_mod) => answer.go_mod = modzip::h1_of_mod(&go_mod.bytes).to_string(),
        Err(error) => answer.error = text(&error),
    }
    match zip(source, &module).await {
        Ok(h1) => answer.zip = h1,
        Err(error) => {
            let text = text(&error);
            text.strip_prefix(&format!("{module}: "))
                .unwrap_or(&text)
                .clone_into(&mut answer.error);
        }
    }
}

/// Builds and checks the zip; its `h1:`.
pub(crate) async fn zip(source: &VcsSource, module: &ModVer) -> Result<String, Error> {
    let mut staged = Store::memory().stage().await.unwrap();
    let fetched = source.zip(module, &mut staged).await?;
    assert_eq!(fetched.size, staged.written());
    staged.finish().await.unwrap();
    Ok(h1(module, &staged))
}

pub(crate) fn h1(module: &ModVer, staged: &Staged) -> String {
    let checked = modzip::check(module, staged.follower().reader()).unwrap();
    checked.h1().to_string()
}

/// What `go` would print; anything but absence is told by its kind.
fn text(error: &Error) -> String {
    match error {
        Error::NotFound { text: Some(text), .. } => {
            text.strip_prefix(ABSENT).unwrap_or(text).to_owned()
        }
        other => format!("{other:?}"),
    }
}

/// Where an answer of ours is not Go's.
pub(crate) fn difference(golden: &Answer, ours: &Answer) -> Option<String> {
    let mut golden = golden.clone();
    let mut ours = ours.clone();
    // What `go` says when its own unpacked copy is no module, or when its search came to nothing,
    // is the client's affair: such a zip is as good as others, such a module has no latest version.
    if !golden.version.is_empty() && golden.error.contains("FOLDER") {
        golden.error.clear();
    }
    if golden.error.contains("no matching versions") && !ours.error.is_empty() {
        ours.error.clone_from(&golden.error);
    }
    if golden.query == "list" && ours.versions.is_empty() {
        ours.error.clear();
    }
    // After a zip that cannot be, `go` tells no hash.
    if golden.error.starts_with("create zip: ") {
        golden.go_mod.clone_from(&ours.go_mod);
    }
    // A name that a terminal would obey is quoted by larder.
    if golden.error.starts_with("create zip: ") && same_reason(&golden.error, &ours.error) {
        ours.error.clone_from(&golden.error);
    }
    (golden != ours).then(|| {
        let (golden, ours) = (lines(&golden), lines(&ours));
        let differ = golden.iter().zip(&ours).filter(|(golden, ours)| golden != ours);
        let shown = differ.map(|(golden, ours)| format!("\n    go's {golden}\n    ours {ours}"));
        format!("{} {}{}", golden[0], golden[1], shown.collect::<String>())
    })
}

fn lines(answer: &Answer) -> [String; 9] {
    let Answer { module, query, versions, version, time, origin, go_mod, zip, error } = answer;
    let (versions, origin) = (versions.join(" "), format!("{origin:?}"));
    [module, query, &versions, version, time, &origin, go_mod, zip, error].map(Clone::clone)
}

/// Whether two refusals of one unprintable name are alike but for the name.
fn same_reason(golden: &str, ours: &str) -> bool {
    let reason = |text: &str| text.find(": malformed").map(|at| text[at..].to_owned());
    ours.starts_with("create zip: \"") && reason(golden) == reason(ours)
}
