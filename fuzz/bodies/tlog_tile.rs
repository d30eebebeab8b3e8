//! Tile paths: what parses is canonical.

use tlog::Tile;

/// Tries one path.
pub(crate) fn run(data: &[u8]) {
    let Ok(path) = std::str::from_utf8(data) else { return };
    let Ok(tile) = Tile::parse(path) else { return };
    assert_eq!(tile.path(), path);
    assert!((1..=256).contains(&tile.width));
}
