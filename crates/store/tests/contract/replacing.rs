//! Objects whose content changes, and bodies that are durable before they have a name.

use bytes::Bytes;
use futures_util::{FutureExt, future::join_all};
use store::{BUFFER_BYTES, Created, Error, Key, MAX_REPLACED_BYTES, Store};

use super::{any, pattern, read, staged, within};

pub(crate) async fn replace_with_the_wrong_tag_is_refused(store: &Store) {
    let module = any();
    let key = Key::Facts(&module);
    let first = store.replace(&key, pattern(1), None).await.unwrap();
    let refused = store.replace(&key, pattern(2), None).await;
    assert!(matches!(&refused, Err(Error::Changed { current: Some(tag) }) if *tag == first));
    let second = store.replace(&key, pattern(3), Some(&first)).await.unwrap();
    assert_eq!(store.open(&key, None).await.unwrap().unwrap().tag, second);
    let refused = store.replace(&key, pattern(4), Some(&first)).await;
    assert!(matches!(&refused, Err(Error::Changed { current: Some(tag) }) if *tag == second));
    assert_eq!(read(store, &key).await.unwrap(), pattern(3));
    store.remove(&key).await.unwrap();
    let refused = store.replace(&key, pattern(5), Some(&second)).await;
    assert!(matches!(refused, Err(Error::Changed { current: None })));
}

pub(crate) async fn replace_of_something_immutable_is_refused(store: &Store) {
    let module = any();
    let refused = store.replace(&Key::Zip(&module), pattern(1), None).await;
    assert!(matches!(refused, Err(Error::Immutable { .. })));
    assert!(read(store, &Key::Zip(&module)).await.is_none());
}

pub(crate) async fn a_synced_body_is_published_as_it_is(store: &Store) {
    let module = any();
    let key = Key::Zip(&module);
    let buffer = BUFFER_BYTES as u64;
    for len in [0, 1, buffer - 1, buffer, 3 * buffer + 1] {
        let body = pattern(len);
        let mut synced = staged(store, &body).await;
        // Dropped half-way, and asked again.
        drop(synced.sync().now_or_never());
        synced.sync().await.unwrap();
        synced.sync().await.unwrap();
        assert_eq!(synced.written(), len);
        assert!(read(store, &key).await.is_none(), "{len}");
        assert!(matches!(store.create(&key, synced).await.unwrap(), Created::New(_)), "{len}");
        assert_eq!(read(store, &key).await.unwrap(), body, "{len}");
        store.remove(&key).await.unwrap();
    }
    let mut dropped = staged(store, &pattern(7)).await;
    dropped.sync().await.unwrap();
    drop(dropped);
    assert!(read(store, &key).await.is_none());
}

pub(crate) async fn a_synced_body_replaces_what_is_expected(store: &Store) {
    let module = any();
    let key = Key::Facts(&module);
    let first = store.replace(&key, pattern(1), None).await.unwrap();
    for (len, expected) in [(2, true), (3, false), (BUFFER_BYTES as u64 + 1, true)] {
        let mut synced = staged(store, &pattern(len)).await;
        synced.sync().await.unwrap();
        let current = store.open(&key, None).await.unwrap().unwrap().tag;
        let tag = if expected { &current } else { &first };
        let replaced = store.replace_staged(&key, synced, Some(tag)).await;
        match replaced {
            Ok(tag) => assert_eq!(store.open(&key, None).await.unwrap().unwrap().tag, tag),
            Err(Error::Changed { current: Some(other) }) if !expected => assert_eq!(other, current),
            Err(error) => panic!("{len}: {error}"),
        }
    }
    assert_eq!(read(store, &key).await.unwrap(), pattern(BUFFER_BYTES as u64 + 1));
    let past = staged(store, &pattern(MAX_REPLACED_BYTES + 1)).await;
    let refused = store.replace_staged(&key, past, None).await;
    assert!(matches!(refused, Err(Error::TooLarge { cap: MAX_REPLACED_BYTES, .. })));
    let body = staged(store, &pattern(1)).await;
    let refused = store.replace_staged(&Key::Zip(&module), body, None).await;
    assert!(matches!(refused, Err(Error::Immutable { .. })));
}

pub(crate) async fn a_replaced_object_is_bounded(store: &Store) {
    let module = any();
    let key = Key::ListFile(module.path());
    let past = Bytes::from(vec![b'x'; usize::try_from(MAX_REPLACED_BYTES).unwrap() + 1]);
    let at = past.slice(1..);
    let refused = store.replace(&key, past, None).await;
    assert!(matches!(refused, Err(Error::TooLarge { cap: MAX_REPLACED_BYTES, .. })));
    store.replace(&key, at, None).await.unwrap();
    assert_eq!(store.open(&key, None).await.unwrap().unwrap().len(), MAX_REPLACED_BYTES);
}

pub(crate) async fn of_many_replacers_each_step_has_one(store: &Store) {
    let adders = (0..8_u8).map(|_adder| {
        let (store, module) = (store.clone(), any());
        tokio::spawn(async move {
            let key = Key::Facts(&module);
            loop {
                let current = store.open(&key, None).await.unwrap();
                let count = match &current {
                    Some(object) => object.bytes(1).await.unwrap()[0],
                    None => 0,
                };
                let tag = current.map(|object| object.tag);
                match store.replace(&key, Bytes::from(vec![count + 1]), tag.as_ref()).await {
                    Ok(_) => break,
                    Err(Error::Changed { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        })
    });
    within(join_all(adders)).await.into_iter().for_each(Result::unwrap);
    let module = any();
    assert_eq!(&read(store, &Key::Facts(&module)).await.unwrap()[..], [8]);
}

pub(crate) async fn a_list_is_replaced(store: &Store) {
    let module = any();
    let key = Key::ListFile(module.path());
    let tag = store.replace(&key, Bytes::from_static(b"v1.0.0\n"), None).await.unwrap();
    store.replace(&key, Bytes::from_static(b"v1.0.0\nv1.1.0\n"), Some(&tag)).await.unwrap();
    assert_eq!(read(store, &key).await.unwrap(), "v1.0.0\nv1.1.0\n");
}
