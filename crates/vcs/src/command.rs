//! The git command line: what git is told, and what it is kept from.
//!
//! Nothing of the user's or the system's settings reaches git; nothing that a stranger chose
//! (URLs, refs, versions) reaches an argument. URLs and secrets travel in `GIT_CONFIG_*`
//! variables: argument lists can be read by everybody on the machine.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    path::Path,
};

use crate::{
    Config, Place,
    run::{Limits, Run},
};

/// PATH where the wiring gives none.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The fixed part of every git environment.
const ENVIRONMENT: [(&str, &str); 12] = [
    ("LC_ALL", "C"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", "/bin/false"),
    ("SSH_ASKPASS", "/bin/false"),
    ("GCM_INTERACTIVE", "never"),
    ("GIT_PROTOCOL_FROM_USER", "0"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_SSH_VARIANT", "ssh"),
    // Known since 2.45. Before, a missing object is asked for by `origin`, which reading runs have
    // no URL and no allowed protocol for.
    ("GIT_NO_LAZY_FETCH", "1"),
];

/// The fixed part of every configuration.
const CONFIG: [(&str, &str); 28] = [
    ("protocol.version", "2"),
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.askPass", "/bin/false"),
    ("core.alternateRefsCommand", "false"),
    // Windows into packs, so that git stays below its memory limit.
    ("core.packedGitWindowSize", "64m"),
    ("core.packedGitLimit", "512m"),
    // An empty value forgets all helpers named before.
    ("credential.helper", ""),
    ("credential.useHttpPath", "true"),
    ("http.sslVerify", "true"),
    ("http.emptyAuth", "false"),
    ("http.saveCookies", "false"),
    ("http.maxRequests", "2"),
    ("transfer.fsckObjects", "true"),
    ("transfer.bundleURI", "false"),
    // Everything arrives as a pack: nothing is left over but `tmp_pack_*` when a fetch is cut.
    ("transfer.unpackLimit", "1"),
    ("fetch.unpackLimit", "1"),
    ("fetch.recurseSubmodules", "false"),
    ("fetch.writeCommitGraph", "false"),
    ("fetch.parallel", "1"),
    ("submodule.recurse", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("pack.threads", "1"),
    ("pack.windowMemory", "256m"),
    ("index.threads", "1"),
    ("safe.bareRepository", "all"),
    ("advice.detachedHead", "false"),
];

/// Faults that old versions of git, and tools beside git, have left in public repositories for
/// good. None of them can hurt a reader; refusing them would make those repositories unusable.
/// Submodules are never followed, and attributes are read within limits of our own, so what is
/// wrong with those is nobody's danger here.
/// Source: git-fsck(1), "FSCK MESSAGES".
const HARMLESS: [&str; 28] = [
    "badDate",
    "badDateOverflow",
    "badEmail",
    "badName",
    "badTimezone",
    "emptyName",
    "fullPathname",
    "gitattributesBlob",
    "gitattributesLarge",
    "gitattributesLineLength",
    "gitattributesMissing",
    "gitmodulesBlob",
    "gitmodulesLarge",
    "gitmodulesMissing",
    "gitmodulesName",
    "gitmodulesParse",
    "gitmodulesPath",
    "gitmodulesSymlink",
    "gitmodulesUpdate",
    "gitmodulesUrl",
    "missingEmail",
    "missingNameBeforeEmail",
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "multipleAuthors",
    "nullSha1",
    "zeroPaddedDate",
    "zeroPaddedFilemode",
];

/// A git command that is being put together.
#[derive(Debug)]
pub(crate) struct Git {
    run: Run,
    config: Vec<(String, String)>,
    env: Vec<(OsString, OsString)>,
}

impl Git {
    /// A command that speaks to nobody. `home` is an empty folder of ours.
    pub(crate) fn new(config: &Config, place: &Place, home: &Path, limits: Limits) -> Self {
        let path = place.path.clone().unwrap_or_else(|| USUAL_PATH.into());
        let mut git = Self {
            run: Run {
                program: config.program.clone(),
                args: Vec::new(),
                env: None,
                folder: home.to_owned(),
                stdin: Vec::new(),
                output: None,
                limits,
            },
            config: Vec::new(),
            env: Vec::new(),
        };
        git.variable("PATH", path).variable("HOME", home);
        // The data folder may itself lie in somebody's work tree.
        git.variable("GIT_CEILING_DIRECTORIES", home.parent().unwrap_or(home));
        for (name, value) in ENVIRONMENT {
            git.variable(name, value);
        }
        git.variable("GIT_ALLOW_PROTOCOL", "");
        for (key, value) in CONFIG {
            git.set(key, value);
        }
        for fault in HARMLESS {
            git.set(&format!("fetch.fsck.{fault}"), "warn");
        }
        git
    }

    /// Adds arguments: constants of ours, never anything that came from outside.
    pub(crate) fn args(&mut self, args: &[&str]) -> &mut Self {
        self.run.args.extend(args.iter().map(OsString::from));
        self
    }

    pub(crate) fn set(&mut self, key: &str, value: &str) -> &mut Self {
        self.config.push((key.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn variable(&mut self, name: &str, value: impl AsRef<OsStr>) -> &mut Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.into(), value.as_ref().into()));
        self
    }

    /// Works in a mirror.
    pub(crate) fn inside(&mut self, mirror: &Path) -> &mut Self {
        self.variable("GIT_DIR", mirror)
    }

    pub(crate) fn stdin(&mut self, stdin: Vec<u8>) -> &mut Self {
        self.run.stdin = stdin;
        self
    }

    pub(crate) fn output(&mut self, file: File) -> &mut Self {
        self.run.output = Some(file);
        self
    }

    pub(crate) fn into_run(mut self) -> Run {
        let count = self.config.len().to_string();
        self.env.push(("GIT_CONFIG_COUNT".into(), count.into()));
        for (index, (key, value)) in self.config.into_iter().enumerate() {
            self.env.push((format!("GIT_CONFIG_KEY_{index}").into(), key.into()));
            self.env.push((format!("GIT_CONFIG_VALUE_{index}").into(), value.into()));
        }
        self.run.env = Some(self.env);
        self.run
    }
}
