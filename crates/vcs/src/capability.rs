//! Whether git is here, and whether it is fit to meet strangers.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
};

use crate::{Error, command::Git, run::Finished};

/// Where Debian and its kin say which packages are installed.
const DPKG_STATUS: &str = "/var/lib/dpkg/status";
/// Longest such list that is looked at.
const MAX_STATUS_LINES: usize = 2_000_000;

/// Releases that have the fixes of July 2025 (CVE-2025-48384 to 48386, 27613, 27614), newest first:
/// each is the first good one of its line.
const FIXED: [[u32; 3]; 8] = [
    [2, 50, 1],
    [2, 49, 1],
    [2, 48, 2],
    [2, 47, 3],
    [2, 46, 4],
    [2, 45, 4],
    [2, 44, 4],
    [2, 43, 7],
];

/// Runs git for its version and for what larder cannot do without.
///
/// Returns the version, and what the operator should be told.
pub(crate) async fn probe(
    version: Git,
    mut configured: Git,
) -> Result<(String, Vec<String>), Error> {
    let said = text(version.into_run().finish().await)?;
    let version = said.trim().trim_start_matches("git version ").to_owned();
    // Credentials travel in these variables (git 2.31); an older git would not see them, nor that
    // hooks are off.
    configured.args(&["config", "--get", "larder.probe"]).set("larder.probe", "here");
    let probed = text(configured.into_run().finish().await).unwrap_or_default();
    if probed.trim() != "here" {
        let why = format!("git {version} takes no configuration from its environment (2.31 does)");
        return Err(Error::mirror("repositories", why));
    }
    let mut warnings = Vec::new();
    if !crate::run::is_watched() {
        let what = "there is no /bin/sh: a running git goes on for a while when larder is killed";
        warnings.push(what.to_owned());
    }
    if !is_fixed(&version) {
        let package = crate::blocking::blocking(|| Ok(package(Path::new(DPKG_STATUS)))).await?;
        if !package.as_deref().is_some_and(is_backported) {
            warnings.push(format!(
                "git {version} lacks the security fixes of July 2025 (2.43.7, 2.47.3, 2.50.1 and \
                 others have them): update it, it reads what strangers send"
            ));
        }
    }
    Ok((version, warnings))
}

fn text(finished: Result<Finished, crate::run::Stopped>) -> Result<String, Error> {
    let failed = |why: String| Error::mirror("repositories", why);
    let finished = finished.map_err(|stopped| failed(stopped.to_string()))?;
    if !finished.status.success() {
        return Err(failed(format!("git does not work: {}", finished.stderr)));
    }
    Ok(String::from_utf8_lossy(&finished.stdout).into_owned())
}

/// `2.39.5`, `2.39.5 (Apple Git-154)`, `2.51.0.rc1`.
fn is_fixed(version: &str) -> bool {
    let mut parts = version.split(['.', ' ', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = [0; 3].map(|_: u32| parts.next().unwrap_or(0));
    let [major, minor, _] = version;
    let line = FIXED.iter().find(|[first, second, _]| (*first, *second) == (major, minor));
    match line {
        Some(fixed) => version >= *fixed,
        None => [major, minor] > [2, 50],
    }
}

/// The installed version of the package `git`, where there is such a list.
fn package(status: &Path) -> Option<String> {
    let mut lines = BufReader::new(File::open(status).ok()?).lines().take(MAX_STATUS_LINES);
    lines.by_ref().map_while(Result::ok).find(|line| line == "Package: git")?;
    let rest = lines.map_while(Result::ok).take_while(|line| !line.is_empty());
    rest.into_iter().find_map(|line| line.strip_prefix("Version: ").map(str::to_owned))
}

/// Whether a package carries a distribution's security updates: `1:2.39.5-0+deb12u3`,
/// `1:2.43.0-1ubuntu7.3`. Which fixes exactly only the distribution's tracker knows.
fn is_backported(package: &str) -> bool {
    let number = |text: &str| text.chars().next().is_some_and(|first| ('1'..='9').contains(&first));
    let debian = package.split_once("+deb").and_then(|(_, rest)| rest.split_once('u'));
    let ubuntu = package.split_once("ubuntu").and_then(|(_, rest)| rest.split_once('.'));
    debian.or(ubuntu).is_some_and(|(_, update)| number(update))
}

#[cfg(test)]
mod tests {
    use super::{is_backported, is_fixed, package};

    #[test]
    fn versions_are_judged_by_their_line() {
        for (version, fixed) in [
            ("2.39.5", false),
            ("2.43.6", false),
            ("2.43.7", true),
            ("2.44.3", false),
            ("2.47.3", true),
            ("2.48.1", false),
            ("2.50.0", false),
            ("2.50.1 (Apple Git-155)", true),
            ("2.51.0.rc1", true),
            ("3.0.0", true),
            ("nonsense", false),
        ] {
            assert_eq!(is_fixed(version), fixed, "{version}");
        }
    }

    #[test]
    fn packages_show_their_backports() {
        for (package, backported) in [
            ("1:2.39.5-0+deb12u3", true),
            ("1:2.39.2-1.1", false),
            ("1:2.43.0-1ubuntu7.3", true),
            ("1:2.43.0-1ubuntu7", false),
            ("1:2.39.5-0+deb12u0", false),
        ] {
            assert_eq!(is_backported(package), backported, "{package}");
        }
    }

    #[test]
    fn the_list_of_packages_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("status");
        std::fs::write(
            &file,
            "Package: gitk\nVersion: 1\n\nPackage: git\nStatus: x\nVersion: 1:2.3\n\n",
        )
        .unwrap();
        assert_eq!(package(&file).as_deref(), Some("1:2.3"));
        assert_eq!(package(&folder.path().join("absent")), None);
    }
}
