//! The table of floors: the map of the house, as ARCHITECTURE.md tells it.

/// Where a package stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A room of the product, 0 (words) to 6 (wiring).
    Floor(u8),
    /// Fakes and contract suites; imports all, is imported by tests only.
    Testkit,
    /// Imports what it likes and is imported by nobody.
    Tool,
}

/// A row of the table.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    imports: &'static [&'static str],
}

impl Room {
    /// The floor; tools and testkit stand above all rooms.
    pub(super) fn floor(&self) -> u8 {
        match self.kind {
            Kind::Floor(floor) => floor,
            Kind::Testkit | Kind::Tool => u8::MAX,
        }
    }

    /// Whether the table lets this room import that one.
    pub(super) fn may_import(&self, name: &str) -> bool {
        !matches!(self.kind, Kind::Floor(_)) || self.imports.contains(&name)
    }
}

const fn floor(name: &'static str, floor: u8, imports: &'static [&'static str]) -> Room {
    Room { name, kind: Kind::Floor(floor), imports }
}

const ROOMS: &[Room] = &[
    floor("units", 0, &[]),
    floor("gomod", 0, &[]),
    floor("modzip", 1, &["units", "gomod"]),
    floor("tlog", 1, &["gomod"]),
    floor("policy", 1, &["units", "gomod"]),
    floor("ui", 1, &["units", "gomod"]),
    floor("wire", 2, &["units"]),
    floor("outbound", 2, &["units", "policy"]),
    floor("store", 2, &["units", "gomod", "tlog"]),
    floor("vcs", 2, &["units", "policy"]),
    floor("db", 2, &["units", "gomod"]),
    floor("upstream", 3, &["units", "gomod", "modzip", "policy", "outbound", "store", "vcs"]),
    // modzip: `Record::confirm` takes a `Checked`, see docs/decisions/0001.
    floor("sumdb", 3, &["units", "gomod", "modzip", "tlog", "policy", "outbound", "store", "db"]),
    floor("auth", 3, &["units", "gomod", "outbound", "db"]),
    floor(
        "proxy",
        4,
        &[
            "units", "gomod", "modzip", "tlog", "policy", "outbound", "store", "vcs", "db",
            "upstream", "sumdb", "auth",
        ],
    ),
    floor("server", 5, &["units", "gomod", "policy", "ui", "wire", "auth", "proxy"]),
    floor(
        "cli",
        6,
        &[
            "units", "gomod", "modzip", "tlog", "policy", "ui", "wire", "outbound", "store", "vcs",
            "db", "upstream", "sumdb", "auth", "proxy", "server",
        ],
    ),
    Room { name: "testkit", kind: Kind::Testkit, imports: &[] },
    Room { name: "xtask", kind: Kind::Tool, imports: &[] },
    Room { name: "e2e", kind: Kind::Tool, imports: &[] },
];

/// Looks a package of the workspace up by name.
pub(super) fn room(name: &str) -> Option<&'static Room> {
    ROOMS.iter().find(|room| room.name == name)
}

/// Crates that belong to the rooms named: another room that needs them is a new edge of the house.
const OWNED: &[(&str, &[&str])] = &[
    ("reqwest", &["outbound"]),
    ("ureq", &["outbound"]),
    ("hickory-resolver", &["outbound"]),
    ("backon", &["outbound"]),
    ("sqlx", &["db"]),
    ("rusqlite", &["db"]),
    ("object_store", &["store"]),
    ("gix", &["vcs"]),
    ("git2", &["vcs"]),
    ("hyper", &["wire"]),
    ("hyper-util", &["wire"]),
    ("axum", &["server"]),
    ("tokio-rustls", &["wire"]),
    ("socket2", &["wire"]),
    // cli takes the process's own signals and limits and installs the TLS provider; vcs limits and
    // kills what it runs.
    ("rustix", &["wire", "store", "vcs", "cli"]),
    ("rustls", &["wire", "outbound", "cli"]),
];

/// The rooms that may import an external crate; `None` when everybody may.
pub(super) fn owners(name: &str) -> Option<&'static [&'static str]> {
    OWNED.iter().find(|(owned, _)| *owned == name).map(|(_, owners)| *owners)
}

/// Runtimes, clients and servers, file and process helpers: nothing for floors 0 and 1.
const WORLDS: &[&str] = &[
    "tokio",
    "tokio-util",
    "tokio-stream",
    "async-std",
    "smol",
    "mio",
    "futures",
    "futures-executor",
    "async-trait",
    "tower",
    "h2",
    "http-body",
    "http-body-util",
    "libc",
    "nix",
    "tempfile",
    "walkdir",
    "memmap2",
    "fs4",
    "getrandom",
    "rand",
    "tracing-subscriber",
    "num_cpus",
    "clap",
    "indicatif",
];

/// Whether an external crate brings a runtime, a clock, files, sockets or chance with it.
pub(super) fn opens_a_world(name: &str) -> bool {
    WORLDS.contains(&name) || owners(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_allowed_import_stands_lower() {
        for room in ROOMS.iter().filter(|room| matches!(room.kind, Kind::Floor(_))) {
            for import in room.imports {
                let imported = super::room(import).unwrap_or_else(|| {
                    panic!("{} may import {import}, which is no room", room.name)
                });
                assert!(imported.floor() < room.floor(), "{} may import {import}", room.name);
            }
        }
    }

    #[test]
    fn the_surface_sees_no_port_but_wire() {
        let ports = ROOMS.iter().filter(|room| room.kind == Kind::Floor(2));
        let server = room("server").unwrap();
        let seen: Vec<_> =
            ports.filter(|port| server.may_import(port.name)).map(|port| port.name).collect();
        assert_eq!(seen, ["wire"]);
    }

    #[test]
    fn owners_are_rooms() {
        for (name, owners) in OWNED {
            assert!(owners.iter().all(|owner| room(owner).is_some()), "{name}");
        }
    }
}
