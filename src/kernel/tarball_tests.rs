use tar::EntryType;

use super::*;
use crate::kernel::compression::tests::compress;
use crate::kernel::fixtures::{bzimage, tar, tar_entry};

/// The paths that are handed over.
fn read_all(tarball: &[u8]) -> Result<Vec<String>, PackageError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), tarball).unwrap();
    let mut paths = Vec::new();
    let read = read(file.path(), tarball, &|_| Want::File, &mut |path, _| {
        paths.push(path);
        Ok(())
    });
    match read {
        Ok(()) => Ok(paths),
        Err(ArchiveReadError::Package(error)) => Err(error),
        Err(ArchiveReadError::Taker(error)) => panic!("{error}"),
    }
}

fn tree(top: &str) -> Vec<u8> {
    let image = bzimage("6.1.9");
    let at = |path: &str| format!("{top}{path}");
    tar(&[
        (&at("drivers/net/tun.ko"), b"module"),
        (&at("debian/tmp/lib/modules/6.1.9/kernel/tun.ko"), b"again"),
        (&at(".config"), b"CONFIG_TUN=m\n"),
        (&at("tools/.config"), b"other"),
        (&at("arch/x86/boot/bzImage"), &image),
        (&at("vmlinux.o"), b"object"),
        (&at("modules.builtin"), b"kernel/net/veth.ko\n"),
        (&at("include/config/kernel.release"), b"6.1.9\n"),
    ])
}

#[test]
fn build_tree_files_get_installed_names() {
    let expected = [
        "lib/modules/6.1.9/kernel/drivers/net/tun.ko",
        "boot/config-6.1.9",
        "boot/vmlinuz-6.1.9",
        "lib/modules/6.1.9/modules.builtin",
    ];
    // The fixture's setup header has no pointer to its version: kernel.release names the second one.
    for top in ["", "./", "linux-6.1.9/"] {
        for how in [Compression::None, Compression::Gzip, Compression::Xz, Compression::Zstd, Compression::Bzip2] {
            assert_eq!(read_all(&compress(how, &tree(top))).unwrap(), expected, "{top} {how:?}");
        }
    }
    let mut nameless = bzimage("x");
    nameless[0x20e..0x210].fill(0);
    let files = |release: &'static [u8]| {
        tar(&[("l/arch/x86/boot/bzImage", &nameless), ("l/include/config/kernel.release", release)])
    };
    assert_eq!(read_all(&files(b"5.2.1-dirty\n")).unwrap(), ["boot/vmlinuz-5.2.1-dirty"]);
    assert!(read_all(&files(b"no release")).unwrap_err().to_string().contains("does not say its release"));
}

#[test]
fn installed_files_keep_their_names() {
    let image = bzimage("6.1.9");
    for top in ["", "tar-install/"] {
        let at = |path: &str| format!("{top}{path}");
        let files = [
            (at("boot/System.map-6.1.9"), &b"map"[..]),
            (at("lib/modules/6.1.9/kernel/tun.ko"), b"module"),
            (at("boot/vmlinuz-6.1.9"), &image),
        ];
        let files: Vec<(&str, &[u8])> = files.iter().map(|(path, bytes)| (path.as_str(), *bytes)).collect();
        let expected = ["boot/System.map-6.1.9", "lib/modules/6.1.9/kernel/tun.ko", "boot/vmlinuz-6.1.9"];
        assert_eq!(read_all(&tar(&files)).unwrap(), expected, "{top}");
    }
}

#[test]
fn tarballs_without_a_kernel_or_hostile_are_rejected() {
    let source = tar(&[("linux/Makefile", b"VERSION = 6\n"), ("linux/arch/x86/boot/main.c", b"int")]);
    let deep = tar(&[("a/b/arch/x86/boot/bzImage", b"x")]);
    for (tarball, says) in [
        (source, "expected arch/x86/boot/bzImage"),
        (deep, "expected arch/x86/boot/bzImage"),
        (b"hello".to_vec(), "expected a tar archive"),
        (Vec::new(), "expected a tar archive"),
        (compress(Compression::Gzip, b"no archive"), "truncated or damaged"),
        (tar_entry("../arch/x86/boot/bzImage", EntryType::Regular, b"x"), "leaves its folder"),
        (tar_entry("arch/x86/boot/bzImage", EntryType::Symlink, b""), "a link instead of a file"),
        (tree("")[..1024].to_vec(), ""),
    ] {
        let error = read_all(&tarball).unwrap_err().to_string();
        assert!(error.contains(says), "{says}: {error}");
    }
    let whole = compress(Compression::Gzip, &tree(""));
    assert!(read_all(&whole[..whole.len() - 9]).is_err());
}
