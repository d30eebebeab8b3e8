//! Times and memory of one repository: `cargo run --release -p vcs --example measure -- WHERE [TAGS]`.
//! WHERE is a URL, or the folder of a bare repository that is then served over http.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a tool that measures and prints"
)]

use std::time::Instant;

use policy::address::Word;
use testkit::GitServer;
use vcs::{Config, Freshness, Git, Place, Protocols, Remote, RemoteUrl, blocking};

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let place = args.next().unwrap();
    let (server, url) = served(&place);
    let count = args.next().map_or(30, |count| count.parse().unwrap());
    let folder = std::env::temp_dir().join(format!("vcs-measure-{}", std::process::id()));
    let git = Git::open(Config::default(), Place::at(&folder)).await.unwrap();
    println!("git {} {:?}", git.version(), git.warnings());
    let url = RemoteUrl::parse(&url, Protocols { http: true, file: true }).unwrap();
    let remote = git.repository(Remote { url, credential: None, word: Word::Operator });
    let mut clock = Clock(Instant::now());
    let refs = remote.refs(Freshness::Now).await.unwrap();
    clock.lap(&format!("refs: {} heads, {} tags", refs.heads.len(), refs.tags.len()));
    let head = remote.commit("HEAD", Freshness::Known).await.unwrap().unwrap();
    clock.lap(&format!("HEAD is {}", head.id));
    let behind = remote.tags_behind(&head.id).await.unwrap();
    clock.lap(&format!("{} tags behind it", behind.len()));
    let tags: Vec<_> =
        refs.tags.keys().rev().step_by((refs.tags.len() / count).max(1)).take(count).collect();
    for tag in tags {
        let Some(commit) = remote.tag(tag, Freshness::Known).await.unwrap() else { continue };
        let snapshot = remote.snapshot(&commit.id, "").await.unwrap();
        let files = snapshot.entries().len();
        clock.lap(&format!("{tag}: {files} files"));
        let bytes = blocking(move || {
            snapshot.entries().iter().map(|entry| Ok(snapshot.content(entry)?.len())).sum::<Result<
                usize,
                _,
            >>(
            )
        });
        let bytes = bytes.await.unwrap();
        clock.lap(&format!("{tag}: {bytes} bytes read"));
        git.keep_house().await.unwrap();
        clock.lap("housekeeping");
    }
    if let Some(server) = server {
        println!("{} talks, {} fetches", server.talks(), server.fetches());
    }
    println!("{} bytes of mirrors", disk(&folder));
    let _ = std::fs::remove_dir_all(folder);
}

fn served(place: &str) -> (Option<GitServer>, String) {
    let Some((root, name)) = place.strip_prefix('/').and_then(|path| path.rsplit_once('/')) else {
        return (None, place.to_owned());
    };
    let server = GitServer::start(format!("/{root}")).unwrap();
    let url = format!("{}/{name}", server.url());
    (Some(server), url)
}

fn disk(folder: &std::path::Path) -> u64 {
    std::fs::read_dir(folder).unwrap().flatten().fold(0, |sum, entry| {
        let metadata = entry.metadata().unwrap();
        sum + if metadata.is_dir() { disk(&entry.path()) } else { metadata.len() }
    })
}

struct Clock(Instant);

impl Clock {
    fn lap(&mut self, what: &str) {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let memory = |name| {
            status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("?").trim().to_owned()
        };
        let (peak, anonymous) = (memory("VmHWM:"), memory("RssAnon:"));
        println!(
            "{:7.1} ms  {what}  (peak {peak}, own {anonymous})",
            self.0.elapsed().as_secs_f64() * 1e3
        );
        self.0 = Instant::now();
    }
}
