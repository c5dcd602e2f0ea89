//! Which modules answer a request of the kernel, by the aliases in their .modinfo. There is no `modules.alias`, because it is
//! made when a kernel is installed.

use std::collections::HashMap;
use std::thread;

use glob::Pattern;

/// The most modules that answer one request: algorithms have one for each kind of processor.
const PROVIDERS_MAX: usize = 4;

/// The aliases of all modules of a kernel.
#[derive(Debug, Default)]
pub(super) struct ModuleAliases {
    plain: HashMap<String, Vec<String>>,
    /// Those with wildcards, as `char_major_29_*`; modprobe takes them as patterns of glob(7).
    patterns: Vec<(Pattern, String)>,
}

impl ModuleAliases {
    /// Reads the aliases of modules, given by their names and what reads them, in several threads. What cannot be read has
    /// none.
    pub(super) fn of<S: Sync>(modules: &[(&String, S)], read: impl Fn(&S) -> Option<Vec<String>> + Sync) -> Self {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let each = modules.len().div_ceil(workers).max(1);
        let read = &read;
        let of = |(name, source): &(&String, S)| ((*name).clone(), read(source).unwrap_or_default());
        let mut found: Vec<(String, Vec<String>)> = thread::scope(|scope| {
            let running: Vec<_> =
                modules.chunks(each).map(|some| scope.spawn(move || some.iter().map(of).collect::<Vec<_>>())).collect();
            running.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
        });
        // The same order everywhere.
        found.sort();
        let mut aliases = Self::default();
        for (module, names) in found {
            for alias in names {
                aliases.add(alias, &module);
            }
        }
        aliases
    }

    fn add(&mut self, alias: String, module: &str) {
        if !alias.contains(['*', '?', '[']) {
            self.plain.entry(alias).or_default().push(module.to_owned());
        } else if let Ok(pattern) = Pattern::new(&alias) {
            self.patterns.push((pattern, module.to_owned()));
        }
    }

    /// The modules with this alias, those for any processor first.
    pub(super) fn providers(&self, alias: &str) -> Vec<&str> {
        let plain = self.plain.get(alias).into_iter().flatten();
        let matching = self.patterns.iter().filter(|(pattern, _)| pattern.matches(alias)).map(|(_, module)| module);
        let mut found: Vec<&str> = plain.chain(matching).map(String::as_str).collect();
        found.sort_by_key(|module| (!module.ends_with("_generic"), *module));
        found.dedup();
        found.truncate(PROVIDERS_MAX);
        found
    }
}
