//! What comes from Go's own settings, and how `config show` tells it.

use super::*;

/// A folder with a Go installation, seen by a world with that GOROOT.
fn with_go(toml: &str, go_env: &str) -> (Folder, World) {
    let folder = Folder::new(toml);
    folder.write("go/go.env", go_env);
    let root = folder.0.path().join("go").to_string_lossy().into_owned();
    let world = folder.world().with("GOROOT", root);
    (folder, world)
}

fn shown(toml: &str, go_env: &str) -> String {
    let (folder, world) = with_go(toml, go_env);
    let resolved = load(&Flags::default(), &world).unwrap();
    show::show(&resolved).replace(folder.0.path().to_str().unwrap(), "/W")
}

#[test]
fn upstreams_and_database_come_from_go_when_nobody_says_otherwise() {
    let (_folder, world) =
        with_go("", "GOPROXY=https://root.example,direct\nGOSUMDB=sum.golang.org\n");
    let resolved = load(&Flags::default(), &world).unwrap();
    assert_eq!(resolved.proxies.0, "https://root.example,direct");
    assert_eq!(resolved.databases[0].name.as_str(), "sum.golang.org");
    let world = world.with("GOPROXY", "off").with("GOSUMDB", "off");
    let resolved = load(&Flags::default(), &world).unwrap();
    assert_eq!(resolved.proxies.0, "off");
    assert!(resolved.databases.is_empty());
    let world = world.with("LARDER_UPSTREAM_PROXIES", "https://own.example");
    let resolved = load(&Flags::default(), &world).unwrap();
    assert_eq!(resolved.proxies.0, "https://own.example");
}

#[test]
fn private_is_the_union_and_the_sumdb_list_stands_alone() {
    let world = Folder::new("policy.private = ['a.example']").world();
    let world = world.with("GOPRIVATE", "b.example").with("GONOPROXY", "c.example");
    let folder = Folder::new("policy.private = ['a.example']");
    let in_folder = World::empty(folder.0.path().to_owned())
        .with("GOPRIVATE", world.variable("GOPRIVATE").unwrap())
        .with("GONOPROXY", world.variable("GONOPROXY").unwrap());
    let resolved = load(&Flags::default(), &in_folder).unwrap();
    let lists: Vec<_> = resolved.private.iter().map(|(list, _)| list.as_str()).collect();
    assert_eq!(lists, ["a.example", "b.example", "c.example"]);
    assert_eq!(resolved.private[0].1, "policy.private, larder.toml:1");
    assert_eq!(resolved.no_sumdb[0].0, "b.example");
    let resolved = load(&Flags::default(), &in_folder.with("GONOSUMDB", "d.example")).unwrap();
    assert_eq!(resolved.no_sumdb.len(), 1);
    assert_eq!(resolved.no_sumdb[0].0, "d.example");
}

#[test]
fn a_bad_setting_of_gos_is_told_with_its_place() {
    let (_folder, world) = with_go("", "");
    let shown = |name: &str, text: &str| {
        let world = world.clone().with(name, text);
        load(&Flags::default(), &world).unwrap_err().to_string()
    };
    let proxy = shown("GOPROXY", "ftp://u:hunter2@x");
    assert!(proxy.contains("GOPROXY from the environment"), "{proxy}");
    assert!(!proxy.contains("hunter2"), "{proxy}");
    let database = shown("GOSUMDB", "sum.example.com");
    assert!(database.contains("GOSUMDB from the environment"), "{database}");
}

#[test]
fn show_prints_every_value_with_its_source() {
    let go_env = "GOPROXY=https://u:hunter2@root.example,direct\nGOSUMDB=sum.golang.org\n\
                  GOPRIVATE=corp.example.com\nGOVCS=*:git\n";
    let toml = "[store]\nmin_free = '2GiB'\n[upstream.source.root]\nurl = \
                'https://root.example'\ntoken = 'hunter2'\n";
    let shown = shown(toml, go_env);
    assert!(!shown.contains("hunter2"), "{shown}");
    let line = |start: &str| {
        let mut lines = shown.lines().filter(|line| line.starts_with(start));
        (lines.next().unwrap_or_default().to_owned(), lines.count())
    };
    for want in [
        "# configuration file: larder.toml",
        "server.listen = [\"127.0.0.1:8080\"]  # default",
        "# server.public_url is not set  # default",
        "store.min_free = \"2GiB\"  # larder.toml:2",
        "upstream.source.root.token = \"****\"  # larder.toml:5",
        "upstream.proxies = \"https://****@root.example,direct\"  # GOPROXY from go.env of GOROOT \
         /W/go/go.env",
        "sumdb.databases = [\"sum.golang.org\"]  # GOSUMDB from go.env of GOROOT /W/go/go.env",
        "# GOPRIVATE = \"corp.example.com\"  # GOPRIVATE from go.env of GOROOT /W/go/go.env",
        "# GOVCS = \"*:git\"  # GOVCS from go.env of GOROOT /W/go/go.env",
    ] {
        let start = want.split("  ").next().unwrap();
        assert_eq!(line(start), (want.to_owned(), 0));
    }
    for key in keys::KEYS.iter().filter(|key| !key.path.contains('*')) {
        assert!(shown.contains(&format!("{} ", key.path)), "{} is not shown", key.path);
    }
}

#[test]
fn what_show_prints_is_a_configuration_with_the_same_values() {
    let (_folder, world) = with_go("", "GOPROXY=https://root.example\nGOSUMDB=sum.golang.org\n");
    let first = load(&Flags::default(), &world).unwrap();
    let second = loaded(&show::show(&first));
    assert_eq!(first.proxies.0, second.proxies.0);
    for (path, entry) in &first.entries {
        assert_eq!(entry.value, second.entries[path].value, "{path}");
    }
}

#[test]
fn a_skipped_upstream_is_shown_with_what_is_in_effect() {
    let toml = "upstream.proxies = 'http://localhost:8080,https://a.example'\n";
    let shown = shown(toml, "");
    let want = "# in effect: upstream.proxies = \"https://a.example\"  # larder.toml:1";
    // The same source: what was configured stands in the line itself.
    assert!(!shown.contains(want), "{shown}");
    assert!(
        shown.contains("# warning: upstream http://localhost:8080 is larder itself"),
        "{shown}"
    );
}

#[test]
fn the_first_log_lines_name_upstreams_private_patterns_and_databases() {
    let go_env = "GOPROXY=https://root.example\nGOPRIVATE=corp.example.com\nGOSUMDB=sum.golang.org";
    let (folder, world) = with_go("", go_env);
    let resolved = load(&Flags { offline: true, ..Flags::default() }, &world).unwrap();
    let lines = resolved.summary().join("\n");
    let lines = lines.replace(folder.0.path().to_str().unwrap(), "/W");
    insta::assert_snapshot!(lines, @r"
    upstreams: https://root.example (GOPROXY from go.env of GOROOT /W/go/go.env); offline: nobody is asked
    private: corp.example.com (GOPRIVATE from go.env of GOROOT /W/go/go.env), names below .internal, .local, .corp, .lan and .home.arpa
    checksum databases: sum.golang.org (GOSUMDB from go.env of GOROOT /W/go/go.env); sum.golang.org confirms what is fetched before it is published
    not looked up in them: corp.example.com (GOPRIVATE from go.env of GOROOT /W/go/go.env)
    ");
    insta::assert_snapshot!(loaded("").summary().join("\n"), @r"
    upstreams: direct (default)
    private: names below .internal, .local, .corp, .lan and .home.arpa
    checksum databases: sum.golang.org (default); sum.golang.org confirms what is fetched before it is published
    ");
}

#[test]
fn verification_that_is_off_is_said_loudly() {
    let go_env = "GOPROXY=https://root.example\nGOSUMDB=off";
    let (_folder, world) = with_go("", go_env);
    let resolved = load(&Flags::default(), &world).unwrap();
    assert!(resolved.summary().join("\n").contains("NOTHING that is fetched is confirmed"));
    let warning = resolved.warnings.join("\n");
    assert!(
        warning.contains("GOSUMDB") && warning.contains("nothing that is fetched"),
        "{warning}"
    );
    // Said on purpose: no warning, but the first lines of the log tell it all the same.
    let (_folder, world) = with_go("sumdb.verify = 'off'", go_env);
    let resolved = load(&Flags::default(), &world).unwrap();
    assert!(resolved.summary().join("\n").contains("NOTHING that is fetched is confirmed"));
    assert!(resolved.warnings.is_empty(), "{:?}", resolved.warnings);
}

#[test]
fn a_database_that_is_larder_itself_is_left_out() {
    let key = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    let go_env =
        format!("GOPROXY=https://root.example\nGOSUMDB={key} http://localhost:8080/sumdb/x");
    let (_folder, world) = with_go("", &go_env);
    let resolved = load(&Flags::default(), &world).unwrap();
    assert!(resolved.databases.is_empty());
    assert!(resolved.warnings.iter().any(|warning| warning.contains("larder itself")));
}

#[test]
fn outgoing_proxies_are_read_as_go_reads_them() {
    let world = Folder::new("").world();
    let world = world.with("https_proxy", "http://low:1").with("HTTP_PROXY", "http://up:1");
    let of = |world: &World| load(&Flags::default(), world).unwrap().proxy_environment;
    let found = of(&world);
    assert_eq!(found.https.as_deref(), Some("http://low:1"));
    assert_eq!(found.http.as_deref(), Some("http://up:1"));
    assert_eq!(found.no, None);
    let cert = world.clone().with("SSL_CERT_FILE", "/ca.pem");
    let cert = load(&Flags::default(), &cert).unwrap().system_ca_file;
    assert_eq!(cert.as_deref(), Some(Path::new("/ca.pem")));
    let cgi = of(&world.with("REQUEST_METHOD", "GET").with("HTTPS_PROXY", "http://up:2"));
    assert_eq!((cgi.http, cgi.https.as_deref()), (None, Some("http://up:2")));
}
