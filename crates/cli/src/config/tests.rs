//! Whole configurations: layers, sources, errors, Go's settings.

use std::{fs, time::Duration};

use secrecy::ExposeSecret as _;

use super::{settings::Destination, *};

mod any;
mod failing;
mod sources;

/// A working directory with a `larder.toml`.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(toml: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        if !toml.is_empty() {
            folder.write("larder.toml", toml);
        }
        folder
    }

    #[expect(clippy::disallowed_methods, reason = "tests make their own files")]
    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    }

    fn world(&self) -> World {
        World::empty(self.0.path().to_owned())
    }

    fn load(&self) -> Result<Resolved, Problems> {
        load(&Flags::default(), &self.world())
    }
}

fn loaded(toml: &str) -> Resolved {
    Folder::new(toml).load().unwrap()
}

fn source(resolved: &Resolved, path: &str) -> String {
    resolved.entries[path].source.to_string()
}

#[test]
fn nothing_at_all_is_a_working_configuration() {
    let resolved = loaded("");
    let settings = &resolved.settings;
    assert_eq!(settings.server.listen, ["127.0.0.1:8080".parse().unwrap()]);
    assert_eq!(settings.store.data, Path::new("/var/lib/larder"));
    assert_eq!(settings.proxy.list_fresh.0, Duration::from_mins(1));
    assert_eq!(resolved.proxies, ("direct".to_owned(), Source::Default));
    assert!(resolved.file.is_none());
    assert_eq!(resolved.databases[0].name.as_str(), "sum.golang.org");
    assert!(resolved.private.is_empty() && resolved.settings.server.tls.is_none());
}

#[test]
fn flag_wins_over_variable_over_file_over_default() {
    let folder = Folder::new("[server]\nlisten = ['127.0.0.1:1']\n[store]\nmin_free = '2GiB'\n");
    let world = folder.world().with("LARDER_SERVER_LISTEN", "127.0.0.1:2,[::1]:2");
    let flags = Flags { listen: vec!["127.0.0.1:3".to_owned()], ..Flags::default() };

    let listen = |flags: &Flags, world: &World| {
        let resolved = load(flags, world).unwrap();
        let first = resolved.settings.server.listen[0].port();
        (first, source(&resolved, "server.listen"))
    };
    let variable = "environment variable LARDER_SERVER_LISTEN".to_owned();
    assert_eq!(listen(&flags, &world), (3, "flag --listen".to_owned()));
    assert_eq!(listen(&Flags::default(), &world), (2, variable));
    let file = (1, "larder.toml:2".to_owned());
    assert_eq!(listen(&Flags::default(), &folder.world()), file);
    let none = Folder::new("");
    assert_eq!(listen(&Flags::default(), &none.world()), (8080, "default".to_owned()));
}

#[test]
fn the_other_flags_set_their_keys() {
    let folder = Folder::new("");
    let data = Some("data".into());
    let flags = Flags { data, offline: true, ..Flags::default() };
    let resolved = load(&flags, &folder.world()).unwrap();
    assert_eq!(resolved.settings.store.data, folder.0.path().join("data"));
    assert!(resolved.settings.proxy.offline);
    assert_eq!(source(&resolved, "proxy.offline"), "flag --offline");
}

#[test]
fn the_file_is_the_flags_then_the_variables_then_the_folders_then_the_systems() {
    let folder = Folder::new("");
    let offline = |flags: &Flags, world: &World| {
        let resolved = load(flags, world).unwrap();
        resolved.file.map(|file| file.to_string_lossy().into_owned())
    };
    let flags = Flags::default();
    assert_eq!(offline(&flags, &folder.world()), None);
    let system = folder.write("etc/larder.toml", "");
    assert_eq!(offline(&flags, &folder.world()), Some(system));
    folder.write("larder.toml", "");
    assert_eq!(offline(&flags, &folder.world()).as_deref(), Some("larder.toml"));
    let named = folder.write("named.toml", "");
    let world = folder.world().with("LARDER_CONFIG", &named);
    assert_eq!(offline(&flags, &world), Some(named));
    let flagged = folder.write("flagged.toml", "");
    let flags = Flags { config: Some((&flagged).into()), ..flags };
    assert_eq!(offline(&flags, &world), Some(flagged));
}

/// A value for each key that is not its default; a key without one fails the test below.
const VALUES: [(&str, &str); 102] = [
    ("server.listen", "127.0.0.1:9"),
    ("server.admin_listen", "127.0.0.1:10"),
    ("server.base_paths", "/a/b"),
    ("server.public_url", "https://go.example.com"),
    ("server.trusted_proxies", "10.0.0.0/8"),
    ("server.tls.cert_file", "CERT"),
    ("server.tls.key_file", "KEY"),
    ("server.sendfile", "false"),
    ("server.cores", "3"),
    ("server.max_connections", "77"),
    ("server.max_header_bytes", "32KiB"),
    ("server.max_request_line", "8KiB"),
    ("server.max_streams", "12"),
    ("server.header_timeout", "11s"),
    ("server.idle_timeout", "12s"),
    ("server.write_timeout", "13s"),
    ("server.drain", "1s"),
    ("server.stop_timeout", "20s"),
    ("store.data", "/srv/larder"),
    ("store.min_free", "3GiB"),
    ("store.fsync", "false"),
    ("proxy.offline", "true"),
    ("proxy.list_fresh", "2m"),
    ("proxy.list_stale", "6m"),
    ("proxy.query_stale_on_error", "7m"),
    ("proxy.negative_fresh", "8m"),
    ("proxy.refused_fresh", "9m"),
    ("proxy.waiter_timeout", "11m"),
    ("proxy.max_flights", "5"),
    ("proxy.max_flights_per_upstream", "6"),
    ("proxy.shelf_size", "7MiB"),
    ("proxy.open_files", "88"),
    ("upstream.proxies", "https://a.example,direct"),
    ("upstream.source.x.url", "https://a.example"),
    ("upstream.source.x.ca_file", "CERT"),
    ("upstream.source.x.token", "t0ken"),
    ("upstream.source.y.url", "https://b.example"),
    ("upstream.source.y.user", "u5er"),
    ("upstream.source.y.password", "pa55"),
    ("outbound.ca_files", "CERT"),
    ("outbound.resolve_timeout", "1s"),
    ("outbound.tls_timeout", "2s"),
    ("outbound.connect_timeout", "3s"),
    ("outbound.first_byte_list", "4s"),
    ("outbound.first_byte_file", "5s"),
    ("outbound.between_bytes_timeout", "6s"),
    ("outbound.whole", "7m"),
    ("outbound.attempts", "4"),
    ("outbound.retry_budget", "9s"),
    ("policy.allow", "a.example,b.example"),
    ("policy.deny", "[{ modules = \"c.example\", reason = \"no\" }]"),
    ("policy.private", "*.corp.example.com"),
    ("sumdb.databases", "sum.golang.org"),
    ("sumdb.verify", "trust-on-first-use"),
    ("sumdb.missing_wait", "5s"),
    ("sumdb.key_file", "KEY"),
    ("cache.immutable_age", "1d"),
    ("cache.mutable_age", "2s"),
    ("cache.negative_age", "3s"),
    ("cache.lookup_age", "4s"),
    ("log.format", "json"),
    ("log.level", "debug"),
    ("log.client", "net"),
    ("log.access", "off"),
    ("metrics.enabled", "false"),
    ("private.readers", "anyone"),
    ("direct.override", "[{ prefix = \"a.b/c\", url = \"https://h/c\" }]"),
    ("direct.credential.a.url", "git.corp.example"),
    ("direct.credential.a.header", "Bearer x"),
    ("direct.credential.b.module", "corp.example/b"),
    ("direct.credential.b.host", "git.corp.example"),
    ("direct.credential.b.public", "true"),
    ("direct.credential.b.user", "u"),
    ("direct.credential.b.password", "p"),
    ("direct.credential.c.url", "ssh.corp.example"),
    ("direct.credential.c.ssh_key", "/k"),
    ("direct.credential.c.known_hosts", "/h"),
    ("direct.credential.d.url", "d.example"),
    ("direct.credential.d.netrc", "/n"),
    ("direct.credential.e.url", "e.example"),
    ("direct.credential.e.helper", "pass-git"),
    ("direct.packed_size", "1MiB"),
    ("direct.discovery_rewrite", "https://a/=https://b/"),
    ("vcs.program", "/opt/git"),
    ("vcs.quota", "1GiB"),
    ("vcs.protocols", "http"),
    ("vcs.ports", "8443"),
    ("vcs.refs_timeout", "2s"),
    ("vcs.fetch_timeout", "3s"),
    ("vcs.idle_timeout", "4s"),
    ("vcs.fetches_per_host", "5"),
    ("vcs.max_refs", "6"),
    ("vcs.max_refs_size", "7MiB"),
    ("vcs.max_fetch_size", "8MiB"),
    ("vcs.max_process_memory", "9MiB"),
    ("vcs.max_commits", "10"),
    ("vcs.max_tree_entries", "11"),
    ("vcs.max_tree_depth", "12"),
    ("vcs.max_path_size", "13KiB"),
    ("vcs.max_file_size", "14MiB"),
    ("vcs.max_tree_size", "15MiB"),
    ("vcs.rewrite", "https://a/=https://b/"),
];

#[test]
fn every_key_can_be_set_by_file_and_by_variable() {
    for key in keys::KEYS {
        assert!(VALUES.iter().any(|(path, _)| key.is_of(path)), "{}: no value here", key.path);
    }
    let folder = Folder::new("");
    let pem = "-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n";
    let pem = folder.write("pem", pem);
    let real = |text: &str| text.replace("CERT", &pem).replace("KEY", &pem);
    let world = VALUES
        .iter()
        .fold(folder.world(), |world, (path, text)| world.with(&keys::variable(path), real(text)));
    let from_variables = load(&Flags::default(), &world).unwrap();
    let of = |path: &str| &from_variables.entries[path];
    let lines = VALUES.map(|(path, _)| format!("{path} = {}\n", of(path).value));
    let from_file = Folder::new(&lines.concat()).load().unwrap();
    for (path, text) in VALUES {
        assert_eq!(of(path).value, from_file.entries[path].value, "{path}");
        let default = layers::of_defaults(&folder.world()).0;
        assert_ne!(Some(&of(path).value), default.get(path).map(|entry| &entry.value), "{text}");
    }
    let settings = &from_file.settings;
    assert_eq!(settings.policy.deny[0].reason.as_deref(), Some("no"));
    assert_eq!(settings.log.access, Destination::Off);
    let token = settings.upstream.source["x"].token.as_ref().unwrap();
    assert_eq!(token.expose_secret(), "t0ken");
}

#[test]
fn an_array_of_tables_may_stand_in_its_long_form() {
    let toml = "[[policy.deny]]\nmodules = 'a.example,b.example'\n\n[[policy.deny]]\nmodules = \
                'c.example'\nreason = 'use d'\n";
    let deny = loaded(toml).settings.policy.deny;
    assert_eq!(deny.len(), 2);
    assert_eq!(deny[1].reason.as_deref(), Some("use d"));
}

#[test]
fn a_list_may_be_emptied_by_a_variable_and_an_empty_variable_says_nothing() {
    let folder = Folder::new("server.base_paths = ['/a']\n");
    let world = folder.world().with("LARDER_SERVER_BASE_PATHS", "[]");
    assert!(load(&Flags::default(), &world).unwrap().settings.server.base_paths.is_empty());
    let world = folder.world().with("LARDER_SERVER_BASE_PATHS", "");
    assert_eq!(load(&Flags::default(), &world).unwrap().settings.server.base_paths, ["/a"]);
}

#[test]
fn relative_paths_are_seen_from_the_file_or_the_working_directory() {
    let folder = Folder::new("");
    let file = folder.write("conf/l.toml", "store.data = 'd'\nlog.access = 'access.log'\n");
    let flags = Flags { config: Some("conf/l.toml".into()), ..Flags::default() };
    let resolved = load(&flags, &folder.world()).unwrap();
    let conf = Path::new(&file).parent().unwrap();
    assert_eq!(resolved.settings.store.data, conf.join("d"));
    assert_eq!(resolved.settings.log.access, Destination::File(conf.join("access.log")));
    let world = folder.world().with("LARDER_STORE_DATA", "e");
    let resolved = load(&flags, &world).unwrap();
    assert_eq!(resolved.settings.store.data, folder.0.path().join("e"));
}

#[test]
fn secrets_come_from_files_by_key_and_by_variable() {
    let folder =
        Folder::new("upstream.source.corp = { url = 'https://a.example', token_file = 'token' }\n");
    folder.write("token", "from-file\n");
    let token = |world: &World| {
        let resolved = load(&Flags::default(), world).unwrap();
        let token = resolved.settings.upstream.source["corp"].token.clone().unwrap();
        (token.expose_secret().to_owned(), source(&resolved, "upstream.source.corp.token"))
    };
    let path = folder.0.path().join("token");
    let named = format!("file {} named by larder.toml:1", path.display());
    assert_eq!(token(&folder.world()), ("from-file".to_owned(), named));
    let other = folder.write("other", "from-variable");
    let world = folder.world().with("LARDER_UPSTREAM_SOURCE_CORP_TOKEN_FILE", &other);
    assert_eq!(token(&world).0, "from-variable");
    let world = folder.world().with("LARDER_UPSTREAM_SOURCE_CORP_TOKEN", "direct");
    assert_eq!(token(&world).0, "direct");
}

#[test]
fn what_kubernetes_injects_is_no_key() {
    let mut world = Folder::new("").world();
    for name in ["PORT", "PORT_8080_TCP", "PORT_8080_TCP_ADDR", "SERVICE_HOST", "SERVICE_PORT"] {
        world = world.with(&format!("LARDER_{name}"), "tcp://10.0.0.1:8080");
    }
    assert!(load(&Flags::default(), &world).is_ok());
}

#[test]
fn tls_files_are_read_again_on_demand() {
    let folder = Folder::new("");
    let (cert_file, key_file) = (folder.write("c", "one"), folder.write("k", "two"));
    let files = TlsFiles { cert_file: cert_file.into(), key_file: key_file.into() };
    let pem = read_tls(&files).unwrap();
    assert_eq!((pem.cert.as_slice(), pem.key.expose_secret()), (&b"one"[..], "two"));
    let missing = TlsFiles { cert_file: folder.0.path().join("none"), ..files };
    assert!(read_tls(&missing).unwrap_err().to_string().contains("none"));
}
