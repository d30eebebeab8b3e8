//! From what git said to what it means.

use secrecy::{ExposeSecret as _, SecretString};

use crate::{Error, RemoteUrl, remote::Scheme, run::Stopped, space::Shortage};

/// What a failed run was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// No such repository, or hidden.
    Refused,
    /// Not now.
    Unavailable,
    /// A rule of ours.
    Forbidden,
    /// Broken objects.
    Broken,
    /// The remote does not know, or does not give, an object that was asked for by name.
    NotGiven,
    /// Our disk or our git.
    Ours,
}

/// Texts of git and ssh under `LC_ALL=C`, first match counts. Lines of the remote are not looked
/// at, but where the remote is what refuses: `remote: Repository not found`.
const TEXTS: [(&str, Meaning); 34] = [
    ("not our ref", Meaning::NotGiven),
    ("Server does not allow request for unadvertised object", Meaning::NotGiven),
    ("no such remote ref", Meaning::NotGiven),
    ("remote error: want ", Meaning::NotGiven),
    ("filter 'blob:none' not supported", Meaning::NotGiven),
    ("repository corruption on the remote side", Meaning::Unavailable),
    ("fsck error", Meaning::Broken),
    ("invalid index-pack output", Meaning::Broken),
    ("index-pack failed", Meaning::Broken),
    ("did not send all necessary objects", Meaning::Broken),
    ("inflate returned", Meaning::Broken),
    ("SHA1 COLLISION", Meaning::Broken),
    ("bad object", Meaning::Broken),
    ("mismatched algorithms", Meaning::Broken),
    ("No space left on device", Meaning::Ours),
    ("Permission denied (", Meaning::Refused),
    ("could not read Username", Meaning::Refused),
    ("could not read Password", Meaning::Refused),
    ("Authentication failed", Meaning::Refused),
    ("returned error: 401", Meaning::Refused),
    ("returned error: 403", Meaning::Refused),
    ("returned error: 404", Meaning::Refused),
    ("returned error: 410", Meaning::Refused),
    ("fatal: repository '", Meaning::Refused),
    ("does not appear to be a git repository", Meaning::Refused),
    ("ERROR: Repository not found", Meaning::Refused),
    ("ERROR: The project you were looking for", Meaning::Refused),
    ("not allowed", Meaning::Forbidden),
    ("strange hostname", Meaning::Forbidden),
    ("strange pathname", Meaning::Forbidden),
    ("Host key verification failed", Meaning::Unavailable),
    ("unable to create", Meaning::Ours),
    ("unable to write", Meaning::Ours),
    ("cannot open", Meaning::Ours),
];

/// Judges the complaints of a run that failed.
pub(crate) fn meaning(said: &str) -> Meaning {
    let own = || said.lines().filter(|line| !line.starts_with("remote: ") || is_refusal(line));
    TEXTS
        .iter()
        .find(|(text, _)| own().any(|line| line.contains(text)))
        .map_or(Meaning::Unavailable, |(_, meaning)| *meaning)
}

/// GitHub and GitLab over ssh say it in band.
fn is_refusal(line: &str) -> bool {
    line.starts_with("remote: ERROR: ")
}

/// The complaints without the trace of curl, secrets and empty lines.
pub(crate) fn redact(stderr: &str, secrets: &[SecretString]) -> String {
    let mut text = String::new();
    for line in stderr.lines().filter(|line| !is_trace(line) && !line.trim().is_empty()) {
        text.push_str(line);
        text.push('\n');
    }
    for secret in secrets {
        let secret = secret.expose_secret();
        if !secret.is_empty() {
            text = text.replace(secret, "***");
        }
        // `Basic x`: x alone is as good as the whole.
        if let Some((_, bare)) = secret.split_once(' ').filter(|(_, bare)| !bare.is_empty()) {
            text = text.replace(bare, "***");
        }
    }
    text
}

/// The one line that tells most.
pub(crate) fn reason(said: &str) -> String {
    let lines = || said.lines().map(str::trim);
    let told = lines()
        .rev()
        .find(|line| {
            line.starts_with("fatal: ") && !line.contains("Could not read from remote repository")
        })
        .or_else(|| lines().rev().find(|line| line.starts_with("error: ")))
        // ssh says in the end what is the matter with a host's key, behind a frame of `@`.
        .or_else(|| lines().find(|line| line.contains("requested strict checking")))
        .or_else(|| lines().find(|line| !line.is_empty() && !is_noise(line)))
        .or_else(|| lines().next());
    told.unwrap_or("git failed without a word").trim_start_matches("fatal: ").to_owned()
}

fn is_noise(line: &str) -> bool {
    line.starts_with("warning: ") || line.starts_with('@')
}

/// `12:34:56.789012 http.c:123  text`: a line of `GIT_TRACE_CURL`.
fn is_trace(line: &str) -> bool {
    let (time, rest) = line.split_at_checked(15).unwrap_or((line, ""));
    time.bytes().enumerate().all(|(at, byte)| match at {
        2 | 5 => byte == b':',
        8 => byte == b'.',
        _ => byte.is_ascii_digit(),
    }) && rest.starts_with(' ')
}

/// Whether the trace of a run shows an answer of smart http. What a dumb server serves would be
/// fetched file by file, unchecked.
pub(crate) fn spoke_smart_http(stderr: &str) -> bool {
    stderr.lines().filter(|line| is_trace(line)).any(|line| {
        let line = line.to_ascii_lowercase();
        line.contains("recv header: content-type:")
            && line.contains("application/x-git-upload-pack-advertisement")
    })
}

/// The error of a failed run.
pub(crate) fn error(url: &RemoteUrl, said: &str) -> Error {
    let reason = reason(said);
    match meaning(said) {
        Meaning::Refused => Error::refused(url, reason),
        Meaning::Unavailable | Meaning::NotGiven => Error::unavailable(url, reason),
        Meaning::Forbidden => Error::forbidden(url, reason),
        Meaning::Broken => Error::limit(url, reason),
        Meaning::Ours => Error::mirror(url, reason),
    }
}

/// The error of a run that was stopped.
pub(crate) fn stopped(url: &RemoteUrl, stopped: &Stopped) -> Error {
    let reason = match (url.scheme(), stopped) {
        (Scheme::File, Stopped::Time(_) | Stopped::Output(_) | Stopped::Disk(_)) => {
            format!("git {stopped}")
        }
        _ => stopped.to_string(),
    };
    match stopped {
        Stopped::Start(..) | Stopped::Lost(_) => Error::mirror(url, reason),
        Stopped::Space(Shortage { free, min }) => Error::Full { free: *free, min: *min },
        Stopped::Time(_) => Error::late(url, reason),
        Stopped::Output(_) | Stopped::Disk(_) => Error::limit(url, reason),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::{Meaning, meaning, reason, redact, spoke_smart_http};

    #[test]
    fn texts_have_meanings() {
        for (said, wanted) in [
            ("fatal: repository 'https://h/a/' not found\n", Meaning::Refused),
            (
                "fatal: could not read Username for 'https://h': terminal prompts disabled\n",
                Meaning::Refused,
            ),
            (
                "fatal: unable to access 'https://h/a/': The requested URL returned error: 503\n",
                Meaning::Unavailable,
            ),
            (
                "fatal: unable to access 'https://h/a/': The requested URL returned error: 403\n",
                Meaning::Refused,
            ),
            (
                "git@h: Permission denied (publickey).\r\nfatal: Could not read from remote repository.\n",
                Meaning::Refused,
            ),
            (
                "Host key verification failed.\r\nfatal: Could not read from remote repository.\n",
                Meaning::Unavailable,
            ),
            ("fatal: transport 'ext' not allowed\n", Meaning::Forbidden),
            (
                "error: object 12: treeNotSorted\nfatal: fsck error in packed object\nfatal: fetch-pack: invalid index-pack output\n",
                Meaning::Broken,
            ),
            ("fatal: remote error: upload-pack: not our ref 12\n", Meaning::NotGiven),
            ("remote: fatal: repository 'x' not found\nfatal: early EOF\n", Meaning::Unavailable),
            ("", Meaning::Unavailable),
        ] {
            assert_eq!(meaning(said), wanted, "{said}");
        }
    }

    #[test]
    fn the_reason_is_the_line_that_tells_most() {
        for (said, wanted) in [
            (
                "warning: x\nfatal: first\nfatal: Could not read from remote repository.\n\nPlease make sure\n",
                "first",
            ),
            (
                "Host key verification failed.\nfatal: Could not read from remote repository.\n",
                "Host key verification failed.",
            ),
            (
                "@@@@@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\n@@@@@@@\nIT IS POSSIBLE\nHost key for h has changed and you have requested strict checking.\nHost key verification failed.\n",
                "Host key for h has changed and you have requested strict checking.",
            ),
            (
                "@@@@@@@\n@ WARNING: UNPROTECTED PRIVATE KEY FILE! @\n@@@@@@@\nPermissions 0644 for '/k' are too open.\nh: Permission denied (publickey).\n",
                "Permissions 0644 for '/k' are too open.",
            ),
            ("error: a\nnoise\n", "error: a"),
            ("", "git failed without a word"),
        ] {
            assert_eq!(reason(said), wanted);
        }
    }

    #[test]
    fn traces_and_secrets_are_left_out() {
        let said = "12:34:56.789012 http.c:1   => Send header: Authorization: Basic abc\n\nfatal: abc at http://git:pw@h\n";
        let secrets = [SecretString::from("Basic abc"), SecretString::from("pw")];
        assert_eq!(redact(said, &secrets), "fatal: *** at http://git:***@h\n");
    }

    #[test]
    fn smart_http_is_seen_in_the_trace_only() {
        let header = "<= Recv header: Content-Type: application/x-git-upload-pack-advertisement\n";
        assert!(spoke_smart_http(&format!("12:34:56.789012 http.c:1   {header}")));
        assert!(!spoke_smart_http(&format!("remote: {header}")));
    }
}
