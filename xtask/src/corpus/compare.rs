//! A row against what larder answers.

use std::io::Cursor;

use serde::Deserialize;

use super::ask;
use super::rows::Row;

/// Longest part of an error text that is shown.
const MAX_SHOWN: usize = 400;

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Equal,
    Differs(Vec<Difference>),
}

/// One value that is not the row's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) what: &'static str,
    pub(crate) expected: String,
    pub(crate) got: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Info {
    version: String,
    origin: Origin,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Origin {
    hash: String,
}

/// Asks for the three files of a version.
pub(crate) fn check(port: u16, row: &Row) -> Outcome {
    let (path, version) = (row.module.path().escaped(), row.module.version().escaped());
    let file = |kind: &str| body(port, &format!("/{path}/@v/{version}.{kind}"));
    let mut found = Found::default();
    match file("info").map(|body| serde_json::from_slice::<Info>(&body)) {
        Ok(Ok(info)) => {
            found.compare("version", row.module.version().as_str(), Ok(info.version));
            found.compare("commit", &row.commit, Ok(short(&info.origin.hash, row)));
        }
        Ok(Err(error)) => found.compare("info", "", Ok(format!("no info: {error}"))),
        Err(said) => found.compare("info", row.module.version().as_str(), Err(said)),
    }
    let go_mod = file("mod").map(|body| modzip::h1_of_mod(&body).to_string());
    found.compare("go.mod", &row.go_mod_h1, go_mod);
    found.compare("zip", &row.h1, file("zip").map(|body| zip(row, body)));
    if found.0.is_empty() { Outcome::Equal } else { Outcome::Differs(found.0) }
}

#[derive(Debug, Default)]
struct Found(Vec<Difference>);

impl Found {
    fn compare(&mut self, what: &'static str, expected: &str, got: Result<String, String>) {
        if !got.as_ref().is_ok_and(|got| got == expected) {
            let got = got.unwrap_or_else(|said| said);
            self.0.push(Difference { what, expected: expected.to_owned(), got });
        }
    }
}

/// As many digits as the row has.
fn short(hash: &str, row: &Row) -> String {
    hash.get(..row.commit.len()).unwrap_or(hash).to_owned()
}

/// By the rules of zips, not the hash alone: `go` would look at them too.
fn zip(row: &Row, body: Vec<u8>) -> String {
    match modzip::check(&row.module, Cursor::new(body)) {
        Ok(checked) => checked.h1().to_string(),
        Err(error) => format!("no zip: {error}"),
    }
}

fn body(port: u16, path: &str) -> Result<Vec<u8>, String> {
    let answer = ask::get(port, path).map_err(|error| format!("{error:#}"))?;
    if answer.status == 200 {
        return Ok(answer.body);
    }
    let text = String::from_utf8_lossy(&answer.body);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    Err(format!("{} {}", answer.status, text.chars().take(MAX_SHOWN).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use super::super::rows;
    use super::*;

    const GO_MOD: &str = "module go.a.test/x/sub\n";
    const INFO: &str = r#"{"Version":"v1.2.0","Origin":{"Hash":"0123456789abcdef"}}"#;

    /// Answers as many questions as the check has, by the path's ending.
    fn serve(info: &'static str, go_mod: &'static str, zip: Option<Vec<u8>>) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for _ in 0..3 {
                let (mut stream, _) = listener.accept().unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let asked = lines.next().unwrap().unwrap();
                while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
                let (status, body) = match asked.split(' ').nth(1).unwrap().rsplit('.').next() {
                    Some("info") => ("200 OK", info.as_bytes().to_vec()),
                    Some("mod") => ("200 OK", go_mod.as_bytes().to_vec()),
                    _ => {
                        zip.clone().map_or(("502 No", b"no\n git".to_vec()), |zip| ("200 OK", zip))
                    }
                };
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(&body).unwrap();
            }
        });
        port
    }

    /// The row of [`rows::tests::LINE`] with the hashes of what is served, and that zip.
    fn row() -> (Row, Vec<u8>) {
        let line = rows::tests::LINE;
        let mut row = rows::parse(line).unwrap().remove(0);
        let mut zip = Vec::new();
        let mut packer = modzip::Packer::new(&row.module);
        let file = modzip::Packed::new(GO_MOD.as_bytes());
        packer.add("go.mod", &file, &mut zip).unwrap();
        row.h1 = packer.finish(&mut zip).unwrap().to_string();
        row.go_mod_h1 = modzip::h1_of_mod(GO_MOD.as_bytes()).to_string();
        (row, zip)
    }

    fn differing(outcome: &Outcome) -> Vec<&str> {
        let Outcome::Differs(found) = outcome else { return Vec::new() };
        found.iter().map(|difference| difference.what).collect()
    }

    #[test]
    fn the_published_version_is_equal() {
        let (row, zip) = row();
        assert_eq!(check(serve(INFO, GO_MOD, Some(zip)), &row), Outcome::Equal);
    }

    #[test]
    fn every_other_value_is_a_difference() {
        let (row, zip) = row();
        let other = r#"{"Version":"v1.2.1","Origin":{"Hash":"fedcba9876543210"}}"#;
        let outcome = check(serve(other, "module other\n", Some(zip.clone())), &row);
        assert_eq!(differing(&outcome), ["version", "commit", "go.mod"]);
        let published = Row { h1: "h1:other".to_owned(), ..row };
        let outcome = check(serve(INFO, GO_MOD, Some(zip)), &published);
        assert_eq!(differing(&outcome), ["zip"]);
    }

    #[test]
    fn an_error_and_a_broken_zip_are_differences() {
        let (row, mut zip) = row();
        let outcome = check(serve(INFO, GO_MOD, None), &row);
        let Outcome::Differs(found) = &outcome else { panic!("{outcome:?}") };
        assert_eq!(found[0].got, "502 no git");
        assert_eq!(differing(&outcome), ["zip"]);
        zip.truncate(40);
        assert_eq!(differing(&check(serve(INFO, GO_MOD, Some(zip)), &row)), ["zip"]);
    }
}
