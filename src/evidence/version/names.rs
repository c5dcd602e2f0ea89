//! Words in kernels' names that identify the vendor.

use super::release::Vendor;

/// The flavours of Ubuntu's main source package `linux`, which share its numbers: debian.master/control.d/.
const UBUNTU: [&str; 6] = ["generic", "lowlatency", "virtual", "server", "snapdragon", "powerpc64"];

/// The first words of the flavours of Ubuntu's other source packages (`linux-aws`, …), which have their own numbers.
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

/// The further words of Ubuntu's flavours. Other words are local: `generic-mybuild`.
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

/// The flavours of SUSE's kernels: rpm/ and config/ of its kernel-source. The first two share sources and numbers; the
/// others have their own numbers or patches.
const SUSE: [&str; 14] = [
    "default", "debug", "azure", "rt", "rt_debug", "preempt", "vanilla", "xen", "desktop", "kvmsmall", "64kb", "pae",
    "longterm", "coco",
];

/// Suffixes of Raspberry Pi's own kernels. The `+` is there because they are built from commits after a tag. `-v8` with
/// any other suffix is a local build.
const RASPBERRY_PI: [&str; 5] = ["v6+", "v7+", "v7l+", "v8+", "v8-16k+"];

/// Microsoft's emulation of Linux (`4.4.0-19041-Microsoft`), which contains no Linux code. WSL 2 has a real kernel,
/// whose name is lowercase.
pub(super) const WSL1: Vendor = Vendor::Other("wsl1", "Microsoft's WSL 1");

/// Words of other vendors: the start of the word, whether only a number may follow, the vendor's key and name.
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

/// Words at a banner's end (after the `#`) that identify the vendor of a plain name.
const BANNERS: [(&str, &str, &str); 15] = [
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
    ("synology", "synology", "Synology"),
    ("DD-WRT", "dd-wrt", "DD-WRT"),
];

/// Words of a whole banner, of its builder or compiler, that show whose kernel a plain name belongs to.
const BUILDERS: [(&str, &str, &str); 4] = [
    ("Android", "android", "Android"),
    ("OpenWrt", "openwrt", "OpenWrt"),
    ("LEDE GCC", "openwrt", "OpenWrt"),
    ("oe-user@oe-host", "yocto", "Yocto"),
];

/// Whether a text is in the list, or begins with an entry and a `-`.
fn begins(text: &str, words: &[&str]) -> bool {
    let first = text.split('-').next().unwrap_or_default();
    words.contains(&first)
}

/// The Ubuntu vendor with this flavour.
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

/// Whether SUSE has this flavour; if so, whether it has the main numbers.
pub(super) fn suse(flavour: &str) -> Option<bool> {
    SUSE.iter().position(|known| *known == flavour).map(|i| i < 2)
}

/// Whether others use this flavour too: `5.10.4-1-rt`, `4.9.127-5-desktop`. SUSE's kernels have more than one number
/// before it.
pub(super) fn is_common(flavour: &str) -> bool {
    ["debug", "azure", "rt", "xen", "desktop"].contains(&flavour)
}

/// The vendor with a word in this name.
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

/// The vendor whose builder or compiler a banner names.
pub(super) fn builder(banner: &str) -> Option<Vendor> {
    let (_, key, name) = BUILDERS.iter().find(|(word, ..)| banner.contains(word))?;
    Some(Vendor::Other(key, name))
}
