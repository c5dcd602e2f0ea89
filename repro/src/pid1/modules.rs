//! Loads the plan's modules.

use std::fs::{self, File};
use std::path::Path;

use rustix::io::Errno;
use rustix::system::{finit_module, init_module};

use backproof_protocol::MODULES_DIR;

/// A module that is not loaded.
#[derive(Clone, Debug)]
pub struct FailedModule {
    /// Its file, as in the plan.
    pub file: String,
    /// What went wrong.
    pub why: String,
}

/// Loads the modules in this order; returns those that failed.
pub fn load_all(names: &[String]) -> Vec<FailedModule> {
    let failed = |name: &String| {
        let why = format!("cannot load module {name}: {}", load(name).err()?);
        Some(FailedModule { file: name.clone(), why })
    };
    names.iter().filter_map(failed).collect()
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
