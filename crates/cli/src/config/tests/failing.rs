//! What is wrong is told with its place and what was expected.

use super::*;

fn problems(toml: &str) -> String {
    Folder::new(toml).load().unwrap_err().to_string()
}

fn problems_of(name: &str, text: &str) -> String {
    let world = Folder::new("").world().with(name, text);
    load(&Flags::default(), &world).unwrap_err().to_string()
}

#[test]
fn a_wrong_type_is_shown_with_line_caret_and_expectation() {
    insta::assert_snapshot!(problems("[proxy]\nlist_fresh = 60\n"), @r#"
    error: proxy.list_fresh: this is an integer
     --> larder.toml:2:14
      |
    2 | list_fresh = 60
      |              ^^ expected a duration with its unit, such as "30s" or "1h30m"
    "#);
}

#[test]
fn a_bad_address_in_a_list_is_shown_at_its_place() {
    insta::assert_snapshot!(problems("server.listen = ['127.0.0.1:1', ':8080']\n"), @r#"
    error: server.listen: ":8080" names no address; all of them is "[::]:8080"
     --> larder.toml:1:33
      |
    1 | server.listen = ['127.0.0.1:1', ':8080']
      |                                 ^^^^^^^ expected an address with its port, such as "127.0.0.1:8080" or "[::]:8080"
    "#);
}

#[test]
fn an_unknown_key_is_shown_with_the_one_that_was_meant() {
    insta::assert_snapshot!(problems("[server]\nlisen = ['127.0.0.1:1']\n"), @r"
    error: unknown key server.lisen
     --> larder.toml:2:1
      |
    2 | lisen = ['127.0.0.1:1']
      | ^^^^^ expected perhaps server.listen
    ");
    insta::assert_snapshot!(problems("[proxies]\na = 1\n"), @r"
    error: unknown key proxies
     --> larder.toml:1:2
      |
    1 | [proxies]
      |  ^^^^^^^ expected perhaps upstream.proxies
    ");
}

#[test]
fn a_reserved_key_says_what_for() {
    insta::assert_snapshot!(problems("[sumdb]\nwitnesses = ['w.example']\n"), @r"
    error: sumdb.witnesses is reserved, for heads that wait for cosignatures of witnesses
     --> larder.toml:2:1
      |
    2 | witnesses = ['w.example']
      | ^^^^^^^^^ expected none of it: that is not built
    ");
    let shown = problems_of("LARDER_SUMDB_BLINDING", "on");
    assert!(shown.contains("SUMDB_BLINDING"), "{shown}");
}

#[test]
fn an_unclosed_array_is_shown() {
    let shown = problems("server.listen = ['127.0.0.1:1'\n[store]\n");
    assert!(shown.starts_with("error: "), "{shown}");
    assert!(shown.contains("--> larder.toml:") && shown.contains('^'), "{shown}");
}

#[test]
fn a_row_of_a_table_is_shown_at_its_wrong_key() {
    let toml = "[[policy.deny]]\nmodules = 'a.example'\n\n[[policy.deny]]\nmodule = 'b.example'\n";
    insta::assert_snapshot!(problems(toml), @r#"
    error: policy.deny: unknown key "module" in this table
     --> larder.toml:5:1
      |
    5 | module = 'b.example'
      | ^^^^^^ expected an array of tables with `modules`, `reason` (optional)

    error: policy.deny: `modules` is missing
     --> larder.toml:4:1
      |
    4 | [[policy.deny]]
      | ^^^^^^^^^^^^^^^ expected an array of tables with `modules`, `reason` (optional)
    "#);
    let shown = problems_of("LARDER_POLICY_DENY", "[{module = 'a'}]");
    assert!(shown.contains("LARDER_POLICY_DENY") && shown.contains("missing"), "{shown}");
}

#[test]
fn a_problem_never_tells_a_password_in_a_url() {
    for toml in [
        "server.public_url = 'https://u:hunter2@x y'",
        "server.public_url = 'https://u:hunter2@x'",
        "upstream.proxies = 'https://u:hunter2@x y'",
        "upstream.proxies = 'ftp://u:hunter2@x'",
        "upstream.proxies = 'http://u:hunter2@x.example'",
    ] {
        let shown = problems(toml);
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn a_key_in_place_of_a_section_is_shown() {
    insta::assert_snapshot!(problems("server = 'x'\n"), @r"
    error: server is a section
     --> larder.toml:1:10
      |
    1 | server = 'x'
      |          ^^^ expected [server]
    ");
}

#[test]
fn a_bad_variable_is_named() {
    insta::assert_snapshot!(problems_of("LARDER_STORE_MIN_FREE", "1000"), @r#"
    error: store.min_free: "1000" is no size
      --> environment variable LARDER_STORE_MIN_FREE
      = expected a size with its unit, such as "512MiB" or "2GB"
    "#);
}

#[test]
fn an_unknown_variable_is_an_error_with_the_one_that_was_meant() {
    insta::assert_snapshot!(problems_of("LARDER_STORE_MINFREE", "1GiB"), @r"
    error: LARDER_STORE_MINFREE is no variable of larder's
      --> environment variable LARDER_STORE_MINFREE
      = expected perhaps LARDER_STORE_MIN_FREE
    ");
    let far = problems_of("LARDER_WHATEVER_THIS_IS", "1");
    assert!(far.contains("docs/config.md"), "{far}");
}

#[test]
fn all_problems_are_told_at_once_and_a_weaker_layers_too() {
    let folder = Folder::new("proxy.list_fresh = 'x'\nproxy.cores = 1\n");
    let world = folder.world().with("LARDER_SERVER_CORES", "many");
    let flags = Flags { listen: vec!["nowhere".to_owned()], ..Flags::default() };
    let problems = load(&flags, &world).unwrap_err();
    assert_eq!(problems.0.len(), 4, "{problems}");
    assert!(problems.to_string().contains("flag --listen"), "{problems}");
}

#[test]
fn keys_that_need_or_exclude_each_other() {
    let folder = Folder::new("");
    let pem = folder.write("cert.pem", "-----BEGIN CERTIFICATE-----");
    for (toml, want) in [
        (format!("server.tls.cert_file = '{pem}'"), "is set without server.tls.key_file"),
        ("[server.tls]\nkey_file = 'k'".to_owned(), "is set without server.tls.cert_file"),
        (
            format!("server.tls = {{ cert_file = '{pem}', key_file = '{pem}' }}"),
            "holds no PRIVATE KEY",
        ),
        (
            format!("server.tls = {{ cert_file = '/none', key_file = '{pem}' }}"),
            "there is no file /none",
        ),
        ("outbound.ca_files = ['/none']".to_owned(), "outbound.ca_files: there is no file /none"),
        ("server.listen = []".to_owned(), "it names no address"),
        ("server.listen = ['127.0.0.1:1', '127.0.0.1:1']".to_owned(), "stands twice"),
        ("server.drain = '10s'".to_owned(), "at most server.stop_timeout, 9s"),
        ("upstream.source.x.token = 't'".to_owned(), "upstream.source.x has no url"),
        (
            "upstream.source.x = { url = 'https://a', user = 'u' }".to_owned(),
            "is set without upstream.source.x.password",
        ),
        (
            "upstream.source.x = { url = 'https://a', token = 't', user = 'u', password = 'p' }"
                .to_owned(),
            "has a token and a user",
        ),
        (
            "upstream.source.x = { url = 'https://a', token = 't', token_file = 'f' }".to_owned(),
            "upstream.source.x.token_file",
        ),
        (
            "upstream.source.x = { url = 'https://a', ca_file = '/none' }".to_owned(),
            "upstream.source.x.ca_file: there is no file",
        ),
        ("sumdb.databases = ['sum.golang.org', 'sum.golang.org']".to_owned(), "stands twice"),
    ] {
        let shown = problems(&toml);
        assert!(shown.contains(want), "{toml}: {shown}");
    }
}

#[test]
fn a_limit_may_be_met_exactly() {
    assert!(Folder::new("server.drain = '9s'").load().is_ok());
}

#[test]
fn a_secret_that_cannot_be_read_is_told_without_it() {
    let folder = Folder::new("");
    let empty = folder.write("empty", "\n");
    for (path, want) in [("/none/token", "there is no such file"), (&empty, "it is empty")] {
        let world = folder.world().with("LARDER_UPSTREAM_SOURCE_X_TOKEN_FILE", path);
        let shown = load(&Flags::default(), &world).unwrap_err().to_string();
        assert!(shown.contains(want) && shown.contains("X_TOKEN_FILE"), "{shown}");
    }
    let world = folder.world();
    let token = folder.write("token", "hunter2");
    let world = world
        .with("LARDER_UPSTREAM_SOURCE_X_TOKEN_FILE", token)
        .with("LARDER_UPSTREAM_SOURCE_X_TOKEN", "hunter2");
    let shown = load(&Flags::default(), &world).unwrap_err().to_string();
    assert!(shown.contains("given twice") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_named_file_must_exist_and_be_readable() {
    let folder = Folder::new("");
    let flags = Flags { config: Some("none.toml".into()), ..Flags::default() };
    let shown = load(&flags, &folder.world()).unwrap_err().to_string();
    assert!(shown.contains("no file none.toml") && shown.contains("flag --config"), "{shown}");
    let world = folder.world().with("LARDER_CONFIG", ".");
    let shown = load(&Flags::default(), &world).unwrap_err().to_string();
    assert!(shown.contains("LARDER_CONFIG"), "{shown}");
}
