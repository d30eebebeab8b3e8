//! Tables of texts and values per kind.

use super::*;

fn text(kind: Kind, text: &str) -> Result<String, String> {
    let checked = kind.check_text(text).map(|value| value.to_string());
    checked.map_err(|wrongs| wrongs.iter().map(|w| w.reason.clone()).collect::<Vec<_>>().join("; "))
}

fn toml(kind: Kind, text: &str) -> Result<String, Vec<Wrong>> {
    let parsed = DeValue::parse(text).unwrap();
    kind.check_toml(&parsed).map(|value| value.to_string())
}

const ROW: &[Key] = &[
    Key {
        path: "modules",
        kind: Kind::Patterns,
        default: super::super::keys::Default::Required,
        doc: "",
        wrong: "",
    },
    Key {
        path: "reason",
        kind: Kind::Text,
        default: super::super::keys::Default::None,
        doc: "",
        wrong: "",
    },
];

#[test]
fn good_texts_become_values_in_normal_form() {
    let addresses = Kind::List(&Kind::Address);
    for (kind, given, want) in [
        (Kind::Bool, "true", "true"),
        (Kind::Count { min: 0, max: 10 }, "10", "10"),
        (Kind::Age, "0s", r#""0s""#),
        (Kind::Limit, "90s", r#""1m30s""#),
        (Kind::Size, "1024KiB", r#""1MiB""#),
        (Kind::Size, "0", r#""0""#),
        (Kind::Address, "localhost:80", r#""127.0.0.1:80""#),
        (Kind::Address, "[::]:8080", r#""[::]:8080""#),
        (Kind::Url, "https://GO.example.com/x/", r#""https://go.example.com/x""#),
        (Kind::UrlPath, "/api/go/x/", r#""/api/go/x""#),
        (Kind::Network, "10.1.2.3/8", r#""10.0.0.0/8""#),
        (Kind::Network, "::1", r#""::1/128""#),
        (Kind::Choice(&["a", "b"]), "b", r#""b""#),
        (Kind::Pattern, "*.corp.example.com/x", r#""*.corp.example.com/x""#),
        (Kind::Patterns, "a,*.b", r#""a,*.b""#),
        (Kind::Levels, "info,proxy=debug", r#""info,proxy=debug""#),
        (Kind::Destination, "off", r#""off""#),
        (addresses, "127.0.0.1:1, [::1]:2", r#"["127.0.0.1:1", "[::1]:2"]"#),
        (addresses, "[::1]:1,[::1]:2", r#"["[::1]:1", "[::1]:2"]"#),
        (addresses, r#"["127.0.0.1:1"]"#, r#"["127.0.0.1:1"]"#),
        (addresses, "[]", "[]"),
        (Kind::Tables(ROW), r#"[{modules = "a"}]"#, r#"[{ modules = "a" }]"#),
    ] {
        assert_eq!(text(kind, given).as_deref(), Ok(want), "{given}");
    }
}

#[test]
fn bad_texts_are_refused() {
    for (kind, given) in [
        (Kind::Bool, "yes"),
        (Kind::Count { min: 1, max: 10 }, "0"),
        (Kind::Count { min: 1, max: 10 }, "11"),
        (Kind::Count { min: 0, max: 10 }, "-1"),
        (Kind::Age, "30"),
        (Kind::Limit, "0s"),
        (Kind::Limit, "999us"),
        (Kind::Size, "12"),
        (Kind::Text, ""),
        (Kind::Path, ""),
        (Kind::Address, ":8080"),
        (Kind::Address, "example.com:80"),
        (Kind::Url, "ftp://x"),
        (Kind::Url, "https://u:p@x"),
        (Kind::Url, "https://x?y"),
        (Kind::Rewrite, "https://a.example"),
        (Kind::Rewrite, "a=b"),
        (Kind::UrlPath, "/"),
        (Kind::UrlPath, "x"),
        (Kind::UrlPath, "/a//b"),
        (Kind::UrlPath, "/a/../b"),
        (Kind::UrlPath, "/a%20b"),
        (Kind::Network, "10.0.0.0/33"),
        (Kind::Choice(&["a"]), "A"),
        (Kind::Pattern, "a b"),
        (Kind::Pattern, "https://x"),
        (Kind::Pattern, "a[b"),
        (Kind::Patterns, "a,,b"),
        (Kind::Levels, "proxy=loud"),
        (Kind::Tables(ROW), "a"),
        (Kind::List(&Kind::Address), "[1"),
    ] {
        assert!(text(kind, given).is_err(), "{given}");
    }
}

#[test]
fn ten_years_are_the_longest_duration() {
    assert!(text(Kind::Age, "3650d").is_ok());
    assert!(text(Kind::Age, "3650d1s").is_err());
}

#[test]
fn a_list_holds_at_most_max_elements() {
    let list = |count: usize| format!("[{}]", vec!["\"a\""; count].join(","));
    assert!(text(Kind::List(&Kind::Text), &list(MAX_ELEMENTS)).is_ok());
    assert!(text(Kind::List(&Kind::Text), &list(MAX_ELEMENTS + 1)).is_err());
    let rows = |count: usize| format!("[{}]", vec!["{modules = 'a'}"; count].join(","));
    assert!(text(Kind::Tables(ROW), &rows(MAX_ELEMENTS + 1)).is_err());
}

#[test]
fn a_value_of_another_type_says_what_it_is() {
    for (kind, given, reason) in [
        (Kind::Age, "60", "this is an integer"),
        (Kind::Bool, "\"true\"", "this is a string"),
        (Kind::Count { min: 0, max: 9 }, "1.5", "this is a float"),
        (Kind::List(&Kind::Text), "\"a\"", "this is a string"),
        (Kind::Tables(ROW), "{}", "this is a table"),
    ] {
        let wrongs = toml(kind, given).unwrap_err();
        assert_eq!(wrongs[0].reason, reason, "{given}");
        assert_eq!(wrongs[0].span, Some(0..given.len()));
    }
    assert_eq!(toml(Kind::Count { min: 0, max: 99 }, "0x10"), Ok("16".to_owned()));
}

#[test]
fn every_bad_element_is_told_at_its_place() {
    let wrongs = toml(Kind::List(&Kind::Network), r#"["10.0.0.0/8", "x", 3]"#).unwrap_err();
    let spans: Vec<_> = wrongs.into_iter().map(|wrong| wrong.span.unwrap()).collect();
    assert_eq!(spans, [15..18, 20..21]);
}

#[test]
fn rows_have_known_keys_and_all_required_ones() {
    let wrongs = toml(Kind::Tables(ROW), r#"[{reason = "r", module = "a"}, 1]"#).unwrap_err();
    let reasons: Vec<_> = wrongs.iter().map(|wrong| wrong.reason.as_str()).collect();
    let want =
        [r#"unknown key "module" in this table"#, "`modules` is missing", "this is an integer"];
    assert_eq!(reasons, want);
}

#[test]
fn secrets_are_not_told() {
    let wrongs = toml(Kind::Secret, "12345").unwrap_err();
    assert!(!wrongs[0].reason.contains("12345"));
}
