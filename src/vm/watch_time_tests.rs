//! The watch over guests in virtual time, and over their recorded boots.

use super::*;
use crate::vm::watch_recorded;

#[tokio::test(start_paused = true)]
async fn host_does_not_matter_to_a_guest_in_virtual_time() {
    let spec = GuestSpec { time: Some(VirtualTime::with_seed(1)), jobs: vec![Job::new("a", 5000)], ..spec() };
    let mut machine = Fake::new(and(finished(), vec![exit_of_frozen(true)]));
    let deadlines = Deadlines::new(Accel::Tcg, HostLoad::IDLE);
    let boot = watch(&mut machine, &spec, &deadlines, &mut |_| {}).await;
    assert_eq!(told(&boot), "finished with 1");
    assert_eq!(boot.transcript.agent, [HELLO, STARTED, REPORT, END].concat().as_bytes());
    assert_eq!(boot.transcript.console, [BOOTED, RESTART].concat().as_bytes());
}

#[tokio::test(start_paused = true)]
async fn recorded_boot_is_judged_like_the_live_one() {
    let spec = GuestSpec { time: Some(VirtualTime::with_seed(1)), jobs: vec![Job::new("a", 5000)], ..spec() };
    let early = || and(vec![wait(100), console(BOOTED), console(WARNING)], finished()[2..].to_vec());
    for (acts, sound) in [
        (finished(), true),
        // The kernel warned before the agent ran.
        (early(), true),
        // Its end is missing, or its hello.
        (and(running(), vec![agent(REPORT), shutdown("guest-reset")]), false),
        (vec![console(BOOTED), shutdown("guest-reset")], false),
    ] {
        let deadlines = Deadlines::new(Accel::Tcg, HostLoad::IDLE);
        let mut machine = Fake::new(and(acts, vec![exit(0)]));
        let live = watch(&mut machine, &spec, &deadlines, &mut |_| {}).await;
        let again = watch_recorded(&spec, &live.transcript, &mut |_| {}).await;
        assert_eq!((told(&again), &again.messages), (told(&live), &live.messages));
        assert_eq!((again.end.is_ok(), &again.transcript, &again.banner), (sound, &live.transcript, &live.banner));
        assert_eq!(again.warnings.len(), live.warnings.len());
    }
}
