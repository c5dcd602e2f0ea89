//! A kernel's build configuration (.config, boot/config-*).

use std::collections::HashMap;

/// A configuration's statement about one option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// `CONFIG_X=y`
    BuiltIn,
    /// `CONFIG_X=m`
    Module,
    /// `CONFIG_X=value`: a number, or a text without its quotes.
    Value(String),
    /// `# CONFIG_X is not set`
    NotSet,
}

/// A parsed configuration. Option names lack their `CONFIG_`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelConfig {
    settings: HashMap<String, Setting>,
    extent: Extent,
}

/// The completeness of a configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Extent {
    /// It only lists differences from the defaults, so a missing option may have any value.
    #[default]
    Fragment,
    /// Kconfig wrote it, but its end may be missing.
    Beginning,
    /// Kconfig wrote it, up to its last menus.
    Whole,
}

/// The certainty that an option is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unset {
    /// The option is missing from a configuration that may be truncated.
    Unmentioned,
    /// The configuration says so, or is whole and lacks the option.
    Proven,
}

/// Kconfig writes this above a configuration, but not above a list of differences (scripts/kconfig/confdata.c).
const HEADING: &[u8] = b"# Automatically generated";

/// The heading is within the first lines.
const HEADING_WITHIN: usize = 10;

/// An option that every x86 kernel sets, in the last menus of all versions since 2.6.22 (lib/Kconfig; since 4.20 only
/// the menu of kernel hacking follows).
const LATE_OPTION: &str = "HAS_IOMEM";

/// Since 5.1, Kconfig ends each menu with such a line; and the last one.
const MENU_END: &[u8] = b"# end of ";
const LAST_MENU_END: &[u8] = b"# end of Kernel hacking";

/// A text without `CONFIG_` lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected lines like `CONFIG_NET=y`, and found none")]
pub struct NotAConfig;

impl KernelConfig {
    /// Reads a configuration in the format that Kconfig writes (Documentation/kbuild/kconfig.rst).
    /// If an option is set twice, the last line counts, as for Kconfig.
    ///
    /// # Errors
    /// If no line sets or unsets an option, because this is another kind of file.
    pub fn parse(text: &[u8]) -> Result<Self, NotAConfig> {
        let settings: HashMap<_, _> = text.split(|&b| b == b'\n').filter_map(setting).collect();
        let extent = extent(text, &settings);
        if settings.is_empty() { Err(NotAConfig) } else { Ok(Self { settings, extent }) }
    }

    /// The value of an option; `None` if the configuration lacks it.
    pub fn get(&self, option: &str) -> Option<&Setting> {
        self.settings.get(option)
    }

    /// Whether the option is compiled into the image.
    pub fn is_builtin(&self, option: &str) -> bool {
        self.get(option) == Some(&Setting::BuiltIn)
    }

    /// Whether the option is a module.
    pub fn is_module(&self, option: &str) -> bool {
        self.get(option) == Some(&Setting::Module)
    }

    /// The certainty that the option is not set, if any. An option is missing if its dependencies are
    /// not met, but also if the file is truncated.
    pub fn unset(&self, option: &str) -> Option<Unset> {
        match (self.get(option), self.extent) {
            (Some(Setting::NotSet), _) | (None, Extent::Whole) => Some(Unset::Proven),
            (None, Extent::Beginning) => Some(Unset::Unmentioned),
            (None, Extent::Fragment) | (Some(_), _) => None,
        }
    }

    /// Whether both have the same options built in and the same as modules.
    pub fn compiles_the_same(&self, other: &Self) -> bool {
        let compiles = |setting: &Setting| matches!(setting, Setting::BuiltIn | Setting::Module);
        let of = |config: &Self| config.settings.values().filter(|setting| compiles(setting)).count();
        let mut own = self.settings.iter().filter(|(_, setting)| compiles(setting));
        of(self) == of(other) && own.all(|(option, setting)| other.get(option) == Some(setting))
    }

    /// Whether the option is built in, a module, or has a value. Kconfig leaves out options whose dependencies are not
    /// met, so `false` means "not set" or "missing".
    pub fn is_set(&self, option: &str) -> bool {
        !matches!(self.get(option), None | Some(Setting::NotSet))
    }
}

/// The extent of a text with these settings.
fn extent(text: &[u8], settings: &HashMap<String, Setting>) -> Extent {
    let lines = || text.split(|&b| b == b'\n');
    if !lines().take(HEADING_WITHIN).any(|line| line.starts_with(HEADING)) {
        return Extent::Fragment;
    }
    let has_menu_ends = lines().any(|line| line.starts_with(MENU_END));
    let last = text.trim_ascii_end();
    let ends_with_last_menu = last.rsplit(|&b| b == b'\n').next() == Some(LAST_MENU_END);
    // Kconfig ends every line, so a file that ends within a line is truncated.
    let is_whole = text.ends_with(b"\n")
        && settings.get(LATE_OPTION) == Some(&Setting::BuiltIn)
        && (ends_with_last_menu || !has_menu_ends);
    if is_whole { Extent::Whole } else { Extent::Beginning }
}

fn setting(line: &[u8]) -> Option<(String, Setting)> {
    let line = std::str::from_utf8(line).ok()?.trim_end();
    if let Some(rest) = line.strip_prefix("# CONFIG_") {
        return Some((name(rest.strip_suffix(" is not set")?)?, Setting::NotSet));
    }
    let (option, value) = line.strip_prefix("CONFIG_")?.split_once('=')?;
    let setting = match value {
        "y" => Setting::BuiltIn,
        "m" => Setting::Module,
        "n" => Setting::NotSet,
        text => Setting::Value(
            text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text).replace("\\\"", "\""),
        ),
    };
    Some((name(option)?, setting))
}

fn name(text: &str) -> Option<String> {
    let good = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    good.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_form_that_kconfig_writes_is_understood() {
        let text = b"#\n# Automatically generated file\n#\nCONFIG_NET=y\nCONFIG_TUN=m\n# CONFIG_VETH is not set\n\
            CONFIG_HZ=250\nCONFIG_LOCALVERSION=\"-a\\\"b\"\nCONFIG_EMPTY=\"\"\nCONFIG_OFF=n\n\xff\xfe\n";
        let config = KernelConfig::parse(text).unwrap();
        for (option, expected) in [
            ("NET", Some(Setting::BuiltIn)),
            ("TUN", Some(Setting::Module)),
            ("VETH", Some(Setting::NotSet)),
            ("HZ", Some(Setting::Value("250".into()))),
            ("LOCALVERSION", Some(Setting::Value("-a\"b".into()))),
            ("EMPTY", Some(Setting::Value(String::new()))),
            ("OFF", Some(Setting::NotSet)),
            ("NETLINK", None),
        ] {
            assert_eq!(config.get(option), expected.as_ref(), "{option}");
        }
        assert!(config.is_builtin("NET") && config.is_set("NET") && !config.is_module("NET"));
        assert!(config.is_module("TUN") && config.is_set("TUN"));
        assert!(!config.is_set("VETH") && !config.is_set("NETLINK"));
    }

    #[test]
    fn cut_configuration_proves_no_absence() {
        let heading = "#\n# Automatically generated file\n#\n# General setup\nCONFIG_NET=y\n";
        let old = format!("{heading}CONFIG_HAS_IOMEM=y\nCONFIG_HAS_DMA=y\n");
        let new = format!(
            "{heading}# end of General setup\nCONFIG_HAS_IOMEM=y\n# end of Library routines\nCONFIG_X=y\n# end of Kernel hacking\n"
        );
        for text in [&old, &new] {
            let unset = |cut: usize| KernelConfig::parse(&text.as_bytes()[..cut]).unwrap().unset("INET");
            assert_eq!(unset(text.len()), Some(Unset::Proven));
            assert_eq!(unset(text.len() - 1), Some(Unset::Unmentioned), "within a line");
            let late = text.find("CONFIG_HAS_IOMEM").unwrap();
            for cut in (heading.len()..late).filter(|&cut| text.as_bytes()[cut - 1] == b'\n') {
                assert_eq!(unset(cut), Some(Unset::Unmentioned), "{cut}");
            }
        }
        let last_menu = new.find("# end of Kernel hacking").unwrap();
        let cut = KernelConfig::parse(&new.as_bytes()[..last_menu]).unwrap();
        assert_eq!(cut.unset("INET"), Some(Unset::Unmentioned));
        let fragment = KernelConfig::parse(b"CONFIG_NET=y\nCONFIG_HAS_IOMEM=y\n# CONFIG_TUN is not set\n").unwrap();
        assert_eq!((fragment.unset("INET"), fragment.unset("TUN")), (None, Some(Unset::Proven)));
    }

    #[test]
    fn other_files_are_not_a_configuration() {
        for other in [&b""[..], b"hello\nworld\n", b"CONFIG\n", b"\x7fELF\x00\x00", b"#CONFIG_X=y\n"] {
            assert_eq!(KernelConfig::parse(other), Err(NotAConfig));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(text in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let _ = KernelConfig::parse(&text);
        }
    }
}
