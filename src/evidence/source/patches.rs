//! Recognises patches in a tree by their names.

/// Suffixes of compressed patches, which this code can't read.
pub(in crate::evidence) const PACKED: [&str; 5] = [".gz", ".xz", ".bz2", ".zst", ".lzma"];
/// The folders of the kernel's own tree (by its top-level Makefile, now and earlier). They contain no packaging.
pub(in crate::evidence) const KERNEL: [&str; 24] = [
    "Documentation",
    "LICENSES",
    "arch",
    "block",
    "certs",
    "crypto",
    "drivers",
    "firmware",
    "fs",
    "include",
    "init",
    "io_uring",
    "ipc",
    "kernel",
    "lib",
    "mm",
    "net",
    "rust",
    "samples",
    "scripts",
    "security",
    "sound",
    "tools",
    "virt",
];

/// The series files of quilt, Debian and SUSE, each with the folder of its patches (quilt(1)).
pub(super) const SERIES: [(&str, &str); 4] = [
    ("debian/patches/series", "debian/patches/"),
    ("patches/series", "patches/"),
    ("series", "patches/"),
    ("series.conf", ""),
];

/// quilt's list of applied patches.
pub(super) const APPLIED: &str = ".pc/applied-patches";

/// Whether a file is a patch.
pub(in crate::evidence) fn is_patch(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let last = folder.rsplit('/').next().unwrap_or_default();
    let bare = PACKED.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    // SUSE's patches have no suffix.
    let is_bare = last.starts_with("patches") && !bare.contains('.') && bare != "series" && bare != "README";
    bare.ends_with(".patch") || bare.ends_with(".diff") || is_bare
}

/// Whether a top-level folder belongs to the kernel, or to a tool.
pub(super) fn is_skipped(folder: &str) -> bool {
    KERNEL.contains(&folder) || folder == ".git" || folder == ".pc"
}

/// Whether a file is, or may be, packaging that changes the kernel's source before a build.
pub(super) fn is_packaging(path: &str) -> bool {
    let top = path.split_once('/').map_or("", |(top, _)| top);
    path == APPLIED || SERIES.iter().any(|(series, _)| *series == path) || is_patch(path) && !is_skipped(top)
}
