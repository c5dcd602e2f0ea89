//! The crash oracle on a kernel that crashes on command: every crash is the described one, or it is not, and no other is
//! taken for it.

mod common;

use common::{Lab, cell};
use serde_json::Value;

const KERNEL: &str = "control-6.1-crash-control";

/// How each schedule of a scenario must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    /// In the described crash.
    Affected,
    /// In no verdict, because the kernel died of something else.
    Broken,
    /// In silence.
    Silent,
}

use Ends::{Affected, Broken, Silent};

/// The word for the kernel, the described crash, and how that ends.
const SCENARIOS: [(&str, &str, Ends); 23] = [
    ("warn", "kinds: [warning], frames: [crash_control_warn]", Affected),
    ("oops", "kinds: [oops], frames: [crash_control_oops]", Affected),
    ("bug", "kinds: [bug], frames: [crash_control_bug]", Affected),
    ("list", "kinds: [list-corruption], frames: [crash_control_list]", Affected),
    ("refcount", "kinds: [refcount], frames: [crash_control_refcount]", Affected),
    ("slab", "kinds: [slab], frames: [crash_control_slab]", Affected),
    ("hang", "kinds: [hang], match: crash_control_hang", Affected),
    ("lockup", "kinds: [soft-lockup], frames: [crash_control_lockup]", Affected),
    ("sleep", "kinds: [hung-task], frames: [crash_control_sleep]", Affected),
    (
        "late-oops",
        "kinds: [oops, panic], frames: [crash_control_oops], match: \"events crash_late\", settle: 5s",
        Affected,
    ),
    ("late-warn", "kinds: [warning], frames: [crash_control_warn], settle: 5s", Affected),
    ("late-list", "kinds: [list-corruption], match: \"list_add corruption\", settle: 5s", Affected),
    // Another crash of the same kind, another kind of the same function, and a crash where a hang is described.
    ("foreign-oops", "kinds: [oops, panic], frames: [crash_control_oops]", Broken),
    ("foreign-warn", "kinds: [warning], frames: [crash_control_warn]", Broken),
    ("late-foreign-oops", "kinds: [oops, panic], frames: [crash_control_oops], settle: 5s", Broken),
    ("late-bug", "kinds: [warning, slab], frames: [crash_control_bug], settle: 5s", Broken),
    ("late-refcount", "kinds: [hang], match: refcount, settle: 5s", Broken),
    ("leak", "kinds: [oops, panic, warning], match: crash_control, settle: 1s", Silent),
    ("leak", "kinds: [memory-leak], frames: [crash_control_leak]", Affected),
    ("late-leak", "kinds: [memory-leak], frames: [crash_control_leak, crash_late], settle: 4s", Affected),
    ("leak", "kinds: [memory-leak], frames: [crash_foreign_leak]", Silent),
    ("slab", "taint: [B]", Affected),
    ("oops", "taint: [W]", Broken),
];

/// Tries each scenario under this many seeds. Returns what did not end as it must.
fn swapped(seeds: u64) -> Vec<String> {
    let name = |word: &str, number: usize| format!("{word}-{number}");
    let names: Vec<String> = SCENARIOS.iter().enumerate().map(|(n, (word, ..))| name(word, n)).collect();
    let lab = Lab::with_matrix(&format!(
        "dossiers: bugs\nbugs: [{}]\nkernels:\n  - {{ name: {KERNEL}, control: {{ name: crash-control, line: \"6.1\" }}, cmdline: \
         watchdog_thresh=1 slub_debug=FZPU kmemleak=on }}\n",
        names.join(", ")
    ));
    lab.build_program();
    for (bug, (word, crash, _)) in names.iter().zip(SCENARIOS) {
        // A hung guest keeps a processor busy until its deadline.
        let deadline = if word == "hang" { "1s" } else { "20s" };
        let reproducer =
            format!("program: ../program, args: [triggers, {word}], deadline: {deadline}, crash: {{ {crash} }}");
        lab.write(
            &format!("bugs/{bug}.yaml"),
            format!("id: {bug}\ntitle: A crash\nsummary: On command.\nreferences: [a test]\nreproducer: {{ {reproducer} }}\n"),
        );
    }
    let (_, document) = lab.judge(&["--seeds", &seeds.to_string()]);
    let judge = |(bug, (_, _, ends)): (&String, (&str, &str, Ends))| {
        let cell = cell(&document, KERNEL, bug);
        let count = |what: &str| cell["seeds"][what].as_u64().unwrap_or(u64::from(outcome(cell, what)));
        let expected = match ends {
            Affected => (seeds, 0),
            Broken => (0, seeds),
            Silent => (0, 0),
        };
        ((count("affected"), count("broken")) != expected).then(|| format!("{bug}: {ends:?}: {cell:#}"))
    };
    names.iter().zip(SCENARIOS).filter_map(judge).collect()
}

/// Of a single schedule, whether its cell ended that way.
fn outcome(cell: &Value, what: &str) -> bool {
    cell["outcome"] == if what == "affected" { "fail" } else { "error" }
}

#[test]
fn crashes_on_command_are_told_apart() {
    let swapped = swapped(1);
    assert!(swapped.is_empty(), "{}", swapped.join("\n"));
}

#[test]
#[ignore = "more than 1,000 boots: cargo nextest run --run-ignored only thousand"]
fn no_verdict_of_a_thousand_crashes_is_swapped() {
    let swapped = swapped(1000_u64.div_ceil(SCENARIOS.len() as u64));
    assert!(swapped.is_empty(), "{}", swapped.join("\n"));
}
