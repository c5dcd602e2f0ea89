//! LTP's runtest files, which say with which arguments its tests are run.

use std::collections::BTreeMap;

/// The most bytes of a runtest file.
pub(super) const FILE_MAX: u64 = 4 << 20;

/// The most entries of one program that are kept.
const ENTRIES_MAX: usize = 20;

/// One way to run a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RuntestEntry {
    /// Its name.
    pub(super) name: String,
    /// The arguments.
    pub(super) args: Vec<String>,
}

/// The ways to run each program, by its name. Equal arguments are listed once.
#[derive(Debug, Default)]
pub(super) struct Runtests(BTreeMap<String, Vec<RuntestEntry>>);

impl Runtests {
    /// Adds a file: an entry is a line `NAME PROGRAM ARGUMENT…`.
    pub(super) fn add(&mut self, text: &str) {
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            // LTP runs them in a shell, which a guest lacks.
            if line.contains(|c: char| "\"'`$;|&<>\\*?(){}~".contains(c) || c.is_control() && c != '\t') {
                continue;
            }
            let mut words = line.split_whitespace().map(str::to_owned);
            let (Some(name), Some(program)) = (words.next(), words.next()) else { continue };
            let args: Vec<String> = words.collect();
            let known = self.0.entry(program).or_default();
            if known.len() < ENTRIES_MAX && known.iter().all(|entry| entry.args != args) {
                known.push(RuntestEntry { name, args });
            }
        }
    }

    /// The ways to run a program. Without an entry, it is run without arguments.
    pub(super) fn of(&self, program: &str) -> Vec<RuntestEntry> {
        let plain = || vec![RuntestEntry { name: program.to_owned(), args: Vec::new() }];
        let Some(entries) = self.0.get(program).filter(|entries| !entries.is_empty()) else { return plain() };
        // The way without arguments comes first, and has the program's name.
        let (mut bare, with): (Vec<_>, Vec<_>) = entries.iter().cloned().partition(|entry| entry.args.is_empty());
        bare.truncate(1);
        bare.into_iter().chain(with).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn programs_are_run_with_the_arguments_of_their_entries() {
        let mut runtests = Runtests::default();
        runtests.add("# comment\ncve-1 a01\na01_1 a01 -i 5\n\na01_2\ta01  -i 5\nb b01 -d $TMPDIR\nc\nd d01 -x 1 -y\n");
        let of = |program: &str| -> Vec<(String, String)> {
            runtests.of(program).into_iter().map(|entry| (entry.name, entry.args.join(" "))).collect()
        };
        let pair = |name: &str, args: &str| (name.to_owned(), args.to_owned());
        assert_eq!(of("a01"), [pair("cve-1", ""), pair("a01_1", "-i 5")]);
        assert_eq!(of("b01"), [pair("b01", "")]);
        assert_eq!(of("d01"), [pair("d", "-x 1 -y")]);
        assert_eq!(of("gone"), [pair("gone", "")]);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "([a-c ]{0,6}[\n\"#$]?){0,20}|[\\s\\S]{0,100}") {
            let mut runtests = Runtests::default();
            runtests.add(&text);
            prop_assert!(!runtests.of("a").is_empty());
        }
    }
}
