//! larder between the real `go` command and an upstream of our own.
#![expect(clippy::disallowed_methods, reason = "reads what programs wrote")]

mod direct;
mod erase;
mod go;
mod kill;
mod monitor;
mod outage;
mod own;
mod own_clients;
mod own_kill;
mod prefix;
mod private;
mod remote;
mod rotate;
mod serve;
mod ssh;
mod verified;
mod worlds;

use e2e::{Larder, Settings};
use testkit::{FakeUpstream, Modules};

/// A larder over a fake upstream, in a folder of its own. Ended in the order of the fields.
struct Stage {
    larder: Larder,
    upstream: FakeUpstream,
    settings: Settings,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new(modules: Modules) -> anyhow::Result<Self> {
        Self::with(modules, |settings| settings)
    }

    /// Starts larder after a last word on its settings.
    fn with(modules: Modules, change: impl FnOnce(Settings) -> Settings) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let upstream = FakeUpstream::start(modules)?;
        let settings = change(Settings::new(&folder.path().join("data"), &upstream.url()));
        Ok(Self { larder: Larder::start(&settings)?, upstream, settings, folder })
    }
}
