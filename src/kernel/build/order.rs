//! The configuration that a build asks for: the small one or a user's, with fragments on top.

use std::path::{Path, PathBuf};

use super::config::{ConfigOrder, Goal};
use super::error::BuildError;
use super::job::MAX_CONFIG;
use crate::kernel::config::{KernelConfig, Setting};
use crate::kernel::file_error::{self, FileError};
use crate::kernel::store::sha256_of_parts;
use crate::matrix::BuildSource;
use crate::recipe::{Recipes, join, setting};
use crate::regular;

/// Options that name files with a distribution's certificates, which only its packages have.
const CERTIFICATES: [&str; 2] = ["SYSTEM_TRUSTED_KEYS", "SYSTEM_REVOCATION_KEYS"];

/// The options by which other architectures' configurations show themselves.
const OTHER_ARCHITECTURES: [&str; 12] =
    ["ARM64", "ARM", "RISCV", "PPC64", "PPC", "S390", "MIPS", "LOONGARCH", "SPARC", "PARISC", "X86_32", "UML"];

/// Options that let a guest count entries of functions, and don't change other code. Probes need modules before 6.10.
const REACH_OPTIONS: [&str; 4] = ["CONFIG_MODULES", "CONFIG_KPROBES", "CONFIG_FTRACE", "CONFIG_KPROBE_EVENTS"];
/// What kernels before 4.12 call `CONFIG_KPROBE_EVENTS`.
const OLD_REACH_OPTION: &str = "CONFIG_KPROBE_EVENT";

/// A configuration to build with.
pub(super) struct BuildConfigOrder {
    pub order: ConfigOrder,
    /// The name of the folder of its objects. Builds of one family share them.
    pub family: String,
    /// Lines that differ from the user's configuration, because no certificate or module is at hand.
    pub adapted: Vec<String>,
    /// The user's files, for the lock: name, text.
    pub files: Vec<(PathBuf, Vec<u8>)>,
}

/// Joins the configuration, with fragments on top.
pub(super) fn order(build: &BuildSource) -> Result<BuildConfigOrder, BuildError> {
    let mut files = Vec::new();
    let small = Recipes::built_in().small_config();
    let needs: Vec<String> = build.needs.iter().map(|option| format!("{option}=y")).collect();
    let small = join(small.lines().chain(needs.iter().map(String::as_str)));
    let user = match &build.config {
        Some(path) => Some((path, read(path, &mut files)?)),
        None => None,
    };
    if let Some((path, (_, config))) = &user {
        require_x86(path, config)?;
    }
    let mut own = String::new();
    for fragment in &build.fragment {
        let (text, _) = read(fragment, &mut files)?;
        own.push_str(&text);
        own.push('\n');
    }
    let required = join(own.lines());
    let (order, family, adapted) = match user {
        None => {
            let reach: Vec<String> =
                REACH_OPTIONS.iter().chain([&OLD_REACH_OPTION]).map(|option| format!("{option}=y")).collect();
            let text = join(small.lines().chain(reach.iter().map(String::as_str)).chain(own.lines()));
            let wished = without(&small, &required);
            let order = ConfigOrder { text, goal: Goal::AllNo, required, wished, depends: None };
            (order, "small".to_owned(), Vec::new())
        }
        Some((path, (text, config))) => {
            let reach = REACH_OPTIONS.map(|option| format!("{option}=y"));
            let wanted = join(small.lines().chain(reach.iter().map(String::as_str)));
            let needs: Vec<String> =
                build.needs.iter().map(String::as_str).chain(REACH_OPTIONS).map(str::to_owned).collect();
            let adapted = adapted(&config, &wanted, &needs);
            let added = adapted.join("\n");
            let text = format!("{}\n{added}\n{required}", text.trim_end());
            let wished = without(&added, &required);
            let order = ConfigOrder { text, goal: Goal::Old, required, wished, depends: None };
            let name = sha256_of_parts(&[&path.display().to_string()]);
            (order, name.get(..12).unwrap_or_default().to_owned(), adapted)
        }
    };
    Ok(BuildConfigOrder { order, family, adapted, files })
}

/// A file of a configuration.
fn read(path: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) -> Result<(String, KernelConfig), BuildError> {
    file_error::check("the configuration", path)?;
    let bytes = regular::read(path, MAX_CONFIG).map_err(|error| FileError::io("read", path, error))?;
    let config =
        KernelConfig::parse(&bytes).map_err(|source| BuildError::NotAConfig { path: path.to_owned(), source })?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    files.push((path.to_owned(), bytes));
    Ok((text, config))
}

fn require_x86(path: &Path, config: &KernelConfig) -> Result<(), BuildError> {
    if config.is_builtin("X86_64") {
        return Ok(());
    }
    let found = match OTHER_ARCHITECTURES.into_iter().find(|arch| config.is_builtin(arch)) {
        Some(arch) => format!("`CONFIG_{arch}=y`"),
        None => "no architecture".to_owned(),
    };
    Err(BuildError::OtherArch { path: path.to_owned(), found })
}

/// The lines to add to a distribution's configuration: what the guest needs is built in, because modules are not built;
/// and certificates are left out.
fn adapted(config: &KernelConfig, small: &str, needs: &[String]) -> Vec<String> {
    let is_needed = |symbol: &str| needs.iter().any(|option| option.strip_prefix("CONFIG_") == Some(symbol));
    let lacks = |symbol: &str| config.is_module(symbol) || is_needed(symbol) && !config.is_builtin(symbol);
    let needed = small.lines().filter_map(setting).filter(|(symbol, value)| *value == "y" && lacks(symbol));
    let needed = needed.map(|(symbol, value)| format!("CONFIG_{symbol}={value}"));
    let has = |symbol: &&str| matches!(config.get(symbol), Some(Setting::Value(text)) if !text.is_empty());
    let certificates = CERTIFICATES.into_iter().filter(has).map(|symbol| format!("CONFIG_{symbol}=\"\""));
    needed.chain(certificates).collect()
}

/// The lines of a configuration whose options the other one doesn't set.
fn without(lines: &str, other: &str) -> String {
    let set: Vec<&str> = other.lines().filter_map(|line| Some(setting(line)?.0)).collect();
    let is_left = |line: &&str| setting(line).is_some_and(|(symbol, _)| !set.contains(&symbol));
    lines.lines().filter(is_left).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::kernel::error_class::Blame;
    use crate::matrix::BuildOrigin;

    fn of(config: Option<PathBuf>, fragment: Vec<PathBuf>) -> BuildSource {
        BuildSource { config, fragment, ..BuildSource::plain(BuildOrigin::Tree("linux".into())) }
    }

    fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn fragment_overrides_the_small_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let fragment = file(&folder, "f", "# words\nCONFIG_SMP=y\nCONFIG_FOO=y\n");
        let made = order(&of(None, vec![fragment])).unwrap();
        let ConfigOrder { text, required, wished, goal, .. } = made.order;
        assert!(text.contains("CONFIG_SMP=y\n") && !text.contains("# CONFIG_SMP is not set"), "{text}");
        assert_eq!((required.as_str(), goal), ("CONFIG_SMP=y\nCONFIG_FOO=y\n", Goal::AllNo));
        assert!(wished.contains("CONFIG_TUN=y\n") && !wished.contains("CONFIG_SMP"), "{wished}");
        assert!(text.contains("CONFIG_KPROBE_EVENT=y\n") && !wished.contains("KPROBE"), "no source has both names");
        assert_eq!((made.family.as_str(), made.files.len()), ("small", 1));
    }

    #[test]
    fn configuration_of_a_distribution_gets_what_the_guest_needs() {
        let folder = tempfile::tempdir().unwrap();
        let text = "CONFIG_X86_64=y\nCONFIG_TUN=m\nCONFIG_VETH=y\nCONFIG_SYSTEM_TRUSTED_KEYS=\"debian/x.pem\"\nCONFIG_E1000=m\n";
        let base = file(&folder, "config", text);
        let fragment = file(&folder, "f", "CONFIG_E1000=y\n");
        let needs = ["CONFIG_VETH", "CONFIG_ODD"].map(str::to_owned).to_vec();
        let made = order(&BuildSource { needs, ..of(Some(base), vec![fragment]) }).unwrap();
        let probes = ["CONFIG_MODULES=y", "CONFIG_KPROBES=y", "CONFIG_FTRACE=y", "CONFIG_KPROBE_EVENTS=y"];
        let adapted = [&["CONFIG_TUN=y", "CONFIG_ODD=y"], &probes[..], &["CONFIG_SYSTEM_TRUSTED_KEYS=\"\""]].concat();
        assert_eq!(made.adapted, adapted);
        let added = format!("{}\nCONFIG_E1000=y\n", adapted.join("\n"));
        assert_eq!((made.order.text, made.order.goal), (format!("{text}{added}"), Goal::Old));
        assert_ne!(made.family, "small");
    }

    #[test]
    fn unusable_configuration_is_the_users_fault() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text, said) in [
            ("arm", "CONFIG_ARM64=y\nCONFIG_NET=y\n", "found `CONFIG_ARM64=y`"),
            ("none", "CONFIG_NET=y\n", "found no architecture"),
            ("words", "hello\n", "expected lines like"),
        ] {
            let error = order(&of(Some(file(&folder, name, text)), Vec::new())).map(|_| ()).unwrap_err();
            assert!(error.to_string().contains(said) && error.blame() == Blame::User, "{error}");
        }
        let error = order(&of(Some(folder.path().join("missing")), Vec::new())).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("does not exist") && error.blame() == Blame::User, "{error}");
        let error = order(&of(None, vec![file(&folder, "fragment", "TUN\n")])).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("cannot use the configuration"), "{error}");
    }
}
