//! The command line.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::config::Flags;

/// A private Go module proxy: one binary between your go commands and the world.
#[derive(Debug, Parser)]
#[command(
    name = "larder",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "No configuration is needed: `larder serve`, then GOPROXY=http://127.0.0.1:8080 \
                  for your go commands."
)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve modules
    Serve {
        /// The configuration to serve with.
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Show or check the configuration
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Config {
        /// Which of them.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Hash everything that is stored, report and set aside what is damaged
    ///
    /// Needs the data folder for itself: exit code 75 when a server has it.
    Fsck {
        /// The configuration that names the data folder.
        #[command(flatten)]
        config: ConfigArgs,
        /// Build the index anew from what is stored, and take in files that were copied there
        #[arg(long)]
        reindex: bool,
    },
    /// Hash everything that is stored and hold it against stored proofs
    ///
    /// Asks nobody, changes nothing, and works beside a running server. Exit code 1 when a file
    /// contradicts its record or a proof is gone.
    Verify {
        /// The configuration that names the data folder.
        #[command(flatten)]
        config: ConfigArgs,
        /// Hold the stored files against this go.sum instead
        #[arg(value_name = "GO.SUM")]
        go_sum: Option<PathBuf>,
    },
    /// Look at what is kept of checksum databases
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Sumdb {
        /// What to look at.
        #[command(subcommand)]
        command: SumdbCommand,
    },
    /// Fetch modules ahead
    ///
    /// Through the running server when there is one, else into its data folder.
    Warm {
        /// What to fetch.
        #[command(flatten)]
        warm: WarmArgs,
    },
    /// Print the version
    Version,
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every value with its source
    Show {
        /// The configuration to show.
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Say what is wrong: exit code 78 when something is
    Check {
        /// The configuration to check.
        #[command(flatten)]
        config: ConfigArgs,
    },
}

/// What to do with what is kept of checksum databases.
#[derive(Debug, Subcommand)]
pub enum SumdbCommand {
    /// Print the newest verified tree heads
    Head {
        /// The configuration that names data folder and databases.
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Print a bundle that proves what the database records of a version
    ///
    /// The bundle holds record, proof and signed tree head: it can be checked without a network.
    Prove {
        /// The configuration that names data folder and databases.
        #[command(flatten)]
        config: ConfigArgs,
        /// The version
        #[arg(value_name = "MODULE@VERSION")]
        module: String,
        /// How it is written
        #[arg(long, value_enum, default_value_t = ProofFormat::Bundle)]
        format: ProofFormat,
        /// Write it there instead
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Check a bundle or a tlog-proof, without network and data folder
    VerifyBundle {
        /// The configuration that names the databases.
        #[command(flatten)]
        config: ConfigArgs,
        /// The bundle or tlog-proof
        file: PathBuf,
        /// The key to check with [default: those of the configured databases]
        #[arg(long, short, value_name = "NAME+HASH+KEY")]
        key: Option<tlog::VerifierKey>,
    },
    /// Make larder's own log: the checksum database of private modules
    ///
    /// Makes the key and prints the line for GOSUMDB. Needs the data folder for itself.
    Init {
        /// The configuration that names the data folder.
        #[command(flatten)]
        config: ConfigArgs,
        /// Its name for ever: a host in lower case and perhaps a path (sum.corp.example/go)
        name: String,
    },
    /// Print the settings of a client
    Setup {
        /// The configuration that names the data folder and the address.
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Change the key of the own log, under its name: two keys sign for a while
    ///
    /// Makes a second key beside the first and prints the new line for GOSUMDB. Clients of either
    /// line are served, until `rotate --finish`. Needs the data folder for itself. Cut short, it is
    /// run again.
    Rotate {
        /// The configuration that names the data folder.
        #[command(flatten)]
        config: ConfigArgs,
        /// Let the older key retire: clients that still have its line fail from then on
        #[arg(long)]
        finish: bool,
    },
    /// Make database and store of the own log whole from each other, after a restore
    ///
    /// Needs the data folder for itself.
    Recover {
        /// The configuration that names the data folder.
        #[command(flatten)]
        config: ConfigArgs,
        /// A head that others have: a client's `latest`, one that a monitor kept, a checkpoint
        ///
        /// The log must reach as far. Needed when the store is lost; wise after every restore.
        #[arg(long, value_name = "FILE")]
        head: Vec<PathBuf>,
    },
    /// Erase a version: the text of its record from the own log, and its files from the store
    ///
    /// For ever: the version is never recorded or served again. Its number and hash stay, so that
    /// nothing else changes; module path and version stay in state.sqlite, and in the log's folder.
    /// See docs/own-log.md. Needs the data folder for itself.
    Erase {
        /// The configuration that names the data folder.
        #[command(flatten)]
        config: ConfigArgs,
        /// The version
        #[arg(value_name = "MODULE@VERSION")]
        module: String,
        /// Do it; without this, only say what would be done
        #[arg(long)]
        yes: bool,
    },
    /// Believe a database again that contradicted itself, after a person has looked at the evidence
    ///
    /// Needs the data folder for itself: exit code 75 when a server has it.
    Thaw {
        /// The configuration that names the data folder.
        #[command(flatten)]
        config: ConfigArgs,
        /// The database
        name: String,
    },
    /// Watch a log, and say what it does wrong
    ///
    /// Walks all records that are new since the last run, and goes on where that one stopped. Exit
    /// code 0 when nothing was found, 1 when the log cannot be asked, 10 and more for what it does
    /// wrong, by its kind: see docs/monitor.md.
    Monitor {
        /// What to watch.
        #[command(flatten)]
        monitor: Box<MonitorArgs>,
    },
}

/// How a proof is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ProofFormat {
    /// Record, proof and tree head, as larder writes them
    Bundle,
    /// C2SP tlog-proof, for records of larder's own log
    TlogProof,
}

/// Which log to watch, and what to look for.
#[derive(Debug, Clone, clap::Args)]
pub struct MonitorArgs {
    /// The log: its verifier key, or the name of a configured or known database
    #[arg(value_name = "NAME+HASH+KEY")]
    pub database: String,
    /// Where it answers [default: as configured, else HTTPS at its name]
    pub url: Option<url::Url>,
    /// Keep the newest head and the progress there [default: DATA/monitor/NAME/state]
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Go on: look again after this time, until something is found
    #[arg(long, value_name = "DURATION")]
    pub follow: Option<units::Span>,
    /// Compare public records with this database (a name, a key, or "KEY URL")
    #[arg(long, value_name = "DATABASE")]
    pub compare: Option<String>,
    /// Compare one in so many public records only, chosen at random
    #[arg(long, value_name = "N", default_value_t = NonZeroU64::MIN, requires = "compare")]
    pub sample: NonZeroU64,
    /// The private modules that the log is for, as GOPRIVATE has them ('': it has none)
    #[arg(long, value_name = "PATTERNS")]
    pub realm: Option<String>,
    /// Compare with a head that a client keeps as `latest`, or a checkpoint (again for more)
    #[arg(long, value_name = "FILE")]
    pub head: Vec<PathBuf>,
    /// How long a head may be the newest, and records not judged [default: for ever]
    #[arg(long, value_name = "DURATION")]
    pub max_age: Option<units::Span>,
    /// How many requests are under way at once
    #[arg(long, short, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: u16,
    /// The configuration that names data folder, databases and private modules.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Flags that every command with a configuration has.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ConfigArgs {
    /// Configuration file [default: ./larder.toml, /etc/larder/larder.toml]
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address to listen on (again for more) [default: 127.0.0.1:8080]
    #[arg(long, short, value_name = "ADDRESS")]
    pub listen: Vec<String>,
    /// Data folder
    #[arg(long, short, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Serve only what is stored
    #[arg(long)]
    pub offline: bool,
}

impl From<ConfigArgs> for Flags {
    fn from(args: ConfigArgs) -> Self {
        let ConfigArgs { config, listen, data, offline } = args;
        Self { config, listen, data, offline }
    }
}

/// What to fetch ahead, and through whom.
#[derive(Debug, Clone, clap::Args)]
pub struct WarmArgs {
    /// A go.sum or go.mod file, or module@version (also @latest, @branch)
    #[arg(required = true, value_name = "FILE|MODULE@VERSION")]
    pub what: Vec<String>,
    /// URL of the running server [default: where the configuration listens]
    #[arg(long, short, value_name = "URL")]
    pub server: Option<url::Url>,
    /// How many files are fetched at once
    #[arg(long, short, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: u16,
    /// The configuration that tells where the server is.
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn flags_of_the_configuration_are_taken_over() {
        let line = ["larder", "serve", "-l", "[::1]:1", "--listen", "[::1]:2", "--data", "/d"];
        let Command::Serve { config } = Args::parse_from(line).command else { panic!("serve") };
        let flags = Flags::from(config);
        assert_eq!(flags.listen, ["[::1]:1", "[::1]:2"]);
        assert_eq!(flags.data, Some(PathBuf::from("/d")));
        assert!(!flags.offline && flags.config.is_none());
    }

    #[test]
    fn monitor_wants_a_log_and_sane_numbers() {
        for line in [
            &["larder", "sumdb", "monitor"][..],
            &["larder", "sumdb", "monitor", "a", "no url"],
            &["larder", "sumdb", "monitor", "a", "-j", "65"],
            &["larder", "sumdb", "monitor", "a", "--follow", "1"],
            &["larder", "sumdb", "monitor", "a", "--compare", "b", "--sample", "0"],
            &["larder", "sumdb", "monitor", "a", "--sample", "2"],
        ] {
            assert!(Args::try_parse_from(line).is_err(), "{line:?}");
        }
        let line = ["larder", "sumdb", "monitor", "a", "-j", "64", "--follow", "1m", "-d", "/d"];
        assert!(Args::try_parse_from(line).is_ok());
    }

    #[test]
    fn warm_wants_something_and_a_sane_number_of_jobs() {
        for line in [
            &["larder", "warm"][..],
            &["larder", "warm", "-j", "0", "go.sum"],
            &["larder", "warm", "-j", "257", "go.sum"],
            &["larder", "warm", "-s", "no url", "go.sum"],
        ] {
            assert!(Args::try_parse_from(line).is_err(), "{line:?}");
        }
        assert!(Args::try_parse_from(["larder", "warm", "-j", "256", "go.sum"]).is_ok());
    }
}
