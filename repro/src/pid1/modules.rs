//! Loads the plan's modules.

use std::fs::{self, File};
use std::path::Path;

use rustix::io::Errno;
use rustix::system::{finit_module, init_module};

use backproof_protocol::MODULES_DIR;

/// Loads the modules in this order; returns what went wrong.
pub fn load_all(names: &[String]) -> Vec<String> {
    names
        .iter()
        .filter_map(|name| load(name).err().map(|error| format!("cannot load module {name}: {error}")))
        .collect()
}

fn load(name: &str) -> Result<(), String> {
    if name.contains('/') {
        return Err(format!("expected a file name in {MODULES_DIR}"));
    }
    let path = Path::new(MODULES_DIR).join(name);
    let file = File::open(&path).map_err(|error| error.to_string())?;
    let loaded = match finit_module(&file, c"", 0) {
        // finit_module(2) exists since 3.8, and a hardened kernel may refuse only one of the calls.
        Err(Errno::NOSYS | Errno::PERM) => init_module(&fs::read(&path).map_err(|error| error.to_string())?, c""),
        other => other,
    };
    match loaded {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(format!("{error} (see the kernel's log)")),
    }
}
