//! The configuration of a kernel to build, and the lines of it that Kconfig drops.

use std::collections::HashSet;

use crate::recipe::setting;

/// How Kconfig completes a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kernel) enum Goal {
    /// Everything that isn't named is off.
    AllNo,
    /// Everything that isn't named has its default.
    Old,
}

/// A configuration to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::kernel) struct ConfigOrder {
    /// Its lines.
    pub text: String,
    pub goal: Goal,
    /// Lines that the build requires.
    pub required: String,
    /// Lines that the source may lack.
    pub wished: String,
    /// What else its result depends on.
    pub depends: Option<String>,
}

/// Lines of `wanted` that `config` lacks: Kconfig silently drops lines that a dependency forbids.
pub(in crate::kernel) fn lost(wanted: &str, config: &str) -> Vec<String> {
    let set: HashSet<&str> = config.lines().filter(|line| line.starts_with("CONFIG_")).collect();
    let on: HashSet<&str> = set.iter().filter_map(|line| Some(setting(line)?.0)).collect();
    let stands = |line: &&str| match setting(line) {
        None => true,
        // Kconfig mentions a disabled option only if it could be enabled.
        Some((symbol, "n")) => !on.contains(symbol),
        Some(_) => set.contains(line),
    };
    wanted.lines().filter(|line| !stands(line)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dropped_or_changed_lines_are_listed() {
        let config = "#\n# Automatically generated\n#\nCONFIG_NET=y\nCONFIG_HZ=250\n# CONFIG_SMP is not set\n";
        for (wanted, expected) in [
            ("CONFIG_NET=y\nCONFIG_HZ=250\n# CONFIG_SMP is not set\n", &[][..]),
            ("# CONFIG_NOT_THERE_AT_ALL is not set\n# words\n", &[]),
            ("CONFIG_TUN=y\n", &["CONFIG_TUN=y"]),
            ("CONFIG_NET=m\n# CONFIG_NET is not set\n", &["CONFIG_NET=m", "# CONFIG_NET is not set"]),
            ("CONFIG_HZ=25\nCONFIG_SMP=y\n", &["CONFIG_HZ=25", "CONFIG_SMP=y"]),
        ] {
            assert_eq!(lost(wanted, config), expected, "{wanted}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_compared(wanted in "(CONFIG_A|=y|=n|# | is not set|\\n|\\PC){0,20}", config in "(CONFIG_A|=y|\\n|\\PC){0,20}") {
            let _ = lost(&wanted, &config);
            prop_assert!(lost(&config, &config).iter().all(|line| line.ends_with("=n") || line.starts_with('#')));
        }
    }
}
