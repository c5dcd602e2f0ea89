//! Builds the guest agent and hands it to the controller, which embeds it: `cargo install --path .` alone gives a
//! working tool.
#![expect(clippy::disallowed_macros, reason = "Cargo reads what a build script prints")]

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Guests are x86-64, and the agent must need nothing but the kernel, so it is linked statically with the C library
/// that the toolchain is for.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The agent shares an initramfs with the modules, is unpacked at every boot, and fits a serial line's patience: an
/// agent over this many bytes has taken in something that it should not.
const LARGEST: u64 = 2 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    for input in
        ["protocol/src", "protocol/Cargo.toml", "repro/src", "repro/Cargo.toml", "Cargo.toml", "Cargo.lock", "build.rs"]
    {
        println!("cargo::rerun-if-changed={input}");
    }
    let out = env::var("OUT_DIR")?;
    // A target folder of its own, because the outer cargo locks its own for as long as this runs. All profiles share it: from
    // TARGET/PROFILE/build/PACKAGE/out to TARGET/agent.
    let shared = Path::new(&out).ancestors().nth(4).ok_or("OUT_DIR is not in a target folder")?;
    let target_dir = shared.join("agent");
    let mut cargo = Command::new(env::var("CARGO")?);
    cargo
        .args(["build", "--package", "backproof-repro", "--bin", "backproof-agent"])
        .args(["--profile", "agent", "--target", TARGET])
        .arg("--manifest-path")
        .arg(Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target_dir)
        .env("RUSTFLAGS", "-C target-feature=+crt-static -C relocation-model=static");
    // The outer build's flags and wrappers (clippy's, for one) are not the agent's.
    for inherited in ["CARGO_ENCODED_RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET", "CARGO_TARGET_DIR"] {
        cargo.env_remove(inherited);
    }
    if !cargo.status()?.success() {
        return Err(format!(
            "the guest agent did not build; its own messages are above. It is linked statically for {TARGET}: \
             `rustup target add {TARGET}` if that target is missing, and the C library's static files (libc6-dev)."
        )
        .into());
    }
    let agent = target_dir.join(TARGET).join("agent").join("backproof-agent");
    let size = fs::metadata(&agent)?.len();
    if size > LARGEST {
        return Err(format!("the guest agent has {size} bytes, more than the {LARGEST} that it may have").into());
    }
    fs::copy(&agent, Path::new(&out).join("backproof-agent"))?;
    Ok(())
}
