use super::*;

fn path(text: &str) -> ModulePath {
    ModulePath::parse(text).unwrap()
}

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

fn deny(modules: &str) -> DenyRule {
    DenyRule { modules: modules.to_owned(), reason: None }
}

fn judge(config: &Config, module: &str) -> Result<Pass, Denial> {
    let module = path(module);
    Policy::new(config).judge(Subject { module: &module, version: None, facts: None })
}

fn allow(patterns: &[&str]) -> Config {
    Config { allow: patterns.iter().map(|text| (*text).to_owned()).collect(), deny: vec![] }
}

fn denying(patterns: &[&str]) -> Config {
    Config { allow: vec![], deny: patterns.iter().map(|text| deny(text)).collect() }
}

#[test]
fn without_rules_everything_passes() {
    assert!(judge(&Config::default(), "github.com/any/thing").is_ok());
    let module = path("github.com/any/thing");
    let subject = Subject { module: &module, version: None, facts: None };
    assert!(Policy::default().judge(subject).is_ok());
}

#[test]
fn allow_list_refuses_what_it_does_not_name() {
    let config = allow(&["github.com/acme", "golang.org/x/*"]);
    for module in ["github.com/acme", "github.com/acme/tool", "golang.org/x/mod"] {
        assert!(judge(&config, module).is_ok(), "{module}");
    }
    for module in ["github.com/acmeevil/tool", "github.com/other/tool", "golang.org/y"] {
        assert_eq!(judge(&config, module).unwrap_err().rule, "allow-list", "{module}");
    }
}

#[test]
fn deny_rule_refuses_what_it_names() {
    let config = denying(&["github.com/evil,*.bad.com", "example.com/old"]);
    for (module, rule) in [
        ("github.com/evil/tool", "deny github.com/evil"),
        ("git.bad.com/x", "deny *.bad.com"),
        ("example.com/old/v2", "deny example.com/old"),
    ] {
        assert_eq!(judge(&config, module).unwrap_err().rule, rule, "{module}");
    }
    assert!(judge(&config, "github.com/good/tool").is_ok());
    assert!(judge(&config, "bad.com/x").is_ok());
}

#[test]
fn deny_wins_over_allow() {
    let config = Config { deny: vec![deny("github.com/acme/bad")], ..allow(&["github.com/acme"]) };
    assert_eq!(judge(&config, "github.com/acme/bad").unwrap_err().rule, "deny github.com/acme/bad");
    assert!(judge(&config, "github.com/acme/good").is_ok());
}

#[test]
fn toolchain_passes_an_allow_list_that_does_not_name_it() {
    assert!(judge(&allow(&["github.com/acme"]), "golang.org/toolchain").is_ok());
    assert!(judge(&allow(&["github.com/acme"]), "golang.org/tools").is_err());
}

#[test]
fn toolchain_is_denied_only_when_spelled_out() {
    for covering in ["*", "*/*", "golang.org", "golang.org/*", "golang.org/t*"] {
        assert!(judge(&denying(&[covering]), "golang.org/toolchain").is_ok(), "{covering}");
        assert!(judge(&denying(&[covering]), "golang.org/tools").is_err(), "{covering}");
    }
    for naming in ["golang.org/toolchain", "golang.org/toolchain/", "*,golang.org/toolchain"] {
        assert!(judge(&denying(&[naming]), "golang.org/toolchain").is_err(), "{naming}");
    }
}

#[test]
fn empty_patterns_deny_and_allow_nothing() {
    assert!(judge(&denying(&["", ",,"]), "github.com/a/b").is_ok());
    assert!(judge(&allow(&[""]), "github.com/a/b").is_err());
}

#[test]
fn pass_covers_the_judged_version_only() {
    let (module, v1, v2) = (path("example.com/m"), version("v1.0.0"), version("v1.0.1"));
    let policy = Policy::default();
    let pass = policy.judge(Subject { module: &module, version: Some(&v1), facts: None }).unwrap();
    assert_eq!(pass.module(), &module);
    assert!(pass.covers(&ModVer::new(module.clone(), v1.clone()).unwrap()));
    assert!(!pass.covers(&ModVer::new(module.clone(), v2).unwrap()));
    assert!(!pass.covers(&ModVer::new(path("example.com/n"), v1.clone()).unwrap()));

    let listed = policy.judge(Subject { module: &module, version: None, facts: None }).unwrap();
    assert!(!listed.covers(&ModVer::new(module, v1).unwrap()));
}

#[test]
fn denial_says_what_rule_reason_and_what_to_do() {
    let config = Config {
        deny: vec![DenyRule {
            modules: "github.com/evil/*".to_owned(),
            reason: Some("typosquats good/tool\n\n(ticket 42)".to_owned()),
        }],
        ..Config::default()
    };
    let (module, version) = (path("github.com/evil/tool"), version("v1.2.3"));
    let subject = Subject { module: &module, version: Some(&version), facts: None };
    let denial = Policy::new(&config).judge(subject).unwrap_err();
    assert_eq!(
        denial.to_string(),
        "github.com/evil/tool@v1.2.3 is denied here\n\
         rule: modules that match \"github.com/evil/*\" may not be used\n\
         reason: typosquats good/tool (ticket 42)\n\
         what to do: use another module, or ask those who run this proxy about the rule"
    );
}

#[test]
fn every_denial_fits_what_the_go_command_shows() {
    let long = format!("example.com/{}", "x".repeat(400));
    let rule = DenyRule { modules: long.clone(), reason: Some("é\u{7}\n\r\n ".repeat(500)) };
    let denials = [
        judge(&Config { deny: vec![rule], ..Config::default() }, &long).unwrap_err(),
        judge(&allow(&["none"]), &long).unwrap_err(),
    ];
    for denial in denials {
        let text = denial.text;
        assert!(text.len() <= MAX_DENIAL_BYTES, "{} bytes", text.len());
        assert!(text.lines().count() <= 8);
        assert!(text.lines().all(|line| !line.trim().is_empty()), "{text}");
        assert!(text.chars().all(|c| c == '\n' || c == ' ' || is_graphic(c)), "{text}");
    }
}

#[test]
fn one_line_keeps_what_fits_and_cuts_one_byte_more() {
    let whole = "x".repeat(MAX_DENIAL_PART_BYTES);
    assert_eq!(one_line(&whole), whole);
    let cut = one_line(&"x".repeat(MAX_DENIAL_PART_BYTES + 1));
    assert_eq!(cut.len(), MAX_DENIAL_PART_BYTES);
    assert!(cut.ends_with("x..."));
    assert!(one_line(&"é".repeat(100)).ends_with("é..."));
}

#[test]
fn config_reads_its_documented_shape_and_nothing_else() {
    let text =
        r#"{"allow":["a.com"],"deny":[{"modules":"b.com","reason":"old"},{"modules":"c.com"}]}"#;
    let config: Config = serde_json::from_str(text).unwrap();
    assert_eq!(config.allow, ["a.com"]);
    assert_eq!(config.deny.len(), 2);
    assert_eq!(serde_json::from_str::<Config>("{}").unwrap(), Config::default());
    for bad in [r#"{"alow":[]}"#, r#"{"deny":[{"module":"x"}]}"#, r#"{"deny":[{"reason":"x"}]}"#] {
        assert!(serde_json::from_str::<Config>(bad).is_err(), "{bad}");
    }
}
