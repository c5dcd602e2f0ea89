//! Thousands of scripted guests with crashes that are the bug, and crashes that are not, read by a host that lags: no verdict
//! may be swapped.

use std::path::{Path, PathBuf};

use fastrand::Rng;

use super::super::boot_end::BootEnd;
use super::super::trial::Trial;
use super::super::trial::tests::trial;
use crate::guest::{self, GuestProgram, RootfsShelf};
use crate::matrix::{Bug, MachineType, Profile};
use crate::shim::Shim;
use crate::verdict::Boots;
use crate::vm::fake::{Act, Lagging, Scripts, agent, behind, console, exit, shutdown, wait};
use crate::vm::{Accel, Deadlines, GuestSpec, HostLoad, Hypervisor};

const BOOTS: usize = 5000;

const BOOTED: &str = "[    0.000000] Linux version 6.1.0\r\n[    2.000000] Run /init as init process\r\n";
const HELLO: &str =
    r#"{"type":"hello","version":3,"agent":"0","release":"6.1.0","build":"","cpus":1,"uptime_ms":2100,"features":{}}"#;
const STARTED: &str = r#"{"type":"started","job":"a-bug","uptime_ms":2200}"#;
const REPORT: &str = r#"{"type":"report","job":"a-bug","conclusion":"not-affected","why":"","checks":[],"took_ms":1}"#;

const DOSSIER: &str = "id: a-bug\ntitle: A bug\nsummary: It is there for the test.\nreferences: [a test]\nreproducer:\n  \
    program: ./x\n  deadline: 5s\n  crash: { kinds: [oops, kasan], match: \"use-after-free|NULL pointer\", frames: [my_close] }\n";

/// What the kernel prints.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Printed {
    Nothing,
    Described,
    /// The same, cut before the stack.
    Cut,
    /// The same with a word of another bug, and so on.
    OtherWord,
    OtherFunction,
    OtherKind,
    WarningThenDescribed,
    WarningThenOther,
    /// A report without an end line first.
    KasanThenOther,
}

const PRINTED: [Printed; 9] = [
    Printed::Nothing,
    Printed::Described,
    Printed::Cut,
    Printed::OtherWord,
    Printed::OtherFunction,
    Printed::OtherKind,
    Printed::WarningThenDescribed,
    Printed::WarningThenOther,
    Printed::KasanThenOther,
];

/// When it prints that.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    BeforeTheJob,
    /// The agent's lines go on after it, as after a report that the kernel survives.
    JustBeforeTheJob,
    Running,
    Reported,
}

fn oops(title: &str, function: &str) -> Vec<String> {
    let text = format!(
        "BUG: {title}\n#PF: supervisor read access in kernel mode\nOops: 0000 [#1] PREEMPT SMP NOPTI\nCPU: 0 PID: 71 Comm: x\n\
         RIP: 0010:{function}+0x1a/0x40\nCall Trace:\n <TASK>\n ? my_open+0x1/0x2\n do_syscall_64+0x3b/0x90\n </TASK>\n\
         ---[ end trace 0000000000000000 ]---"
    );
    text.lines().map(str::to_owned).collect()
}

fn warning(function: &str) -> Vec<String> {
    let text = format!(
        "------------[ cut here ]------------\nWARNING: CPU: 0 PID: 9 at net/other.c:12 {function}+0x1a/0x40\nCall Trace:\n \
         {function}+0x1a/0x40\n process_one_work+0x1/0x2\n---[ end trace 0000000000000000 ]---"
    );
    text.lines().map(str::to_owned).collect()
}

const NULL: &str = "kernel NULL pointer dereference, address: 0000000000000010";

impl Printed {
    fn lines(self, rng: &mut Rng) -> Vec<String> {
        let mut described = || match rng.bool() {
            true => oops(NULL, "my_close.isra.0"),
            false => oops("KASAN: use-after-free in my_free+0x1/0x2", "my_close"),
        };
        match self {
            Self::Nothing => Vec::new(),
            Self::Described => described(),
            Self::Cut => oops(NULL, "my_close").into_iter().take(3).collect(),
            Self::OtherWord => oops("unable to handle page fault for address: ffff", "my_close"),
            Self::OtherFunction => oops(NULL, "other_close"),
            Self::OtherKind => warning("my_close"),
            Self::WarningThenDescribed => [warning("other_work"), described()].concat(),
            // The stack of one, and the kind and word of the other.
            Self::WarningThenOther => [warning("my_close"), oops(NULL, "other_close")].concat(),
            Self::KasanThenOther => {
                let kasan = oops("KASAN: use-after-free in other_free+0x1/0x2", "other_free");
                // Its stack, without the line that ends an oops.
                let kasan = kasan.into_iter().filter(|line| !line.starts_with("---[") && !line.starts_with("Oops"));
                kasan.chain(oops("unable to handle page fault for address: ffff", "my_close")).collect()
            }
        }
    }
}

/// The text of these lines on a console, in pieces, at this time.
fn pieces(second: &str, lines: &[String], rng: &mut Rng) -> Vec<Act> {
    let text: String = lines.iter().enumerate().map(|(n, line)| format!("[    {second}{n:04}] {line}\r\n")).collect();
    let mut acts = Vec::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (piece, more) = rest.split_at(rng.usize(1..=rest.len().min(200)));
        acts.push(console(piece));
        rest = more;
    }
    acts
}

fn script(printed: Printed, when: When, rng: &mut Rng) -> Vec<Act> {
    let line = |text: &str| agent(&format!("{text}\n"));
    let mut acts = vec![wait(100)];
    if rng.u8(0..4) == 0 {
        // The machine's own.
        acts.extend(pieces("1.00", &warning("my_close"), rng));
    }
    acts.extend([console(BOOTED), line(HELLO)]);
    let crash = printed.lines(rng);
    if when == When::JustBeforeTheJob && !crash.is_empty() {
        acts.extend(pieces("2.15", &crash, rng));
        acts.extend([line(STARTED), line(REPORT), line(r#"{"type":"end","reports":1}"#), exit(0)]);
        return acts;
    }
    let is_before = matches!(when, When::BeforeTheJob | When::JustBeforeTheJob);
    acts.extend((!is_before).then(|| line(STARTED)));
    acts.extend((when == When::Reported).then(|| line(REPORT)));
    acts.push(wait(rng.u64(0..1500)));
    if crash.is_empty() {
        acts.extend(is_before.then(|| line(STARTED)));
        acts.extend((when != When::Reported).then(|| line(REPORT)));
        acts.push(line(r#"{"type":"end","reports":1}"#));
        acts.extend([console("[    4.000000] reboot: machine restart\r\n"), shutdown("guest-reset"), exit(0)]);
        return acts;
    }
    acts.extend(pieces("3.00", &crash, rng));
    acts.extend(rng.bool().then(|| console("[    3.500000] Kernel panic - not syncing: Fatal exception\r\n")));
    acts.push(exit(0));
    acts
}

#[tokio::test(start_paused = true)]
async fn no_verdict_is_swapped_in_thousands_of_crashes() {
    let mut rng = Rng::with_seed(1);
    let bug = Bug::parse(DOSSIER, Path::new("a-bug.yaml")).unwrap_or_else(|problems| panic!("{problems}"));
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), guest::AGENT).expect("a file");
    let program = GuestProgram::load(&bug.id, file.path(), &[], None, &mut RootfsShelf::default()).expect("a program");
    let profile = Profile::default_for(vec![bug.id.clone()]);
    let trial = Trial { program: Some(&program), ..trial(&bug, &profile) };
    let spec = GuestSpec {
        image: PathBuf::from("bzImage"),
        release: None,
        initramfs: Vec::new(),
        jobs: vec![trial.job(false, 1)],
        cmdline_extra: None,
        machine: MachineType::default(),
        memory_mib: 256,
        cpus: 1,
        disks: Vec::new(),
        accel: Accel::Tcg,
        time: None,
    };
    let mut swapped = Vec::new();
    for boot in 0..BOOTS {
        let printed = PRINTED[boot % PRINTED.len()];
        let lagging = *rng.choice(&[Lagging::Neither, Lagging::Agent, Lagging::Console]).expect("a choice");
        let when = *rng
            .choice(&[When::BeforeTheJob, When::JustBeforeTheJob, When::Running, When::Reported])
            .expect("a choice");
        let acts = script(printed, when, &mut rng);
        let acts = behind(acts, lagging, &mut rng);
        let hypervisor = Hypervisor::Scripted(Scripts::new(vec![acts]));
        let deadlines = Deadlines::new(Accel::Tcg, HostLoad::IDLE);
        let booted = hypervisor.boot(&Shim::at("/nonexistent".into()), &spec, &deadlines, &mut |_| {}).await;
        let settled = trial.settle(&BootEnd::of(&booted, 1), true).boots;
        let is_during = matches!(when, When::Running | When::Reported);
        let is_described = is_during && matches!(printed, Printed::Described | Printed::WarningThenDescribed);
        let is_right = match &settled {
            Boots::Showed(finding) if finding.is_affected() => is_described,
            Boots::Showed(_) => printed == Printed::Nothing,
            Boots::Broke(_) => printed != Printed::Nothing && !is_described,
            _ => false,
        };
        if !is_right {
            swapped.push((boot, printed, when, lagging, settled));
        }
    }
    assert!(swapped.is_empty(), "{} of {BOOTS}: {:#?}", swapped.len(), &swapped[..swapped.len().min(3)]);
}
