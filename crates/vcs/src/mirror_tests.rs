use std::{fs, time::Duration};

use gix::hash::Kind;

use super::{Mirror, Mode};
use crate::Refs;

#[test]
fn a_new_mirror_is_what_git_takes_for_a_repository() {
    for kind in [Kind::Sha1, Kind::Sha256] {
        for mode in [Mode::Partial, Mode::Full] {
            let folder = tempfile::tempdir().unwrap();
            let mirror = Mirror::new(folder.path().join("m"));
            assert_eq!(mirror.inspect().unwrap(), None);
            mirror.create(kind, mode).unwrap();
            assert_eq!(mirror.inspect().unwrap(), Some((kind, mode)));
            let git = std::process::Command::new("git")
                .args(["rev-parse", "--show-object-format", "--is-bare-repository"])
                .env("GIT_DIR", mirror.folder())
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(git.stdout).unwrap(), format!("{kind}\ntrue\n"));
            mirror.remove().unwrap();
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
            mirror.remove().unwrap();
        }
    }
}

#[test]
fn refs_are_replaced_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let mirror = Mirror::new(folder.path().join("m"));
    mirror.create(Kind::Sha1, Mode::Full).unwrap();
    assert_eq!(mirror.read_refs().unwrap(), None);
    let hex = "a".repeat(40);
    let refs =
        Refs::parse_advertisement(format!("{hex}\trefs/heads/main\n").as_bytes(), 9).unwrap();
    mirror.write_refs(&refs).unwrap();
    mirror.write_refs(&refs).unwrap();
    assert_eq!(mirror.read_refs().unwrap(), Some(refs));
    fs::write(mirror.folder().join("packed-refs"), "# pack-refs with: sorted \nx").unwrap();
    assert!(mirror.read_refs().is_err());
}

#[tokio::test]
async fn a_lock_is_held_by_one_at_a_time_and_outlives_the_mirror() {
    let folder = tempfile::tempdir().unwrap();
    let mirror = Mirror::new(folder.path().join("m"));
    let locked = mirror.lock(Duration::ZERO).await.unwrap();
    mirror.remove().unwrap();
    assert!(mirror.lock(Duration::from_millis(120)).await.is_err());
    drop(locked);
    assert!(mirror.lock(Duration::ZERO).await.is_ok());
}

#[test]
fn sweeping_takes_leftovers_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let mirror = Mirror::new(folder.path().join("m"));
    mirror.create(Kind::Sha1, Mode::Full).unwrap();
    let pack = mirror.objects().join("pack");
    for name in ["tmp_pack_x", "tmp_idx_x", ".tmp-1-pack-x", "pack-1.pack", "pack-1.idx"] {
        fs::write(pack.join(name), "").unwrap();
    }
    mirror.sweep();
    assert_eq!((fs::read_dir(&pack).unwrap().count(), mirror.packs()), (2, 1));
}
