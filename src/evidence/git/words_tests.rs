//! What the source of a revision does to an answer that only words of its history give.

use super::fixture::*;
use super::{GitFiles, GitIndex};
use crate::evidence::exhibits::{Exhibits, Said};
use crate::evidence::{Finding, StateSet, Strength, Witness};
use crate::matrix::{Bug, Bugs};
use crate::words::{Role, State};

const OUTPUT: &str = "net/ipv4/tcp_output.c";

/// A tcp_fragment() with these lines where the bug was.
fn fragment(lines: &str) -> String {
    format!(
        "int tcp_fragment(struct sock *sk, enum tcp_queue tcp_queue,\n\t\t struct sk_buff *skb, u32 len,\n\
         \t\t unsigned int mss_now, gfp_t gfp)\n{{\n\tstruct tcp_sock *tp = tcp_sk(sk);\n\tlong limit;\n\n{lines}\n\
         \tif (skb_unclone(skb, gfp))\n\t\treturn -ENOMEM;\n\tskb_split(skb, buff, len);\n\treturn 0;\n}}\n"
    )
}

/// A refusal above some limit.
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
fn claim_of_a_repair_without_a_known_form_is_open() {
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
        format!("{}\n\ncommit {} upstream.\n", step.subject, step.commit.as_ref().unwrap().as_str())
    };
    let mut tip = release;
    for role in [Role::Break, Role::HalfFix] {
        tip = fixture.commit(&[tip], claim(role), &[(OUTPUT, &text(role))]);
    }
    let fix = claim(Role::Fix);
    let limit =
        "\tlimit = sk->sk_sndbuf + 2 * SKB_TRUESIZE(GSO_MAX_SIZE);\n\tif (unlikely((sk->sk_wmem_queued >> 1) > limit";
    let rest = " &&\n\t\t     skb != tcp_rtx_queue_head(sk) &&\n\t\t     skb != tcp_rtx_queue_tail(sk))) {\n\t\treturn -ENOMEM;\n\t}\n";
    let whole = fragment(&format!("{limit}{rest}"));
    let renamed = whole.replace("tcp_fragment(", "vendor_fragment(");
    for (branch, text) in [
        ("limit-only", fragment(&format!("{limit})) {{\n\t\treturn -ENOMEM;\n\t}}\n"))),
        ("small-slack", refusal("(sk->sk_wmem_queued >> 1) > sk->sk_sndbuf + 2048")),
        ("no-head", whole.replace("\t\t     skb != tcp_rtx_queue_head(sk) &&\n", "")),
        ("whole", whole.clone()),
        ("renamed", renamed),
    ] {
        fixture.branch(branch, fixture.commit(&[tip], &fix, &[(OUTPUT, &text)]));
    }
    let fixed = fixture.commit(&[tip], &fix, &[(OUTPUT, &whole)]);
    let patch = format!("--- a/{OUTPUT}\n+++ b/{OUTPUT}\n@@ -1 +1 @@\n+\tthe_vendor_refuses_once_more();\n");
    for (branch, place) in [("patch", "patches/x.patch"), ("arch", "x.patch"), ("other", "net/ipv4/x.patch")] {
        fixture.branch(branch, fixture.commit(&[fixed], "Import", &[(place, &patch)]));
    }
    let index = fixture.index();
    for (branch, is_open) in
        [("limit-only", true), ("small-slack", true), ("no-head", true), ("whole", false), ("renamed", false)]
    {
        let all = look(&index, bug, branch);
        let git = said(&all, Witness::Git);
        let expected = if is_open { StateSet::all() } else { set(&[State::Fixed]) };
        assert_eq!(git.states, expected, "{branch}: {git:?} {:?}", said(&all, Witness::Source));
        assert_eq!(git.strength == Strength::Weak, is_open, "{branch}");
        assert_eq!(all.warnings.iter().any(|warning| warning.contains("only a message says")), is_open, "{branch}");
    }
    for (branch, is_open) in [("patch", true), ("arch", true), ("other", false)] {
        let all = look(&index, bug, branch);
        let source = said(&all, Witness::Source);
        assert_eq!(source.states == StateSet::all(), is_open, "{branch}: {source:?}");
    }
}
