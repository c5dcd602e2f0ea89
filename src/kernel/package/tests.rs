use super::super::fixtures;
use super::*;

#[test]
fn package_paths_needed_for_a_boot_are_recognised() {
    for (path, expected) in [
        ("boot/vmlinuz-6.1.0-56-cloud-amd64", Some(Kind::Image)),
        ("lib/modules/6.1.0/vmlinuz", Some(Kind::Image)),
        ("boot/config-6.1.0", Some(Kind::Config)),
        ("usr/lib/modules/6.12/config", Some(Kind::Config)),
        ("lib/modules/6.1.0/modules.builtin", Some(Kind::Modules)),
        ("lib/modules/6.1.0/kernel/drivers/net/tun.ko", Some(Kind::Modules)),
        ("usr/lib/modules/6.12/kernel/drivers/net/tun.ko.xz", Some(Kind::Modules)),
        ("boot/System.map-6.1.0", None),
        ("boot/grub/vmlinuz-1", None),
        ("lib/modules/6.1.0/modules.builtin.modinfo", None),
        ("usr/share/doc/tun.ko", None),
        ("usr/share/doc/linux-image-6.1.0/changelog.gz", Some(Kind::Changelog)),
        ("usr/share/doc/linux-image-6.1.0/changelog.Debian.gz", Some(Kind::Changelog)),
        ("usr/share/doc/linux-image-6.1.0/x/changelog.gz", None),
        ("usr/share/doc/changelog.gz", None),
        ("usr/lib/debug/lib/modules/6.1.0/vmlinux", None),
    ] {
        assert_eq!(kind(path), expected, "{path}");
    }
}

#[test]
fn damaged_package_record_is_ignored_and_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(Some(folder.path().join("cache"))).unwrap();
    let files =
        [("./boot/vmlinuz-6.1.92", &fixtures::bzimage("6.1.92")[..]), ("./boot/config-6.1.92", b"CONFIG_TUN=m\n")];
    let path = folder.path().join("linux.deb");
    std::fs::write(&path, fixtures::deb(&fixtures::tar(&files))).unwrap();
    let sha256 = store::hex(Sha256::new_with_prefix(std::fs::read(&path).unwrap()));
    let whole = UnpackedPackage::unpack(&store, &path, &sha256).unwrap();
    let record = store.path(&record(&sha256));
    let good = std::fs::read(&record).unwrap();
    assert_eq!(UnpackedPackage::recorded(&store, &sha256), Some(whole.clone()));
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        std::fs::write(&record, &bad).unwrap();
        assert_eq!(UnpackedPackage::recorded(&store, &sha256), None, "byte {at}");
    }
    assert_eq!(UnpackedPackage::unpack(&store, &path, &sha256).unwrap(), whole, "and it is made again");
    assert_eq!(UnpackedPackage::recorded(&store, &sha256), Some(whole));
}
