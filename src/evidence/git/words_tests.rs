//! Tests how a revision's source affects an answer that only words of its history support.

use super::fixture::*;
use super::{GitFiles, GitIndex};
use crate::evidence::exhibits::{Exhibits, Said};
use crate::evidence::{Finding, StateSet, Strength, Witness};
use crate::matrix::{Bug, Bugs};
use crate::words::Role;

const OUTPUT: &str = "net/ipv4/tcp_output.c";

/// A tcp_fragment() with these lines in place of the bug.
fn fragment(lines: &str) -> String {
    format!(
        "int tcp_fragment(struct sock *sk, enum tcp_queue tcp_queue,\n\t\t struct sk_buff *skb, u32 len,\n\
         \t\t unsigned int mss_now, gfp_t gfp)\n{{\n\tstruct tcp_sock *tp = tcp_sk(sk);\n\tlong limit;\n\n{lines}\n\
         \tif (skb_unclone(skb, gfp))\n\t\treturn -ENOMEM;\n\tskb_split(skb, buff, len);\n\treturn 0;\n}}\n"
    )
}

/// A failure above some limit.
fn refusal(condition: &str) -> String {
    fragment(&format!(
        "\tif (unlikely({condition})) {{\n\t\tNET_INC_STATS(sock_net(sk), LINUX_MIB_TCPWQUEUETOOBIG);\n\
         \t\treturn -ENOMEM;\n\t}}\n"
    ))
}

fn look(index: &GitIndex, bug: &Bug, revision: &str) -> Said {
    let commit = index.describe(revision).unwrap().commit;
    let files = GitFiles { index, commit };
    let exhibits =
        Exhibits { revision: Some(Ok((index, revision))), source: Some(Ok(Box::new(files))), ..Exhibits::default() };
    exhibits.look(bug)
}

fn said(of: &Said, witness: Witness) -> &Finding {
    of.findings.iter().find(|finding| finding.witness == witness).unwrap()
}

#[test]
fn claimed_fix_in_an_unknown_form_is_open() {
    let bugs = Bugs::built_in();
    let bug = bugs.get(&"tcp-fragment-stall".parse().unwrap()).unwrap();
    let fixture = Fixture::new();
    let root =
        fixture.commit(&[], "Linux-2.6.12-rc2", &[("Makefile", &makefile("2.6.12-rc2")), (OUTPUT, &fragment(""))]);
    fixture.tag("v2.6.12-rc2", root);
    let release = fixture.commit(&[root], "Linux 4.19.51", &[("Makefile", &makefile("4.19.51"))]);
    fixture.tag("v4.19.51", release);
    let text = |role: Role| match role {
        Role::Break => refusal("(sk->sk_wmem_queued >> 1) > sk->sk_sndbuf"),
        _ => refusal("(sk->sk_wmem_queued >> 1) > sk->sk_sndbuf && tcp_queue != TCP_FRAG_IN_WRITE_QUEUE"),
    };
    let claim = |role: Role| {
        let step = bug.chain.iter().find(|step| step.role == role).unwrap();
        format!("{}\n\ncommit {} upstream.\n", step.subject.as_ref().unwrap(), step.commit.as_ref().unwrap().as_str())
    };
    let mut tip = release;
    for role in [Role::Break, Role::HalfFix] {
        tip = fixture.commit(&[tip], claim(role), &[(OUTPUT, &text(role))]);
    }
    let fix = claim(Role::Fix);
    let half =
        fragment("\tlimit = sk->sk_sndbuf + 2048;\n\tif ((sk->sk_wmem_queued >> 1) > limit)\n\t\treturn -ENOMEM;\n");
    let half = fixture.commit(&[tip], &fix, &[(OUTPUT, &half)]);
    fixture.branch("half", half);
    let patch = format!("--- a/{OUTPUT}\n+++ b/{OUTPUT}\n@@ -1 +1 @@\n+\tthe_vendor_refuses_once_more();\n");
    let places = ["patches/x.patch", "x.patch", "net/ipv4/x.patch"];
    for place in places {
        fixture.branch(&place.replace('/', "-"), fixture.commit(&[half], "Import", &[(place, &patch)]));
    }
    let index = fixture.index();
    // The history alone trusts the message.
    assert_eq!(index.ask(bug, "half").unwrap().finding.strength, Strength::Strong);
    let all = look(&index, bug, "half");
    let git = said(&all, Witness::Git);
    assert_eq!(
        (git.states, git.strength),
        (StateSet::all(), Strength::Weak),
        "{git:?} {:?}",
        said(&all, Witness::Source)
    );
    assert!(all.warnings.iter().any(|warning| warning.contains("only a message says")), "{:?}", all.warnings);
    for place in places {
        let all = look(&index, bug, &place.replace('/', "-"));
        let source = said(&all, Witness::Source);
        // The kernel's own folders contain no packaging.
        assert_eq!(source.why.contains("x.patch"), !place.starts_with("net/"), "{place}: {source:?}");
    }
}
