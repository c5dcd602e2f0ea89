//! Arguments of make that let a new compiler build an old kernel. The source is never changed.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::error::{BuildError, BuildStep};
use crate::regular;

/// The file in an object tree that lists the workarounds of its last build: without them, the next build would fail
/// first, and with other arguments it would compile everything again.
const FILE: &str = "backproof.workarounds";

/// The largest such file, in bytes.
const MAX_FILE: u64 = 16 << 10;

/// The most warnings that are kept from being errors.
const MAX_WARNINGS: usize = 16;

/// The folders of code that runs in the kernel. Everything else with a C file is a program of the build.
const KERNEL_FOLDERS: [&str; 20] = [
    "arch", "block", "certs", "crypto", "drivers", "fs", "include", "init", "io_uring", "ipc", "kernel", "lib", "mm",
    "net", "rust", "samples", "security", "sound", "usr", "virt",
];

/// One known reason why make fails.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Workaround {
    /// Compilers make position-independent code by default, which kernels before 4.9 don't switch off.
    NoPie,
    /// Two programs of the build define the same variable, which gcc rejects since version 10.
    HostCommon,
    /// Some files are compiled without a `-std=`, and gcc 15 reads them as C23.
    Gnu11,
    /// objtool of kernels before 5.11 doesn't understand objects of binutils 2.36 and later.
    NoObjtool,
    /// A new warning is an error in a program of the build.
    HostWarning(String),
    /// A new warning is an error in the kernel.
    KernelWarning(String),
}

/// Arguments of make that an old source requires.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::kernel) struct Workarounds(BTreeSet<Workaround>);

impl Workaround {
    /// The workaround for a line of make's output.
    fn of_line(line: &str) -> Option<Self> {
        if line.contains("code model kernel does not support PIC mode") {
            return Some(Self::NoPie);
        }
        if line.contains("multiple definition of `yylloc'") {
            return Some(Self::HostCommon);
        }
        if line.contains("cannot use keyword 'false' as enumeration constant")
            || line.contains("'bool' cannot be defined via 'typedef'")
        {
            return Some(Self::Gnu11);
        }
        if line.contains("objtool: ") && (line.contains("missing symbol for section") || line.contains("can't find")) {
            return Some(Self::NoObjtool);
        }
        let (place, error) = line.split_once(" error: ")?;
        let name = error.rsplit_once("[-Werror=")?.1.strip_suffix(']')?;
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-".contains(c);
        // A missing declaration or a wrong type is a mistake in every compiler's eyes.
        let is_mistake = name.starts_with("implicit-") || name.starts_with("int-conversion");
        if name.is_empty() || name.len() > 60 || !name.chars().all(is_name) || is_mistake {
            return None;
        }
        let file = place.split(':').next().unwrap_or_default().trim_start_matches("../");
        let is_kernel = KERNEL_FOLDERS.contains(&file.split('/').next().unwrap_or_default());
        Some(if is_kernel { Self::KernelWarning(name.to_owned()) } else { Self::HostWarning(name.to_owned()) })
    }

    /// The variable of make that it adds a word to, and the word.
    fn parts(&self) -> Vec<(&'static str, String)> {
        let wno = |name: &str| format!("-Wno-error={name}");
        match self {
            Self::NoPie => vec![("KAFLAGS", "-fno-pie".to_owned()), ("KCFLAGS", "-fno-pie".to_owned())],
            // In the name of the compiler: old kernels lose their own flags if HOSTCFLAGS is given.
            Self::HostCommon => vec![("HOSTCC", "-fcommon".to_owned())],
            Self::Gnu11 => vec![("CC", "-std=gnu11".to_owned())],
            Self::NoObjtool => vec![("SKIP_STACK_VALIDATION", "1".to_owned())],
            // gcc prefers the option with a name over a later `-Werror`.
            Self::HostWarning(name) => vec![("HOSTCC", wno(name))],
            Self::KernelWarning(name) => vec![("KCFLAGS", wno(name))],
        }
    }
}

impl Workarounds {
    /// Those of the last build in this object tree.
    pub(super) fn of_objects(obj: &Path) -> Self {
        let text = regular::read(&obj.join(FILE), MAX_FILE).unwrap_or_default();
        let mut found = Self::default();
        String::from_utf8_lossy(&text).lines().for_each(|line| found.read(line));
        found
    }

    /// Reads what [`Self::keep`] wrote.
    fn read(&mut self, line: &str) {
        let known = [Workaround::NoPie, Workaround::HostCommon, Workaround::Gnu11, Workaround::NoObjtool];
        self.0.extend(known.into_iter().find(|one| format!("{one:?}") == line));
        // A warning is kept as the line that make would print for it.
        self.notice(line);
    }

    /// Keeps them for the next build in this object tree.
    pub(super) fn keep(&self, obj: &Path) -> Result<(), BuildError> {
        let path = obj.join(FILE);
        let line = |one: &Workaround| match one {
            Workaround::HostWarning(name) => format!("tools/x.c:1:1: error: kept [-Werror={name}]\n"),
            Workaround::KernelWarning(name) => format!("kernel/x.c:1:1: error: kept [-Werror={name}]\n"),
            other => format!("{other:?}\n"),
        };
        let text: String = self.0.iter().map(line).collect();
        let done = match text.is_empty() {
            true => fs::remove_file(&path).or_else(|e| if e.kind() == ErrorKind::NotFound { Ok(()) } else { Err(e) }),
            false => fs::write(&path, text),
        };
        done.map_err(BuildError::io(BuildStep::Compile, &path))
    }

    /// Adds the workaround for a line of make's output, if one is known.
    pub(super) fn notice(&mut self, line: &str) {
        if self.0.len() < MAX_WARNINGS {
            self.0.extend(Workaround::of_line(line));
        }
    }

    /// Adds others. Says which are new, if any.
    pub(super) fn add(&mut self, others: &Self) -> Option<String> {
        let new: BTreeSet<_> = others.0.difference(&self.0).cloned().collect();
        if new.is_empty() || self.0.len() + new.len() > MAX_WARNINGS {
            return None;
        }
        let shown = Self(new.clone()).args();
        self.0.extend(new);
        Some(format!("the source is too old for these programs; make runs again with {}", shown.join(" ")))
    }

    /// The arguments of make.
    pub(in crate::kernel) fn args(&self) -> Vec<String> {
        let parts: BTreeSet<_> = self.0.iter().flat_map(Workaround::parts).collect();
        let variables: BTreeSet<&str> = parts.iter().map(|(variable, _)| *variable).collect();
        let arg = |variable: &str| {
            let own = if matches!(variable, "CC" | "HOSTCC") { "gcc" } else { "" };
            let words = parts.iter().filter(|(of, _)| *of == variable).map(|(_, word)| word.as_str());
            let words: Vec<&str> = [own].into_iter().filter(|own| !own.is_empty()).chain(words).collect();
            format!("{variable}={}", words.join(" "))
        };
        variables.into_iter().map(arg).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(lines: &[&str]) -> Workarounds {
        let mut found = Workarounds::default();
        lines.iter().for_each(|line| found.notice(line));
        found
    }

    #[test]
    fn known_failures_become_arguments_of_make() {
        for (line, args) in [
            (
                "kernel/bounds.c:1:0: error: code model kernel does not support PIC mode",
                "KAFLAGS=-fno-pie KCFLAGS=-fno-pie",
            ),
            (
                "/usr/bin/ld: dtc-parser.tab.o:(.bss+0x10): multiple definition of `yylloc'; dtc-lexer",
                "HOSTCC=gcc -fcommon",
            ),
            (
                "../include/linux/stddef.h:11:9: error: cannot use keyword 'false' as enumeration constant",
                "CC=gcc -std=gnu11",
            ),
            ("arch/x86/a.o: warning: objtool: missing symbol for section .text", "SKIP_STACK_VALIDATION=1"),
            (
                "subcmd-util.h:56:23: error: pointer may be used after 'realloc' [-Werror=use-after-free]",
                "HOSTCC=gcc -Wno-error=use-after-free",
            ),
            (
                "../net/core/x.c:5:1: error: 'strncpy' output truncated [-Werror=stringop-truncation]",
                "KCFLAGS=-Wno-error=stringop-truncation",
            ),
            ("net/x.c:1:1: error: implicit declaration of function 'x' [-Werror=implicit-function-declaration]", ""),
            ("net/x.c:1:1: error: expected ';' before '}' token", ""),
            ("net/x.c:1:1: error: x [-Werror=$(reboot)]", ""),
        ] {
            assert_eq!(of(&[line]).args().join(" "), args, "{line}");
        }
        let both =
            of(&["a.c:1:1: error: x [-Werror=a]", "b.c:1:1: error: x [-Werror=b]", "a.c:1:1: error: x [-Werror=a]"]);
        assert_eq!(both.args(), ["HOSTCC=gcc -Wno-error=a -Wno-error=b"]);
        let mut all = of(&["a.c:1:1: error: x [-Werror=a]"]);
        assert!(all.add(&both).is_some_and(|text| text.ends_with("HOSTCC=gcc -Wno-error=b")));
        assert_eq!((all.add(&both), all), (None, both));
    }

    #[test]
    fn next_build_starts_with_the_workarounds_of_the_last() {
        let obj = tempfile::tempdir().unwrap();
        let found = of(&[
            "kernel/bounds.c:1:0: error: code model kernel does not support PIC mode",
            "tools/a.c:1:1: error: x [-Werror=a]",
            "kernel/b.c:1:1: error: x [-Werror=b]",
        ]);
        found.keep(obj.path()).unwrap();
        assert_eq!(Workarounds::of_objects(obj.path()), found);
        Workarounds::default().keep(obj.path()).unwrap();
        assert_eq!(Workarounds::of_objects(obj.path()), Workarounds::default());
    }

    proptest! {
        #[test]
        fn argument_of_make_is_never_a_command(line in "(a\\.c|:1| error: |\\[-Werror=|\\]|[a-z-]|[$`;'()]|\\PC){0,12}") {
            for arg in of(&[&line]).args() {
                prop_assert!(arg.chars().all(|c| c.is_ascii_alphanumeric() || " _=+-".contains(c)), "{}", arg);
            }
        }
    }
}
