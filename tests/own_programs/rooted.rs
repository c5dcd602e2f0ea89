//! Exits with 0 if its root is the rootfs of tests/rootfs.rs, unchanged and writable.

use std::fs;
use std::path::Path;

fn main() {
    let checks = [
        fs::read_to_string("/etc/release").is_ok_and(|text| text == "of the rootfs"),
        !Path::new("/init").exists(),
        !Path::new("/written").exists() && fs::write("/written", "x").is_ok(),
        fs::read_to_string("/tmp/data.txt").is_ok_and(|text| text == "x"),
        // A shell among its files hides nothing.
        Path::new("/bin/run").exists(),
        Path::new("/proc/self/exe").exists() && Path::new("/dev/null").exists() && Path::new("/sys/kernel").exists(),
    ];
    let failed = checks.iter().position(|good| !good);
    eprintln!("{failed:?}");
    std::process::exit(if failed.is_some() { 3 } else { 0 });
}
