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
        let again = watch_recorded(&spec, &live.transcript, live.own_death, &mut |_| {}).await;
        assert_eq!((told(&again), &again.messages), (told(&live), &live.messages));
        assert_eq!((again.end.is_ok(), &again.transcript, &again.banner), (sound, &live.transcript, &live.banner));
        assert_eq!(again.warnings.len(), live.warnings.len());
    }
}

#[tokio::test(start_paused = true)]
async fn recorded_death_is_judged_like_the_live_one() {
    let spec = GuestSpec { time: Some(VirtualTime::with_seed(1)), jobs: vec![Job::new("a", 5000)], ..spec() };
    let late = || and(running(), vec![agent(REPORT), console(OOPS), agent(END), shutdown("guest-reset")]);
    for (acts, ended, by_itself, reports) in [
        // The report came before, and the end after it: only the report counts.
        (and(late(), vec![exit(0)]), "oops", true, 1),
        (and(running(), vec![console(OOPS), agent(REPORT), shutdown("guest-reset"), exit(0)]), "oops", true, 0),
        (and(running(), vec![console(OOPS), shutdown("guest-panic"), exit(0)]), "oops", true, 0),
        // QEMU was slow to leave.
        (and(running(), vec![console(OOPS), shutdown("guest-reset"), killed()]), "oops", true, 0),
        // It was ended, or ended otherwise: nobody knows what would have followed.
        (and(running(), vec![console(OOPS), shutdown("host-signal"), exit(0)]), "oops", false, 0),
        (and(running(), vec![console(OOPS), exit(0)]), "oops", false, 0),
        (and(running(), vec![shutdown("guest-reset"), exit(0)]), "sudden reset", false, 0),
    ] {
        let deadlines = Deadlines::new(Accel::Tcg, HostLoad::IDLE);
        let live = watch(&mut Fake::new(acts), &spec, &deadlines, &mut |_| {}).await;
        let reported = |boot: &Boot| boot.messages.iter().filter(|m| matches!(m, Message::Report(_))).count();
        assert!(told(&live).contains(ended), "{}", told(&live));
        assert_eq!((live.own_death.is_some(), reported(&live)), (by_itself, reports));
        if by_itself {
            let again = watch_recorded(&spec, &live.transcript, live.own_death, &mut |_| {}).await;
            assert_eq!((told(&again), &again.messages), (told(&live), &live.messages));
            assert_eq!((&again.transcript, again.own_death), (&live.transcript, live.own_death));
            assert_eq!((&again.running, &again.end), (&live.running, &live.end));
        }
    }
}

proptest::proptest! {
    #[test]
    fn any_place_of_a_death_is_played_without_loss(console in ".{0,60}", agent in ".{0,60}", places in [0_usize..80, 0..80]) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let transcript = Transcript { console: console.into_bytes(), agent: agent.into_bytes() };
        let death = Some(DeathPlace { console: places[0], agent: places[1] });
        let again = runtime.block_on(watch_recorded(&spec(), &transcript, death, &mut |_| {}));
        proptest::prop_assert_eq!(again.transcript.console, transcript.console);
    }
}
