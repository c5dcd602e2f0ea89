//! Finds out whether KVM can run a guest here. QEMU's own firmware serves as the guest.

use std::fs::OpenOptions;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use super::qemu::Qemu;
use crate::shim::Shim;

/// The firmware prints its name in its first milliseconds; a KVM that takes longer doesn't run guests.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of QEMU's complaint that are read.
const MAX_WORDS: u64 = 64 << 10;

/// Runs QEMU's firmware under KVM until it says something (SeaBIOS writes to the I/O port 0x402).
///
/// # Errors
/// KVM's failure, for people.
pub async fn probe_kvm(qemu: &Qemu, shim: &Shim) -> Result<(), String> {
    if let Err(error) = OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        return Err(format!("cannot open /dev/kvm: {error}"));
    }
    let mut command = Command::from(shim.command(qemu.program()));
    command
        .args(["-machine", "q35,accel=kvm", "-cpu", "host", "-m", "32"])
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-nic", "none"])
        .args(["-chardev", "stdio,id=firmware", "-device", "isa-debugcon,iobase=0x402,chardev=firmware"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("cannot start QEMU: {error}"))?;
    let (Some(mut stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err("QEMU was started without pipes".to_owned());
    };
    let mut first = [0; 1];
    match timeout(PATIENCE, stdout.read_exact(&mut first)).await {
        Ok(Ok(_)) => Ok(()),
        Err(_) => Err(format!("/dev/kvm opens, but a guest printed nothing in {} s", PATIENCE.as_secs())),
        Ok(Err(_)) => {
            let mut said = Vec::new();
            // QEMU has closed its output, so it has ended or is about to.
            let _ = timeout(PATIENCE, stderr.take(MAX_WORDS).read_to_end(&mut said)).await;
            let said = String::from_utf8_lossy(&said);
            let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("no message");
            Err(format!("/dev/kvm opens, but QEMU ended at once: {line}"))
        }
    }
}
