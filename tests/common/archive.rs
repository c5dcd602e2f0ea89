//! A Debian archive in a folder, as a mirror for apt: packages made by dpkg-deb, with kernels of a few bytes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use super::tiny_kernel::{Act, image};

/// The archive's package.
pub const PACKAGE: &str = "linux-image-test";

/// An archive, and an apt configuration with no other archive.
pub struct Archive {
    root: PathBuf,
    /// The number of times that it has published something.
    published: AtomicU64,
}

impl Archive {
    /// In this folder, serving nothing yet.
    pub fn new(root: &Path) -> Self {
        let archive = Self { root: root.to_owned(), published: AtomicU64::new(0) };
        archive.write("etc/sources.list", &format!("deb [trusted=yes] copy:{}/mirror sid main\n", root.display()));
        let etc = root.join("etc");
        fs::create_dir_all(etc.join("parts")).expect("a folder");
        let conf = format!(
            "Dir \"/\";\nDir::Etc \"{}\";\nDir::Etc::sourcelist \"sources.list\";\nDir::Etc::sourceparts \"parts\";\n",
            etc.display()
        );
        archive.write("apt.conf", &conf);
        archive
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.root.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, content).expect("a file");
    }

    /// The value for `APT_CONFIG`.
    pub fn configuration(&self) -> PathBuf {
        self.root.join("apt.conf")
    }

    /// The mirror's folder.
    pub fn mirror(&self) -> PathBuf {
        self.root.join("mirror")
    }

    /// A package of this version, whose image says so: its file, and the sha256 of the image.
    pub fn package(&self, version: &str) -> (PathBuf, String) {
        let tree = self.root.join("tree");
        let _ = fs::remove_dir_all(&tree);
        let kernel = image(&[Act::Console(format!("version {version}")), Act::Reset]);
        let control = format!(
            "Package: {PACKAGE}\nVersion: {version}\nArchitecture: amd64\nMaintainer: x <x@example.org>\nDescription: x\n"
        );
        self.write("tree/DEBIAN/control", &control);
        self.write("tree/boot/config-6.1.0", "# Linux/x86 6.1.0 Kernel Configuration\nCONFIG_64BIT=y\n");
        fs::write(tree.join("boot/vmlinuz-6.1.0"), &kernel).expect("a file");
        let deb = self.root.join(format!("{PACKAGE}_{version}.deb"));
        let mut build = Command::new("dpkg-deb");
        build.args(["--root-owner-group", "-Znone", "--build"]).arg(&tree).arg(&deb);
        assert!(build.output().expect("dpkg-deb").status.success());
        (deb, sha256(&tree.join("boot/vmlinuz-6.1.0")))
    }

    /// Serves only this version. Returns the sha256 of its image.
    pub fn publish(&self, version: &str) -> String {
        let (deb, image) = self.package(version);
        let _ = fs::remove_dir_all(self.mirror());
        let pool = format!("pool/{PACKAGE}_{version}.deb");
        let target = self.mirror().join(&pool);
        fs::create_dir_all(target.parent().expect("a parent")).expect("a folder");
        fs::copy(&deb, &target).expect("a copy");
        let size = fs::metadata(&deb).expect("a file").len();
        let packages = format!(
            "Package: {PACKAGE}\nVersion: {version}\nArchitecture: amd64\nFilename: {pool}\nSize: {size}\nSHA256: {}\n\n",
            sha256(&deb)
        );
        self.write("mirror/dists/sid/main/binary-amd64/Packages", &packages);
        let list = self.mirror().join("dists/sid/main/binary-amd64/Packages");
        let (sum, length) = (sha256(&list), packages.len());
        let release = format!(
            "Suite: sid\nCodename: sid\nArchitectures: amd64\nComponents: main\nDate: Wed, 25 Nov 2026 21:00:00 UTC\nSHA256:\n \
             {sum} {length} main/binary-amd64/Packages\n"
        );
        self.write("mirror/dists/sid/Release", &release);
        // apt takes an index from the same second for the one that it has, and two may be made within a second.
        let minutes = self.published.fetch_add(1, Ordering::Relaxed);
        let when = UNIX_EPOCH + Duration::from_secs(1_700_000_000 + 60 * minutes);
        for file in [&self.mirror().join("dists/sid/Release"), &list] {
            let file = fs::File::options().write(true).open(file).expect("a file");
            file.set_modified(when).expect("a time");
        }
        image
    }
}

fn sha256(file: &Path) -> String {
    let output = Command::new("sha256sum").arg(file).output().expect("sha256sum");
    String::from_utf8_lossy(&output.stdout).split(' ').next().expect("a sum").to_owned()
}
