//! What a folder does that a server does not.

use std::fs;

use tempfile::TempDir;
use upstream::{Error, FileSource, MAX_INFO_BYTES, Upstream};

use crate::{module, path, query, staged};

fn source(folder: &TempDir) -> FileSource {
    FileSource::new(&format!("file://{}", folder.path().display()), Some("cache")).unwrap()
}

fn write(folder: &TempDir, name: &str, body: &[u8]) {
    let file = folder.path().join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, body).unwrap();
}

#[tokio::test]
async fn what_is_no_regular_file_is_not_there() {
    let folder = TempDir::new().unwrap();
    fs::create_dir_all(folder.path().join("example.com/m/@v/list")).unwrap();
    write(&folder, "example.com/n/@v", b"a file where a folder should be");
    let source = source(&folder);
    for name in ["example.com/m", "example.com/n", "example.com/none"] {
        assert!(source.list(&path(name)).await.unwrap_err().is_not_found(), "{name}");
    }
    let long = format!("example.com/{}", "x".repeat(300));
    assert!(source.list(&path(&long)).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn sizes_are_bounded_and_answers_judged() {
    let folder = TempDir::new().unwrap();
    let size = usize::try_from(MAX_INFO_BYTES + 1).unwrap();
    write(&folder, "example.com/m/@v/v1.0.0.info", &vec![b' '; size]);
    write(&folder, "example.com/m/@v/v1.0.1.info", b"{\"Version\":\"v1.0.0\"}");
    let path = path("example.com/m");
    for version in ["v1.0.0", "v1.0.1"] {
        let error = source(&folder).info(&path, &query(&path, version)).await.unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_zip_comes_in_chunks_and_whole() {
    let folder = TempDir::new().unwrap();
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
    write(&folder, "example.com/m/@v/v1.0.0.zip", &body);
    let mut into = staged().await;
    let fetched = source(&folder).zip(&module("example.com/m", "v1.0.0"), &mut into).await.unwrap();
    assert_eq!((fetched.size, fetched.origin.to_string().as_str()), (3_000_000, "cache"));
    assert_eq!(crate::content(&into), body);
}
