use proptest::prelude::*;

use super::*;
use crate::kernel::fixtures::module;

/// A folder of modules: paths with their .modinfo, and the list of built-in ones.
fn folder(modules: &[(&str, &str)], builtin: Option<&str>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, modinfo) in modules {
        let file = folder.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let bytes = module(format!("license=GPL\0{modinfo}\0").as_bytes());
        let bytes = match file.extension().unwrap().to_str().unwrap() {
            "xz" => liblzma::encode_all(&bytes[..], 6).unwrap(),
            "zst" => zstd::encode_all(&bytes[..], 3).unwrap(),
            _ => bytes,
        };
        fs::write(file, bytes).unwrap();
    }
    if let Some(list) = builtin {
        fs::write(folder.path().join("modules.builtin"), list).unwrap();
    }
    folder
}

fn names(folder: &Path, wanted: &[&str], config: Option<&KernelConfig>) -> Result<Vec<String>, ModulesError> {
    let modules = Modules::in_folder(folder, None).unwrap();
    Ok(modules.load_order(wanted, config)?.into_iter().map(|m| m.name).collect())
}

#[test]
fn dependencies_come_first_and_once_in_every_compression() {
    let folder = folder(
        &[
            ("kernel/net/sch-netem.ko.xz", "depends=crc32-x,tun"),
            ("kernel/drivers/net/tun.ko", "depends=crc32_x"),
            ("kernel/lib/crc32-x.ko.zst", "depends=libcrc"),
        ],
        Some("kernel/lib/libcrc.ko\nkernel/drivers/net/veth.ko\n"),
    );
    let order = |wanted: &[&str]| names(folder.path(), wanted, None).unwrap();
    assert_eq!(order(&["sch_netem", "tun"]), ["crc32_x", "tun", "sch_netem"]);
    assert_eq!(order(&["tun"]), ["crc32_x", "tun"]);
    assert_eq!(order(&["veth", "libcrc"]), [""; 0]);
    let modules = Modules::in_folder(folder.path(), None).unwrap();
    assert_eq!(&modules.load_order(&["crc32-x"], None).unwrap()[0].bytes[..4], b"\x7fELF");
}

#[test]
fn soft_dependencies_are_loaded_if_they_are_there() {
    let folder = folder(
        &[
            ("net/sctp.ko", "depends=libcrc32c\0softdep=pre: hmac gone lame post: sctp-diag"),
            ("net/lame.ko", "depends=tun_of_another_package"),
            ("net/sctp_diag.ko", "depends=sctp"),
            ("lib/libcrc32c.ko.xz", "depends=\0softdep=pre: crc32c"),
            ("crypto/crc32c_generic.ko", "depends=\0alias=crypto-crc32c\0alias=crc32c"),
            ("arch/crc32c-intel.ko", "depends=\0alias=crc32c"),
            ("crypto/hmac_other.ko", "depends=\0alias=other"),
            ("fs/ext4.ko", "depends=\0softdep=pre: crypto-crc32c"),
            ("fs/btrfs.ko", "depends=\0softdep=pre: blake2b-256 pre: xxhash64"),
            ("crypto/blake2b_generic.ko", "depends=\0alias=blake2b-256"),
            ("crypto/xxhash_generic.ko", "depends=\0alias=crypto-xxhash64\0alias=xxhash64"),
            ("drivers/circle.ko", "depends=\0softdep=pre: circle post: circle"),
            ("drivers/odd.ko", "depends=\0softdep=hmac pre:\0softdep=post: "),
        ],
        None,
    );
    let order = |wanted: &[&str]| names(folder.path(), wanted, None).unwrap();
    assert_eq!(order(&["sctp"]), ["crc32c_generic", "libcrc32c", "sctp", "sctp_diag"]);
    assert_eq!(order(&["ext4"]), ["crc32c_generic", "ext4"]);
    assert_eq!(order(&["btrfs"]), ["blake2b_generic", "xxhash_generic", "btrfs"]);
    assert_eq!(order(&["circle", "odd"]), ["circle", "odd"]);
}

#[test]
fn requests_of_the_kernel_are_answered_by_names_and_aliases() {
    let folder = folder(
        &[
            ("net/rds.ko", "depends=core\0alias=net-pf-21"),
            ("net/core.ko.xz", "depends="),
            ("net/lame.ko", "depends=of_another_package\0alias=net-pf-40"),
            ("drivers/fb.ko.zst", "depends=\0alias=char-major-29-*\0alias=char-major-[29"),
            ("crypto/xts_intel.ko", "depends=\0alias=crypto-xts"),
            ("crypto/xts_generic.ko", "depends=\0alias=crypto-xts"),
            ("net/ip-set.ko", "depends="),
        ],
        Some("kernel/net/unix.ko\n"),
    );
    let modules = Modules::in_folder(folder.path(), None).unwrap();
    let order = |requested: &[&str]| {
        let requested: Vec<String> = requested.iter().map(|&name| name.to_owned()).collect();
        modules.on_request(&requested).into_iter().map(|module| module.name).collect::<Vec<_>>()
    };
    assert_eq!(order(&["net-pf-21", "net-pf-21-proto-1"]), ["core", "rds"]);
    assert_eq!(order(&["char-major-29-7", "ip_set"]), ["fb", "ip_set"]);
    assert_eq!(order(&["crypto-xts"]), ["xts_generic", "xts_intel"]);
    // The missing dependency spoils only its own module.
    assert_eq!(order(&["net-pf-40", "ip-set", "unix", "nothing", ""]), ["ip_set"]);
}

#[test]
fn circular_module_dependencies_end() {
    let folder = folder(&[("a.ko", "depends=b"), ("b.ko", "depends=a")], None);
    assert_eq!(names(folder.path(), &["a"], None).unwrap(), ["b", "a"]);
}

#[test]
fn missing_module_is_an_error_with_a_reason() {
    let config = |text: &str| KernelConfig::parse(text.as_bytes()).unwrap();
    let with = folder(&[("b.ko", "depends=tun")], Some(""));
    let absent = |result: Result<Vec<String>, ModulesError>| match result.unwrap_err() {
        ModulesError::Absent { name, why } => (name, why),
        other => panic!("{other}"),
    };
    let (name, why) = absent(names(with.path(), &["b"], None));
    assert!(name == "tun" && why.contains("neither in"), "{why}");
    let (_, why) = absent(names(with.path(), &["tun"], Some(&config("# CONFIG_TUN is not set\n"))));
    assert_eq!(why, "CONFIG_TUN is not set");
    let (_, why) = absent(names(with.path(), &["tun"], Some(&config("CONFIG_TUN=m\n"))));
    assert!(why.starts_with("CONFIG_TUN=m, but"), "{why}");
    assert_eq!(names(with.path(), &["tun"], Some(&config("CONFIG_TUN=y\n"))).unwrap(), [""; 0]);

    let none = Modules::default();
    assert!(none.load_order(&["tun"], None).unwrap().is_empty());
    assert!(none.load_order(&["tun"], Some(&config("CONFIG_TUN=y\n"))).unwrap().is_empty());
    assert!(none.load_order(&["tun"], Some(&config("CONFIG_TUN=m\n"))).is_err());
    assert!(none.load_order(&["tun"], Some(&config("CONFIG_NET=y\n"))).is_err());
}

#[test]
fn damaged_modules_differ_from_missing_ones() {
    let folder = folder(&[], None);
    for (file, bytes) in [("tun.ko", &b"text"[..]), ("tun.ko.xz", b"\xfd7zXZ\0\0\x04broken"), ("tun.ko.gz", b"")] {
        let path = folder.path().join(file);
        fs::write(&path, bytes).unwrap();
        let error = names(folder.path(), &["tun"], None).unwrap_err();
        assert!(!matches!(error, ModulesError::Absent { .. }), "{error}");
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn folder_of_the_release_is_chosen_and_no_link_followed() {
    let folder = folder(&[("lib/modules/6.1/tun.ko", "depends="), ("lib/modules/6.2/tun.ko", "depends=x")], None);
    std::os::unix::fs::symlink("/", folder.path().join("lib/modules/6.1/build")).unwrap();
    let modules = Modules::in_folder(folder.path(), Some("6.1")).unwrap();
    assert_eq!(modules.load_order(&["tun"], None).unwrap().len(), 1);
}

#[test]
fn build_tree_is_read_by_its_own_list() {
    let tree = folder(&[("drivers/net/tun.ko", "depends=")], Some("kernel/net/a.ko\n"));
    for list in ["drivers/net/tun.o\ndrivers/net/gone.o\n", "kernel/drivers/net/tun.ko\n"] {
        fs::write(tree.path().join("modules.order"), list).unwrap();
        let modules = Modules::in_tree(tree.path()).unwrap();
        assert_eq!(modules.load_order(&["tun", "a"], None).unwrap()[0].name, "tun");
        assert!(modules.load_order(&["gone"], None).is_err());
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0..600usize) {
        let _ = dependencies(&bytes);
        let mut module = module(b"depends=a,b\0");
        let at = at.min(module.len());
        let end = (at + bytes.len()).min(module.len());
        module.splice(at..end, bytes);
        let _ = dependencies(&module);
    }
}
