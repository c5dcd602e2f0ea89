use proptest::prelude::*;

use super::super::fixture::{self, Code, LAYOUTS, OF_6_1};
use super::super::snippets::{self, code};
use super::*;
use crate::matrix::Bugs;

/// The functions of a kernel with this tcp_fragment(), which calls skb_split() at its end.
fn functions(fragment: Vec<u8>) -> Vec<Code<'static>> {
    let place = fragment.len();
    let with_call = |call: Vec<u8>| [&fragment[..], &call, &[0xc3]].concat();
    let sketch = vec![("tcp_fragment", with_call(vec![0; 5])), ("skb_split", vec![0xc3; 16])];
    let call = fixture::call(&sketch, "tcp_fragment", place, "skb_split");
    fixture::with_caller(vec![("tcp_fragment", with_call(call)), ("skb_split", vec![0xc3; 16])])
}

fn bug(id: &str) -> Bug {
    Bugs::built_in().get(&id.parse().unwrap()).unwrap().clone()
}

fn judged(image: Vec<u8>) -> Finding {
    weigh(&bug("tcp-fragment-stall"), &Binary::read(image).unwrap())
}

fn states(finding: &Finding) -> Vec<&'static str> {
    finding.states.iter().map(State::as_str).collect()
}

#[test]
fn each_form_of_the_limit_is_recognised() {
    use snippets::*;
    let fixed: &[&str] = &["fixed", "fixed-with-defect"];
    let counter: &[&str] = &["TCPWqueueTooBig"];
    let table: [(&str, &[&str], &[&str]); 11] = [
        (FIXED_ADD, counter, fixed),
        (FIXED_LEA, counter, fixed),
        (FIXED_LOADED, counter, fixed),
        (FIXED_SUBTRACTED, counter, fixed),
        (COUNTS_ONLY, counter, fixed),
        (BREAK, counter, &["affected"]),
        (BREAK, &[], &["affected"]),
        (HALF_FIX, counter, &["half-fixed"]),
        (HALF_FIX_QUEUE_FIRST, counter, &["affected", "half-fixed"]),
        (SLACK, counter, &["half-fixed"]),
        (NO_LIMIT, &[], &["never-had"]),
    ];
    let possible = |finding: &Finding, expected: &[&str]| {
        // The versions in the dossier may rule out the defect.
        states(finding).iter().all(|state| expected.contains(state)) && states(finding).contains(&expected[0])
    };
    for (hex, strings, expected) in table {
        let finding = judged(fixture::vmlinux(OF_6_1, &functions(code(hex)), strings).0);
        assert!(possible(&finding, expected) && finding.strength == Strength::Strong, "{expected:?}: {finding:?}");
        assert!(finding.why.contains("tcp_fragment at 0xffffffff8100"), "{}", finding.why);
    }
}

/// Fails if a finding decides. A string alone may exclude some states.
#[track_caller]
fn is_open(finding: &Finding) {
    let all_but =
        |state: State| finding.states.contains(state) || state == State::NeverHad || state == State::FixedWithDefect;
    assert!(State::ALL.into_iter().all(all_but), "{finding:?}");
}

#[test]
fn limit_in_an_unknown_form_is_unknown() {
    use snippets::*;
    let counter: &[&str] = &["TCPWqueueTooBig"];
    // A kernel with the counter but no visible limit may hide the limit.
    for (hex, strings) in [(NO_LIMIT, counter), (UNSIGNED, counter), (LOST_IN_A_CALL, &[]), (OTHER_STRUCTURES, &[])]
        .into_iter()
        // The room of the fix with no exemption, with one, and with a reversed one.
        .chain([SPARES_NONE, SPARES_ONE, REFUSES_ONE].map(|hex| (hex, counter)))
    {
        let finding = judged(fixture::vmlinux(OF_6_1, &functions(code(hex)), strings).0);
        is_open(&finding);
        assert!(finding.why.contains("which is none of the known forms"), "{}", finding.why);
    }
    // The fix after the break that was left in: callers above the smaller limit still fail.
    is_open(&judged(fixture::vmlinux(OF_6_1, &functions(code(FIX_BEHIND_THE_BREAK)), counter).0));
}

#[test]
fn misplaced_function_is_unknown() {
    let mut other = functions(code(snippets::BREAK));
    // Nothing calls it.
    other.retain(|(name, _)| *name != "caller");
    let finding = judged(fixture::vmlinux(OF_6_1, &other, &[]).0);
    assert!(finding.states == StateSet::all() && finding.why.contains("nothing calls"), "{finding:?}");
    // Two functions of that name.
    let twice = fixture::with_caller(vec![("skb_split", vec![0xc3; 16]), ("tcp_fragment", code(snippets::BREAK))]);
    let twice = [twice, vec![("tcp_fragment", code(snippets::NO_LIMIT))]].concat();
    let finding = judged(fixture::vmlinux(OF_6_1, &twice, &[]).0);
    assert!(finding.states == StateSet::all() && finding.why.contains("several kernel functions"), "{finding:?}");
    // No function of that name.
    let none = fixture::with_caller(vec![("skb_split", vec![0xc3; 16])]);
    let finding = judged(fixture::vmlinux(OF_6_1, &none, &[]).0);
    assert!(finding.states == StateSet::all() && finding.why.contains("not among the kernel's symbols"), "{finding:?}");
    // It jumps out of itself, but not to a function: `jmp` 64 bytes ahead.
    let jumps = [&code(snippets::BREAK)[..], &[0xeb, 0x40]].concat();
    let finding = judged(fixture::vmlinux(OF_6_1, &functions(jumps), &[]).0);
    assert!(finding.states == StateSet::all() && finding.why.contains("which is not a function"), "{finding:?}");
}

#[test]
fn refusal_in_a_split_off_part_is_followed() {
    // `mov 0x138(%rdi),%eax; sar %eax; cmp %eax,0x134(%rdi); jl <cold>; xor %eax,%eax; ret`, and the cold part: `mov
    // $-12,%eax; ret`.
    let hot = |distance: u32| {
        let mut bytes = code("8b8738010000d1f83987340100000f8c0000000031c0c3");
        bytes[16..20].copy_from_slice(&distance.to_le_bytes());
        bytes
    };
    let list = |distance| {
        fixture::with_caller(vec![
            ("tcp_fragment", hot(distance)),
            ("between", vec![0xc3; 100]),
            ("tcp_fragment.cold", code("b8f4ffffffc3")),
        ])
    };
    let sketch = list(0);
    let from = fixture::address_of(&sketch, "tcp_fragment") + 20;
    let distance = fixture::address_of(&sketch, "tcp_fragment.cold").wrapping_sub(from) as u32;
    let finding = judged(fixture::vmlinux(OF_6_1, &list(distance), &[]).0);
    assert_eq!(states(&finding), ["affected"], "{finding:?}");
}

/// Judges a kernel whose `timer` calls `callee` at this offset, with this tcp_ack().
fn window(timer: &'static str, hex: &str, at: usize, callee: &'static str, ack: &str) -> Finding {
    window_with(timer, hex, (at, callee), ack, "__stack_chk_fail")
}

/// The same, with the function that [`snippets::ACK_CHECKS_ITS_STACK`] calls.
fn window_with(
    timer: &'static str,
    hex: &str,
    (at, callee): (usize, &'static str),
    ack: &str,
    called: &'static str,
) -> Finding {
    let functions = |timer_code, ack_code| {
        let leaves = [(callee, vec![0xc3; 16]), (called, vec![0xc3; 16])];
        let own = [(timer, timer_code), ("tcp_ack", ack_code)];
        fixture::with_caller(own.into_iter().chain(leaves).collect())
    };
    let sketch = functions(code(hex), code(ack));
    let with_call = |from, hex, at: usize, to| {
        let mut bytes = code(hex);
        bytes.splice(at..at + 5, fixture::call(&sketch, from, at, to));
        bytes
    };
    let ack_code = if ack == snippets::ACK_CHECKS_ITS_STACK {
        with_call("tcp_ack", ack, snippets::ACK_CALLS, called)
    } else {
        code(ack)
    };
    let list = functions(with_call(timer, hex, at, callee), ack_code);
    let image = fixture::vmlinux(OF_6_1, &list, &[]).0;
    weigh(&bug("zero-window-user-timeout"), &Binary::read(image).unwrap())
}

#[test]
fn each_form_of_the_zero_window_timeout_is_recognised() {
    use snippets::*;
    const JIFFIES: &str = "__msecs_to_jiffies";
    for timer in ["tcp_probe_timer", "tcp_write_timer_handler"] {
        for (hex, at, callee, ack, expected) in [
            (CLOCK, CLOCK_CALLS, JIFFIES, ACK, Some("fixed")),
            (CLOCK, CLOCK_CALLS, JIFFIES, ACK_FORGETS, Some("affected")),
            (CLOCK, CLOCK_CALLS, JIFFIES, ACK_FORGETS_ON_BOTH_WAYS, Some("affected")),
            (MODEL, MODEL_CALLS, "tcp_model_timeout", ACK, Some("affected")),
            (MODEL, MODEL_CALLS, "tcp_model_timeout.constprop.0", ACK, Some("affected")),
            // The effect on the field is unclear.
            (CLOCK, CLOCK_CALLS, JIFFIES, ACK_ADDS, None),
            (CLOCK, CLOCK_CALLS, JIFFIES, ACK_CLEARS_HALF, None),
            (CLOCK, CLOCK_CALLS, JIFFIES, ACK_NOTES_NOTHING, None),
            // It counts from another start, or to another limit.
            (CLOCK_UNSET, CLOCK_CALLS, JIFFIES, ACK, None),
            (CLOCK, CLOCK_CALLS, "vendor_limit", ACK, None),
            (MODEL, MODEL_CALLS, JIFFIES, ACK, None),
        ] {
            let finding = window(timer, hex, at, callee, ack);
            let (states, open) = (states(&finding), finding.states == StateSet::all());
            assert_eq!(
                (states.first().copied().filter(|_| !open), open),
                (expected, expected.is_none()),
                "{finding:?}"
            );
        }
    }
    let other = window("tcp_other_timer", CLOCK, CLOCK_CALLS, JIFFIES, ACK);
    assert!(other.states == StateSet::all() && other.why.contains("not among the kernel's symbols"), "{other:?}");
    let finding = window("tcp_probe_timer", CLOCK, CLOCK_CALLS, JIFFIES, ACK);
    assert!(finding.why.contains("the time since the field at 0x530 was set"), "{finding:?}");
}

#[test]
fn code_after_a_noreturn_call_is_not_followed() {
    use snippets::*;
    for (called, expected) in [
        ("__stack_chk_fail", Some(State::Fixed)),
        ("panic", Some(State::Fixed)),
        // This one may return, with unknown registers.
        ("vendor_check", None),
    ] {
        let clock = (CLOCK_CALLS, "__msecs_to_jiffies");
        let finding = window_with("tcp_probe_timer", CLOCK, clock, ACK_CHECKS_ITS_STACK, called);
        assert_eq!(finding.states.only(), expected, "{called}: {finding:?}");
    }
}

#[test]
fn string_is_weighed_when_there_are_no_symbols() {
    let (mut image, table) = fixture::vmlinux(OF_6_1, &functions(code(snippets::BREAK)), &["TCPWqueueTooBig"]);
    image[table].fill(0);
    let finding = judged(image);
    assert_eq!(states(&finding), ["affected", "half-fixed", "fixed"], "{finding:?}");
    assert_eq!(finding.strength, Strength::Strong);
    assert!(finding.why.contains("has the string TCPWqueueTooBig") && finding.why.contains("kallsyms"), "{finding:?}");
}

#[test]
fn bug_without_signatures_is_unknown_with_the_reason() {
    let binary = Binary::read(fixture::vmlinux(OF_6_1, &functions(code(snippets::BREAK)), &[]).0).unwrap();
    let mut bug = bug("tcp-fragment-stall");
    bug.binary.clear();
    bug.strings.clear();
    let finding = weigh(&bug, &binary);
    assert!(finding.states == StateSet::all() && finding.why.contains("has no binary signature"), "{finding:?}");
}

#[test]
fn kernel_too_new_for_the_defect_is_fixed() {
    let bug = bug("tcp-fragment-stall");
    let both: StateSet = [State::Fixed, State::FixedWithDefect].into_iter().collect();
    for (release, expected) in [
        ("6.1.0-56-cloud-amd64", Some(State::Fixed)),
        ("4.15.0", Some(State::Fixed)),
        ("4.14.138", None),
        ("3.10.0-957.el7", None),
        ("rubbish", None),
    ] {
        assert_eq!(without_impossible(both, &bug, release).only(), expected, "{release}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_symbol_table_never_gives_a_wrong_finding(
        place in any::<prop::sample::Index>(), flip in 1..=255_u8, which in 0..LAYOUTS.len()
    ) {
        let (mut image, table) =
            fixture::vmlinux(LAYOUTS[which], &functions(code(snippets::BREAK)), &["TCPWqueueTooBig"]);
        image[table.start + place.index(table.len())] ^= flip;
        if let Ok(binary) = Binary::read(image) {
            let finding = weigh(&bug("tcp-fragment-stall"), &binary);
            prop_assert!(finding.states.contains(State::Affected), "{:?}", finding);
        }
    }

    #[test]
    fn truncated_kernel_is_an_error(length in any::<prop::sample::Index>()) {
        let (image, _) = fixture::vmlinux(OF_6_1, &functions(code(snippets::BREAK)), &[]);
        let whole = image.len();
        let cut = image[..length.index(whole)].to_vec();
        prop_assert!(Binary::read(cut).is_err());
    }

    #[test]
    fn any_bytes_after_the_kernels_start_are_handled(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let (mut image, _) = fixture::vmlinux(OF_6_1, &functions(code(snippets::BREAK)), &[]);
        let at = bytes.first().map_or(0, |&byte| usize::from(byte));
        image[at..at + bytes.len()].copy_from_slice(&bytes);
        let _ = Binary::read(image).map(|binary| weigh(&bug("tcp-fragment-stall"), &binary));
    }
}
