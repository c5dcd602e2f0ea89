//! Sysctls by their dotted names. Network sysctls are those of the calling thread's namespace.

use std::path::PathBuf;
use std::{fs, io};

/// Whether the sysctl exists in this namespace.
pub fn exists(name: &str) -> bool {
    path(name).is_some_and(|p| p.exists())
}

/// The sysctl's value, without the newline.
///
/// # Errors
/// If it does not exist or cannot be read.
pub fn read(name: &str) -> io::Result<String> {
    fs::read_to_string(path(name).ok_or_else(|| bad_name(name))?).map(|value| value.trim_end().to_owned())
}

/// Sets the sysctl.
///
/// # Errors If it does not exist or the kernel rejects the value.
pub fn write(name: &str, value: &str) -> io::Result<()> {
    fs::write(path(name).ok_or_else(|| bad_name(name))?, value)
}

fn bad_name(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("`{name}` is not the name of a sysctl"))
}

/// The sysctl's file. If the name has slashes, they separate its parts, which may then have dots, as in sysctl(8):
/// `net/ipv4/conf/eth0.1/rp_filter`.
fn path(name: &str) -> Option<PathBuf> {
    let separator = if name.contains('/') { '/' } else { '.' };
    let parts: Vec<&str> = name.split(separator).collect();
    let usable = |part: &&str| !matches!(*part, "" | "." | "..") && !part.contains('\0');
    parts.iter().all(usable).then(|| ["/proc/sys"].into_iter().chain(parts).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sysctl_name_never_leads_out_of_proc_sys() {
        for (name, expected) in [
            ("net.ipv4.tcp_syncookies", Some("/proc/sys/net/ipv4/tcp_syncookies")),
            ("net/ipv4/conf/eth0.1/rp_filter", Some("/proc/sys/net/ipv4/conf/eth0.1/rp_filter")),
            ("", None),
            ("net..ipv4", None),
            ("../../etc/passwd", None),
            ("/etc/passwd", None),
            ("a\0b", None),
        ] {
            assert_eq!(path(name), expected.map(PathBuf::from), "{name:?}");
        }
    }
}
