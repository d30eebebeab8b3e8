use std::sync::Arc;

use policy::address::Word;

use super::Git;
use crate::{
    Config, Freshness, Place, Protocols, Refs, Remote, RemoteUrl, blocking::now, state::State,
};

fn state(git: &Git, name: &str) -> Arc<State> {
    let url = RemoteUrl::parse(&format!("https://example.com/{name}"), Protocols::default());
    let remote = Remote { url: url.unwrap(), credential: None, word: Word::Operator };
    git.repository(remote).state
}

fn tell(state: &State, tags: usize) -> usize {
    let hash = "a".repeat(40);
    let lines: Vec<_> = (0..tags).map(|tag| format!("{hash}\trefs/tags/{tag:04}")).collect();
    let text = lines.join("\n");
    let refs = Refs::parse_advertisement(text.as_bytes(), 10_000).unwrap();
    state.told(refs, Some(now())).weight()
}

#[tokio::test]
async fn lists_of_refs_are_bounded_together_unused_for_longest_first() {
    let folder = tempfile::tempdir().unwrap();
    let git = Git::open(Config::default(), Place::at(folder.path())).await.unwrap();
    let all = ["a", "b", "c"].map(|name| state(&git, name));
    let known = || all.each_ref().map(|state| state.weight().refs > 0);
    let mut one = 0;
    for state in &all {
        one = tell(state, 100);
        assert_eq!(state.weight().refs, one);
    }
    // Used again: no longer the oldest.
    assert!(all[0].refs(Freshness::Known).is_some());
    git.0.trim_to(&all[2], (0, 3 * one));
    assert_eq!(known(), [true, true, true], "at the bound");
    git.0.trim_to(&all[2], (0, 3 * one - 1));
    assert_eq!(known(), [true, false, true], "one past it");
    git.0.trim_to(&all[2], (0, 0));
    assert_eq!(known(), [false, false, true], "never the one in use");
    // What was forgotten is asked for again.
    assert!(all[1].refs(Freshness::Known).is_none());
}
