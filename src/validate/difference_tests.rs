use super::*;
use crate::kernel::{self, Obtain, fixtures};
use crate::matrix::{Bugs, Source};
use crate::shim::Shim;

fn parts(config: &str, modules: &[&str], size: Option<u64>) -> KernelParts {
    let known = Bugs::built_in();
    let options: BTreeSet<&str> = known.iter().flat_map(options).collect();
    KernelParts {
        config: KernelConfig::parse(config.as_bytes()).ok().map(|config| has(&config, &options)),
        modules: (!modules.is_empty()).then(|| modules.iter().map(|name| (*name).to_owned()).collect()),
        functions: Ok(BTreeMap::from([("tcp_fragment".to_owned(), size)])),
    }
}

/// A whole configuration, as Kconfig writes it.
fn config(lines: &str) -> String {
    format!("# Automatically generated file; DO NOT EDIT.\n{lines}\nCONFIG_HAS_IOMEM=y\n# end of Kernel hacking\n")
}

#[test]
fn difference_names_what_a_known_bug_may_depend_on() {
    let known = Bugs::built_in();
    let bugs: Vec<&Bug> = known.iter().collect();
    let old = parts(&config("CONFIG_INET=y\nCONFIG_SYN_COOKIES=y\nCONFIG_DRM=y"), &["tun", "veth", "drm"], Some(900));
    let new = parts(&config("CONFIG_INET=y\n# CONFIG_SYN_COOKIES is not set"), &["tun"], Some(1000));
    let difference = Difference::between((&[], &old), (&[], &new), &bugs);
    let options: Vec<(&str, Option<bool>, Option<bool>)> =
        difference.config.iter().map(|one| (one.option.as_str(), one.baseline, one.candidate)).collect();
    assert_eq!(options, [("CONFIG_SYN_COOKIES", Some(true), Some(false))]);
    assert_eq!(difference.modules_gone, ["drm", "veth"]);
    let function = FunctionSize { function: "tcp_fragment".to_owned(), baseline: Some(900), candidate: Some(1000) };
    assert_eq!(difference.functions, [function]);
    assert!(!difference.is_empty() && difference.not_compared.is_empty());
    let same = Difference::between((&[], &old), (&[], &old), &bugs);
    assert!(same.is_empty(), "{same:?}");
}

#[test]
fn what_cannot_be_compared_is_said() {
    let known = Bugs::built_in();
    let bugs: Vec<&Bug> = known.iter().collect();
    let whole = parts(&config("CONFIG_INET=y"), &["tun"], Some(900));
    let bare = KernelParts { config: None, modules: None, functions: Err("it has no symbols".to_owned()) };
    for (old, new, whose) in [(&bare, &whole, "the baseline"), (&whole, &bare, "the candidate")] {
        let difference = Difference::between((&[], old), (&[], new), &bugs);
        assert!(difference.is_empty());
        assert_eq!(difference.not_compared.len(), 3);
        assert!(difference.not_compared.iter().all(|what| what.contains(whose)), "{difference:?}");
    }
}

#[test]
fn parts_of_a_package_are_read_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(Some(folder.path().join("cache"))).expect("a cache");
    let image = fixtures::bzimage("6.1.0-9-amd64");
    let deb = folder.path().join("linux-image.deb");
    std::fs::write(&deb, fixtures::deb(&fixtures::tar(&[("boot/vmlinuz-6.1.0-9-amd64", &image)]))).expect("a file");
    let shim = Shim::at("/nonexistent".into());
    let with = Obtain { store: &store, shim: &shim, offline: true, refresh: false, locked: None, tell: &|_| {} };
    let mut kernel = kernel::obtain(&Source::Deb(vec![deb]), &with).expect("a kernel");
    let known = Bugs::built_in();
    let bugs: Vec<&Bug> = known.iter().collect();
    let first = KernelParts::of(&kernel, &bugs, &store);
    kernel.image = folder.path().join("gone");
    assert_eq!(KernelParts::of(&kernel, &bugs, &store), first);
    // Other functions are looked for in the image.
    assert_ne!(KernelParts::of(&kernel, &[], &store), first);
}
