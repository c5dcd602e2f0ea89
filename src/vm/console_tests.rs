use proptest::prelude::*;

use super::*;

fn of(bytes: &[u8]) -> Monitor {
    let mut monitor = Monitor::new();
    monitor.push(bytes);
    monitor.end();
    monitor
}

/// Every sample in `tests/console/`: a console's log, and next to it the expected result.
#[test]
fn every_golden_console_log_gives_the_result_beside_it() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/console");
    let mut samples = 0;
    for entry in std::fs::read_dir(&dir).expect("the samples") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|e| e != "log") {
            continue;
        }
        samples += 1;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let monitor = of(&std::fs::read(&path).expect("a sample"));
        let mut found = match monitor.hit() {
            Some(splat) => format!("{}: {}\n{} lines\n", splat.kind, splat.title, splat.excerpt.len()),
            None => "nothing\n".to_owned(),
        };
        for warning in monitor.warnings() {
            found.push_str(&format!("warned: {}\n", warning.title));
        }
        let want = std::fs::read_to_string(path.with_extension("expected")).unwrap_or_default();
        assert_eq!(found, want, "{name}: found on the left, expected on the right");
    }
    assert!(samples >= 30, "{samples} samples");
}

#[test]
fn every_row_of_the_table_has_a_sample_that_it_decides() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/console");
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(&dir).expect("the samples") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|e| e == "log") {
            let log = std::fs::read(&path).expect("a sample");
            texts.extend(String::from_utf8_lossy(&log).lines().map(|l| Printk::parse(l).text.to_owned()));
        }
    }
    let missing: Vec<String> = splat::rows_without(&texts);
    assert!(missing.is_empty(), "no sample for {missing:?}");
}

#[test]
fn a_flood_is_noticed_and_not_kept() {
    let mut monitor = Monitor::new();
    let line = [b"[    1.000000] spam spam spam\r\n".as_slice(); 1000].concat();
    while !monitor.is_flood() {
        monitor.push(&line);
    }
    assert!(monitor.last_lines().len() <= LAST_LINES);
}

#[test]
fn control_characters_never_reach_a_terminal() {
    let monitor = of(b"\x1b[2Jclear\x07 \xff\r\n");
    assert_eq!(monitor.last_lines(), ["\u{fffd}[2Jclear\u{fffd} \u{fffd}"]);
}

#[test]
fn warnings_beyond_the_bound_are_not_kept() {
    let warning = "[    0.1] WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2\n[    0.1] ---[ end trace 0 ]---\n";
    let monitor = of(warning.repeat(100).as_bytes());
    assert_eq!(monitor.warnings().len(), MAX_WARNINGS);
    assert!(!monitor.is_hit());
}

#[test]
fn warning_after_the_agent_s_start_is_known_however_many_came_before() {
    let warning = |at: &str| format!("[    {at}] WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2\n[    {at}] Call Trace:\n");
    for before in [0, 1, MAX_WARNINGS, 100] {
        for (uptime_ms, hit) in [(7070, true), (9430, true), (9431, false)] {
            let mut monitor = of((warning("0.1").repeat(before) + &warning("9.43")).as_bytes());
            monitor.agent_runs(uptime_ms);
            assert_eq!((monitor.is_hit(), monitor.is_hit_since(uptime_ms)), (hit, hit), "{before} before {uptime_ms}");
            let kept = (before + usize::from(!hit)).min(MAX_WARNINGS - usize::from(hit));
            assert_eq!(monitor.warnings().len(), kept.min(MAX_WARNINGS), "{before} before {uptime_ms}");
            assert_eq!(monitor.hit().map(|splat| splat.excerpt.len()), hit.then_some(2));
        }
    }
}

fn fragment() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"[    0.000000] Linux version 6.1\n".to_vec()),
        Just(b"[    1.0] WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2\n".to_vec()),
        Just(b"[    1.0] ------------[ cut here ]------------\n".to_vec()),
        Just(b"[    1.0] BUG: unable to handle page fault for address: ffff888000000000\n".to_vec()),
        Just(b"\n\n -- System halted".to_vec()),
        Just(b"[    1.0] RIP: 0010:".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..80),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_in_any_reads_give_one_result_of_a_bounded_size(
        fragments in proptest::collection::vec(fragment(), 0..30),
        at in 0usize..2000,
    ) {
        let bytes = fragments.concat();
        let at = at.min(bytes.len());
        let whole = of(&bytes);
        let mut cut = Monitor::new();
        cut.push(&bytes[..at]);
        cut.push(&bytes[at..]);
        cut.end();
        prop_assert_eq!(cut.hit(), whole.hit());
        prop_assert_eq!(cut.warnings(), whole.warnings());
        prop_assert_eq!(cut.last_lines(), whole.last_lines());
        let excerpt = whole.hit().map_or(0, |s| s.excerpt.len());
        prop_assert!(excerpt <= EXCERPT_HEAD * 2 + EXCERPT_TAIL + 2);
    }
}
