//! Which list holds, what is skipped, who larder is where.

use secrecy::ExposeSecret as _;

use super::*;
use crate::config::world::World;

fn chosen(configured: Option<&str>, world: &World) -> (String, Source, Vec<String>) {
    let listen = ["127.0.0.1:8080".parse().unwrap()];
    let own = Own { listen: &listen, public_url: None, world };
    let configured = configured.map(|text| (text, &Source::Flag("--test")));
    let chosen = choose(configured, &GoSettings::read(world), &own).unwrap();
    (text(&chosen.entries), chosen.source, chosen.warnings)
}

/// A user file and an installation that say something else each.
#[expect(clippy::disallowed_methods, reason = "tests make their own files")]
fn machine(user: &str, root: &str) -> (tempfile::TempDir, World) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("env"), format!("GOPROXY={user}\n")).unwrap();
    std::fs::write(path("go.env"), format!("GOPROXY={root}\n")).unwrap();
    let world = World::empty(folder.path().to_owned())
        .with("GOENV", path("env").to_string_lossy())
        .with("GOROOT", folder.path().to_string_lossy());
    (folder, world)
}

#[test]
fn an_own_entry_is_skipped_with_a_warning_that_names_its_place() {
    let (_folder, world) = machine("http://u:p@localhost:8080|https://a.example,direct", "off");
    let (text, source, warnings) = chosen(None, &world);
    assert_eq!(text, "https://a.example,direct");
    assert!(source.to_string().contains("go env -w file"), "{source}");
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].starts_with("upstream http://****@localhost:8080 is larder itself"));
    assert!(warnings[0].contains("go env -w file"), "{}", warnings[0]);
}

#[test]
fn when_nothing_is_left_the_next_settings_are_taken() {
    for user in ["http://127.0.0.1:8080", "http://[::1]:8080,off", "http://localhost:8080|off"] {
        let (_folder, world) = machine(user, "https://root.example,direct");
        let (text, source, warnings) = chosen(None, &world);
        assert_eq!(text, "https://root.example,direct", "{user}");
        assert!(source.to_string().contains("go.env of GOROOT"), "{source}");
        assert_eq!(warnings.len(), 2, "{warnings:?}");
    }
    let (_folder, world) = machine("http://localhost:8080", "http://localhost:8080");
    let (text, source, warnings) = chosen(Some("http://localhost:8080"), &world);
    assert_eq!((text.as_str(), source), ("direct", Source::Default));
    assert_eq!(warnings.len(), 7, "{warnings:?}");
}

#[test]
fn off_alone_is_meant() {
    let (_folder, world) = machine("off", "https://root.example");
    assert_eq!(chosen(None, &world).0, "off");
}

#[test]
fn without_any_settings_it_is_direct_and_that_is_said() {
    let world = World::empty("/nowhere".into());
    let (text, source, warnings) = chosen(None, &world);
    assert_eq!((text.as_str(), source), ("direct", Source::Default));
    assert_eq!(warnings.len(), 1);
}

#[test]
fn separators_stay_with_the_entries_before_them() {
    let world = World::empty("/nowhere".into());
    let text = chosen(Some("https://a|http://localhost:8080,https://b|direct"), &world).0;
    assert_eq!(text, "https://a|https://b|direct");
}

fn dressed(entry: &str, tables: &[(&str, &UpstreamSource)], netrc: &str) -> Result<Proxy, Problem> {
    let folder = tempfile::tempdir().unwrap();
    #[expect(clippy::disallowed_methods, reason = "tests make their own files")]
    std::fs::write(folder.path().join("netrc"), netrc).unwrap();
    let world = World::empty(folder.path().to_owned()).with("NETRC", "netrc");
    let netrc = Netrc::read(&world).unwrap();
    let extras = Extras { tables, netrc: &netrc };
    let list = parse(entry).unwrap();
    match extras.dress(&list.0[0], &Source::Default)?.target {
        Target::Proxy(proxy) => Ok(*proxy),
        other => panic!("{other}"),
    }
}

fn who(proxy: &Proxy) -> String {
    match &proxy.credential {
        None => "nobody".to_owned(),
        Some(Credential::Bearer(token) | Credential::Header(token)) => {
            token.expose_secret().to_owned()
        }
        Some(Credential::Basic { user, password }) => {
            format!("{user}:{}", password.expose_secret())
        }
    }
}

fn table(url: &str, token: &str) -> UpstreamSource {
    let token = Some(SecretString::from(token)).filter(|_| !token.is_empty());
    UpstreamSource { url: Some(Url::parse(url).unwrap()), token, ..UpstreamSource::default() }
}

#[test]
fn a_table_wins_over_userinfo_over_netrc() {
    let netrc = "machine a.example login n password q\nmachine a.example:8443 login m password r";
    let corp = table("https://a.example", "t");
    let tables = [("corp", &corp)];
    for (entry, tables, want) in [
        ("https://u:p%40@a.example", &tables[..], "t"),
        ("https://u:p%40@a.example", &[], "u:p@"),
        ("https://a.example/x", &[], "n:q"),
        ("https://a.example:8443", &[], "m:r"),
        ("https://b.example", &tables[..], "nobody"),
        // netrc is for https alone.
        ("http://a.example", &[], "nobody"),
    ] {
        let proxy = dressed(entry, tables, netrc).unwrap();
        assert_eq!(who(&proxy), want, "{entry}");
        assert!(!proxy.url.as_str().contains('@'), "{}", proxy.url);
    }
}

#[test]
fn the_table_with_the_longest_path_is_taken_and_names_the_upstream() {
    let (wide, narrow) =
        (table("https://a.example", "wide"), table("https://a.example/x", "narrow"));
    let tables = [("wide", &wide), ("narrow", &narrow)];
    for (entry, name, token) in [
        ("https://a.example/x/y", "narrow", "narrow"),
        ("https://a.example/xy", "wide", "wide"),
        ("https://a.example:444/x", "a.example:444/x", "nobody"),
    ] {
        let proxy = dressed(entry, &tables, "").unwrap();
        assert_eq!((proxy.name.as_str(), who(&proxy).as_str()), (name, token), "{entry}");
    }
}

#[test]
fn credentials_are_not_sent_in_the_clear_but_to_this_host() {
    let problem = dressed("http://u:hunter2@a.example", &[], "").unwrap_err();
    assert!(problem.message.contains("plain http") && !problem.message.contains("hunter2"));
    for entry in ["http://u:p@127.0.0.1:1", "http://u:p@localhost:1", "http://u:p@[::1]:1"] {
        assert_eq!(who(&dressed(entry, &[], "").unwrap()), "u:p", "{entry}");
    }
}

#[test]
fn a_folder_is_an_upstream_too() {
    let proxy = dressed("file:///srv/modules", &[], "").unwrap();
    assert_eq!((proxy.name.as_str(), proxy.url.as_str()), ("/srv/modules", "file:///srv/modules"));
}

#[test]
fn a_table_about_no_upstream_is_told() {
    let (used, unused) = (table("https://a.example", ""), table("https://b.example", ""));
    let extras = Extras { tables: &[("a", &used), ("b", &unused)], netrc: &Netrc::default() };
    let list = parse("https://a.example,direct").unwrap();
    let upstreams: Vec<_> =
        list.0.iter().map(|entry| extras.dress(entry, &Source::Default).unwrap()).collect();
    assert_eq!(extras.unused(&upstreams), ["upstream.source.b is about no upstream"]);
}

#[test]
fn a_bad_list_is_told_without_its_credentials() {
    let error = parse("https://u:hunter2@a.example,ftp://x").unwrap_err();
    assert!(!error.contains("hunter2"), "{error}");
}
