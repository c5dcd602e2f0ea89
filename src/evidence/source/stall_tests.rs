//! Tests the signatures of `tcp-fragment-stall` on imitations of tcp_fragment(), in each historical form and in
//! vendors' forms.

use super::*;

/// A tcp_fragment() with this guard, from 4.15 on.
pub(super) fn fragment(guard: &str) -> String {
    format!(
        "/* tcp_fragment() splits. */\nint tcp_fragment(struct sock *sk, enum tcp_queue tcp_queue, struct sk_buff *skb,\n\
         \t\t u32 len, unsigned int mss_now, gfp_t gfp)\n{{\n\tstruct sk_buff *buff;\n\tint nsize;\n\tlong limit;\n\n\
         \tif (WARN_ON(len > skb->len))\n\t\treturn -EINVAL;\n\n{guard}\n\
         \tif (skb_unclone(skb, gfp))\n\t\treturn -ENOMEM;\n\tbuff = sk_stream_alloc_skb(sk, nsize, gfp, true);\n\tif (!buff)\n\
         \t\treturn -ENOMEM; /* later */\n\tsk->sk_wmem_queued += buff->truesize;\n\tskb_split(skb, buff, len);\n\treturn 0;\n}}\n"
    )
}

pub(super) const TAIL: &str = "static inline struct sk_buff *tcp_rtx_queue_tail(const struct sock *sk)\n{\n\
                    \treturn skb_rb_last(&sk->tcp_rtx_queue);\n}\n";
const TAIL_BEFORE_4_15: &str = "static inline struct sk_buff *tcp_rtx_queue_tail(const struct sock *sk)\n{\n\
                                \tstruct sk_buff *skb = tcp_send_head(sk);\n\n\
                                \treturn skb ? tcp_write_queue_prev(sk, skb) : tcp_write_queue_tail(sk);\n}\n";
const TAIL_MENDED: &str = "static inline struct sk_buff *tcp_rtx_queue_tail(const struct sock *sk)\n{\n\
                           \tstruct sk_buff *skb = tcp_send_head(sk);\n\n\t/* empty */\n\
                           \tif (skb == tcp_write_queue_head(sk))\n\t\treturn NULL;\n\n\
                           \treturn skb ? tcp_write_queue_prev(sk, skb) : tcp_write_queue_tail(sk);\n}\n";

pub(super) const FIX: &str = "limit = sk->sk_sndbuf + 2 * SKB_TRUESIZE(GSO_MAX_SIZE);\n\
                   if (unlikely((sk->sk_wmem_queued >> 1) > limit && tcp_queue != TCP_FRAG_IN_WRITE_QUEUE &&\n\
                   \tskb != tcp_rtx_queue_head(sk) && skb != tcp_rtx_queue_tail(sk))) {\n\
                   \tNET_INC_STATS(sock_net(sk), LINUX_MIB_TCPWQUEUETOOBIG);\n\treturn -ENOMEM;\n}";
const FIX_BEFORE_4_15: &str = "limit = sk->sk_sndbuf + 2 * SKB_TRUESIZE(GSO_MAX_SIZE);\n\
                               if (unlikely((sk->sk_wmem_queued >> 1) > limit &&\n\
                               \tskb != tcp_rtx_queue_head(sk) && skb != tcp_rtx_queue_tail(sk))) {\n\
                               \tNET_INC_STATS(sock_net(sk), LINUX_MIB_TCPWQUEUETOOBIG);\n\treturn -ENOMEM;\n}";

#[test]
fn every_form_of_the_guard_is_named() {
    let count = "NET_INC_STATS(sock_net(sk), LINUX_MIB_TCPWQUEUETOOBIG);";
    for (guard, expected) in [
        (String::new(), "never-had"),
        // 4.14.127, 4.19.52; SUSE's, without the counter; other possible spellings.
        (format!("if (unlikely((sk->sk_wmem_queued >> 1) > sk->sk_sndbuf)) {{ {count} return -ENOMEM; }}"), "affected"),
        ("if (sk->sk_wmem_queued >> 1 > sk->sk_sndbuf) return -ENOMEM;".to_owned(), "affected"),
        (
            "limit = READ_ONCE(sk->sk_sndbuf);\nif (limit < READ_ONCE(sk->sk_wmem_queued) >> 1) return -(ENOMEM);"
                .to_owned(),
            "affected",
        ),
        (
            "if (!((sk->sk_wmem_queued >> 0x1) <= (long)sk->sk_sndbuf)) { pr_debug(\"} {\"); return -ENOMEM; }"
                .to_owned(),
            "affected",
        ),
        // 4.14.131, with any spelling of its 128 KiB.
        (
            format!("if (unlikely((sk->sk_wmem_queued >> 1) > sk->sk_sndbuf + 0x20000)) {{ {count} return -ENOMEM; }}"),
            "half-fixed",
        ),
        ("if ((sk->sk_wmem_queued >> 1) > 128 * 1024 + sk->sk_sndbuf) return -ENOMEM;".to_owned(), "half-fixed"),
        (
            "const int slack = 1 << 17;\nif ((sk->sk_wmem_queued >> 1) > slack + sk->sk_sndbuf) return -ENOMEM;"
                .to_owned(),
            "half-fixed",
        ),
        // 4.19.55.
        (
            format!(
                "if (unlikely((sk->sk_wmem_queued >> 1) > sk->sk_sndbuf && tcp_queue != TCP_FRAG_IN_WRITE_QUEUE)) {{ {count} return -ENOMEM; }}"
            ),
            "half-fixed",
        ),
        (
            "if (TCP_FRAG_IN_WRITE_QUEUE != tcp_queue && sk->sk_sndbuf < sk->sk_wmem_queued >> 1) return -ENOMEM;"
                .to_owned(),
            "half-fixed",
        ),
        // 4.19.62, 5.3; 5.19, whose constant has another name; and with further exemptions.
        (FIX.to_owned(), "fixed"),
        (FIX.replace("GSO_MAX_SIZE", "GSO_LEGACY_MAX_SIZE"), "fixed"),
        (FIX.replace("(sk->sk_wmem", "!vendor_lets_through(sk) && (sk->sk_wmem"), "fixed"),
        // The fix as shipped, and a counter that also counts something else.
        (format!("if ((sk->sk_wmem_queued >> 1) > sk->sk_sndbuf) {count}\n{FIX}"), "fixed"),
        // Both limits: the narrower one decides.
        (format!("{FIX}\nif ((sk->sk_wmem_queued >> 1) > sk->sk_sndbuf) return -ENOMEM;"), "affected"),
    ] {
        says("tcp-fragment-stall", &[(OUTPUT, &fragment(&guard)), (TCP_H, TAIL)], expected);
        let squashed =
            fragment(&guard).replace('\n', " ").replace("/* later */", "").replace("/* tcp_fragment() splits. */", "");
        says("tcp-fragment-stall", &[(OUTPUT, &squashed), (TCP_H, TAIL)], expected);
        let renamed = fragment(&guard).replace("(sk)", "(socket)").replace("sk->", "socket->").replace("limit", "most");
        says("tcp-fragment-stall", &[(OUTPUT, &renamed), (TCP_H, TAIL)], expected);
    }
}

#[test]
fn guard_in_an_unknown_form_is_unknown() {
    let refuse = "{ return -ENOMEM; }";
    for guard in [
        // Other amounts, other comparisons, other errors.
        format!("if ((sk->sk_wmem_queued >> 1) > sk->sk_sndbuf + 0x40000) {refuse}"),
        format!("if ((sk->sk_wmem_queued >> 2) > sk->sk_sndbuf) {refuse}"),
        format!("if ((sk->sk_wmem_queued >> 1) < sk->sk_sndbuf) {refuse}"),
        format!("if (sk->sk_wmem_queued > 2 * sk->sk_sndbuf) {refuse}"),
        "if ((sk->sk_wmem_queued >> 1) > sk->sk_sndbuf) goto nomem;\nnomem:".to_owned(),
        format!("if (vendor_queue_too_big(sk)) {refuse}"),
        "if (vendor_queue_too_big(sk)) return -EAGAIN;".to_owned(),
        "err = vendor_queue_too_big(sk);\nif (err) return err;".to_owned(),
        // Conditions that change which calls fail.
        format!("if ((sk->sk_wmem_queued >> 1) > sk->sk_sndbuf && vendor_strict) {refuse}"),
        format!("if ((sk->sk_wmem_queued >> 1) > sk->sk_sndbuf || vendor_strict) {refuse}"),
        format!(
            "if (tcp_queue != TCP_FRAG_IN_WRITE_QUEUE) {{ if ((sk->sk_wmem_queued >> 1) > sk->sk_sndbuf) {refuse} }}"
        ),
        "if ((sk->sk_wmem_queued >> 1) > sk->sk_sndbuf) { if (tcp_queue) goto on; return -ENOMEM; }\non:".to_owned(),
        // Code that bypasses the limit.
        format!(
            "if (skb == tcp_rtx_queue_head(sk)) goto on;\nif ((sk->sk_wmem_queued >> 1) > sk->sk_sndbuf) {refuse}\non:"
        ),
        format!("if (vendor) return vendor_fragment(sk);\nif ((sk->sk_wmem_queued >> 1) > sk->sk_sndbuf) {refuse}"),
        // A limit that is computed on more than one line.
        format!(
            "limit = sk->sk_sndbuf;\nif (vendor) limit += 0x20000;\nif ((sk->sk_wmem_queued >> 1) > limit) {refuse}"
        ),
        format!("limit = sk->sk_sndbuf;\nvendor_limit(&limit);\nif ((sk->sk_wmem_queued >> 1) > limit) {refuse}"),
        // A limit that depends on the configuration.
        format!("#ifdef CONFIG_VENDOR\nif ((sk->sk_wmem_queued >> 1) > sk->sk_sndbuf) {refuse}\n#endif"),
        // The fix, and another limit with an unknown name.
        format!("{FIX}\nif (vendor_queue_too_big(sk)) {refuse}"),
        format!("{FIX}\nif (sk->sk_wmem_queued > 2 * sk->sk_sndbuf) return -ENOBUFS;"),
        // Half of the fix's exemptions.
        FIX.replace("&& skb != tcp_rtx_queue_tail(sk)", ""),
        FIX.replace("2 * SKB", "SKB"),
        // No room, room for less than a GSO packet, or unknown room.
        FIX.replace("GSO_MAX_SIZE", "0"),
        FIX.replace("GSO_MAX_SIZE", "1500"),
        FIX.replace("GSO_MAX_SIZE", "vendor_size"),
        FIX.replace("2 * SKB_TRUESIZE(GSO_MAX_SIZE)", "VENDOR_ROOM"),
        FIX.replace("sk->sk_sndbuf + 2 * SKB_TRUESIZE(GSO_MAX_SIZE)", "VENDOR_LIMIT(sk)"),
        FIX.replace("(sk->sk_wmem_queued >> 1) > limit", "VENDOR_TOO_BIG(sk)"),
        // Limits that look like failed allocations.
        format!("if (!vendor_may_split(sk)) {refuse}"),
        "if (WARN_ON(vendor_queue_too_big(sk))) return -EINVAL;".to_owned(),
        format!("if (skb_cloned(skb) && vendor_queue_too_big(sk)) {refuse}"),
        // Limits hidden in a macro, which may return.
        "VENDOR_CHECK_QUEUE(sk);".to_owned(),
        "VENDOR_CHECK_QUEUE;".to_owned(),
        "if (len) { VENDOR_CHECK_QUEUE(sk, skb); }".to_owned(),
        format!("{FIX}\nVENDOR_CHECK_QUEUE(sk);"),
        // Code that the grammar does not understand.
        "list_each_thing(a, b) what is this {".to_owned(),
    ] {
        says("tcp-fragment-stall", &[(OUTPUT, &fragment(&guard)), (TCP_H, TAIL)], "unknown");
    }
}

#[test]
fn macro_that_the_file_defines_may_mean_anything() {
    let define = |macros: &str, guard: &str| format!("{macros}\n{}", fragment(guard));
    let affected = "if ((sk->sk_wmem_queued >> 1) > sk->sk_sndbuf) return -ENOMEM;";
    for (code, expected) in [
        (define("#define check(sk) if (big(sk)) return -ENOMEM", "check(sk);"), "unknown"),
        (define("# define\tskb_unclone(a, b) big(a)", ""), "unknown"),
        (define("#define SKB_TRUESIZE(X) 0", FIX), "unknown"),
        // A visible limit decides, regardless of a macro's additions.
        (define("#define check(sk) trace(sk)", &format!("{affected}\ncheck(sk);")), "affected"),
        // The file's macros that the function doesn't use, and well-known macros.
        (define("#define other(sk) return 0\n#define check_2 1", "check(sk);"), "never-had"),
        (define("", "WARN_ON_ONCE(!len);\nBUG_ON(len > skb->len);\nif (IS_ENABLED(CONFIG_X)) f();"), "never-had"),
        (define("", &format!("TCP_SKB_CB(skb)->seq = 1;\n{FIX}")), "fixed"),
    ] {
        says("tcp-fragment-stall", &[(OUTPUT, &code), (TCP_H, TAIL)], expected);
    }
    let why = weighed("tcp-fragment-stall", &[(OUTPUT, &fragment("VENDOR_CHECK(sk);")), (TCP_H, TAIL)]).why;
    assert!(why.contains("it may be that there is no limit on queued data"), "{why}");
    assert!(why.contains("but the macro on line 12 may hide something"), "{why}");
}

#[test]
fn function_with_hidden_parts_is_not_called_never_had() {
    let plain = fragment("");
    let head = "int tcp_fragment(struct sock *sk, struct sk_buff *skb, u32 len)\n";
    let over = |guard: &str| plain.replace("\tif (skb_unclone", &format!("{guard}\n\tif (skb_unclone"));
    says("tcp-fragment-stall", &[(OUTPUT, &plain), (TCP_H, TAIL)], "never-had");
    let leaving = "#define check_limit(sk) \\\n\tif (big(sk)) \\\n\t\treturn -ENOMEM\n";
    for (code, header) in [
        (format!("{head}{{\n\treturn __tcp_fragment(sk, skb, len);\n}}\n"), TAIL.to_owned()),
        (format!("{head}{{\n#include \"body.h\"\n\treturn 0;\n}}\n"), TAIL.to_owned()),
        (format!("{head}{{\n\treturn 0;\n}}\n"), TAIL.to_owned()),
        (plain.replace("return 0;", "return over(sk) ? -ENOMEM : 0;"), TAIL.to_owned()),
        (over("while (over(sk)) return -ENOMEM;"), TAIL.to_owned()),
        (over("switch (over(sk)) { case 1: return -ENOMEM; }"), TAIL.to_owned()),
        // A macro without parameters, and one from a header that is read too.
        (format!("#define check_limit if (big(sk)) return -ENOMEM\n{}", over("check_limit;")), TAIL.to_owned()),
        (over("check_limit(sk);"), format!("{leaving}{TAIL}")),
        // The fix's names, redefined.
        (format!("#undef GSO_MAX_SIZE\n#define GSO_MAX_SIZE 0\n{}", fragment(FIX)), TAIL.to_owned()),
        (format!("#define GSO_MAX_SIZE 0\n{}", fragment(FIX)), TAIL.to_owned()),
    ] {
        let finding = weighed("tcp-fragment-stall", &[(OUTPUT, &code), (TCP_H, &header)]);
        assert_eq!(states(&finding), "unknown", "{}\n{code}", finding.why);
    }
}

#[test]
fn lines_that_are_never_compiled_say_nothing() {
    let guard = "if ((sk->sk_wmem_queued >> 1) > sk->sk_sndbuf) { return -ENOMEM; }";
    for (code, expected) in [
        (format!("#if 0\n{guard}\n#endif"), "never-had"),
        (format!("/* {guard} */\n// {guard}"), "never-had"),
        (format!("#if 1\n{guard}\n#else\n{FIX}\n#endif"), "affected"),
        (format!("#if 0\n{guard}\n#else\n{FIX}\n#endif"), "fixed"),
        (format!("printk(\"{guard}\");"), "never-had"),
    ] {
        says("tcp-fragment-stall", &[(OUTPUT, &fragment(&code)), (TCP_H, TAIL)], expected);
    }
}

#[test]
fn defect_of_the_fix_is_seen_in_the_header() {
    for (guard, tail, expected) in [
        (FIX_BEFORE_4_15, Some(TAIL_BEFORE_4_15), "fixed-with-defect"),
        (FIX_BEFORE_4_15, Some(TAIL_MENDED), "fixed"),
        (FIX, Some(TAIL), "fixed"),
        (FIX_BEFORE_4_15, None, "fixed fixed-with-defect"),
        (
            FIX_BEFORE_4_15,
            Some("static inline struct sk_buff *tcp_rtx_queue_tail(void)\n{ return vendor(); }\n"),
            "fixed fixed-with-defect",
        ),
        (FIX_BEFORE_4_15, Some("int nothing;\n"), "fixed fixed-with-defect"),
    ] {
        let code = fragment(guard);
        let files = [Some((OUTPUT, code.as_str())), tail.map(|tail| (TCP_H, tail))];
        says("tcp-fragment-stall", &files.into_iter().flatten().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn two_definitions_must_agree() {
    let broken = fragment("if ((sk->sk_wmem_queued >> 1) > sk->sk_sndbuf) return -ENOMEM;");
    let both = |one: &str, other: &str| format!("#ifdef CONFIG_X\n{one}#else\n{other}#endif\n");
    says("tcp-fragment-stall", &[(OUTPUT, &both(&broken, &broken)), (TCP_H, TAIL)], "affected");
    let finding = weighed("tcp-fragment-stall", &[(OUTPUT, &both(&broken, &fragment(FIX))), (TCP_H, TAIL)]);
    assert_eq!(states(&finding), "unknown");
    assert!(finding.why.contains("differing definitions of tcp_fragment() (lines 3 and 25)"), "{}", finding.why);
}

#[test]
fn finding_quotes_its_lines() {
    let files = [(OUTPUT, fragment(&FIX.replace("\n\t", "\n\t\u{1b}[31m /* \u{7} */ ")))];
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).chain([(TCP_H, TAIL)]).collect();
    // An escape sequence is not C, so this is `unknown`. A comment may contain one, and must not reach a terminal.
    assert_eq!(states(&weighed("tcp-fragment-stall", &files)), "unknown");
    let code = fragment(&FIX.replace("\n\t", "\n\t/* \u{1b}[31m */ "));
    let finding = weighed("tcp-fragment-stall", &[(OUTPUT, &code), (TCP_H, TAIL)]);
    assert_eq!(states(&finding), "fixed");
    assert!(
        finding.why.contains("net/ipv4/tcp_output.c:12-17 “limit = sk->sk_sndbuf + 2 * SKB_TRUESIZE(GSO_MAX_SIZE);")
    );
    assert!(finding.why.contains("include/net/tcp.h:3 “return skb_rb_last(&sk->tcp_rtx_queue);”"), "{}", finding.why);
    assert!(!finding.why.contains(char::is_control), "{}", finding.why);
}
