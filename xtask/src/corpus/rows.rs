//! The rows of the corpus.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use gomod::ModVer;

/// Columns of a row; see the first lines of the corpus.
const COLUMNS: usize = 15;

/// A published module version and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) module: ModVer,
    /// `h1:` of the zip.
    pub(crate) h1: String,
    /// `h1:` of the go.mod.
    pub(crate) go_mod_h1: String,
    /// OWNER/NAME.
    pub(crate) repo: String,
    /// Import path of the repository's root.
    pub(crate) code_root: String,
    /// Tag or commit.
    pub(crate) rev: String,
    /// Folder of the module, `.` for the root.
    pub(crate) folder: String,
    /// Beginning of the commit's name.
    pub(crate) commit: String,
    /// Rules that the row exercises.
    pub(crate) corners: Vec<String>,
}

/// Reads all rows.
pub(crate) fn read(file: &Path) -> anyhow::Result<Vec<Row>> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    parse(&text).with_context(|| file.display().to_string())
}

pub(crate) fn parse(text: &str) -> anyhow::Result<Vec<Row>> {
    let lines = text.lines().enumerate();
    let rows = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    rows.map(|(at, line)| row(line).with_context(|| format!("line {}", at + 1))).collect()
}

fn row(line: &str) -> anyhow::Result<Row> {
    let fields: Vec<&str> = line.split('\t').collect();
    ensure!(fields.len() == COLUMNS, "{} columns instead of {COLUMNS}", fields.len());
    let field = |at: usize| fields.get(at).copied().unwrap_or_default().to_owned();
    let row = Row {
        module: ModVer::new(field(1).parse()?, field(2).parse()?)?,
        h1: field(3),
        go_mod_h1: field(4),
        repo: field(5),
        code_root: field(6),
        rev: field(7),
        folder: field(8),
        commit: field(9),
        corners: field(12).split(',').map(str::to_owned).collect(),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let words: Vec<&str> = row.repo.split('/').collect();
    let named = words.iter().all(|word| word.bytes().all(plain) && !word.starts_with('.'));
    ensure!(words.len() == 2 && named, "{} is no OWNER/NAME", row.repo);
    Ok(row)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const LINE: &str = "bulk\tgo.a.test/x/sub\tv1.2.0\th1:zip\th1:mod\tOwner/name\tgo.a.test/x\tsub/v1.2.0\tsub\t0123456789ab\t3\t99\tsubdir,vanity\t-\t1:a/b";

    #[test]
    fn a_row_is_read_by_its_columns() {
        let rows = parse(&format!("# about\n#set\tmodule\n{LINE}\n")).unwrap();
        let [row] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!(row.module.to_string(), "go.a.test/x/sub@v1.2.0");
        assert_eq!((row.h1.as_str(), row.go_mod_h1.as_str()), ("h1:zip", "h1:mod"));
        assert_eq!((row.repo.as_str(), row.code_root.as_str()), ("Owner/name", "go.a.test/x"));
        assert_eq!((row.rev.as_str(), row.folder.as_str()), ("sub/v1.2.0", "sub"));
        assert_eq!(row.commit, "0123456789ab");
        assert_eq!(row.corners, ["subdir", "vanity"]);
    }

    #[test]
    fn broken_rows_are_errors_with_their_line() {
        for (broken, said) in [
            (LINE.replace("\tsubdir,vanity", ""), "14 columns"),
            (LINE.replace("v1.2.0\th1:zip", "v1.2\th1:zip"), "line 2"),
            (LINE.replace("Owner/name", "../name"), "no OWNER/NAME"),
            (LINE.replace("Owner/name", "Owner/name/more"), "no OWNER/NAME"),
        ] {
            let error = format!("{:#}", parse(&format!("#\n{broken}")).unwrap_err());
            assert!(error.contains(said), "{error}");
        }
    }
}
