//! Which network addresses may be dialled, and on whose word.
//!
//! larder dials hosts that strangers name: redirects, go-import pages. An address decides after
//! the name was resolved, so that a public name which points inside does not help. Sources: the
//! IANA special-purpose address registries (RFC 6890), RFC 6052 and 8215 (NAT64), RFC 4380
//! (Teredo), RFC 3056 (6to4), and the cloud providers' pages on instance metadata.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// On whose word an address is dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Word {
    /// An upstream that the operator wrote down, and its redirects when its own address was
    /// private: anywhere but link-local, metadata and what can be no host's address.
    Operator,
    /// A host found in somebody's answer (go-import, redirect of a public upstream): public
    /// addresses only.
    Discovered,
}

/// Why an address may not be dialled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("address {ip} is {class} and may not be dialled")]
pub struct Refusal {
    /// The address, as it was resolved.
    pub ip: IpAddr,
    /// What kind of address it is, such as `link-local` or `private`.
    pub class: &'static str,
}

/// Judges an address.
///
/// An IPv6 address that carries an IPv4 address (mapped, NAT64, 6to4, Teredo) is judged by the
/// one inside.
///
/// # Errors
///
/// [`Refusal`] for addresses that are never dialled (link-local, cloud metadata, unspecified,
/// multicast, broadcast, reserved), and on [`Word::Discovered`] for private ones and those of
/// documentation.
pub fn judge(ip: IpAddr, word: Word) -> Result<(), Refusal> {
    match (classify(ip), word) {
        (Class::Public, _) | (Class::Private(_) | Class::Example(_), Word::Operator) => Ok(()),
        (
            Class::Private(class)
            | Class::Example(class)
            | Class::Danger(class)
            | Class::Nowhere(class),
            _,
        ) => Err(Refusal { ip, class }),
    }
}

/// Reports whether an address is private: RFC 1918, loopback, unique local, shared (CGNAT).
///
/// What is never dialled is not private, metadata addresses inside private ranges included; nor
/// are addresses of documentation: a host there may not lead on within private ranges.
#[must_use]
pub fn is_private(ip: IpAddr) -> bool {
    matches!(classify(ip), Class::Private(_))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Public,
    /// Ours or our neighbours': on the operator's word only.
    Private(&'static str),
    /// Set aside for examples. Closed networks (laboratories, sandboxes that stand in for public
    /// hosts) do use them: on the operator's word only.
    Example(&'static str),
    /// A host answers there, and what it says is secret: never.
    Danger(&'static str),
    /// No host's address: never.
    Nowhere(&'static str),
}

const METADATA: Class = Class::Danger("a cloud metadata address");
const LINK_LOCAL: Class = Class::Danger("link-local");
const DOCUMENTATION: Class = Class::Example("reserved for documentation");
const RESERVED: Class = Class::Nowhere("reserved");

fn classify(ip: IpAddr) -> Class {
    match ip {
        IpAddr::V4(ip) => classify_v4(ip),
        IpAddr::V6(ip) => classify_v6(ip),
    }
}

fn classify_v4(ip: Ipv4Addr) -> Class {
    match ip.octets() {
        // Most clouds, Alibaba Cloud, Oracle Cloud, Azure's platform service.
        [169, 254, 169, 254] | [100, 100, 100, 200] | [192, 0, 0, 192] | [168, 63, 129, 16] => {
            METADATA
        }

        [169, 254, ..] => LINK_LOCAL,
        [0, ..] => Class::Nowhere("unspecified"),
        [127, ..] => Class::Private("loopback"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Class::Private("private"),
        [100, 64..=127, ..] => Class::Private("shared (carrier-grade NAT)"),
        // Benchmarking (RFC 2544), in fact used inside by virtual private networks.
        [198, 18..=19, ..] => Class::Private("private (benchmarking)"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => DOCUMENTATION,
        [224..=239, ..] => Class::Nowhere("multicast"),
        [255, 255, 255, 255] => Class::Nowhere("broadcast"),
        // IETF protocol assignments, 6to4 relays (withdrawn), class E.
        [192, 0, 0, _] | [192, 88, 99, _] | [240..=255, ..] => RESERVED,
        _ => Class::Public,
    }
}

fn classify_v6(ip: Ipv6Addr) -> Class {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Class::Nowhere("unspecified"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Class::Private("loopback"),
        // IPv4-mapped, IPv4-translated (RFC 2765), NAT64's well-known prefix, 6to4.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => classify_v4(embedded(high, low)),
        [0x64, 0xff9b, 1, ..] => classify_local_nat64(ip),
        // Teredo: the server as it is, the client with every bit turned.
        [0x2001, 0, server_high, server_low, _, _, high, low] => stricter(
            classify_v4(embedded(!high, !low)),
            classify_v4(embedded(server_high, server_low)),
        ),
        // The other protocol assignments of 2001::/23: benchmarking, ORCHID, anycast.
        [0x2001, 0..=0x01ff, ..] => RESERVED,
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => DOCUMENTATION,
        // Services of AWS on its link (metadata is fd00:ec2::254), metadata of Google Cloud.
        [0xfd00, 0x0ec2, ..] | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254] => METADATA,
        [0xfc00..=0xfdff, ..] => Class::Private("private (unique local)"),
        [0xfe80..=0xfebf, ..] => LINK_LOCAL,
        [0xfec0..=0xfeff, ..] => Class::Private("private (site-local)"),
        [0xff00..=0xffff, ..] => Class::Nowhere("multicast"),
        [0x2000..=0x3fff, ..] => Class::Public,
        _ => RESERVED,
    }
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

/// `64:ff9b:1::/48` is cut into NAT64 prefixes as each network likes (RFC 8215), and where the
/// IPv4 address stands depends on the cut (RFC 6052 §2.2), which an outsider does not see. The
/// usual /96 form decides; the other readings can only make it worse, by showing an address
/// inside. What is no host's address there is a part of the prefix.
fn classify_local_nat64(ip: Ipv6Addr) -> Class {
    let [_, _, _, _, _, _, b6, b7, _, b9, b10, b11, b12, b13, b14, b15] = ip.octets();
    let usual = classify_v4(Ipv4Addr::new(b12, b13, b14, b15));
    let others = [[b6, b7, b9, b10], [b7, b9, b10, b11], [b9, b10, b11, b12]];
    others.into_iter().fold(usual, |worst, octets| match classify_v4(Ipv4Addr::from(octets)) {
        Class::Public | Class::Example(_) | Class::Nowhere(_) => worst,
        class => stricter(worst, class),
    })
}

fn stricter(a: Class, b: Class) -> Class {
    let rank = |class| match class {
        Class::Public => 0,
        Class::Private(_) | Class::Example(_) => 1,
        Class::Danger(_) | Class::Nowhere(_) => 2,
    };
    if rank(b) > rank(a) { b } else { a }
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
