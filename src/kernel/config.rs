//! A kernel's build configuration (.config, boot/config-*).

use std::collections::HashMap;

/// What a configuration says about one option.
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

/// A parsed configuration. Option names are given without their `CONFIG_`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelConfig {
    settings: HashMap<String, Setting>,
    /// Whether Kconfig wrote all of it: what is not mentioned is then not set, and has no default.
    is_whole: bool,
}

/// What Kconfig writes above a configuration, and not above a list of what differs from the defaults
/// (scripts/kconfig/confdata.c).
const HEADING: &[u8] = b"# Automatically generated";

/// Lines within which the heading stands.
const HEADING_WITHIN: usize = 10;

/// A text that has no `CONFIG_` line in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected lines like `CONFIG_NET=y`, and found none")]
pub struct NotAConfig;

impl KernelConfig {
    /// Reads a configuration in the format that Kconfig writes (Documentation/kbuild/kconfig.rst).
    /// Of an option that is set twice the last line counts, as it does for Kconfig.
    ///
    /// # Errors
    /// Where no line sets or unsets an option, so this is another kind of file.
    pub fn parse(text: &[u8]) -> Result<Self, NotAConfig> {
        let settings: HashMap<_, _> = text.split(|&b| b == b'\n').filter_map(setting).collect();
        let is_headed = text.split(|&b| b == b'\n').take(HEADING_WITHIN).any(|line| line.starts_with(HEADING));
        // Kconfig ends every line: a file that was cut within one has lost what stood behind it.
        let is_whole = is_headed && text.ends_with(b"\n");
        if settings.is_empty() { Err(NotAConfig) } else { Ok(Self { settings, is_whole }) }
    }

    /// What the configuration says about an option; `None` where it does not mention it.
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

    /// Whether the option is certainly not set: it says so, or it is whole and does not mention the option, which Kconfig
    /// leaves out where its dependencies are not met.
    pub fn lacks(&self, option: &str) -> bool {
        match self.get(option) {
            None => self.is_whole,
            Some(setting) => *setting == Setting::NotSet,
        }
    }

    /// Whether both have the same options built in and the same as modules.
    pub fn compiles_the_same(&self, other: &Self) -> bool {
        let compiles = |setting: &Setting| matches!(setting, Setting::BuiltIn | Setting::Module);
        let of = |config: &Self| config.settings.values().filter(|setting| compiles(setting)).count();
        let mut own = self.settings.iter().filter(|(_, setting)| compiles(setting));
        of(self) == of(other) && own.all(|(option, setting)| other.get(option) == Some(setting))
    }

    /// Whether the option is built in, a module, or has a value. Kconfig leaves options out whose dependencies are
    /// not met, so `false` covers both "not set" and "not mentioned".
    pub fn is_set(&self, option: &str) -> bool {
        !matches!(self.get(option), None | Some(Setting::NotSet))
    }
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
    fn cut_configuration_lacks_nothing_silently() {
        let text = b"#\n# Automatically generated file\n#\nCONFIG_NET=y\nCONFIG_TUN=m\n";
        assert!(KernelConfig::parse(text).unwrap().lacks("INET"));
        assert!(!KernelConfig::parse(&text[..text.len() - 1]).unwrap().lacks("INET"));
    }

    #[test]
    fn a_file_of_another_kind_is_no_configuration() {
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
