//! The watch's handling of a guest that hangs or dumps.

use super::*;

#[tokio::test(start_paused = true)]
async fn hung_guest_dumps_its_stack_before_it_is_stopped() {
    let dump = "[    9.0] Uhhuh. NMI received for unknown reason 31 on CPU 0.\r\n\
        [    9.1] Kernel panic - not syncing: NMI: Not continuing\r\n[    9.2]  stuck_here+0x1/0x2\r\n";
    let machine = Fake::new(running()).on_nmi(vec![wait(50), console(dump), wait(50), exit(0)]);
    let (boot, machine, _) = play(Accel::Tcg, machine).await;
    let failure = boot.end.expect_err("a hang");
    assert!(matches!(failure.kind, FailureKind::Hang { waiting: AwaitedEvent::Report { .. }, .. }), "{failure}");
    assert!(failure.excerpt.iter().any(|l| l.contains("stuck_here")), "{:?}", failure.excerpt);
    assert!(failure.last_lines.iter().all(|l| !l.contains("NMI")), "{:?}", failure.last_lines);
    assert_eq!((machine.nmis, machine.stopped), (1, false));
    assert_eq!(boot.running, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn hung_guest_that_ignores_the_nmi_is_stopped_soon() {
    let begin = Instant::now();
    let machine = Fake::new(running()).on_nmi(vec![wait(1)]);
    let (boot, machine, _) = play(Accel::Tcg, machine).await;
    assert!(matches!(boot.end, Err(Failure { kind: FailureKind::Hang { .. }, .. })));
    assert!(machine.stopped);
    // The job's deadline with its slack, and the silence after the NMI.
    assert!(begin.elapsed() < Duration::from_millis(5200 + 10_000 + 1300), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn dump_is_read_until_it_falls_silent() {
    let lines: Vec<Act> = (0..50).flat_map(|i| [wait(100), console(&format!("[    2.6]  frame_{i}\r\n"))]).collect();
    let stall = "[    2.5] rcu: INFO: rcu_sched self-detected stall on CPU\r\n";
    let script = and(running(), and(vec![console(stall)], lines));
    let begin = Instant::now();
    let (boot, machine, _) = play(Accel::Tcg, Fake::new(script)).await;
    let failure = boot.end.expect_err("a stall");
    assert_eq!(failure.kind, FailureKind::Splat(SplatKind::RcuStall));
    assert_eq!(failure.excerpt.len(), 51);
    assert!(machine.stopped);
    assert!(begin.elapsed() < Duration::from_secs(7), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn endless_dump_is_cut() {
    let lines = std::iter::repeat_n([console("[    2.6]  frame\r\n"), wait(100)], 100_000).flatten().collect();
    let script = and(and(running(), vec![console(OOPS)]), lines);
    let begin = Instant::now();
    let (boot, _, _) = play(Accel::Tcg, Fake::new(script)).await;
    assert!(boot.end.expect_err("an oops").excerpt.len() < 250);
    assert!(begin.elapsed() < Duration::from_secs(12), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn oops_during_the_stop_is_the_answer() {
    let machine = Fake::new(vec![console(BOOTED)]).on_stop(vec![console(OOPS)]);
    let (boot, _, _) = play(Accel::Tcg, machine).await;
    assert_eq!(told(&boot), "oops: BUG: kernel NULL pointer dereference in tcp_fragment");
}

#[tokio::test(start_paused = true)]
async fn warning_before_the_hello_does_not_end_the_boot() {
    let cut = "[    0.5] ------------[ cut here ]------------\r\n";
    let early =
        format!("{cut}[    0.5] {WARNING}[    0.5]  frame\r\n[    0.5] ---[ end trace 0 ]---\r\n[    0.6] x\r\n");
    let (boot, _, _) = play(Accel::Tcg, Fake::new(and(vec![console(&early)], and(finished(), vec![exit(0)])))).await;
    assert!(boot.end.is_ok());
    assert_eq!(boot.warnings.len(), 1);
    assert_eq!(boot.warnings[0].title, "WARNING: at net/ipv4/tcp.c:1 f");
    assert_eq!(boot.warnings[0].excerpt.len(), 4);
}

/// It is found at once, and not at its job's deadline.
#[tokio::test(start_paused = true)]
async fn halted_guest_is_found_within_seconds() {
    let mut machine = Fake::new(running()).on_nmi(vec![console("[    3.0] NMI backtrace\r\n"), exit(0)]);
    machine.halted = true;
    let deadlines = Deadlines::new(Accel::Tcg, HostLoad::IDLE);
    let spec = GuestSpec { jobs: vec![Job::new("a", 600_000)], ..spec() };
    let began = Instant::now();
    let boot = watch(&mut machine, &spec, &deadlines, &mut |_| {}).await;
    let waiting = "hang: the guest halted with interrupts off; backproof was waiting for the report of job a";
    assert!(told(&boot).starts_with(waiting), "{}", told(&boot));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(machine.nmis, 1);
}
