//! Vendors that are known to build on full stable releases of kernel.org. Their kernels have all patches of their base,
//! and may have more, so patches that the base lacks stay open.

use super::release::{Release, Vendor};
use crate::matrix::ReleaseLine;

/// Vendors by key, each with the document that says that their kernels contain the release that they are named after.
const KNOWN: [(&str, &str); 29] = [
    ("amazon", "Amazon Linux's kernel changelogs and release notes: each is a rebase to a stable release"),
    ("fedora", "Fedora's kernel.spec: kernel.org's linux-%{version} with patches"),
    ("arch", "Arch's PKGBUILDs of linux, linux-lts, linux-zen and linux-hardened; Alpine's APKBUILD of linux-lts"),
    ("alpine", "Alpine's APKBUILD of linux-lts: kernel.org's tarball and its patch of the stable release"),
    ("manjaro", "Manjaro's PKGBUILDs: kernel.org's tarball and its patch of the stable release"),
    ("gentoo", "Gentoo's genpatches: its base tarball has every patch of the stable release"),
    ("void", "Void's templates of linux: kernel.org's tarball and its patch of the stable release"),
    ("slackware", "Slackware's kernel.SlackBuild: kernel.org's tarball"),
    ("mageia", "Mageia's kernel.spec: kernel.org's tarball and its patch of the stable release"),
    ("nixos", "nixpkgs' pkgs/os-specific/linux/kernel: kernel.org's tarball of the release"),
    ("photon", "Photon's SPECS/linux/linux.spec: kernel.org's linux-%{version} with patches"),
    ("flatcar", "Flatcar's release notes and coreos-sources ebuilds: kernel.org's release with patches"),
    ("google-cos", "Container-Optimized OS' release notes: each names the stable release that it merges"),
    ("plus", "scripts/setlocalversion: `+` is a tree with commits after that release's"),
    ("wsl", "Microsoft's WSL2-Linux-Kernel, branches linux-msft-wsl-*.y: each merges a tag of the stable line"),
    ("azure-linux", "Azure Linux' SPECS/kernel/kernel.spec: its source merges a tag of the stable line"),
    ("raspberry-pi", "Raspberry Pi's linux, branches rpi-*.y: each merges the stable line"),
    ("elrepo", "ELRepo's kernel-ml and kernel-lt specs: kernel.org's tarball of the release"),
    ("linuxkit", "LinuxKit's docs/kernels.md: the latest stable releases, with additional patches"),
    ("unraid", "Unraid's release notes: each names the kernel.org release that it is built from"),
    ("cip", "the Civil Infrastructure Platform's linux-*.y-cip: each merges the stable line"),
    ("xanmod", "XanMod's linux, branches *: each starts from a tag of the stable line"),
    ("liquorix", "Liquorix' linux-liquorix: kernel.org's tarball of the release with patches"),
    ("kali", "Kali's linux: Debian's source package, which is the release that its version names, with patches"),
    ("parrot", "Parrot's linux: Debian's source package, which is the release that its version names, with patches"),
    (
        "debian",
        "Debian Kernel Handbook: the source package is the kernel.org release that its version names, with patches",
    ),
    ("ubuntu", UBUNTU),
    ("ubuntu-derivative", UBUNTU),
    (TUMBLEWEED, "openSUSE's kernel-source, branch stable: patches.kernel.org has every patch of the stable release"),
];

/// The base is not in the name, but in /proc/version_signature and after the version in the boot messages.
const UBUNTU: &str =
    "Ubuntu's wiki, Kernel/FAQ: version_signature names the stable release that the kernel is updated to";

/// Tumbleweed's kernels are named like SUSE's others, which stay on one release and take single patches.
const TUMBLEWEED: &str = "suse";

/// The lines of SUSE's other kernels: SUSE Linux Enterprise and Leap.
const SUSE_STAYS_ON: [(u16, u16); 12] =
    [(2, 6), (3, 0), (3, 12), (3, 16), (4, 1), (4, 4), (4, 12), (5, 3), (5, 14), (6, 4), (6, 11), (6, 12)];

/// The document that says that this kernel's vendor takes full releases, if any.
pub(super) fn source(release: &Release) -> Option<&'static str> {
    let key = release.vendor.key();
    let is_rolling = release.vendor != Vendor::Suse || !stays_on(release.base.line());
    KNOWN.iter().find(|(known, _)| *known == key && is_rolling).map(|(_, source)| *source)
}

fn stays_on(line: ReleaseLine) -> bool {
    let [version, minor, _] = line.numbers();
    SUSE_STAYS_ON.contains(&(version, minor))
}
