use iced_x86::{Decoder, DecoderOptions};
use proptest::prelude::*;

use super::super::guards::GuardRefusal;
use super::super::snippets::{self, code};
use super::*;

fn function(code: &[u8]) -> MachineFunction {
    let instructions: BTreeMap<_, _> =
        Decoder::with_ip(64, code, 0x1000, DecoderOptions::NONE).into_iter().map(|i| (i.ip(), i)).collect();
    let length = code.len() as u64;
    MachineFunction {
        instructions,
        entries: vec![0x1000],
        cloned: false,
        calls: BTreeMap::new(),
        fatal: BTreeSet::new(),
        length,
    }
}

fn facts(hex: &str) -> CodeFacts {
    analyse(&function(&code(hex))).unwrap()
}

fn something(arguments: &[u8]) -> Option<GuardRefusal> {
    sparing(arguments, 0)
}

fn sparing(arguments: &[u8], spared: usize) -> Option<GuardRefusal> {
    Some(GuardRefusal::Asking { arguments: arguments.iter().copied().collect(), spared })
}

#[test]
fn limit_is_seen_in_every_compiled_form() {
    use snippets::*;
    type Limit = (i64, Option<GuardRefusal>);
    let table: &[(&str, &str, &[Limit])] = &[
        ("added", FIXED_ADD, &[(0x20480, sparing(&[2], 2))]),
        ("added by lea, the queue kept on the stack", FIXED_LEA, &[(0x20480, sparing(&[2], 2))]),
        ("loaded and added", FIXED_LOADED, &[(0x20480, sparing(&[2], 2))]),
        ("its negative subtracted", FIXED_SUBTRACTED, &[(0x20480, sparing(&[2], 2))]),
        ("half of the fix", SPARES_ONE, &[(0x20480, sparing(&[2], 1))]),
        ("the room of the fix only", SPARES_NONE, &[(0x20480, something(&[2]))]),
        ("refuses one of those that the fix spares", REFUSES_ONE, &[(0x20480, sparing(&[2], 1))]),
        ("the break", BREAK, &[(0, Some(GuardRefusal::Straight))]),
        ("the break, by what falls through", BREAK_FALLING_THROUGH, &[(0, Some(GuardRefusal::Straight))]),
        ("the half fix", HALF_FIX, &[(0, something(&[2]))]),
        ("the half fix, with the error loaded first", HALF_FIX_PRELOADED, &[(0, something(&[2]))]),
        // The check of the queue comes first, so it can't be told which argument it is.
        ("the half fix, asking the queue first", HALF_FIX_QUEUE_FIRST, &[(0, something(&[]))]),
        ("the slack", SLACK, &[(0x20000, Some(GuardRefusal::Straight))]),
        ("the slack, subtracted from the half", SLACK_ON_THE_OTHER_SIDE, &[(0x20000, Some(GuardRefusal::Straight))]),
        ("a count, then the fix", COUNTS_ONLY, &[(0, None), (0x20480, sparing(&[2], 2))]),
        ("behind a loop with calls", AFTER_A_LOOP, &[(0, Some(GuardRefusal::Straight))]),
        ("lost in a call", LOST_IN_A_CALL, &[]),
        ("fields of two structures", OTHER_STRUCTURES, &[]),
        ("shifted without its sign", UNSIGNED, &[]),
        ("no limit", NO_LIMIT, &[]),
    ];
    for (name, hex, expected) in table {
        let guards = facts(hex).guards;
        let seen: Vec<Limit> = guards.iter().map(|guard| (guard.plus, guard.refusal.clone())).collect();
        assert_eq!(&seen, expected, "{name}");
        assert!(guards.iter().all(|guard| (guard.half, guard.field) == (0x138, 0x134)), "{name}");
    }
}

#[test]
fn pointers_looked_up_by_calls_and_in_loops_are_seen() {
    let mut function = function(&code(snippets::LOOKS_UP));
    // Other calls are not followed.
    assert_eq!(analyse(&function).unwrap().guards[0].refusal, None);
    let calls = function.instructions.values().filter(|i| i.flow_control() == FlowControl::IndirectCall);
    let names = |name: &str| [name.into()].into_iter().collect();
    function.calls = calls.zip(["rb_first", "rb_last"]).map(|(call, name)| (call.ip(), names(name))).collect();
    assert_eq!(analyse(&function).unwrap().guards[0].refusal, sparing(&[2], 2));
}

#[test]
fn arguments_of_a_clone_are_not_trusted() {
    for hex in [snippets::BREAK, snippets::HALF_FIX] {
        let clone = MachineFunction { cloned: true, ..function(&code(hex)) };
        let guards = analyse(&clone).unwrap().guards;
        assert_eq!(guards.iter().map(|guard| guard.refusal.clone()).collect::<Vec<_>>(), [something(&[])]);
    }
}

#[test]
fn numbers_and_halves_are_found_anywhere() {
    assert!(facts(snippets::FIXED_ADD).numbers.contains(&0x20480));
    assert!(facts(snippets::FIXED_LEA).numbers.contains(&0x20480));
    assert!(facts(snippets::FIXED_LOADED).numbers.contains(&0x20480));
    assert!(facts(snippets::FIXED_SUBTRACTED).numbers.contains(&0x20480));
    assert!(facts(snippets::LOST_IN_A_CALL).halves && !facts(snippets::NO_LIMIT).halves);
    assert!(facts(snippets::NO_LIMIT).numbers.iter().all(|number| *number < 0x1000));
}

#[test]
fn uses_of_the_sequence_number_are_counted() {
    use snippets::*;
    let table = [
        ("subtracted", COOKIE, 1, 0),
        ("added to the hash, over the stack", COOKIE_BOTH_LOADED, 1, 0),
        ("passed to a hash, too", COOKIE_HASHED, 1, 1),
        ("mixed into something, too", COOKIE_MIXED, 1, 1),
        ("added to something, too", COOKIE_SUMMED_TWICE, 2, 0),
    ];
    for (name, hex, sums, others) in table {
        let uses = facts(hex).uses.remove(&(2, 4)).unwrap_or_default();
        assert_eq!((uses.sums, uses.others), (sums, others), "{name}");
        assert!(uses.shifts.contains(&24), "{name}");
    }
}

#[test]
fn global_variable_is_found_in_every_addressing_form() {
    // `mov 0x2000(%rip),%eax; mov %eax,0x10(%rdi); mov 0x3000,%ecx; mov %ecx,0x14(%rdi); xor %edx,%edx; mov %edx,0x18(%rdi); ret`
    let facts = facts("8b05fa1f00008947108b0c250030000089 4f1431d2895718c3".replace(' ', "").as_str());
    let written: Vec<_> = facts.writes.iter().map(|write| (write.argument, write.bytes.clone(), write.value)).collect();
    let (of_0x3000, zero) = (WrittenValue::Global(0x3000), WrittenValue::Zero);
    assert_eq!(written, [(1, 0x10..0x14, of_0x3000), (1, 0x14..0x18, of_0x3000), (1, 0x18..0x1c, zero)]);
    assert!(facts.notes(0x3000, (1, 0x10)) && !facts.notes(0x3000, (1, 0x18)) && !facts.notes(0x2000, (1, 0x10)));
}

/// Whether tcp_ack() with this code resets the time since which the window is closed. `fatal` are its traps that never
/// return.
fn forgets(code: &[u8], fatal: &[u64]) -> Option<bool> {
    let function = MachineFunction { fatal: fatal.iter().copied().collect(), ..function(code) };
    analyse(&function).unwrap().forgets(&function, 0xffff_ffff_82a0_79c0, (1, 0x530))
}

#[test]
fn code_after_a_bug_trap_is_not_followed() {
    let mut ack = code(snippets::ACK_CHECKS_ITS_STACK);
    // Replaces the call with `ud2`.
    ack.splice(snippets::ACK_CALLS..snippets::ACK_CALLS + 5, [0x0f, 0x0b, 0x90, 0x90, 0x90]);
    let trap = 0x1000 + snippets::ACK_CALLS as u64;
    assert_eq!(forgets(&ack, &[trap]), Some(false));
    assert_eq!(forgets(&ack, &[]), None);
}

#[test]
fn path_through_a_trap_decides_nothing() {
    let ack = code(snippets::ACK_SPARES_BEHIND_A_TRAP);
    assert_eq!(forgets(&ack, &[]), None);
    let trap = ack.windows(2).position(|bytes| bytes == [0x0f, 0x0b]).unwrap() as u64;
    assert_eq!(forgets(&ack, &[0x1000 + trap]), Some(true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_code_is_followed_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = analyse(&function(&bytes));
    }

    #[test]
    fn code_with_a_flipped_byte_is_followed_to_an_end(place in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let mut bytes = code(snippets::COUNTS_ONLY);
        let at = place.index(bytes.len());
        bytes[at] ^= flip;
        let _ = analyse(&function(&bytes));
    }
}
