use super::*;

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Verdict {
    Public,
    Private,
    /// On the operator's word, yet not private.
    Example,
    Never,
}
use Verdict::{Example, Never, Private, Public};

fn verdict(text: &str) -> Verdict {
    let ip: IpAddr = text.parse().unwrap();
    let verdict = match (judge(ip, Word::Operator), judge(ip, Word::Discovered)) {
        (Ok(()), Ok(())) => Public,
        (Ok(()), Err(refusal)) if refusal.class.contains("documentation") => Example,
        (Ok(()), Err(_)) => Private,
        (Err(_), Err(_)) => Never,
        (Err(_), Ok(())) => panic!("{text}: the operator's word is worth less than a stranger's"),
    };
    assert_eq!(is_private(ip), verdict == Private, "{text}");
    verdict
}

fn check(table: &[(&str, Verdict)]) {
    for (text, expected) in table {
        assert_eq!(verdict(text), *expected, "{text}");
    }
}

#[test]
fn private_ranges_end_where_they_end() {
    check(&[
        ("9.255.255.255", Public),
        ("10.0.0.0", Private),
        ("10.255.255.255", Private),
        ("11.0.0.0", Public),
        ("172.15.255.255", Public),
        ("172.16.0.0", Private),
        ("172.31.255.255", Private),
        ("172.32.0.0", Public),
        ("192.167.255.255", Public),
        ("192.168.0.0", Private),
        ("192.168.255.255", Private),
        ("192.169.0.0", Public),
        ("126.255.255.255", Public),
        ("127.0.0.0", Private),
        ("127.255.255.255", Private),
        ("128.0.0.0", Public),
        ("100.63.255.255", Public),
        ("100.64.0.0", Private),
        ("100.127.255.255", Private),
        ("100.128.0.0", Public),
        ("198.17.255.255", Public),
        ("198.18.0.0", Private),
        ("198.19.255.255", Private),
        ("198.20.0.0", Public),
    ]);
}

#[test]
fn link_local_and_metadata_are_never_dialled() {
    check(&[
        ("169.253.255.255", Public),
        ("169.254.0.0", Never),
        ("169.254.169.254", Never),
        ("169.254.170.2", Never),
        ("169.254.255.255", Never),
        ("169.255.0.0", Public),
        ("100.100.100.199", Private),
        ("100.100.100.200", Never),
        ("100.100.100.201", Private),
        ("192.0.0.192", Never),
        ("168.63.129.15", Public),
        ("168.63.129.16", Never),
        ("168.63.129.17", Public),
        ("fe7f:ffff::", Never),
        ("fe80::", Never),
        ("fe80::1", Never),
        ("febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Never),
        ("fec0::", Private),
        ("fd00:ec1:ffff::", Private),
        ("fd00:ec2::", Never),
        ("fd00:ec2::254", Never),
        ("fd00:ec3::", Private),
        ("fd20:ce::253", Private),
        ("fd20:ce::254", Never),
    ]);
}

#[test]
fn documentation_is_dialled_on_the_operators_word_alone() {
    for text in
        ["192.0.2.1", "198.51.100.1", "203.0.113.80", "64:ff9b::203.0.113.80", "2001:db8::1"]
    {
        let ip: IpAddr = text.parse().unwrap();
        assert_eq!(judge(ip, Word::Operator), Ok(()), "{text}");
        let refusal = judge(ip, Word::Discovered).unwrap_err();
        assert_eq!(refusal.class, "reserved for documentation", "{text}");
        assert!(!is_private(ip), "{text}: its redirects would be followed into private ranges");
    }
}

#[test]
fn what_is_no_hosts_address_is_never_dialled() {
    check(&[
        ("0.0.0.0", Never),
        ("0.255.255.255", Never),
        ("1.0.0.0", Public),
        ("191.255.255.255", Public),
        ("192.0.0.0", Never),
        ("192.0.0.255", Never),
        ("192.0.1.0", Public),
        ("192.0.2.0", Example),
        ("192.0.2.255", Example),
        ("192.0.3.0", Public),
        ("192.88.98.255", Public),
        ("192.88.99.0", Never),
        ("192.88.100.0", Public),
        ("198.51.99.255", Public),
        ("198.51.100.0", Example),
        ("198.51.101.0", Public),
        ("203.0.112.255", Public),
        ("203.0.113.255", Example),
        ("203.0.114.0", Public),
        ("223.255.255.255", Public),
        ("224.0.0.0", Never),
        ("239.255.255.255", Never),
        ("240.0.0.0", Never),
        ("255.255.255.254", Never),
        ("255.255.255.255", Never),
    ]);
}

#[test]
fn ipv6_ranges_end_where_they_end() {
    check(&[
        ("::", Never),
        ("::1", Private),
        ("::2", Never),
        ("::8.8.8.8", Never),
        ("100::1", Never),
        ("1fff:ffff::", Never),
        ("2000::", Public),
        ("2001:1ff:ffff::", Never),
        ("2001:200::", Public),
        ("2001:db7:ffff::", Public),
        ("2001:db8::", Example),
        ("2001:db8:ffff::", Example),
        ("2001:db9::", Public),
        ("2606:4700::1111", Public),
        ("3ffe:ffff::", Public),
        ("3fff::", Example),
        ("3fff:fff:ffff::", Example),
        ("3fff:1000::", Public),
        ("4000::", Never),
        ("fbff:ffff::", Never),
        ("fc00::", Private),
        ("fdff:ffff::", Private),
        ("fe00::", Never),
        ("ff00::", Never),
        ("ff02::1", Never),
    ]);
}

#[test]
fn ipv4_inside_ipv6_decides() {
    for (inner, expected) in [
        ("8.8.8.8", Public),
        ("10.1.2.3", Private),
        ("127.0.0.1", Private),
        ("169.254.169.254", Never),
    ] {
        let [a, b, c, d] = inner.parse::<Ipv4Addr>().unwrap().octets();
        let forms = [
            format!("::ffff:{inner}"),
            format!("::ffff:0:{inner}"),
            format!("64:ff9b::{inner}"),
            format!("64:ff9b:1::{inner}"),
            format!("64:ff9b:1:fffe::{inner}"),
            format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1"),
            format!("2001:0:808:808:0:0:{:02x}{:02x}:{:02x}{:02x}", !a, !b, !c, !d),
            format!("2001:0:{a:02x}{b:02x}:{c:02x}{d:02x}:0:0:f7f7:f7f7"),
        ];
        for form in forms {
            assert_eq!(verdict(&form), expected, "{form}");
        }
    }
}

#[test]
fn nat64_prefixes_end_where_they_end() {
    check(&[
        ("64:ff9b::ffff:ffff", Never),
        ("64:ff9b::1:808:808", Never),
        ("64:ff9a:ffff::808:808", Never),
        ("64:ff9b:2::808:808", Never),
    ]);
}

#[test]
fn local_nat64_is_read_in_every_form() {
    // 169.254.169.254 in the /48, /56 and /64 forms of RFC 6052, a public address in the last bytes.
    check(&[
        ("64:ff9b:1:a9fe:a9:fe00:808:808", Never),
        ("64:ff9b:1:a9:fe:a9fe:808:808", Never),
        ("64:ff9b:1:0:a9:fea9:fe08:808", Never),
        ("64:ff9b:1:a00:1:200:808:808", Private),
        ("64:ff9b:1:808:8:800::", Never),
    ]);
}

#[test]
fn refusal_names_address_and_class() {
    let ip: IpAddr = "::ffff:169.254.169.254".parse().unwrap();
    let refusal = judge(ip, Word::Operator).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "address ::ffff:169.254.169.254 is a cloud metadata address and may not be dialled"
    );
    let ip: IpAddr = "10.0.0.1".parse().unwrap();
    assert_eq!(judge(ip, Word::Discovered).unwrap_err().class, "private");
}
