//! QEMU's command line, from small pure functions, each with its reason.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::accel::Accel;
use super::boot::GuestSpec;
use super::disk::GuestDisk;
use crate::matrix::MachineType;

/// The file descriptors that QEMU inherits. 0 to 2 are the usual ones.
pub(crate) const CONSOLE_FD: i32 = 3;
pub(crate) const AGENT_FD: i32 = 4;
pub(crate) const QMP_FD: i32 = 5;
pub(crate) const INITRAMFS_FD: i32 = 6;

/// x86's COMMAND_LINE_SIZE is 2048 with the terminating zero (`arch/x86/include/asm/setup.h`); the kernel truncates
/// longer ones silently.
const MAX_CMDLINE: usize = 2047;

/// The kernel's command line; each word is understood, or ignored, by every kernel from 3.10 to 7.x.
const CMDLINE: &[&str] = &[
    // The console that is watched.
    "console=ttyS0,115200",
    // Shows an early crash of the decompressor or the kernel. It ends when the real console starts, and its cost is
    // too small to measure.
    "earlyprintk=serial,ttyS0,115200",
    // A panic restarts immediately, which ends QEMU right after the dump.
    "panic=-1",
    // So does an oops, because the guest cannot be trusted after it.
    "oops=panic",
    // A hung guest dumps its stack when it gets an NMI; without this it only says "Dazed and confused".
    "unknown_nmi_panic",
    // A triple fault ends every machine, also one without ACPI or a keyboard controller.
    "reboot=t",
    // The kernel's test of its timer counts ticks against a loop, and on a busy host an emulated timer fails it: the
    // kernel then panics ("IO-APIC + timer doesn't work!"). Under KVM kernels skip the test by themselves.
    "no_timer_check",
    // Ciphers are not tested at boot: no reproducer uses one, and under TCG it is a tenth of a boot.
    "cryptomgr.notests",
    // Overrides the kernel's build configuration: warnings below the console's level would be lost (KERN_INFO and above).
    "loglevel=7",
    // Times on the console, also without CONFIG_PRINTK_TIME: the kernel's clock tells whether a splat came before a job.
    "printk.time=1",
];

/// A command line that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// The kernel would cut it.
    #[error("the kernel command line has {length} bytes, x86 kernels accept {MAX_CMDLINE}: shorten the added words")]
    CmdlineTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// Its machine has no place for a disk.
    #[error("a microvm has no NVDIMM for a reproducer's disk: choose `machine: q35` or `pc`")]
    DiskInMicrovm,
    /// A character that ends the command line, or a line of it.
    #[error("the kernel command line has a control character: {text:?}")]
    CmdlineControl {
        /// The words to add.
        text: String,
    },
    /// No guest has so little or so much.
    #[error("a guest with {given} {what}: expected {least} to {most}")]
    OutOfRange {
        /// The resource.
        what: &'static str,
        /// The requested amount.
        given: u32,
        /// The minimum.
        least: u32,
        /// The maximum.
        most: u32,
    },
}

/// A piece of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Arg {
    Text(OsString),
    /// The kernel's image.
    Image(PathBuf),
    /// The initramfs: a file descriptor for us, a file for a person.
    Initramfs,
    /// The console's other end.
    Console,
    /// The agent port's other end.
    Agent,
    /// The memory behind a disk: the value of `-object`, and what its content is.
    DiskMemory(OsString, String),
    /// QMP, which a person does not need.
    Qmp,
}

/// QEMU's command, which a person can be given as a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QemuCommand {
    program: PathBuf,
    args: Vec<Arg>,
}

impl QemuCommand {
    /// The command that boots this guest.
    ///
    /// # Errors
    /// If the guest is impossible.
    pub fn new(program: &Path, spec: &GuestSpec) -> Result<Self, SpecError> {
        let within = |what, given: u32, least, most| {
            let fits = (least..=most).contains(&given);
            if fits { Ok(()) } else { Err(SpecError::OutOfRange { what, given, least, most }) }
        };
        within("MiB of memory", spec.memory_mib, 16, 1 << 20)?;
        within("processors", spec.cpus, 1, 255)?;
        let cmdline = cmdline(spec.cmdline_extra.as_deref())?;
        let mut args = Vec::new();
        args.extend(texts(&isolation_args()));
        if spec.machine == MachineType::Microvm && !spec.disks.is_empty() {
            return Err(SpecError::DiskInMicrovm);
        }
        args.extend(texts(&machine_args(spec.machine, !spec.disks.is_empty())));
        args.extend(texts(&accel_args(spec.accel)));
        if let Some(time) = spec.time {
            args.extend(texts(&time.args()));
        }
        args.extend(texts(&size_args(spec.memory_mib, spec.cpus, &spec.disks)));
        for (number, disk) in spec.disks.iter().enumerate() {
            args.extend([Arg::Text("-object".into()), Arg::DiskMemory(disk.memory(number), disk.fingerprint())]);
            args.extend(texts(&["-device", &disk.device(number)]));
        }
        args.extend([Arg::Console, Arg::Agent]);
        args.extend(texts(&serial_args()));
        args.push(Arg::Qmp);
        args.extend([Arg::Text("-kernel".into()), Arg::Image(spec.image.clone())]);
        args.extend([Arg::Text("-initrd".into()), Arg::Initramfs]);
        args.extend(texts(&["-append", &cmdline]));
        Ok(Self { program: program.to_owned(), args })
    }

    /// The program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The arguments as QEMU gets them from us, with our file descriptors.
    pub(crate) fn inherited_args(&self) -> Vec<OsString> {
        let mut out = Vec::new();
        for arg in &self.args {
            match arg {
                Arg::Text(text) | Arg::DiskMemory(text, _) => out.push(text.clone()),
                Arg::Image(path) => out.push(path.clone().into_os_string()),
                Arg::Initramfs => out.push(format!("/proc/self/fd/{INITRAMFS_FD}").into()),
                Arg::Console => {
                    push(&mut out, &["-chardev", &format!("file,id=console,path=/proc/self/fd/{CONSOLE_FD}")])
                }
                Arg::Agent => push(&mut out, &["-chardev", &format!("file,id=agent,path=/proc/self/fd/{AGENT_FD}")]),
                Arg::Qmp => {
                    push(&mut out, &["-chardev", &format!("socket,id=qmp,fd={QMP_FD}")]);
                    push(&mut out, &["-mon", "chardev=qmp,mode=control"]);
                }
            }
        }
        out
    }

    /// The arguments without the paths of this host: they describe the guest, independent of its files' location.
    pub fn fingerprint(&self) -> Vec<String> {
        let word = |arg: &Arg| match arg {
            Arg::Text(text) => text.to_string_lossy().into_owned(),
            Arg::Image(_) => "image".to_owned(),
            Arg::Initramfs => "initramfs".to_owned(),
            Arg::Console => "console".to_owned(),
            Arg::Agent => "agent".to_owned(),
            Arg::Qmp => "qmp".to_owned(),
            Arg::DiskMemory(_, content) => content.clone(),
        };
        self.args.iter().map(word).collect()
    }

    /// The words of a shell's command for a person: the initramfs in `$initramfs`, the console on the terminal,
    /// the agent's output in `$agent`.
    pub(crate) fn shell_words(&self) -> Vec<Word> {
        let text = |t: &str| Word::Text(t.into());
        let mut out = vec![Word::Text(self.program.clone().into_os_string())];
        for arg in &self.args {
            match arg {
                Arg::Text(text) | Arg::DiskMemory(text, _) => out.push(Word::Text(text.clone())),
                Arg::Image(path) => out.push(Word::Text(path.clone().into_os_string())),
                Arg::Initramfs => out.push(Word::Shell("\"$initramfs\"")),
                Arg::Console => out.extend([text("-chardev"), text("stdio,id=console,signal=on")]),
                Arg::Agent => out.extend([text("-chardev"), Word::Shell("\"file,id=agent,path=$agent\"")]),
                Arg::Qmp => {}
            }
        }
        out
    }
}

/// A word of a shell's command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// To be quoted.
    Text(OsString),
    /// The shell's own, as it is.
    Shell(&'static str),
}

fn push(out: &mut Vec<OsString>, words: &[&str]) {
    out.extend(words.iter().map(OsStr::new).map(OsStr::to_owned));
}

fn texts(words: &[impl AsRef<str>]) -> Vec<Arg> {
    words.iter().map(|w| Arg::Text(w.as_ref().into())).collect()
}

/// No device, file or network that is not named here, no screen, no second boot, and QEMU's own system calls
/// restricted. `spawn=deny` forbids it to start programs, `elevateprivileges=deny` to gain rights.
fn isolation_args() -> [&'static str; 10] {
    [
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-nic",
        "none",
        "-no-reboot",
        "-sandbox",
        "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        // A guest's name in `ps`, so that a person sees whose QEMU it is.
        "-name",
    ]
}

/// The machine. q35 and pc lose what only costs time to probe, and have NVDIMMs only for disks.
fn machine_args(machine: MachineType, has_disks: bool) -> [String; 3] {
    let options = match machine {
        MachineType::Q35 => "q35,sata=off,smbus=off,usb=off,vmport=off",
        MachineType::Pc => "pc,usb=off,vmport=off",
        // Its own serial port makes way for the two that every machine gets below.
        MachineType::Microvm => "microvm,acpi=off,isa-serial=off",
    };
    let disks = if has_disks { ",nvdimm=on" } else { "" };
    ["guest=backproof".to_owned(), "-machine".to_owned(), format!("{options}{disks}")]
}

/// The processor: the host's under KVM; under TCG all that it can translate, with two exceptions. Five-level page
/// tables (`la57`) make every walk longer and no kernel needs them. After `cmpxchg16b` (`cx16`) QEMU 7.2 leaves bits
/// of an operand in the flags, and an interrupt right behind it carries them to `iret`: seen as a double fault in
/// the slab allocator's fast path with `EFLAGS: c2377642`. Kernels have another way for processors without it.
fn accel_args(accel: Accel) -> [&'static str; 4] {
    match accel {
        Accel::Kvm => ["-accel", "kvm", "-cpu", "host"],
        Accel::Tcg => ["-accel", "tcg", "-cpu", "max,la57=off,cx16=off"],
    }
}

fn size_args(memory_mib: u32, cpus: u32, disks: &[GuestDisk]) -> [String; 4] {
    // Disks count as memory that is plugged in.
    let most = disks.iter().map(GuestDisk::mib).fold(u64::from(memory_mib), u64::saturating_add);
    let plugged = if disks.is_empty() { String::new() } else { format!(",slots={},maxmem={most}M", disks.len()) };
    ["-m".to_owned(), format!("{memory_mib}M{plugged}"), "-smp".to_owned(), cpus.to_string()]
}

/// ttyS0 and ttyS1 at their old places 0x3f8 and 0x2f8, where every kernel looks without asking any table. As
/// devices and not with `-serial`, so that microvm has the second one too.
fn serial_args() -> [&'static str; 4] {
    ["-device", "isa-serial,chardev=console,index=0", "-device", "isa-serial,chardev=agent,index=1"]
}

fn cmdline(extra: Option<&str>) -> Result<String, SpecError> {
    let ours = CMDLINE.join(" ");
    let mut line = ours.clone();
    if let Some(extra) = extra.map(str::trim).filter(|e| !e.is_empty()) {
        if extra.chars().any(char::is_control) {
            return Err(SpecError::CmdlineControl { text: extra.to_owned() });
        }
        // Ours come last, because the last ones count: a `quiet` or another console would hide the monitor's input.
        line = format!("{extra} {ours}");
    }
    if line.len() > MAX_CMDLINE {
        return Err(SpecError::CmdlineTooLong { length: line.len() });
    }
    Ok(line)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::vm::time::VirtualTime;

    pub(crate) fn spec() -> GuestSpec {
        GuestSpec {
            image: "/k/vmlinuz".into(),
            release: None,
            initramfs: Vec::new(),
            jobs: Vec::new(),
            cmdline_extra: None,
            machine: MachineType::Q35,
            memory_mib: 256,
            cpus: 1,
            disks: Vec::new(),
            accel: Accel::Tcg,
            time: None,
        }
    }

    fn args(spec: &GuestSpec) -> String {
        let command = QemuCommand::new(Path::new("qemu"), spec).expect("a sane guest");
        command.inherited_args().join(OsStr::new(" ")).into_string().expect("UTF-8")
    }

    #[test]
    fn machines_have_two_serial_ports_and_no_way_out() {
        for machine in MachineType::ALL {
            for accel in [Accel::Kvm, Accel::Tcg] {
                let args = args(&GuestSpec { machine, accel, ..spec() });
                for part in [
                    "-nodefaults",
                    "-nic none",
                    "-no-reboot",
                    "-sandbox on,",
                    "isa-serial,chardev=console,index=0",
                    "isa-serial,chardev=agent,index=1",
                    "-initrd /proc/self/fd/6",
                    &format!("-machine {}", machine.as_str()),
                    &format!("-accel {accel}"),
                ] {
                    assert!(args.contains(part), "{part} in {args}");
                }
            }
        }
    }

    #[test]
    fn disks_are_nvdimms_and_known_by_their_content() {
        let image = |path: &str| GuestDisk::Image { path: path.into(), sha256: "ab".repeat(32), bytes: 100 << 20 };
        let of = |path| GuestSpec { disks: vec![GuestDisk::Empty { mib: 128 }, image(path)], ..spec() };
        let words = args(&of("/k/a,b"));
        for part in [
            "vmport=off,nvdimm=on ",
            "-m 256M,slots=2,maxmem=484M ",
            "-object memory-backend-memfd,id=disk0,size=128M -device nvdimm,id=nvdimm0,memdev=disk0 ",
            "size=104857600,share=on,readonly=on,mem-path=/k/a,,b -device nvdimm,id=nvdimm1,memdev=disk1,unarmed=on ",
        ] {
            assert!(words.contains(part), "{part} in {words}");
        }
        let print = |spec: &GuestSpec| QemuCommand::new(Path::new("qemu"), spec).expect("a sane guest").fingerprint();
        assert_eq!(print(&of("/k/a")), print(&of("/other/place")));
        assert_ne!(print(&of("/k/a")), print(&GuestSpec { disks: vec![GuestDisk::Empty { mib: 128 }], ..spec() }));
    }

    #[test]
    fn virtual_time_counts_instructions_and_fixes_the_seed() {
        let time = Some(VirtualTime::with_seed(7));
        let counted = args(&GuestSpec { time, ..spec() });
        assert!(
            counted.contains("-icount shift=4,sleep=off -seed 7 -rtc base=2026-01-01T00:00:00,clock=vm"),
            "{counted}"
        );
        assert!(!args(&spec()).contains("-icount"));
    }

    #[test]
    fn impossible_guest_is_rejected_with_the_reason() {
        let long = "x".repeat(2000);
        let disks = vec![GuestDisk::Empty { mib: 128 }];
        let cases = [
            (GuestSpec { machine: MachineType::Microvm, disks, ..spec() }, "choose `machine: q35` or `pc`"),
            (GuestSpec { memory_mib: 0, ..spec() }, "a guest with 0 MiB of memory: expected 16 to 1048576"),
            (GuestSpec { cpus: 0, ..spec() }, "a guest with 0 processors: expected 1 to 255"),
            (GuestSpec { cmdline_extra: Some("a\nb".into()), ..spec() }, "control character"),
            (GuestSpec { cmdline_extra: Some(long), ..spec() }, "x86 kernels accept 2047"),
        ];
        for (spec, want) in cases {
            let error = QemuCommand::new(Path::new("qemu"), &spec).expect_err(want).to_string();
            assert!(error.contains(want), "{error}");
        }
        assert!(args(&GuestSpec { cmdline_extra: Some(" ro ".into()), ..spec() }).contains(" ro console=ttyS0"));
    }
}
