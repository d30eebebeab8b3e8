//! What every backend of the store keeps, as functions over `&Store`, run for each backend.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a failed step is a failed test"
)]

use std::{future::Future, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, future::join_all};
use gomod::{ModVer, ModulePath, Version};
use store::{
    BUFFER_BYTES, Body, BodyPart, Config, Created, Error, Found, Key, Object, SMALL_BODY_BYTES,
    Staged, Store,
};
use units::{ByteRange, ByteSize};

#[path = "contract/replacing.rs"]
mod replacing;

use replacing::{
    a_list_is_replaced, a_replaced_object_is_bounded, a_synced_body_is_published_as_it_is,
    a_synced_body_replaces_what_is_expected, of_many_replacers_each_step_has_one,
    replace_of_something_immutable_is_refused, replace_with_the_wrong_tag_is_refused,
};

/// Runs each check against a store in memory and one on disk.
macro_rules! contract {
    ($($check:ident,)*) => {
        mod memory { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() { super::$check(&store::Store::memory()).await; }
        )* }
        mod disk { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                let folder = tempfile::tempdir().unwrap();
                let store = store::Store::disk(folder.path(), &super::config()).unwrap();
                super::$check(&store).await;
                super::scratch_empties(folder.path()).await;
            }
        )* }
    };
}

contract! {
    one_of_sixteen_creators_wins,
    nothing_is_read_before_create,
    a_dropped_stage_leaves_nothing,
    a_dropped_create_leaves_all_or_nothing,
    exists_returns_the_first_body,
    replace_with_the_wrong_tag_is_refused,
    replace_of_something_immutable_is_refused,
    a_synced_body_is_published_as_it_is,
    a_synced_body_replaces_what_is_expected,
    a_replaced_object_is_bounded,
    of_many_replacers_each_step_has_one,
    a_list_is_replaced,
    a_follower_sees_growth_and_end,
    a_follower_survives_publication_and_drop,
    a_follower_of_a_dropped_stage_ends,
    an_announced_length_reaches_followers,
    a_follower_reader_reads_and_seeks,
    bodies_of_all_sizes_come_back,
    a_range_is_a_part_of_the_body,
    bytes_are_capped,
    a_removed_object_is_a_miss,
    an_open_body_outlives_removal,
    a_quarantined_object_is_evidence,
    versions_need_zip_and_info,
    a_walk_finds_all_that_is_stored,
    a_name_too_long_is_a_miss_and_cannot_be_created,
    evidence_is_created_once,
    a_written_chunk_counts_once_when_dropped,
    publications_are_counted,
}

fn config() -> Config {
    Config { min_free: ByteSize(0), ..Config::default() }
}

/// The same bytes, cut.
fn pattern_part(len: u64, part: std::ops::Range<u64>) -> Bytes {
    pattern(len).slice(usize::try_from(part.start).unwrap()..usize::try_from(part.end).unwrap())
}

/// Waits until no scratch file is left: unlinking runs in the background.
async fn scratch_empties(folder: &std::path::Path) {
    let scratch = folder.join("scratch");
    within(async {
        while std::fs::read_dir(&scratch).unwrap().next().is_some() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work).await.unwrap()
}

fn module(path: &str, version: &str) -> ModVer {
    ModVer::new(ModulePath::parse(path).unwrap(), Version::parse(version).unwrap()).unwrap()
}

fn any() -> ModVer {
    module("example.com/Any/thing", "v1.2.3")
}

/// Bytes that differ from place to place.
fn pattern(len: u64) -> Bytes {
    (0..len).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect::<Vec<_>>().into()
}

async fn staged(store: &Store, body: &Bytes) -> Staged {
    let mut staged = store.stage().await.unwrap();
    for at in (0..body.len()).step_by(50_000) {
        staged.write(body.slice(at..body.len().min(at + 50_000))).await.unwrap();
    }
    staged
}

async fn create(store: &Store, key: &Key<'_>, body: &Bytes) -> Created {
    store.create(key, staged(store, body).await).await.unwrap()
}

async fn read(store: &Store, key: &Key<'_>) -> Option<Bytes> {
    let object = store.open(key, None).await.unwrap()?;
    Some(object.bytes(u64::MAX).await.unwrap())
}

fn part_bytes(part: &BodyPart) -> Bytes {
    use std::os::unix::fs::FileExt;
    match part {
        BodyPart::Memory(bytes) => bytes.clone(),
        BodyPart::File { file, offset, len } => {
            let mut bytes = vec![0; usize::try_from(*len).unwrap()];
            file.read_exact_at(&mut bytes, *offset).unwrap();
            bytes.into()
        }
    }
}

fn existing(created: Created) -> Object {
    match created {
        Created::Exists(object) => object,
        Created::New(_) => panic!("was new"),
    }
}

async fn one_of_sixteen_creators_wins(store: &Store) {
    let module = any();
    for len in [10, SMALL_BODY_BYTES + 1, BUFFER_BYTES as u64 + 1] {
        let name = format!("race-{len}");
        let tries = (0..16_u64).map(|n| {
            let (store, name) = (store.clone(), name.clone());
            tokio::spawn(
                async move { create(&store, &Key::Evidence(&name), &pattern(len + n)).await },
            )
        });
        let results: Vec<_> = join_all(tries).await.into_iter().map(Result::unwrap).collect();
        let winners: Vec<_> =
            results.iter().filter(|created| matches!(created, Created::New(_))).collect();
        let [Created::New(winner)] = winners[..] else { panic!("{} winners", winners.len()) };
        for created in &results {
            let (Created::New(object) | Created::Exists(object)) = created;
            assert_eq!(object.len(), winner.len());
            assert_eq!(object.tag, winner.tag);
        }
        assert_eq!(read(store, &Key::Evidence(&name)).await.unwrap().len() as u64, winner.len());
    }
    assert!(read(store, &Key::Zip(&module)).await.is_none());
}

async fn nothing_is_read_before_create(store: &Store) {
    let module = any();
    for len in [10, 3 * BUFFER_BYTES as u64] {
        let mut body = staged(store, &pattern(len)).await;
        body.flush().await.unwrap();
        assert!(store.open(&Key::Zip(&module), None).await.unwrap().is_none());
        store.create(&Key::Zip(&module), body).await.unwrap();
        assert_eq!(read(store, &Key::Zip(&module)).await.unwrap(), pattern(len));
        store.remove(&Key::Zip(&module)).await.unwrap();
    }
}

async fn a_dropped_stage_leaves_nothing(store: &Store) {
    let mut body = staged(store, &pattern(3 * BUFFER_BYTES as u64)).await;
    body.flush().await.unwrap();
    drop(body);
    drop(staged(store, &pattern(3 * BUFFER_BYTES as u64)).await);
    let mut walk = store.walk().await.unwrap();
    assert_eq!(walk.next().await.unwrap(), None);
}

async fn a_dropped_create_leaves_all_or_nothing(store: &Store) {
    for polls in 0..8 {
        for len in [100, 2 * BUFFER_BYTES as u64] {
            let name = format!("dropped-{polls}-{len}");
            let key = Key::Evidence(&name);
            let mut create = Box::pin(store.create(&key, staged(store, &pattern(len)).await));
            for _poll in 0..polls {
                if create.as_mut().now_or_never().is_some() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(create);
            match read(store, &key).await {
                None => {}
                Some(body) => assert_eq!(body, pattern(len)),
            }
            // Whatever became of it, the name works as ever.
            let again = create_len(store, &key, 7).await;
            let stands = read(store, &key).await.unwrap().len() as u64;
            assert!(stands == len || (stands == 7 && again), "{stands}");
        }
    }
}

/// Creates; true: it was new.
async fn create_len(store: &Store, key: &Key<'_>, len: u64) -> bool {
    matches!(create(store, key, &pattern(len)).await, Created::New(_))
}

async fn exists_returns_the_first_body(store: &Store) {
    let module = any();
    let key = Key::Mod(&module);
    let Created::New(first) = create(store, &key, &pattern(20)).await else { panic!("exists") };
    let second = existing(create(store, &key, &pattern(30)).await);
    assert_eq!(second.bytes(100).await.unwrap(), pattern(20));
    assert_eq!((second.tag, second.modified), (first.tag, first.modified));
    assert_eq!(read(store, &key).await.unwrap(), pattern(20));
}

async fn a_follower_sees_growth_and_end(store: &Store) {
    let len = 5 * BUFFER_BYTES as u64 + 17;
    let body = pattern(len);
    let mut staged = store.stage().await.unwrap();
    let mut follower = staged.follower();
    assert_eq!(follower.visible(), 0);
    let reading = tokio::spawn(async move {
        let (mut seen, mut got) = (0, Vec::new());
        loop {
            let (visible, done) = follower.more_than(seen).await;
            while seen < visible {
                let part = follower.body(seen, visible - seen);
                seen += part.len();
                got.extend_from_slice(&part_bytes(&part));
            }
            if done {
                return got;
            }
        }
    });
    for at in (0..body.len()).step_by(9_999) {
        staged.write(body.slice(at..body.len().min(at + 9_999))).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(staged.written(), len);
    staged.finish().await.unwrap();
    assert_eq!(within(reading).await.unwrap(), body);
}

async fn a_follower_survives_publication_and_drop(store: &Store) {
    let module = any();
    for len in [1000, SMALL_BODY_BYTES * 2, 3 * BUFFER_BYTES as u64] {
        let body = staged(store, &pattern(len)).await;
        let mut follower = body.follower();
        let created = store.create(&Key::Zip(&module), body).await.unwrap();
        assert_eq!(within(follower.more_than(len)).await, (len, true));
        drop(created);
        store.remove(&Key::Zip(&module)).await.unwrap();
        assert_eq!(part_bytes(&follower.body(0, len)), pattern(len));
        assert_eq!(part_bytes(&follower.body(len - 5, 50)), pattern_part(len, len - 5..len));
    }
}

async fn a_follower_of_a_dropped_stage_ends(store: &Store) {
    for len in [1000, 3 * BUFFER_BYTES as u64] {
        let mut body = staged(store, &pattern(len)).await;
        body.flush().await.unwrap();
        let mut follower = body.follower();
        let waiting = tokio::spawn(async move { (follower.more_than(len).await, follower) });
        drop(body);
        let (end, follower) = within(waiting).await.unwrap();
        assert_eq!(end, (len, true));
        assert_eq!(part_bytes(&follower.body(0, len)), pattern(len));
    }
}

async fn an_announced_length_reaches_followers(store: &Store) {
    let mut body = store.stage().await.unwrap();
    let follower = body.follower();
    assert_eq!(follower.expected(), None);
    body.expect(1234);
    assert_eq!(follower.expected(), Some(1234));
}

async fn a_follower_reader_reads_and_seeks(store: &Store) {
    use std::io::{Read, Seek, SeekFrom};
    for len in [1000, 3 * BUFFER_BYTES as u64] {
        let mut body = staged(store, &pattern(len)).await;
        body.flush().await.unwrap();
        let mut reader = body.follower().reader();
        body.write(Bytes::from_static(b"more")).await.unwrap();
        let read = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).unwrap();
            assert_eq!(reader.seek(SeekFrom::End(-10)).unwrap(), len - 10);
            let mut tail = Vec::new();
            reader.read_to_end(&mut tail).unwrap();
            assert_eq!(reader.seek(SeekFrom::Start(3)).unwrap(), 3);
            assert_eq!(reader.seek(SeekFrom::Current(4)).unwrap(), 7);
            assert!(reader.seek(SeekFrom::Current(-8)).is_err());
            let mut one = [0];
            reader.read_exact(&mut one).unwrap();
            (all, tail, one)
        });
        let (all, tail, one) = read.await.unwrap();
        assert_eq!(all, pattern(len), "the end does not move");
        assert_eq!(tail, pattern_part(len, len - 10..len));
        assert_eq!(one[0], pattern(len)[7]);
    }
}

async fn bodies_of_all_sizes_come_back(store: &Store) {
    let module = any();
    let key = Key::Zip(&module);
    let buffer = BUFFER_BYTES as u64;
    for len in [
        0,
        1,
        SMALL_BODY_BYTES - 1,
        SMALL_BODY_BYTES,
        SMALL_BODY_BYTES + 1,
        buffer - 1,
        buffer,
        buffer + 1,
        4 * buffer + 3,
    ] {
        let Created::New(object) = create(store, &key, &pattern(len)).await else {
            panic!("{len}")
        };
        assert_eq!(object.bytes(len).await.unwrap(), pattern(len), "{len}");
        let object = store.open(&key, None).await.unwrap().unwrap();
        assert_eq!((object.len(), object.whole()), (len, len));
        assert_eq!(part_bytes(&object.part()), pattern(len), "{len}");
        if len <= SMALL_BODY_BYTES {
            assert!(matches!(object.body, Body::Memory(_)), "{len}");
        }
        store.remove(&key).await.unwrap();
    }
}

async fn a_range_is_a_part_of_the_body(store: &Store) {
    let module = any();
    let key = Key::Zip(&module);
    let len = 3 * SMALL_BODY_BYTES;
    create(store, &key, &pattern(len)).await;
    let small = SMALL_BODY_BYTES;
    for (start, end, got) in [
        (0, len, 0..len),
        (5, 9, 5..9),
        (1, small + 2, 1..small + 2),
        (len - 3, len + 100, len - 3..len),
        (len + 5, len + 9, len..len),
    ] {
        let object = store.open(&key, Some(ByteRange { start, end })).await.unwrap().unwrap();
        let wanted = pattern_part(len, got.clone());
        assert_eq!(object.bytes(len).await.unwrap(), wanted, "{start}..{end}");
        assert_eq!(part_bytes(&object.part()), wanted, "{start}..{end}");
        assert_eq!(object.range(), ByteRange { start: got.start, end: got.end });
        assert_eq!((object.len(), object.whole()), (got.end - got.start, len));
    }
}

async fn bytes_are_capped(store: &Store) {
    let module = any();
    for len in [10, 2 * SMALL_BODY_BYTES] {
        create(store, &Key::Mod(&module), &pattern(len)).await;
        let object = store.open(&Key::Mod(&module), None).await.unwrap().unwrap();
        assert!(object.bytes(len).await.is_ok());
        assert!(matches!(object.bytes(len - 1).await, Err(Error::TooLarge { .. })));
        store.remove(&Key::Mod(&module)).await.unwrap();
    }
}

async fn a_removed_object_is_a_miss(store: &Store) {
    let module = any();
    let key = Key::Info(&module);
    store.remove(&key).await.unwrap();
    create(store, &key, &pattern(9)).await;
    store.remove(&key).await.unwrap();
    assert!(read(store, &key).await.is_none());
    assert!(create_len(store, &key, 8).await);
}

async fn an_open_body_outlives_removal(store: &Store) {
    let module = any();
    let key = Key::Zip(&module);
    let len = 2 * SMALL_BODY_BYTES;
    create(store, &key, &pattern(len)).await;
    let object = store.open(&key, None).await.unwrap().unwrap();
    store.remove(&key).await.unwrap();
    create(store, &key, &pattern(3)).await;
    assert_eq!(object.bytes(len).await.unwrap(), pattern(len));
}

async fn a_quarantined_object_is_evidence(store: &Store) {
    let module = any();
    let key = Key::Zip(&module);
    assert_eq!(store.quarantine(&key).await.unwrap(), None);
    let mut names = Vec::new();
    for len in [5, 6] {
        create(store, &key, &pattern(len)).await;
        let name = store.quarantine(&key).await.unwrap().unwrap();
        assert!(read(store, &key).await.is_none());
        assert_eq!(read(store, &Key::Evidence(&name)).await.unwrap(), pattern(len));
        names.push(name);
    }
    assert_ne!(names[0], names[1]);
}

async fn versions_need_zip_and_info(store: &Store) {
    let path = ModulePath::parse("example.com/Many").unwrap();
    assert!(store.versions(&path).await.unwrap().is_empty());
    for version in ["v1.10.0", "v1.9.0", "v1.2.0-RC1"] {
        let module = module(path.as_str(), version);
        create(store, &Key::Info(&module), &pattern(5)).await;
        create(store, &Key::Zip(&module), &pattern(6)).await;
    }
    let (info_only, zip_only) = (module(path.as_str(), "v1.3.0"), module(path.as_str(), "v1.4.0"));
    create(store, &Key::Info(&info_only), &pattern(1)).await;
    create(store, &Key::Zip(&zip_only), &pattern(1)).await;
    store.replace(&Key::ListFile(&path), Bytes::new(), None).await.unwrap();
    // A module below this one is another module.
    let below = module("example.com/Many/more", "v1.0.0");
    create(store, &Key::Info(&below), &pattern(1)).await;
    create(store, &Key::Zip(&below), &pattern(1)).await;
    let versions = store.versions(&path).await.unwrap();
    let texts: Vec<_> = versions.iter().map(Version::as_str).collect();
    assert_eq!(texts, ["v1.2.0-RC1", "v1.9.0", "v1.10.0"]);
}

async fn a_walk_finds_all_that_is_stored(store: &Store) {
    let whole = module("example.com/Whole", "v1.0.0");
    for key in [Key::Info(&whole), Key::Mod(&whole), Key::Zip(&whole), Key::ZipHash(&whole)] {
        create(store, &key, &pattern(3)).await;
    }
    store.replace(&Key::Facts(&whole), pattern(2), None).await.unwrap();
    store.replace(&Key::ListFile(whole.path()), pattern(2), None).await.unwrap();
    let below = module("example.com/Whole/below", "v1.1.0");
    create(store, &Key::Mod(&below), &pattern(3)).await;
    let lost = module("example.com/lost", "v1.0.0");
    store.replace(&Key::Facts(&lost), pattern(2), None).await.unwrap();
    create(store, &Key::Evidence("no/part/of/it"), &pattern(1)).await;

    let mut walk = store.walk().await.unwrap();
    let mut found = Vec::new();
    while let Some(one) = within(walk.next()).await.unwrap() {
        match one {
            Found::Version { module, info, go_mod, zip, zip_hash, facts } => {
                let here = [info, go_mod, zip, zip_hash, facts].map(u8::from);
                found.push((module.to_string(), here));
            }
            Found::Stranger(path) => panic!("stranger {}", path.display()),
        }
    }
    assert_eq!(found.last().unwrap().0, "example.com/lost@v1.0.0", "lone facts come last");
    found.sort();
    let expected = [
        ("example.com/Whole/below@v1.1.0".to_owned(), [0, 1, 0, 0, 0]),
        ("example.com/Whole@v1.0.0".to_owned(), [1, 1, 1, 1, 1]),
        ("example.com/lost@v1.0.0".to_owned(), [0, 0, 0, 0, 1]),
    ];
    assert_eq!(found, expected);
}

async fn a_name_too_long_is_a_miss_and_cannot_be_created(store: &Store) {
    let long = "x".repeat(300);
    let key = Key::Evidence(&long);
    assert!(store.open(&key, None).await.unwrap().is_none());
    let refused = store.create(&key, staged(store, &pattern(1)).await).await;
    assert!(matches!(refused, Err(Error::LongName { .. })), "{refused:?}");
    store.remove(&key).await.unwrap();
    assert_eq!(store.quarantine(&key).await.unwrap(), None);
}

async fn evidence_is_created_once(store: &Store) {
    let key = Key::Evidence("example.com/x@v1.0.0.zip/1");
    assert!(create_len(store, &key, 5).await);
    assert!(!create_len(store, &key, 6).await);
}

async fn a_written_chunk_counts_once_when_dropped(store: &Store) {
    let mut body = store.stage().await.unwrap();
    let chunk = pattern(100_000);
    let mut whole = 0;
    for _round in 0..40 {
        // Dropped at its first await, or finished: then the chunk was taken.
        if body.write(chunk.clone()).now_or_never().is_some() {
            whole += 100_000;
        }
        assert_eq!(body.written(), whole);
        tokio::task::yield_now().await;
    }
    let module = any();
    store.create(&Key::Zip(&module), body).await.unwrap();
    let got = read(store, &Key::Zip(&module)).await.unwrap();
    assert_eq!(got.len() as u64, whole);
    assert!(got.chunks(100_000).all(|got| got == chunk));
}

async fn publications_are_counted(store: &Store) {
    let mut registry = prometheus_client::registry::Registry::with_prefix("larder");
    store.metrics().register(&mut registry);
    let module = any();
    create(store, &Key::Info(&module), &pattern(9)).await;
    create(store, &Key::Info(&module), &pattern(9)).await;
    store.replace(&Key::Facts(&module), pattern(5), None).await.unwrap();
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for outcome in ["new", "exists", "replaced"] {
        let line = format!("larder_store_publications_total{{outcome=\"{outcome}\"}} 1");
        assert!(text.contains(&line), "{line} in\n{text}");
    }
    assert!(text.contains("larder_store_published_bytes_total 14"), "{text}");
}
