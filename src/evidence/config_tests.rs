use std::fs::File;
use std::time::Duration;

use super::*;
use crate::matrix::Bugs;
use crate::words::State;

const FULL: &str = "#\n# Automatically generated file; DO NOT EDIT.\n# Linux/x86 4.19.57 Kernel Configuration\n#\n";

fn cookies() -> Bug {
    let id = "syn-cookie-data-loss".parse().expect("a name");
    Bugs::built_in().get(&id).expect("a built-in bug").clone()
}

fn certain(text: &str) -> BuildConfig<'static> {
    let config = KernelConfig::parse(text.as_bytes()).expect("a configuration");
    BuildConfig { config: Cow::Owned(config), place: "its own".to_owned(), is_certain: true }
}

#[test]
fn options_not_set_differ_from_those_not_mentioned() {
    use Strength::{Strong, Weak};
    let not_set = "# CONFIG_SYN_COOKIES is not set\n";
    for (text, strength) in [
        (format!("{FULL}CONFIG_SYN_COOKIES=y\n"), None),
        (format!("{FULL}CONFIG_SYN_COOKIES=m\n"), None),
        (format!("{FULL}{not_set}"), Some(Strong)),
        (format!("{FULL}CONFIG_SYN_COOKIES=n\n"), Some(Strong)),
        // Its dependency is not set either, so the option is not mentioned.
        (format!("{FULL}# CONFIG_NET is not set\nCONFIG_HAS_IOMEM=y\n"), Some(Strong)),
        (format!("{FULL}# CONFIG_NET is not set\n"), Some(Weak)),
        (format!("{FULL}CONFIG_NET=y\n"), Some(Weak)),
        // A fragment, or the output of `make savedefconfig`: missing options have their defaults.
        ("CONFIG_NET=y\n".to_owned(), None),
        (format!("CONFIG_NET=y\n{not_set}"), Some(Strong)),
    ] {
        let finding = certain(&text).weigh(&cookies());
        assert_eq!(finding.as_ref().map(|finding| finding.strength), strength, "{text}");
        if let Some(finding) = finding {
            let is_firm = strength == Some(Strong);
            assert_eq!(finding.why.starts_with("CONFIG_SYN_COOKIES is not set in its own"), is_firm, "{}", finding.why);
            assert_eq!(finding.why.contains("was cut"), !is_firm, "{}", finding.why);
            assert_eq!((finding.witness, finding.states), (Witness::Config, StateSet::not_affected()));
        }
    }
    let anything = Bug { applies_if: Vec::new(), ..cookies() };
    assert_eq!(certain(&format!("{FULL}CONFIG_X=y\n")).weigh(&anything), None);
}

#[test]
fn only_what_speaks_of_the_source_is_tempered() {
    let finding =
        |witness, states: StateSet| Finding { states, strength: Strength::Strong, ..Finding::unknown(witness, "read") };
    let affected: StateSet = [State::Affected].into_iter().collect();
    let fixed: StateSet = [State::Fixed].into_iter().collect();
    let all = StateSet::all();
    for (strength, witness, said, states, left) in [
        (Strength::Strong, Witness::Git, affected, all, Strength::Weak),
        (Strength::Strong, Witness::Version, affected, all, Strength::Weak),
        (Strength::Strong, Witness::Git, fixed, fixed, Strength::Strong),
        (Strength::Strong, Witness::Binary, affected, affected, Strength::Strong),
        (Strength::Strong, Witness::Runtime, affected, affected, Strength::Strong),
        (Strength::Weak, Witness::Source, affected, affected, Strength::Weak),
        (Strength::Weak, Witness::Source, fixed, fixed, Strength::Strong),
        (Strength::Weak, Witness::Binary, affected, affected, Strength::Strong),
    ] {
        let compiled_out = Finding { strength, ..finding(Witness::Config, StateSet::not_affected()) };
        let mut findings = [finding(witness, said)];
        temper(&mut findings, &compiled_out);
        assert_eq!((findings[0].states, findings[0].strength), (states, left), "{strength:?} {witness}");
    }
}

#[test]
fn a_build_tree_s_configuration_is_its_image_s_until_somebody_changes_it() {
    let tree = tempfile::tempdir().expect("a folder");
    let path = |name: &str| tree.path().join(name);
    let write = |name: &str, text: &str, second: u64| {
        fs::create_dir_all(path(name).parent().expect("a folder")).expect("a folder");
        fs::write(path(name), text).expect("a file");
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + second);
        File::options().write(true).open(path(name)).expect("it").set_modified(time).expect("a time");
    };
    let without = format!("{FULL}CONFIG_NET=y\n# CONFIG_SYN_COOKIES is not set\n");
    let strength = || BuildConfig::of_tree(tree.path()).and_then(|config| config.weigh(&cookies())).map(|f| f.strength);
    assert_eq!(strength(), None);
    write(".config", &without, 1);
    assert_eq!(strength(), Some(Strength::Weak), "it is not built");
    write("include/config/auto.conf", "CONFIG_NET=y\n", 2);
    write("arch/x86/boot/bzImage", "an image", 3);
    assert_eq!(strength(), Some(Strength::Strong));
    let of_image = BuildConfig::beside(&path("arch/x86/boot/bzImage")).and_then(|config| config.weigh(&cookies()));
    assert_eq!(of_image.map(|finding| finding.strength), Some(Strength::Strong));
    write(".config", &without, 4);
    assert_eq!(strength(), Some(Strength::Weak), "it was changed after the build");
    write(".config", &without, 1);
    write("include/config/auto.conf", "CONFIG_NET=y\nCONFIG_SYN_COOKIES=y\n", 2);
    assert_eq!(strength(), Some(Strength::Weak), "the image was built with another one");
}

#[test]
fn what_lies_beside_an_image_is_found_by_its_name_and_is_a_hint() {
    let folder = tempfile::tempdir().expect("a folder");
    let image = folder.path().join("vmlinuz-6.1.0-18-amd64");
    assert_eq!(BuildConfig::beside(&image), None);
    let text = format!("{FULL}# CONFIG_SYN_COOKIES is not set\n");
    fs::write(folder.path().join("config-6.1.0-18-amd64"), &text).expect("a file");
    let finding = BuildConfig::beside(&image).and_then(|config| config.weigh(&cookies())).expect("a finding");
    assert_eq!(finding.strength, Strength::Weak);
    assert!(finding.why.contains("config-6.1.0-18-amd64, which may be another build's"), "{}", finding.why);
    assert_eq!(BuildConfig::beside(&folder.path().join("vmlinuz-6.1.0-19-amd64")), None);
    // A pipe, which would block, is not a configuration.
    nix::unistd::mkfifo(&folder.path().join(".config"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    assert_eq!(BuildConfig::beside(&folder.path().join("vmlinux")), None);
}

#[test]
fn the_running_kernel_s_own_word_goes_before_what_lies_in_boot() {
    let root = tempfile::tempdir().expect("a folder");
    let finding = |release: &str| BuildConfig::running_below(root.path(), release)?.weigh(&cookies());
    fs::create_dir(root.path().join("boot")).expect("a folder");
    let text = format!("{FULL}# CONFIG_SYN_COOKIES is not set\n");
    fs::write(root.path().join("boot/config-6.1.0"), &text).expect("a file");
    assert_eq!(finding("6.1.0").map(|finding| finding.strength), Some(Strength::Weak));
    assert_eq!(finding("6.1.1"), None);
    assert_eq!(finding("../boot/config-6.1.0"), None);
    fs::create_dir(root.path().join("proc")).expect("a folder");
    for (text, strength) in [(text, Some(Strength::Strong)), (format!("{FULL}CONFIG_SYN_COOKIES=y\n"), None)] {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut packed, text.as_bytes()).expect("memory");
        fs::write(root.path().join("proc/config.gz"), packed.finish().expect("memory")).expect("a file");
        assert_eq!(finding("6.1.0").map(|finding| finding.strength), strength);
    }
    // One that is cut off is none.
    let packed = fs::read(root.path().join("proc/config.gz")).expect("a file");
    fs::write(root.path().join("proc/config.gz"), &packed[..packed.len() / 2]).expect("a file");
    assert_eq!(finding("6.1.0").map(|finding| finding.strength), Some(Strength::Weak));
}
