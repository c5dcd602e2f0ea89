//! The words by which kernels' names show whose they are.

use super::release::Vendor;

/// Flavours of Ubuntu's main source package `linux`, which share its numbers: debian.master/control.d/.
const UBUNTU: [&str; 6] = ["generic", "lowlatency", "virtual", "server", "snapdragon", "powerpc64"];

/// First words of the flavours of Ubuntu's other source packages (`linux-aws`, …), which have their own numbers.
const UBUNTU_DERIVATIVES: [&str; 25] = [
    "aws",
    "azure",
    "gcp",
    "oracle",
    "kvm",
    "gke",
    "gkeop",
    "ibm",
    "raspi",
    "raspi2",
    "oem",
    "euclid",
    "fips",
    "nvidia",
    "intel",
    "xilinx",
    "realtime",
    "bluefield",
    "dell300x",
    "hwe",
    "laptop",
    "lowlatency-hwe",
    "riscv",
    "starfive",
    "allwinner",
];

/// Words behind the first of a flavour of Ubuntu's. Others are somebody's own: `generic-mybuild`.
const UBUNTU_SUFFIXES: [&str; 31] = [
    "lpae",
    "64k",
    "16k",
    "pae",
    "hwe",
    "edge",
    "fips",
    "fde",
    "unsigned",
    "dbgsym",
    "iotg",
    "osp",
    "tegra",
    "igx",
    "rt",
    "realtime",
    "nolpae",
    "smp",
    "emb",
    "e500mc",
    "lowlatency",
    "nvidia",
    "cvm",
    "snapdragon",
    "lts",
    "xenial",
    "trusty",
    "common",
    "intel",
    "wip",
    "cloud",
];

/// Flavours of SUSE's kernels: rpm/ and config/ of its kernel-source. The first two are built from the same sources
/// under the same numbers; the others have numbers or patches of their own.
const SUSE: [&str; 14] = [
    "default", "debug", "azure", "rt", "rt_debug", "preempt", "vanilla", "xen", "desktop", "kvmsmall", "64kb", "pae",
    "longterm", "coco",
];

/// What Raspberry Pi's own kernels are called behind the release; they are built of commits after a tag, hence the `+`. A
/// `-v8` with anything else behind it is somebody's own.
const RASPBERRY_PI: [&str; 5] = ["v6+", "v7+", "v7l+", "v8+", "v8-16k+"];

/// Microsoft's emulation of Linux (`4.4.0-19041-Microsoft`), in which no line of the kernel runs. WSL 2 has a real kernel,
/// whose name has no capital.
pub(super) const WSL1: Vendor = Vendor::Other("wsl1", "Microsoft's WSL 1");

/// Words that show another vendor: how the word begins, whether only a number may follow, the vendor's key and name.
const OTHERS: [(&str, bool, &str, &str); 52] = [
    ("android", true, "android", "Android"),
    ("perf", true, "android", "Android"),
    ("ab", true, "android", "Android"),
    ("qgki", true, "android", "Android"),
    ("lineageos", false, "android", "Android"),
    ("rpt", true, "raspberry-pi", "Raspberry Pi"),
    ("rpi", false, "raspberry-pi", "Raspberry Pi"),
    ("raspi", false, "raspberry-pi", "Raspberry Pi"),
    ("arch", true, "arch", "Arch Linux"),
    ("zen", true, "arch", "Arch Linux"),
    ("hardened", true, "arch", "Arch Linux"),
    ("lts", true, "arch", "Arch Linux or Alpine"),
    ("virt", true, "alpine", "Alpine Linux"),
    ("manjaro", false, "manjaro", "Manjaro"),
    ("gentoo", false, "gentoo", "Gentoo"),
    ("cos", true, "google-cos", "Google's Container-Optimized OS"),
    ("pve", true, "proxmox", "Proxmox VE"),
    ("microsoft", false, "wsl", "Microsoft's WSL"),
    ("wsl2", false, "wsl", "Microsoft's WSL"),
    ("cm", true, "azure-linux", "Azure Linux"),
    ("azl", true, "azure-linux", "Azure Linux"),
    ("ph", true, "photon", "VMware Photon"),
    ("oe", true, "openeuler", "openEuler"),
    ("oe2203sp", true, "openeuler", "openEuler"),
    ("oe2403sp", true, "openeuler", "openEuler"),
    ("al", true, "alibaba", "Alibaba Cloud Linux"),
    ("an", true, "anolis", "Anolis OS"),
    ("tl", true, "tencent", "TencentOS"),
    ("tlinux", false, "tencent", "TencentOS"),
    ("ky", true, "kylin", "Kylin"),
    ("mga", true, "mageia", "Mageia"),
    ("lve", false, "cloudlinux", "CloudLinux"),
    ("vz", true, "virtuozzo", "Virtuozzo"),
    ("elrepo", false, "elrepo", "ELRepo"),
    ("coreos", false, "flatcar", "CoreOS or Flatcar"),
    ("flatcar", false, "flatcar", "CoreOS or Flatcar"),
    ("linuxkit", false, "linuxkit", "LinuxKit"),
    ("truenas", false, "truenas", "TrueNAS"),
    ("tegra", false, "nvidia-tegra", "NVIDIA Tegra"),
    ("yocto", false, "yocto", "Yocto"),
    ("liquorix", false, "liquorix", "Liquorix"),
    ("xanmod", true, "xanmod", "XanMod"),
    ("kali", true, "kali", "Kali Linux"),
    ("parrot", true, "parrot", "Parrot OS"),
    ("parrotsec", false, "parrot", "Parrot OS"),
    ("deepin", false, "deepin", "deepin"),
    ("sunxi", false, "armbian", "Armbian"),
    ("synology", false, "synology", "Synology"),
    ("unraid", false, "unraid", "Unraid"),
    ("cip", true, "cip", "the Civil Infrastructure Platform"),
    ("rockchip", true, "rockchip", "Rockchip"),
    ("grsec", true, "grsecurity", "grsecurity"),
];

/// Words of a banner's end (behind the `#`) that show whose kernel a plain name belongs to.
const BANNERS: [(&str, &str, &str); 13] = [
    ("NixOS", "nixos", "NixOS"),
    ("Alpine", "alpine", "Alpine Linux"),
    ("Raspbian", "raspberry-pi", "Raspberry Pi"),
    ("raspbian", "raspberry-pi", "Raspberry Pi"),
    ("Android", "android", "Android"),
    ("SUSE", "suse-other", "SUSE"),
    ("Void", "void", "Void Linux"),
    ("Slackware", "slackware", "Slackware"),
    ("Kali", "kali", "Kali Linux"),
    ("Parrot", "parrot", "Parrot OS"),
    ("Armbian", "armbian", "Armbian"),
    ("KYLINOS", "kylin", "Kylin"),
    ("Cumulus", "cumulus", "Cumulus Linux"),
];

/// Whether a text is one word of a list, or begins with one and a `-`.
fn begins(text: &str, words: &[&str]) -> bool {
    let first = text.split('-').next().unwrap_or_default();
    words.contains(&first)
}

/// Whose Ubuntu kernel has this flavour.
pub(super) fn ubuntu(flavour: &str) -> Option<Vendor> {
    let is_own = |word: &str| UBUNTU_SUFFIXES.contains(&word) || super::form::is_numbers(word);
    if !flavour.split('-').skip(1).all(is_own) {
        return None;
    }
    if begins(flavour, &UBUNTU) && !flavour.contains("fips") && !flavour.contains("hwe") {
        Some(Vendor::Ubuntu)
    } else {
        (begins(flavour, &UBUNTU_DERIVATIVES) || begins(flavour, &UBUNTU)).then_some(Vendor::UbuntuDerivative)
    }
}

/// Whether SUSE has this flavour, and whether it has the main numbers.
pub(super) fn suse(flavour: &str) -> Option<bool> {
    SUSE.iter().position(|known| *known == flavour).map(|i| i < 2)
}

/// Whether others call kernels so too: `5.10.4-1-rt`, `4.9.127-5-desktop`. SUSE's have more than one number before it.
pub(super) fn is_common(flavour: &str) -> bool {
    ["debug", "azure", "rt", "xen", "desktop"].contains(&flavour)
}

/// The vendor whose word is among a name's.
pub(super) fn other(rest: &str) -> Option<Vendor> {
    let tail = rest.trim_start_matches('-');
    if RASPBERRY_PI.contains(&tail) {
        return Some(Vendor::Other("raspberry-pi", "Raspberry Pi"));
    }
    if tail.split('-').next_back() == Some("Microsoft") {
        return Some(WSL1);
    }
    rest.split(['-', '.', '_', '+', '~']).find_map(|word| {
        let word = word.to_ascii_lowercase();
        let (.., key, name) = OTHERS.iter().find(|(begin, number, ..)| {
            word.strip_prefix(begin).is_some_and(|end| !number || end.bytes().all(|b| b.is_ascii_digit()))
        })?;
        Some(Vendor::Other(key, name))
    })
}

/// The vendor that the end of a banner names.
pub(super) fn banner(tail: &str) -> Option<Vendor> {
    let (_, key, name) = BANNERS.iter().find(|(word, ..)| tail.contains(word))?;
    Some(Vendor::Other(key, name))
}
