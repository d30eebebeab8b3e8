//! Ages and limits of the use-cases.

use std::time::Duration;

use units::ByteSize;

/// Configuration of the room, resolved: every value is checked by `cli::config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Serve only what is stored; `list` then names versions whose zip is here. Default: false.
    pub offline: bool,
    /// For how long `list` and `@latest` are fresh. Default: 1 minute. Zero: every request refreshes.
    pub list_fresh: Duration,
    /// For how long beyond freshness the old `list` or `@latest` is given at once while one background
    /// refresh runs. Default: 4 minutes (five in all).
    pub list_stale: Duration,
    /// How old an answer to a branch or commit query may be when the source fails. Default: 10 minutes.
    pub query_stale_on_error: Duration,
    /// For how long "does not exist" is fresh. Default: 1 minute.
    pub negative_fresh: Duration,
    /// For how long a refused file (a bad zip, say) is refused again without asking. Default: 10 minutes.
    pub refused_fresh: Duration,
    /// For how long one caller waits for a flight. Default: 10 minutes.
    pub waiter_timeout: Duration,
    /// How many zips are fetched at once, and how many other things beside them; further ones queue
    /// in order. Default: 256.
    pub max_flights: usize,
    /// How long after the start, and after something was stored unconfirmed, the store is gone
    /// through for what a checksum database has not confirmed yet; sixty times as long lies between
    /// two passes while something is unconfirmed. Default: 5 seconds.
    pub confirm_after: Duration,
    /// How much content is kept as evidence in one run; further pieces are counted and told. A source
    /// that sends other bytes each time could fill the disk with them. Default: 512 MiB.
    pub max_evidence: ByteSize,
    /// Memory for hot answers. Default: 64 MiB.
    pub shelf_size: ByteSize,
    /// How many zip files are kept open. Default: 1024.
    pub open_files: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            offline: false,
            list_fresh: Duration::from_mins(1),
            list_stale: Duration::from_mins(4),
            query_stale_on_error: Duration::from_mins(10),
            negative_fresh: Duration::from_mins(1),
            refused_fresh: Duration::from_mins(10),
            waiter_timeout: Duration::from_mins(10),
            max_flights: 256,
            confirm_after: Duration::from_secs(5),
            max_evidence: ByteSize(512 << 20),
            shelf_size: ByteSize(64 << 20),
            open_files: 1024,
        }
    }
}
