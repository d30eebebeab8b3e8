//! Records, alone and in data tiles: the parts make up the whole.

use gomod::{ModVer, ModulePath, Version};
use tlog::{MAX_RECORD_BYTES, Record, record_hash, split_data_tile};

/// Tries one text as a record and as data tiles of small widths.
pub(crate) fn run(data: &[u8]) {
    for width in 0..4 {
        let Ok(records) = split_data_tile(data, width) else { continue };
        assert_eq!(records.len(), usize::from(width));
        assert!(records.iter().all(|record| record.len() <= MAX_RECORD_BYTES));
        let ended: Vec<String> = records.iter().map(|record| format!("{record}\n")).collect();
        assert_eq!(ended.concat().as_bytes(), data);
    }
    let path = ModulePath::parse("a.b/C").ok();
    let Some((path, version)) = path.zip(Version::parse("v1.0.0").ok()) else { return };
    let (Ok(module), Ok(text)) = (ModVer::new(path, version), std::str::from_utf8(data)) else {
        return;
    };
    let Ok(record) = Record::parse(&module, text) else { return };
    assert_eq!((record.text(), record.hash()), (text, record_hash(data)));
    let plain = Record::new(&module, record.zip_h1(), record.mod_h1());
    assert!(plain.is_ok_and(|plain| {
        plain.text().lines().all(|line| text.lines().any(|other| other == line))
    }));
}
