//! Boots of a real QEMU, with an image of a few bytes that prints given texts.
#![expect(clippy::disallowed_macros, reason = "a child process speaks to its test")]

#[path = "common/tiny_kernel.rs"]
mod tiny_kernel;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use backproof::matrix::MachineType;
use backproof::shim::Shim;
use backproof::vm::{
    Accel, AccelChoice, Accelerator, AwaitedEvent, Boot, Deadlines, FailureKind, GuestSpec, HostLoad, Hypervisor, Next,
    Observed, ProtocolFault, Qemu, SplatKind, Stage, VirtualTime,
};
use backproof_protocol::Message;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use tiny_kernel::Act;

const BANNER: &str = "[    0.000000] Linux version 0.0.0-tiny\r\n";
const HELLO: &str = r#"{"type":"hello","version":3,"agent":"0","release":"0.0.0-tiny","build":"","cpus":1,"uptime_ms":1,"features":{}}
"#;
const END: &str = "{\"type\":\"end\",\"reports\":0}\n";

fn say(text: &str) -> Act {
    Act::Console(text.to_owned())
}

fn tell(text: &str) -> Act {
    Act::Agent(text.to_owned())
}

struct Bench {
    dir: tempfile::TempDir,
    hypervisor: Hypervisor,
    shim: Shim,
}

impl Bench {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a folder"),
            hypervisor: Hypervisor::Qemu(Qemu::find(None).expect("QEMU")),
            shim: Shim::at(env!("CARGO_BIN_EXE_backproof").into()),
        }
    }

    fn file(&self, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join("image");
        std::fs::write(&path, bytes).expect("an image");
        path
    }

    fn spec(&self, image: &[u8]) -> GuestSpec {
        GuestSpec {
            image: self.file(image),
            release: None,
            initramfs: b"nothing".to_vec(),
            jobs: Vec::new(),
            cmdline_extra: None,
            machine: MachineType::Q35,
            memory_mib: 64,
            cpus: 1,
            disks: Vec::new(),
            accel: Accel::Tcg,
            time: None,
        }
    }

    async fn boot(&self, spec: &GuestSpec, deadlines: &Deadlines) -> Boot {
        self.hypervisor.boot(&self.shim, spec, deadlines, &mut |_| {}).await
    }

    async fn boot_acts(&self, acts: &[Act]) -> Boot {
        let deadlines = Deadlines::new(Accel::Tcg, HostLoad::now());
        self.boot(&self.spec(&tiny_kernel::image(acts)), &deadlines).await
    }
}

/// The QEMUs that boot this image, zombies not counted.
fn qemus_of(image: &Path) -> Vec<Pid> {
    let image = image.as_os_str().as_encoded_bytes();
    let processes = std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    let pids = processes.filter_map(|p| p.file_name().to_str()?.parse::<i32>().ok());
    let boots = |pid: &i32| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.starts_with(b"/") && words.split(|&b| b == 0).any(|word| word == image)
    };
    pids.filter(boots).filter_map(Pid::from_raw).collect()
}

/// Children of this process that are QEMUs, zombies counted.
fn children() -> usize {
    let me = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    let stats = processes.filter_map(|p| std::fs::read_to_string(p.path().join("stat")).ok());
    stats
        .filter(|stat| {
            let Some((name, rest)) = stat.rsplit_once(") ") else { return false };
            name.contains("(qemu-system") && rest.split(' ').nth(1) == Some(&me)
        })
        .count()
}

#[tokio::test]
async fn well_behaved_guest_finishes() {
    for machine in [MachineType::Q35, MachineType::Pc] {
        let bench = Bench::new();
        let acts = [say(BANNER), tell(HELLO), tell(END), say("[    1.0] reboot: machine restart\r\n"), Act::Reset];
        let spec = GuestSpec { machine, ..bench.spec(&tiny_kernel::image(&acts)) };
        let (mut console, mut qmp, mut script) = (Vec::new(), Vec::new(), Vec::new());
        let mut observe = |o: Observed<'_>| match o {
            Observed::Console(bytes) => console.extend_from_slice(bytes),
            Observed::Qmp(line) => qmp.push(line.clone()),
            Observed::Command(command) => script = command.script(Path::new("/initramfs")),
            Observed::Stage(_) | Observed::Agent(_) | Observed::Message(_) => {}
        };
        let deadlines = Deadlines::new(Accel::Tcg, HostLoad::now());
        let boot = bench.hypervisor.boot(&bench.shim, &spec, &deadlines, &mut observe).await;
        assert!(boot.end.is_ok(), "{:?}", boot.end);
        assert_eq!(boot.hello().map(|h| h.release.as_str()), Some("0.0.0-tiny"));
        assert_eq!(boot.stage, Stage::Ended);
        assert!(boot.cpu.is_some_and(|cpu| cpu > Duration::ZERO && cpu < boot.wall * 4), "{:?}", boot.cpu);
        assert!(console.starts_with(BANNER.as_bytes()), "{}", String::from_utf8_lossy(&console));
        assert!(qmp.iter().any(|l| l.sent && l.json.contains("qmp_capabilities")), "{qmp:?}");
        assert!(qmp.iter().any(|l| !l.sent && l.json.contains("guest-reset")), "{qmp:?}");
        assert!(!script.is_empty());
        assert_eq!(children(), 0);
    }
}

#[tokio::test]
async fn non_kernel_is_rejected_at_once_with_the_reason() {
    let bench = Bench::new();
    let deadlines = Deadlines::new(Accel::Tcg, HostLoad::now());
    let elf = std::fs::read(std::env::current_exe().expect("a name")).expect("this test");
    for (name, image) in [("a text", b"not a kernel\n".as_slice()), ("an ELF program", &elf), ("an empty file", b"")] {
        let boot = bench.boot(&bench.spec(image), &deadlines).await;
        let failure = boot.end.expect_err(name);
        assert_eq!(failure.kind, FailureKind::NotBootable, "{name}: {failure}");
        assert!(boot.wall < deadlines.life, "{name}: {:?}", boot.wall);
    }
    let none = GuestSpec { image: bench.dir.path().join("none"), ..bench.spec(b"") };
    let failure = bench.boot(&none, &deadlines).await.end.expect_err("a file that is not there");
    assert!(failure.title.contains("No such file"), "{failure}");
}

#[tokio::test]
async fn panic_after_a_claimed_success_decides() {
    let panic = "[    2.0] Kernel panic - not syncing: too late\r\n";
    let boot = Bench::new().boot_acts(&[say(BANNER), tell(HELLO), tell(END), say(panic), Act::Reset]).await;
    let failure = boot.end.expect_err("a panic");
    assert_eq!((failure.kind, failure.title.as_str()), (FailureKind::Splat(SplatKind::Panic), "too late"));
}

#[tokio::test]
async fn boot_sector_that_imitates_the_agent_has_no_verdict() {
    let restart = say("[    1.0] reboot: machine restart\r\n");
    let stranger = |banner: &str| [say(banner), tell(HELLO), tell(END), restart.clone(), Act::Reset];
    for (image_says, banner) in [(Some("6.1.0"), BANNER), (None, "starting\r\n")] {
        let bench = Bench::new();
        let release = image_says.map(str::to_owned);
        let spec = GuestSpec { release, ..bench.spec(&tiny_kernel::image(&stranger(banner))) };
        let boot = bench.boot(&spec, &Deadlines::new(Accel::Tcg, HostLoad::now())).await;
        let failure = boot.end.expect_err("a stranger");
        assert_eq!(failure.kind, FailureKind::Impostor, "{failure}");
    }
}

#[tokio::test]
async fn guest_whose_qemu_was_stopped_has_no_verdict() {
    let bench = Bench::new();
    // It prints so much that it cannot end before it is stopped.
    let talk = vec![say(&format!("[    0.5] {}\r\n", "x".repeat(1000))); 10];
    let end = vec![tell(END), say("[    1.0] reboot: machine restart\r\n"), Act::Reset];
    let spec = bench.spec(&tiny_kernel::image(&[vec![say(BANNER), tell(HELLO)], talk, end].concat()));
    let mut observe = |o: Observed<'_>| {
        let Observed::Message(Message::Hello(_)) = o else { return };
        let [qemu] = qemus_of(&spec.image)[..] else { panic!("one QEMU") };
        kill_process(qemu, Signal::STOP).expect("a stop");
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(1500));
            kill_process(qemu, Signal::CONT).expect("it goes on");
        });
    };
    let deadlines = Deadlines::new(Accel::Tcg, HostLoad::now());
    let boot = bench.hypervisor.boot(&bench.shim, &spec, &deadlines, &mut observe).await;
    let failure = boot.end.expect_err("a freeze");
    assert_eq!(failure.kind, FailureKind::Host, "{failure}");
    assert!(failure.title.starts_with("the host stopped QEMU for 1."), "{failure}");
}

#[tokio::test]
async fn sudden_reset_differs_from_garbage() {
    let line = "x".repeat(1000);
    let cases: [(&str, Vec<Act>, FailureKind); 3] = [
        ("reset", vec![say(BANNER), Act::Reset], FailureKind::Reset),
        ("reset before anything", vec![Act::Reset], FailureKind::NotBootable),
        (
            "an agent's line without end",
            [vec![say(BANNER), tell(HELLO)], vec![tell(&line); 70], vec![Act::Halt]].concat(),
            FailureKind::Protocol(ProtocolFault::TooLong { head: "x".repeat(120) + "…" }),
        ),
    ];
    for (name, acts, want) in cases {
        let boot = Bench::new().boot_acts(&acts).await;
        let failure = boot.end.expect_err(name);
        assert_eq!(failure.kind, want, "{name}: {failure}");
        assert_eq!(children(), 0, "{name}");
    }
}

#[tokio::test]
async fn silent_hang_ends_at_its_deadline_without_a_process() {
    let bench = Bench::new();
    let spec = bench.spec(&tiny_kernel::image(&[say(BANNER), Act::Halt]));
    let usual = Deadlines::new(Accel::Tcg, HostLoad::now());
    let deadlines = Deadlines { silence: Duration::from_millis(500), dump: Duration::from_millis(500), ..usual };
    let boot = bench.boot(&spec, &deadlines).await;
    let failure = boot.end.expect_err("a hang");
    assert_eq!(
        failure.kind,
        FailureKind::Hang { waiting: AwaitedEvent::NextLine, after: Duration::from_millis(500), limit: None }
    );
    assert_eq!(failure.last_lines, [BANNER.trim_end()]);
    assert!(boot.wall < usual.life + Duration::from_secs(5), "{:?}", boot.wall);
    assert_eq!(children(), 0);
    assert!(qemus_of(&spec.image).is_empty());
}

/// A halted guest is found at once, although its deadlines are minutes; one that spins is found when QEMU has used its time.
#[tokio::test]
async fn dead_guests_in_virtual_time_are_found() {
    for (act, halts) in [(Act::Halt, true), (Act::Spin, false)] {
        let bench = Bench::new();
        let time = Some(VirtualTime::with_seed(1));
        let spec = GuestSpec { time, ..bench.spec(&tiny_kernel::image(&[say(BANNER), act])) };
        let minutes = Deadlines::new(Accel::Tcg, HostLoad::IDLE).with_boot_limit(Duration::from_secs(600));
        let deadlines = Deadlines { silence: if halts { minutes.silence } else { Duration::from_secs(1) }, ..minutes };
        let boot = bench.boot(&spec, &deadlines).await;
        let failure = boot.end.expect_err("a hang");
        assert!(matches!(failure.kind, FailureKind::Hang { .. }), "{failure}");
        assert_eq!(failure.title.contains("the guest halted"), halts, "{failure}");
        assert!(boot.wall < Duration::from_secs(120), "{:?}", boot.wall);
        assert_eq!(children(), 0);
    }
}

#[tokio::test]
async fn dropped_boot_leaves_no_process() {
    let bench = Bench::new();
    let spec = bench.spec(&tiny_kernel::image(&[say(BANNER), Act::Halt]));
    let deadlines = Deadlines::new(Accel::Tcg, HostLoad::now());
    let (alive, mut lives) = tokio::sync::mpsc::unbounded_channel();
    let mut observe = |o: Observed<'_>| {
        if let Observed::Stage(Stage::Kernel) = o {
            alive.send(()).expect("a listener");
        }
    };
    // The check is in the branch, because the boot is dropped before the code after the arrow runs.
    let count_while_it_lives = async {
        lives.recv().await.expect("a sign of life");
        children()
    };
    tokio::select! {
        boot = bench.hypervisor.boot(&bench.shim, &spec, &deadlines, &mut observe) => panic!("it ended: {:?}", boot.end),
        count = count_while_it_lives => assert_eq!(count, 1),
    }
    assert_eq!(children(), 0);
}

/// This must hold for any /dev/kvm: absent, usable, or one that opens but cannot run a guest.
#[tokio::test]
async fn auto_boots_the_guest_with_or_without_kvm() {
    let bench = Bench::new();
    let acts = [say(BANNER), tell(HELLO), tell(END), say("reboot: machine restart\r\n"), Act::Reset];
    let spec = bench.spec(&tiny_kernel::image(&acts));
    let accelerator = Accelerator::new(AccelChoice::Auto);
    let mut boots = Vec::new();
    loop {
        let turn = accelerator.turn().await;
        let spec = GuestSpec { accel: turn.accel(), ..spec.clone() };
        let boot = bench.boot(&spec, &Deadlines::new(spec.accel, HostLoad::now())).await;
        let next = turn.finish(&boot);
        boots.push(boot);
        if next == Next::Done {
            break;
        }
    }
    let last = boots.last().expect("a boot");
    assert!(last.end.is_ok(), "{}: {:?}", accelerator.summary(), last.end);
    assert!(boots.len() <= 2, "{} boots", boots.len());
    assert!(accelerator.summary().starts_with(last.accel.as_str()), "{}", accelerator.summary());
}

const VICTIM: &str = "BACKPROOF_TEST_VICTIM";

/// Not a test: the next test runs and kills it. It boots a guest that hangs.
#[test]
#[ignore = "started by another test"]
fn a_controller_to_be_killed() {
    let Some(image) = std::env::var_os(VICTIM) else { return };
    let bench = Bench::new();
    let spec = GuestSpec { image: image.into(), ..bench.spec(b"") };
    let deadlines = Deadlines::new(Accel::Tcg, HostLoad::now()).with_boot_limit(Duration::from_secs(600));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut observe = |o: Observed<'_>| {
        if let Observed::Stage(Stage::Kernel) = o {
            println!("it lives");
        }
    };
    runtime.block_on(bench.hypervisor.boot(&bench.shim, &spec, &deadlines, &mut observe));
}

#[test]
fn qemu_dies_with_a_controller_that_is_killed() {
    let bench = Bench::new();
    let image = bench.file(&tiny_kernel::image(&[say(BANNER), Act::Halt]));
    let mut controller = Command::new(std::env::current_exe().expect("a name"))
        .args(["--exact", "a_controller_to_be_killed", "--ignored", "--nocapture"])
        .env(VICTIM, &image)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the controller");
    let mut lines = BufReader::new(controller.stdout.take().expect("its output")).lines();
    assert!(lines.any(|line| line.expect("text").contains("it lives")), "the guest never lived");
    let [qemu] = qemus_of(&image)[..] else { panic!("one QEMU") };
    let qemu = pidfd_open(qemu, PidfdFlags::empty()).expect("QEMU");
    controller.kill().expect("SIGKILL");
    controller.wait().expect("its end");
    let limit = Timespec { tv_sec: 10, tv_nsec: 0 };
    let ended = poll(&mut [PollFd::new(&qemu, PollFlags::IN)], Some(&limit)).expect("poll");
    assert_eq!(ended, 1, "QEMU has outlived its controller");
}
