//! Guests that a test boots through the library: kernels as users get them, and jobs of the test's choice.

use backproof::guest;
use backproof::kernel::{Kernel, Module, Obtain, Store, image_release, obtain};
use backproof::matrix::{MachineType, Source};
use backproof::shim::Shim;
use backproof::vm::{Accel, Boot, DEFAULT_SEED, Deadlines, GuestSpec, HostLoad, Hypervisor, Qemu, VirtualTime};
use backproof_protocol::{Job, Plan, VERSION};

use super::Lab;

pub fn shim() -> Shim {
    Shim::at(env!("CARGO_BIN_EXE_backproof").into())
}

fn obtained(source: &Source) -> Kernel {
    let store = Store::open(None).expect("the cache");
    let with = Obtain { store: &store, shim: &shim(), offline: false, refresh: false, locked: None, tell: &|_| {} };
    obtain(source, &with).unwrap_or_else(|error| panic!("{source}: {error}"))
}

/// Debian 12's kernel, which has only the bug that all kernels have.
pub fn debian_12() -> Kernel {
    let source = Source::Apt {
        package: "linux-image-cloud-amd64".to_owned(),
        suite: Some("bookworm".to_owned()),
        archive: None,
    };
    obtained(&source)
}

/// A control of a line. It is built first if it does not exist.
pub fn control(line: &str, name: &str) -> Kernel {
    Lab::new().run(&["controls", "build", name, "--line", line]).ends_with(0);
    obtained(&Source::Control { control: name.parse().expect("a name"), line: line.to_owned() })
}

/// Boots the kernel with its module for the wire, and runs these jobs.
pub async fn boot_jobs(kernel: &Kernel, jobs: Vec<Job>) -> Boot {
    let modules: Vec<Module> = kernel.modules_for(&["tun"]).expect("modules");
    let files = modules.iter().map(|module| guest::module_file(&module.name)).collect();
    let plan = Plan { version: VERSION, modules: files, jobs: jobs.clone(), reach: Vec::new() };
    let spec = GuestSpec {
        image: kernel.image.clone(),
        release: image_release(&kernel.image).expect("an image"),
        initramfs: guest::initramfs(&plan, &modules, &[]).expect("an initramfs"),
        jobs,
        cmdline_extra: None,
        machine: MachineType::Q35,
        memory_mib: 256,
        cpus: 1,
        disks: Vec::new(),
        accel: Accel::Tcg,
        // The host's load must not decide what a reproducer says here.
        time: Some(VirtualTime::with_seed(DEFAULT_SEED)),
    };
    let qemu = Hypervisor::Qemu(Qemu::find(None).expect("QEMU"));
    qemu.boot(&shim(), &spec, &Deadlines::new(spec.accel, HostLoad::IDLE), &mut |_| {}).await
}
