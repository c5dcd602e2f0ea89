use super::*;
use backproof_protocol::Conclusion;

/// Runs a shell script as a program.
fn run(script: &str, deadline: Duration) -> ProgramJudgement {
    let _turn = crate::task::CHILDREN_OF_TESTS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let until = Instant::now().checked_add(deadline);
    watch(Command::new("sh").args(["-c", script]), ProgramProtocol::Backproof, until, deadline, "a-bug", |_| {})
}

#[test]
fn program_is_judged_by_exit_status_and_output() {
    for (script, conclusion, why) in [
        ("exit 0", Conclusion::NotAffected, "exited with 0"),
        ("exit 1", Conclusion::Affected, "exited with 1"),
        ("exit 2", Conclusion::Skip, "exited with 2"),
        ("exit 3", Conclusion::Error, "exited with 3"),
        ("kill -KILL $$", Conclusion::Error, "killed by signal 9"),
        ("echo rubbish", Conclusion::Error, "not a conclusion"),
        (r#"echo '{"conclusion":"affected","why":"lost"}'; exit 1"#, Conclusion::Affected, "lost"),
        ("exec yes", Conclusion::Error, "more than 32768 bytes on stdout"),
        ("head -c 1100000 /dev/zero >&2", Conclusion::Error, "more than 1048576 bytes on stderr"),
        ("exec yes >&2", Conclusion::Error, "more than 1048576 bytes on stderr"),
        // A process that it leaves behind neither holds the pipe nor goes on printing.
        ("sleep 100 & exit 1", Conclusion::Affected, "exited with 1"),
    ] {
        let judged = run(script, Duration::from_secs(20));
        assert_eq!(judged.conclusion, conclusion, "{script}: {judged:?}");
        assert!(judged.why.contains(why), "{script}: {judged:?}");
    }
}

#[test]
fn late_program_is_killed_with_its_children() {
    let started = Instant::now();
    let judged = run("sleep 100 & sleep 100", Duration::from_millis(200));
    assert_eq!(judged.conclusion, Conclusion::Error);
    assert!(judged.why.contains("killed at its deadline of 200 ms"), "{judged:?}");
    assert!(started.elapsed() < Duration::from_secs(50), "it waited for what it had to kill");
}

#[test]
fn escaped_process_that_holds_a_pipe_does_not_delay() {
    let started = Instant::now();
    let script =
        "d=$(mktemp -d); setsid sh -c \"touch $d/out; exec sleep 8\" & until [ -e $d/out ]; do :; done; rm -r $d";
    let judged = run(script, Duration::from_secs(60));
    assert!(judged.why.contains("left behind holds its stdout"), "{judged:?}");
    assert!(started.elapsed() < Duration::from_secs(6), "it was waited for");
}

#[test]
fn missing_program_is_an_error() {
    let mut command = Command::new("/nonexistent/program");
    let judged = watch(&mut command, ProgramProtocol::Backproof, None, Duration::from_secs(1), "a-bug", |_| {});
    assert_eq!(judged.conclusion, Conclusion::Error);
    assert!(judged.why.contains("cannot start"), "{}", judged.why);
}
