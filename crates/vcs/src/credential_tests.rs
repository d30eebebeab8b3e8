use std::{os::unix::fs::PermissionsExt as _, path::PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use super::{MAX_NETRC_BYTES, authorization, in_answer, in_netrc, ssh_command};
use crate::{Credential, Error, Protocols, RemoteUrl};

fn url(text: &str) -> RemoteUrl {
    RemoteUrl::parse(text, Protocols { http: true, file: true }).unwrap()
}

async fn shown(text: &str, credential: Credential) -> Option<String> {
    let header = authorization(&url(text), Some(&credential)).await.unwrap();
    header.map(|header| header.expose_secret().to_owned())
}

#[tokio::test]
async fn headers_and_passwords_are_shown_over_http_only() {
    let header = || Credential::Header(SecretString::from("Bearer x"));
    let password = SecretString::from("open sesame");
    let basic = Credential::Basic { user: "aladdin".to_owned(), password };
    assert_eq!(shown("https://h/a", header()).await.as_deref(), Some("Bearer x"));
    assert_eq!(
        shown("https://h/a", basic).await.as_deref(),
        Some("Basic YWxhZGRpbjpvcGVuIHNlc2FtZQ==")
    );
    assert_eq!(shown("file:///a", header()).await, None);
    let misfit = authorization(&url("ssh://git@h/a"), Some(&header())).await;
    assert!(matches!(misfit, Err(Error::Forbidden { .. })));
    let broken = Credential::Header(SecretString::from("Bearer x\r\nX: y"));
    assert!(authorization(&url("https://h/a"), Some(&broken)).await.is_err());
}

#[test]
fn netrc_entries_are_found_by_host() {
    let text = "# comment\nmachine a.test login u password p # tail\nmacdef init\nmachine b.test password no\n\n\
                machine b.test\n  login v\n  account x\n  password q\ndefault login d password e\n";
    let of = |host| in_netrc(text, host).map(|(user, password)| format!("{user}:{password}"));
    assert_eq!(of("a.test").as_deref(), Some("u:p"));
    assert_eq!(of("b.test").as_deref(), Some("v:q"));
    assert_eq!(of("c.test").as_deref(), Some("d:e"));
    assert_eq!(in_netrc("machine a.test login u", "a.test"), None);
    assert_eq!(in_netrc("machine a.test login u password p", "b.test"), None);
}

#[tokio::test]
async fn a_netrc_file_is_read_and_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("netrc");
    std::fs::write(&file, "machine h login u password p").unwrap();
    assert_eq!(
        shown("https://h/a", Credential::Netrc(file.clone())).await.as_deref(),
        Some("Basic dTpw")
    );
    let entry = "machine h login u password p\n#";
    let padded =
        |size: u64| format!("{entry}{}", "x".repeat(usize::try_from(size).unwrap() - entry.len()));
    std::fs::write(&file, padded(MAX_NETRC_BYTES)).unwrap();
    assert!(shown("https://h/a", Credential::Netrc(file.clone())).await.is_some());
    std::fs::write(&file, padded(MAX_NETRC_BYTES + 1)).unwrap();
    let too_large = authorization(&url("https://h/a"), Some(&Credential::Netrc(file))).await;
    assert!(matches!(too_large, Err(Error::Mirror { .. })));
}

#[tokio::test]
async fn a_helper_is_asked_for_its_host() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("helper");
    std::fs::write(&script, "#!/bin/sh\ncat > $1\necho username=u\necho password=p\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
    let asked = folder.path().join("asked");
    let command = format!("{} {}", script.display(), asked.display());
    let header = shown("https://h:8443/a/b", Credential::Helper(command)).await;
    assert_eq!(header.as_deref(), Some("Basic dTpw"));
    let question = std::fs::read_to_string(asked).unwrap();
    assert_eq!(question, "protocol=https\nhost=h:8443\npath=a/b\n\n");
}

#[tokio::test]
async fn a_helper_that_fails_is_our_trouble() {
    for command in ["/bin/false", "/nowhere/helper"] {
        let credential = Credential::Helper(command.to_owned());
        let failed = authorization(&url("https://h/a"), Some(&credential)).await;
        assert!(matches!(failed, Err(Error::Mirror { .. })), "{failed:?}");
    }
    assert_eq!(in_answer("quit=1\n"), None);
}

#[test]
fn ssh_is_told_one_key_one_list_and_one_address() {
    let key = PathBuf::from("/keys/id of a");
    let known_hosts = PathBuf::from("/keys/known");
    let credential = Credential::Ssh { key, known_hosts };
    let ip = "192.0.2.7".parse().unwrap();
    let command = ssh_command(&url("ssh://git@h:2222/a"), ip, Some(&credential)).unwrap();
    for option in [
        "ssh -F /dev/null ",
        "-o 'StrictHostKeyChecking=yes'",
        "-o 'HostName=192.0.2.7'",
        "-o 'HostKeyAlias=[h]:2222'",
        "-o 'IdentityFile=\"/keys/id of a\"'",
        "-o 'UserKnownHostsFile=\"/keys/known\"'",
    ] {
        assert!(command.contains(option), "{option} in {command}");
    }
    for hostile in ["/a'$(id)", "relative", "/a\"b", "/a%h", "/a\nb"] {
        let credential = Credential::Ssh { key: hostile.into(), known_hosts: "/k".into() };
        assert!(ssh_command(&url("ssh://git@h/a"), ip, Some(&credential)).is_err(), "{hostile}");
    }
}
