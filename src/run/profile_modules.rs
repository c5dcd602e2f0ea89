//! Adds the modules that the profiles' sysctls name to those of a kernel's guests.

use std::collections::BTreeSet;

use crate::kernel::{Kernel, Module, ModulesError};
use crate::matrix::Profile;

/// Adds the modules that these profiles' sysctls name, with their dependencies, if the kernel has them as modules. The
/// guest finds out whether a value works without, because many are built in. Returns why modules are unusable.
pub(super) fn add_profile_modules<'p>(
    kernel: &Kernel,
    profiles: impl Iterator<Item = &'p Profile>,
    loaded: &mut Vec<Module>,
) -> Vec<String> {
    let names: BTreeSet<String> = profiles.flat_map(Profile::modules).collect();
    let mut unusable = Vec::new();
    for name in names {
        match kernel.modules_for(&[name.as_str()]) {
            Ok(modules) => {
                let is_new = |module: &Module| loaded.iter().all(|known| known.name != module.name);
                let new: Vec<Module> = modules.into_iter().filter(is_new).collect();
                loaded.extend(new);
            }
            Err(ModulesError::Absent { .. }) => {}
            Err(error) => unusable.push(format!("{:#}", anyhow::Error::new(error))),
        }
    }
    unusable
}
