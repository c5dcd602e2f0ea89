//! Which files of a tree are patches, by their names.

/// How patch files end that are packed: they cannot be read here.
pub(in crate::evidence) const PACKED: [&str; 5] = [".gz", ".xz", ".bz2", ".zst", ".lzma"];
/// The folders of a kernel's own tree (its top-level Makefile, and what was there earlier): no packaging is in them.
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

/// The series that quilt, Debian and SUSE keep, and the folder that each names patches in (quilt(1)).
pub(super) const SERIES: [(&str, &str); 4] = [
    ("debian/patches/series", "debian/patches/"),
    ("patches/series", "patches/"),
    ("series", "patches/"),
    ("series.conf", ""),
];

/// The patches that quilt has applied.
pub(super) const APPLIED: &str = ".pc/applied-patches";

/// Whether a file is a patch.
pub(in crate::evidence) fn is_patch(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let last = folder.rsplit('/').next().unwrap_or_default();
    let bare = PACKED.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    // SUSE's patches have no ending of their own.
    let is_bare = last.starts_with("patches") && !bare.contains('.') && bare != "series" && bare != "README";
    bare.ends_with(".patch") || bare.ends_with(".diff") || is_bare
}

/// Whether a folder at the top of a kernel's tree is the kernel's own, or a tool's notes.
pub(super) fn is_skipped(folder: &str) -> bool {
    KERNEL.contains(&folder) || folder == ".git" || folder == ".pc"
}

/// Whether a file says what is done to a kernel's source before it is built, or may be a part of that.
pub(super) fn is_packaging(path: &str) -> bool {
    let top = path.split_once('/').map_or("", |(top, _)| top);
    path == APPLIED || SERIES.iter().any(|(series, _)| *series == path) || is_patch(path) && !is_skipped(top)
}
