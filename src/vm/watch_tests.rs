use std::time::Duration;

use backproof_protocol::Job;

use super::super::command::tests::spec;
use super::super::deadlines::HostLoad;
use super::super::fake::{
    Act, Fake, agent, console, exit, exit_of_frozen, exit_saying, killed, shutdown, stopped, wait,
};
use super::super::splat::SplatKind;
use super::*;

#[path = "watch_dump_tests.rs"]
mod dumps;
#[path = "watch_time_tests.rs"]
mod time;

const BOOTED: &str = "[    0.000000] Linux version 6.1.0\r\n[    2.000000] Run /init as init process\r\n";
const HELLO: &str = r#"{"type":"hello","version":3,"agent":"0","release":"6.1.0","build":"","cpus":1,"uptime_ms":2100,"features":{}}
"#;
const STARTED: &str = "{\"type\":\"started\",\"job\":\"a\"}\n";
const REPORT: &str =
    "{\"type\":\"report\",\"job\":\"a\",\"conclusion\":\"not-affected\",\"why\":\"\",\"checks\":[],\"took_ms\":1}\n";
const END: &str = "{\"type\":\"end\",\"reports\":1}\n";
const RESTART: &str = "[    3.000000] reboot: machine restart\r\n";
const OOPS: &str = "[    2.500000] BUG: kernel NULL pointer dereference, address: 0000000000000008\r\n\
    [    2.500001] RIP: 0010:tcp_fragment+0x1/0x2\r\n[    2.500002] ---[ end trace 0000000000000000 ]---\r\n";
const WARNING: &str = "WARNING: CPU: 0 PID: 1 at net/ipv4/tcp.c:1 f+0x1/0x2\r\n";

async fn play(accel: Accel, machine: Fake) -> (Boot, Fake, Vec<String>) {
    play_image(accel, Some("6.1.0"), machine).await
}

/// Plays a machine whose image calls itself so.
async fn play_image(accel: Accel, release: Option<&str>, mut machine: Fake) -> (Boot, Fake, Vec<String>) {
    let deadlines = Deadlines::new(accel, HostLoad::of(0.0, 1));
    let mut seen = Vec::new();
    let mut observe = |o: Observed<'_>| seen.push(format!("{o:?}"));
    let spec = GuestSpec { accel, release: release.map(str::to_owned), jobs: vec![Job::new("a", 5000)], ..spec() };
    let boot = watch(&mut machine, &spec, &deadlines, &mut observe).await;
    (boot, machine, seen)
}

fn running() -> Vec<Act> {
    vec![wait(100), console(BOOTED), wait(100), agent(HELLO), agent(STARTED)]
}

fn and(mut acts: Vec<Act>, more: Vec<Act>) -> Vec<Act> {
    acts.extend(more);
    acts
}

fn finished() -> Vec<Act> {
    and(running(), vec![wait(900), agent(REPORT), agent(END), console(RESTART), shutdown("guest-reset")])
}

/// An end in one line, as a table can have it.
fn told(boot: &Boot) -> String {
    match &boot.end {
        Ok(finished) => format!("finished with {}", finished.reports),
        Err(failure) => format!("{}: {}", failure.kind.as_str(), failure.title),
    }
}

#[tokio::test(start_paused = true)]
async fn words_before_a_splat_count_if_they_are_read_after_it() {
    let started = |job: &str, at: u32| format!("{{\"type\":\"started\",\"job\":\"{job}\",\"uptime_ms\":{at}}}\n");
    for splat in [OOPS.to_owned(), format!("[    2.500000] {WARNING}")] {
        for (at, counts) in [(2200, true), (2600, false)] {
            let acts = vec![wait(100), console(BOOTED), console(&splat), agent(HELLO), agent(&started("a", at))];
            let (boot, ..) = play(Accel::Tcg, Fake::new(and(acts, vec![agent(REPORT), agent(END), exit(0)]))).await;
            assert!(boot.end.is_err() && boot.hello().is_some(), "{}", told(&boot));
            let is_started = |message: &Message| matches!(message, Message::Started { .. });
            assert_eq!(boot.messages.iter().any(is_started), counts, "{splat} at {at}");
            assert!(!boot.messages.iter().any(|message| matches!(message, Message::Report(_))), "{splat}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_end_of_a_boot_has_its_name() {
    let first_oops_line = OOPS.split_inclusive('\n').next().expect("a line");
    let cases: Vec<(&str, Accel, Vec<Act>, &str)> = vec![
        ("all well", Accel::Tcg, and(finished(), vec![exit(0)]), "finished with 1"),
        (
            "panic",
            Accel::Tcg,
            and(running(), vec![console("[    2.5] Kernel panic - not syncing: x\r\n"), exit(0)]),
            "panic: x",
        ),
        (
            "the connection is lost, and the oops comes late",
            Accel::Tcg,
            and(running(), vec![shutdown("guest-reset"), wait(200), console(OOPS), exit(0)]),
            "oops: BUG: kernel NULL pointer dereference in tcp_fragment",
        ),
        (
            "success is claimed, then the kernel oopses",
            Accel::Tcg,
            and(finished(), vec![console(OOPS), exit(0)]),
            "oops: BUG: kernel NULL pointer dereference in tcp_fragment",
        ),
        (
            "an oops and then success in the same breath",
            Accel::Tcg,
            and(running(), vec![console(first_oops_line), agent(REPORT), agent(END), console(RESTART), exit(0)]),
            "oops: BUG: kernel NULL pointer dereference",
        ),
        (
            "a warning after the hello, by the kernel's clock",
            Accel::Tcg,
            and(running(), vec![console(&format!("[    2.200000] {WARNING}")), wait(60_000), exit(0)]),
            "warning: WARNING: at net/ipv4/tcp.c:1 f",
        ),
        (
            "a warning after a hello that the agent's port told late",
            Accel::Tcg,
            and(
                vec![wait(100), console(BOOTED), console(&format!("[    2.200000] {WARNING}"))],
                vec![agent(HELLO), agent(STARTED), agent(REPORT), agent(END), console(RESTART), exit(0)],
            ),
            "warning: WARNING: at net/ipv4/tcp.c:1 f",
        ),
        (
            "a warning from before the hello that the console told late",
            Accel::Tcg,
            and(running(), vec![console(&format!("[    2.000500] {WARNING}")), agent(REPORT), agent(END), exit(0)]),
            "finished with 1",
        ),
        (
            "exit without an end",
            Accel::Tcg,
            and(running(), vec![console(RESTART), shutdown("guest-reset"), exit(0)]),
            "lost connection: the guest ended (guest-reset) before the agent's end",
        ),
        (
            "a triple fault",
            Accel::Tcg,
            and(running(), vec![shutdown("guest-reset"), exit(0)]),
            "sudden reset: the machine ended (guest-reset) without a kernel message, as after a triple fault",
        ),
        (
            "a kernel that resets before it says anything",
            Accel::Tcg,
            vec![shutdown("guest-reset"), exit(0)],
            "not a bootable kernel: the machine ended (guest-reset) before the image printed anything",
        ),
        (
            "a text file",
            Accel::Tcg,
            vec![exit_saying(1 << 8, &["qemu: linux kernel too old to load a ram disk"])],
            "not a bootable kernel: QEMU rejects the image: linux kernel too old to load a ram disk",
        ),
        (
            "a text file under KVM is not KVM's fault",
            Accel::Kvm,
            vec![exit_saying(1 << 8, &["qemu: linux kernel too old to load a ram disk"])],
            "not a bootable kernel: QEMU rejects the image: linux kernel too old to load a ram disk",
        ),
        (
            "QEMU is killed from outside",
            Accel::Tcg,
            and(running(), vec![exit(9)]),
            "host error: something on the host ended QEMU with signal 9 (SIGKILL; if memory ran out, the host's dmesg \
             says so)",
        ),
        (
            "QEMU is killed from outside under KVM",
            Accel::Kvm,
            and(running(), vec![exit(15)]),
            "host error: something on the host ended QEMU with signal 15 (SIGTERM)",
        ),
        (
            "QEMU takes a signal and leaves before the image says anything",
            Accel::Tcg,
            vec![shutdown("host-signal"), exit(0)],
            "host error: something on the host ended QEMU with a signal (host-signal): run it again",
        ),
        (
            "QEMU takes a signal while the kernel unpacks itself",
            Accel::Tcg,
            vec![console("Decompressing Linux..."), shutdown("host-signal"), exit(0)],
            "host error: something on the host ended QEMU with a signal (host-signal): run it again",
        ),
        (
            "QEMU takes a signal in the middle of a job",
            Accel::Kvm,
            and(running(), vec![shutdown("host-signal"), exit(0)]),
            "host error: something on the host ended QEMU with a signal (host-signal): run it again",
        ),
        (
            "QEMU takes a signal between the agent's end and the restart",
            Accel::Tcg,
            and(running(), vec![agent(REPORT), agent(END), shutdown("host-signal"), exit(0)]),
            "host error: something on the host ended QEMU with a signal (host-signal): run it again",
        ),
        (
            "somebody quits QEMU over its monitor",
            Accel::Tcg,
            vec![shutdown("host-qmp-quit"), exit(0)],
            "host error: the host ended QEMU (host-qmp-quit): run it again",
        ),
        (
            "QEMU gives the guest up",
            Accel::Kvm,
            and(running(), vec![shutdown("host-error"), exit(0)]),
            "accelerator error: QEMU ended the guest (host-error)",
        ),
        ("QEMU ends at once", Accel::Tcg, vec![exit(0)], "QEMU error: QEMU exited with status 0 and gave no reason"),
        (
            "QEMU ends at once while the image loads",
            Accel::Tcg,
            vec![console("Decompressing Linux..."), exit(0)],
            "QEMU error: QEMU exited with status 0 and gave no reason",
        ),
        (
            "QEMU hangs up and stays",
            Accel::Tcg,
            and(running(), vec![killed()]),
            "QEMU error: QEMU closed its connections and did not exit; backproof killed it",
        ),
        ("QEMU is slow to leave after a good end", Accel::Tcg, and(finished(), vec![killed()]), "finished with 1"),
        (
            "QEMU dies after the agent's end",
            Accel::Tcg,
            and(finished(), vec![exit(11)]),
            "QEMU error: QEMU was ended by signal 11",
        ),
        (
            "KVM: QEMU aborts",
            Accel::Kvm,
            vec![exit_saying(6, &["qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69"])],
            "accelerator error: QEMU was ended by signal 6: error: failed to set MSR 0x10a to 0x69",
        ),
        (
            "KVM: QEMU stops the guest seconds later",
            Accel::Kvm,
            vec![wait(1500), console("[    0.0] Linux version\r\n"), stopped("internal-error")],
            "accelerator error: QEMU with kvm stopped the guest: internal-error",
        ),
        (
            "KVM: no sign of life",
            Accel::Kvm,
            vec![],
            "accelerator error: timed out after 2.5 s waiting for the first console output",
        ),
        (
            "TCG: QEMU stops the guest",
            Accel::Tcg,
            and(running(), vec![stopped("io-error")]),
            "QEMU error: QEMU with tcg stopped the guest: io-error",
        ),
        (
            "garbage from the agent",
            Accel::Tcg,
            and(running(), vec![agent("what?\n")]),
            "protocol error: the agent sent a line that is not a message (expected value at line 1 column 1): `what?`",
        ),
        (
            "garbage from the agent, as the kernel is dying",
            Accel::Tcg,
            and(running(), vec![agent("what?\n"), wait(100), console(OOPS)]),
            "oops: BUG: kernel NULL pointer dereference in tcp_fragment",
        ),
        ("a flood", Accel::Tcg, vec![console(&"x".repeat(2 << 20))], "console flood: more than 1 MiB on the console"),
        (
            "a boot that stands still",
            Accel::Tcg,
            vec![console(BOOTED)],
            "hang: timed out after 16.0 s waiting for the next console line",
        ),
        (
            "a boot that prints for ever",
            Accel::Tcg,
            std::iter::repeat_n([console("[    1.0] x\r\n"), wait(1000)], 1000).flatten().collect(),
            "hang: timed out after 60.0 s waiting for the agent's hello",
        ),
        (
            "a job that stands still",
            Accel::Tcg,
            running(),
            "hang: timed out after 15.0 s waiting for the report of job a",
        ),
        (
            "no job starts",
            Accel::Tcg,
            vec![console(BOOTED), agent(HELLO)],
            "hang: timed out after 12.0 s waiting for the next job to start",
        ),
        (
            "no end comes",
            Accel::Tcg,
            and(running(), vec![agent(REPORT)]),
            "hang: timed out after 12.0 s waiting for the agent's end message",
        ),
        (
            "the machine does not restart",
            Accel::Tcg,
            finished(),
            "hang: timed out after 10.0 s waiting for the machine to restart",
        ),
    ];
    for (name, accel, script, want) in cases {
        let (boot, machine, _) = play(accel, Fake::new(script)).await;
        assert_eq!(told(&boot), want, "{name}");
        assert!(machine.exited, "{name}: the machine is left running");
    }
}

#[tokio::test(start_paused = true)]
async fn guest_with_another_kernel_never_finishes() {
    let stranger = HELLO.replace("6.1.0", "9.9.9");
    let after = |hello: &str, banner: &str| {
        let rest = vec![agent(STARTED), agent(REPORT), agent(END), console(RESTART), shutdown("guest-reset"), exit(0)];
        and(vec![console(banner), agent(hello)], rest)
    };
    let names = |release: &str| BOOTED.replace("6.1.0", release);
    let unnamed = "starting\r\n";
    let table: Vec<(&str, Option<&str>, Vec<Act>, &str)> = vec![
        ("all three agree", Some("6.1.0"), after(HELLO, BOOTED), "finished with 1"),
        ("an image that names no release", None, after(HELLO, BOOTED), "finished with 1"),
        (
            "the words of the banner behind the release",
            Some("6.1.0"),
            after(HELLO, "Linux version 6.1.0 (user@host) (gcc 12) #1 SMP\r\n"),
            "finished with 1",
        ),
        (
            "another release than the image's",
            Some("6.1.0"),
            after(&stranger, &names("9.9.9")),
            "not this kernel: the agent reports Linux 9.9.9, but the image is Linux 6.1.0",
        ),
        (
            "another release than the console's",
            None,
            after(&stranger, BOOTED),
            "not this kernel: the agent reports Linux 9.9.9, but the console's banner says \"6.1.0\"",
        ),
        (
            "a release that only begins like the console's",
            None,
            after(HELLO, &names("6.1.0-56")),
            "not this kernel: the agent reports Linux 6.1.0, but the console's banner says \"6.1.0-56\"",
        ),
        (
            "no banner",
            Some("6.1.0"),
            after(HELLO, unnamed),
            "not this kernel: the agent reports Linux 6.1.0, but the console shows no `Linux version` banner",
        ),
        (
            "an oops says more",
            Some("6.1.0"),
            after(HELLO, OOPS),
            "oops: BUG: kernel NULL pointer dereference in tcp_fragment",
        ),
        (
            "a banner that the console tells late",
            Some("6.1.0"),
            vec![agent(HELLO), agent(STARTED), agent(REPORT), agent(END), console(BOOTED), console(RESTART), exit(0)],
            "finished with 1",
        ),
    ];
    for (name, image, script, want) in table {
        let (boot, machine, _) = play_image(Accel::Tcg, image, Fake::new(script)).await;
        assert_eq!(told(&boot), want, "{name}");
        assert!(machine.exited, "{name}: the machine is left running");
    }
}

#[tokio::test(start_paused = true)]
async fn frozen_guest_has_no_verdict() {
    let host = "host error: the host stopped QEMU for 4.0 s (SIGSTOP, a debugger, a frozen container), so the guest's timings \
                prove nothing: run it again";
    let stall = "[    2.5] rcu: INFO: rcu_sched self-detected stall on CPU\r\n";
    let stalled = format!("{host}; the kernel said: rcu: INFO: rcu_sched self-detected stall on CPU");
    let hung = format!("{host}; timed out after 15.0 s waiting for the report of job a");
    let table: Vec<(&str, Fake, String)> = vec![
        ("all reports came", Fake::new(and(finished(), vec![exit_of_frozen(true)])), host.to_owned()),
        ("before the hello", Fake::new(and(finished(), vec![exit_of_frozen(false)])), "finished with 1".to_owned()),
        ("a watchdog's word", Fake::new(and(running(), vec![console(stall), exit_of_frozen(false)])), stalled),
        (
            "an oops is the kernel's all the same",
            Fake::new(and(running(), vec![console(OOPS), exit_of_frozen(true)])),
            "oops: BUG: kernel NULL pointer dereference in tcp_fragment".to_owned(),
        ),
        ("a hang", Fake::new(running()).on_nmi(vec![exit_of_frozen(true)]), hung),
    ];
    for (name, machine, want) in table {
        let (boot, _, _) = play(Accel::Tcg, machine).await;
        assert_eq!(told(&boot), want, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn observers_see_ordered_stages_and_every_message() {
    let (boot, _, seen) = play(Accel::Tcg, Fake::new(and(finished(), vec![exit(0)]))).await;
    let stages: Vec<&str> = seen.iter().filter(|s| s.starts_with("Stage")).map(String::as_str).collect();
    assert_eq!(stages, ["Stage(Started)", "Stage(Init)", "Stage(Agent)", "Stage(Ended)"]);
    assert_eq!(seen.iter().filter(|s| s.starts_with("Message")).count(), boot.messages.len());
    assert_eq!(boot.banner.as_deref(), Some("Linux version 6.1.0"));
}
