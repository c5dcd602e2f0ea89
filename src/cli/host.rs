//! This machine: what boots guests, and the signals that end the program.

use std::future::Future;
use std::io;
use std::sync::OnceLock;
use std::time::SystemTime;

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};

use super::{AccelArg, Cache, MachineArgs, Stop, TimeArg};
use crate::kernel::{Obtain, ObtainError};
use crate::report::Fetching;
use crate::results;
use crate::run::Lab;
use crate::shim::Shim;
use crate::vm::{AccelChoice, Accelerator, DEFAULT_SEED, Hypervisor, Qemu, TimeChoice, Timing};

impl From<AccelArg> for AccelChoice {
    fn from(accel: AccelArg) -> Self {
        match accel {
            AccelArg::Auto => Self::Auto,
            AccelArg::Kvm => Self::Kvm,
            AccelArg::Tcg => Self::Tcg,
        }
    }
}

/// The lab that the command line asks for, for so many seeds.
pub(super) fn lab(args: &MachineArgs, seeds: u32, offline: bool, refresh: bool, jobs: usize) -> Result<Lab, Stop> {
    let (accel, time) = choices(args, seeds)?;
    let seed = args.seed.unwrap_or(DEFAULT_SEED);
    let Some(last) = seed.checked_add(seeds - 1) else {
        let why = format!("--seed {seed} --seeds {seeds} exceeds the largest seed, {}", u32::MAX);
        return Err(Stop::usage(anyhow::anyhow!("{why}")));
    };
    let store = args.cache.open();
    let shim = shim();
    let store = store?;
    let qemu = Qemu::find(args.qemu.as_deref()).map_err(Stop::no_verdict)?;
    Ok(Lab {
        store,
        accelerator: Accelerator::new(accel),
        timing: Timing::new(time, seed..=last, qemu.version()),
        hypervisor: Hypervisor::Qemu(qemu),
        shim: shim?,
        offline,
        refresh,
        jobs,
        qemu_sha256: OnceLock::new(),
    })
}

/// Obtains something, and shows the progress of downloads.
pub(super) fn obtaining<T>(
    cache: &Cache,
    offline: bool,
    fetching: &Fetching,
    obtain: impl FnOnce(&Obtain) -> Result<T, ObtainError>,
) -> Result<T, Stop> {
    let (store, shim) = (cache.open()?, shim()?);
    let tell = |progress| fetching.tell(&progress);
    let obtained = obtain(&Obtain { store: &store, shim: &shim, offline, refresh: false, locked: None, tell: &tell });
    fetching.finish();
    obtained.map_err(Stop::of)
}

fn shim() -> Result<Shim, Stop> {
    let shim = Shim::of_this_program().context("could not find this program's own file; is /proc mounted?");
    shim.map_err(Stop::no_verdict)
}

/// The accelerator and the time that the command line asks for. Seeds ask for virtual time.
fn choices(args: &MachineArgs, seeds: u32) -> Result<(AccelChoice, TimeChoice), Stop> {
    let usage = |why: &str| Err(Stop::usage(anyhow::anyhow!("{why}")));
    match (args.time, args.seed.is_some() || seeds > 1, args.accel) {
        (Some(TimeArg::Real), true, _) => usage("seeds need virtual time: drop --time real, or --seed and --seeds"),
        (Some(TimeArg::Virtual), _, AccelArg::Kvm) | (_, true, AccelArg::Kvm) => usage(
            "virtual time (--time virtual, --seed, --seeds) needs --accel tcg: KVM runs guests on the host's processor, \
             whose instructions QEMU cannot count",
        ),
        // KVM is not even tried.
        (Some(TimeArg::Virtual), ..) | (_, true, _) => Ok((AccelChoice::Tcg, TimeChoice::Auto)),
        (Some(TimeArg::Real), false, accel) => Ok((accel.into(), TimeChoice::Real)),
        (None, false, accel) => Ok((accel.into(), TimeChoice::Auto)),
    }
}

/// The async runtime: one thread, the main one. It must start QEMU, because a parent-death signal is tied to the thread
/// that started the child.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("could not start the async runtime").map_err(Stop::no_verdict)
}

/// Now, in whole seconds.
pub(super) fn now() -> Timestamp {
    let now = Timestamp::try_from(SystemTime::now()).unwrap_or_default();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// Today (UTC).
pub(super) fn today() -> jiff::civil::Date {
    jiff::tz::Offset::UTC.to_datetime(now()).date()
}

/// Processors that this process may use.
pub(super) fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// This machine, for the record.
pub(super) fn record() -> results::RunHost {
    let uname = rustix::system::uname();
    let system = rustix::system::sysinfo();
    let unit = u64::from(system.mem_unit).max(1);
    // sysinfo(2) gives loads as fixed-point numbers with 16 bits of fraction.
    let load = system.loads.first().copied().unwrap_or(0) as f64 / 65536.0;
    results::RunHost {
        kernel: uname.release().to_string_lossy().into_owned(),
        cpus: cpus(),
        memory_mib: system.totalram.saturating_mul(unit) >> 20,
        load: (load * 100.0).round() / 100.0,
    }
}

/// The QEMU of a lab, for the record.
pub(super) fn qemu_record(lab: &Lab) -> results::QemuRecord {
    let Lab { hypervisor, .. } = lab;
    results::QemuRecord {
        program: hypervisor.program().display().to_string(),
        version: hypervisor.version().to_string(),
    }
}

/// Ends on SIGINT, SIGTERM or SIGHUP. Call it inside the runtime.
pub(super) fn stopped() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}
