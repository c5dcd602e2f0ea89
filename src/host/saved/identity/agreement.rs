//! Checks that all inputs are of one host and one boot.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{Identity, IdentityKind};

/// An identity, with the file that it was found in.
pub type FoundIdentity = (PathBuf, Identity);

/// Two identities that cannot be of one host.
pub type Conflict<'a> = (&'a FoundIdentity, &'a FoundIdentity);

/// Finds two identities that cannot be of one host. A sosreport or supportconfig may have logs of older boots.
pub fn conflict(identities: &[FoundIdentity], is_report: bool) -> Option<Conflict<'_>> {
    /// The most different identities to compare.
    const MOST: usize = 64;
    let of_kind = |kind| identities.iter().filter(move |(_, identity)| identity.kind == kind);
    let running = of_kind(IdentityKind::Running).find(|(_, identity)| identity.release.is_some());
    let logged = || of_kind(IdentityKind::Logged);
    if let Some(running) = running
        && !is_report
        // A log may reach back to boots of older kernels, if it reaches this one's.
        && logged().all(|(_, logged)| logged.release != running.1.release)
        && let Some(other) = logged().next()
    {
        return Some((running, other));
    }
    let aliased: BTreeSet<&str> =
        identities.iter().filter(|(_, it)| it.is_alias).filter_map(|(_, it)| it.node.as_deref()).collect();
    let is_skipped = |kind: IdentityKind| match kind {
        IdentityKind::Logged => running.is_some(),
        IdentityKind::Log => is_report,
        _ => false,
    };
    let mut firsts: Vec<&FoundIdentity> = Vec::new();
    for each in identities.iter().filter(|(_, identity)| !is_skipped(identity.kind)) {
        if let Some(known) = firsts.iter().find(|known| !agree(&known.1, &each.1, &aliased)) {
            return Some((known, each));
        }
        if firsts.len() < MOST && !firsts.iter().any(|known| known.1 == each.1) {
            firsts.push(each);
        }
    }
    None
}

/// Whether both can be of one host. A host may have an alias if its own name was seen under that alias.
fn agree(one: &Identity, other: &Identity, aliased: &BTreeSet<&str>) -> bool {
    fn same(a: Option<&String>, b: Option<&String>, agree: impl Fn(&str, &str) -> bool) -> bool {
        a.zip(b).is_none_or(|(a, b)| agree(a, b))
    }
    // Some programs truncate it.
    let begins = |a: &str, b: &str| {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (a, b) = (words(a), words(b));
        a.starts_with(&b) || b.starts_with(&a)
    };
    let is_alias = |called: &Identity, own: &Identity| {
        let is_called = called.kind == IdentityKind::Called && own.kind != IdentityKind::Called;
        is_called && called.node.as_deref().is_some_and(|name| aliased.contains(name))
    };
    // An address may belong to any host, until this host's own name appears there.
    let is_stranger = |called: &Identity, other: &Identity| {
        let is_called = called.kind == IdentityKind::Called && called.node.as_deref().is_some_and(is_address);
        let is_name = |node: &str| !is_address(node) && !is_nobodys(node);
        let is_known = called.node.as_deref().is_some_and(|name| aliased.contains(name) || is_nobodys(name));
        is_called && !is_known && other.node.as_deref().is_some_and(is_name)
    };
    let is_weak = |kind: IdentityKind| matches!(kind, IdentityKind::Heading | IdentityKind::Nickname);
    if is_weak(one.kind) || is_weak(other.kind) {
        let names = one.node.as_deref().zip(other.node.as_deref());
        // Where both hosts' own names were seen, those decide.
        let is_decided = names.is_some_and(|(a, b)| aliased.contains(a) && aliased.contains(b));
        return one.kind != other.kind || is_decided || names.is_none_or(|(a, b)| a.eq_ignore_ascii_case(b));
    }
    if is_stranger(one, other) || is_stranger(other, one) {
        return false;
    }
    let is_named_alike =
        is_alias(one, other) || is_alias(other, one) || same(one.node.as_ref(), other.node.as_ref(), is_same_name);
    let is_of_kind = one.kind == other.kind;
    let is_running = is_of_kind && one.kind == IdentityKind::Running;
    is_named_alike
        && (!is_of_kind || same(one.release.as_ref(), other.release.as_ref(), |a, b| a == b))
        && (!is_running || same(one.build.as_ref(), other.build.as_ref(), begins))
}

fn is_address(name: &str) -> bool {
    name.parse::<std::net::IpAddr>().is_ok() || name.starts_with('[')
}

fn is_nobodys(name: &str) -> bool {
    name.starts_with("localhost") || name == "(none)" || name == "127.0.0.1"
}

/// Whether two names can be of one host: `db1` and `db1.example`. An address is not a name, and `localhost` fits any host.
fn is_same_name(one: &str, other: &str) -> bool {
    let host = |name: &str| {
        let port = name
            .rsplit_once(':')
            .filter(|(host, port)| !host.contains(':') && port.bytes().all(|b| b.is_ascii_digit()));
        port.map_or(name, |(host, _)| host).to_ascii_lowercase()
    };
    let (one, other) = (host(one), host(other));
    match (is_address(&one), is_address(&other)) {
        _ if is_nobodys(&one) || is_nobodys(&other) => true,
        (true, true) => one == other,
        (false, false) => one.split('.').next() == other.split('.').next(),
        _ => true,
    }
}
