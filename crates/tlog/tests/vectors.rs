//! Compares the room with verdicts of Go's own packages (`testdata/vectors`).
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of a test")]

use gomod::ModVer;
use tlog::{Lookup, Note, Tile, TreeHead};

const VECTORS: &str = include_str!("../testdata/vectors.jsonl");

/// Returns whether the room takes the text for what `kind` says.
fn accepts(kind: &str, text: &str) -> bool {
    match kind {
        "tile" => Tile::parse(text).is_ok(),
        "head" => TreeHead::parse(text).is_ok(),
        "note" => Note::parse(text.as_bytes()).is_ok(),
        "lookup" => {
            let module = ModVer::new("a.b/C".parse().unwrap(), "v1.0.0".parse().unwrap()).unwrap();
            Lookup::parse(&module, text.as_bytes()).is_ok()
        }
        kind => panic!("no such kind: {kind}"),
    }
}

#[test]
fn verdicts_are_those_of_go() {
    let mut counts = [0, 0];
    for line in VECTORS.lines() {
        let vector: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |field: &str| vector.get(field).and_then(|value| value.as_str()).unwrap();
        let expected = vector.get("OK").and_then(serde_json::Value::as_bool).unwrap();
        assert_eq!(accepts(text("Kind"), text("Text")), expected, "{line}");
        *counts.get_mut(usize::from(expected)).unwrap() += 1;
    }
    assert!(counts.iter().all(|&count| count > 200), "{counts:?}");
}
