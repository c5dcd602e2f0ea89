//! The grammars of single values. The error of each function names the expected form.

use std::path::Path;
use std::time::Duration;

use super::MachineType;
use super::text::expected_one_of;
use crate::recipe::Recipes;
use crate::words::KernelName;

/// The longest kernel command line that a matrix may add, in bytes. x86 keeps 2048 in all
/// (arch/x86/include/asm/setup.h, `COMMAND_LINE_SIZE`) and silently drops the rest.
pub(super) const CMDLINE_MAX: usize = 1024;

/// The least and the most memory of a guest, in MiB.
pub(super) const MEMORY_MIB: (u32, u32) = (64, 64 * 1024);

/// The least and the most size of a reproducer's disk, in MiB.
const DISK_MIB: (u32, u32) = (1, 16 * 1024);

/// The least and the most processors of a guest.
pub(super) const CPUS: (u32, u32) = (1, 64);

/// The shortest and the longest time limit.
pub(super) const TIMEOUT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3600));

/// The characters that a suite's and a package's name may have in common.
fn is_name(text: &str, also: &str) -> bool {
    text.len() <= 100
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
}

/// A Debian package's name (Debian Policy, section 5.6.1: lower case letters, digits, `+ - .`, at least two
/// characters, first a letter or digit). apt reads a trailing `-` or `+` as an order to remove or install.
pub(super) fn package(text: &str) -> Result<String, String> {
    let policy = text.len() >= 2 && is_name(text, "+-.") && !text.contains(|c: char| c.is_ascii_uppercase());
    if policy && !text.ends_with(['-', '+']) {
        return Ok(text.to_owned());
    }
    Err("expected the name of a Debian package: lower case letters, digits and any of `. + -`, beginning with a \
         letter or digit and not ending in `+` or `-`"
        .to_owned())
}

/// A suite or codename of a Debian archive, as in `trixie`, `bookworm-backports`, `buster/updates`.
pub(super) fn suite(text: &str) -> Result<String, String> {
    if text.len() <= 100 && text.split('/').all(|part| is_name(part, "+-._~")) {
        return Ok(text.to_owned());
    }
    Err("expected the name of a suite, as in `trixie` or `bookworm-backports`".to_owned())
}

/// A component of a suite, as in `main`, `restricted`, `updates/main`.
pub(super) fn component(text: &str) -> Result<String, String> {
    suite(text).map_err(|_| "expected the name of a component, as in `main`".to_owned())
}

/// The folder that a file's paths are relative to: its own, or the current one if it is named without a folder.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The address of an archive, which may contain `{time}`.
pub(super) fn archive(text: &str) -> Result<(), String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let known = rest.replace("{time}", "");
    let good =
        !known.is_empty() && text.len() <= 1000 && known.chars().all(|c| c.is_ascii_graphic() && !"\"\\{}".contains(c));
    if good {
        Ok(())
    } else {
        Err("expected an address, as in https://snapshot.example/archive/debian/{time}/".to_owned())
    }
}

/// A file's or folder's name.
pub(super) fn path(text: &str) -> Result<&str, String> {
    if text.chars().any(char::is_control) {
        return Err("expected a path without control characters".to_owned());
    }
    if text.is_empty() { Err("expected a path".to_owned()) } else { Ok(text) }
}

/// One line of text, such as a title.
pub(super) fn line(text: &str) -> Result<String, String> {
    prose(text, "one line", |c| c.is_control())
}

/// A text of a few sentences.
pub(super) fn paragraph(text: &str) -> Result<String, String> {
    prose(text, "text", |c| c.is_control() && c != '\n')
}

/// The longest text, in bytes.
const PROSE_MAX: usize = 4000;

fn prose(text: &str, what: &str, is_bad: impl Fn(char) -> bool) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > PROSE_MAX || text.chars().any(is_bad) {
        return Err(format!("expected {what} of at most {PROSE_MAX} bytes, without control characters"));
    }
    Ok(text.to_owned())
}

/// A file of the kernel's source, as in `net/ipv4/tcp_output.c`.
pub(super) fn kernel_file(text: &str) -> Result<String, String> {
    let part = |part: &str| !matches!(part, "" | "." | "..") && part.chars().all(|c| c.is_ascii_graphic() && c != '\\');
    if text.len() <= 1000 && text.split('/').all(part) {
        return Ok(text.to_owned());
    }
    Err("expected a file of the kernel's source, as in `net/ipv4/tcp_output.c`".to_owned())
}

/// A function's name, with a compiler's suffix (`.isra.0`).
pub(super) fn function(text: &str) -> Result<String, String> {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    if starts && text.len() <= 200 && text.chars().all(allowed) {
        return Ok(text.to_owned());
    }
    Err("expected the name of a function, as in `tcp_fragment`".to_owned())
}

/// A module's name, as modprobe(8) takes it.
pub(super) fn module(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !text.is_empty() && text.len() <= 100 && text.chars().all(allowed) {
        return Ok(text.to_owned());
    }
    Err("expected the name of a module, as in `tun`".to_owned())
}

/// An option of the kernel's configuration.
pub(super) fn option(text: &str) -> Result<String, String> {
    let named = text.strip_prefix("CONFIG_").unwrap_or_default();
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !named.is_empty() && text.len() <= 200 && named.chars().all(allowed) {
        return Ok(text.to_owned());
    }
    Err("expected an option of the kernel's configuration, as in `CONFIG_TUN`".to_owned())
}

/// An amount of memory in MiB, as in `512M` or `2G`.
pub(super) fn memory(text: &str) -> Result<u32, String> {
    mebibytes(text, MEMORY_MIB)
}

/// The size of a disk in MiB.
pub(super) fn disk(text: &str) -> Result<u32, String> {
    mebibytes(text, DISK_MIB)
}

fn mebibytes(text: &str, (least, most): (u32, u32)) -> Result<u32, String> {
    let expected =
        || format!("expected an amount with its unit from {least}M to {}G, as in `512M` or `1G`", most / 1024);
    let (number, factor) = match text.strip_suffix('M') {
        Some(number) => (number, 1),
        None => (text.strip_suffix('G').ok_or_else(expected)?, 1024),
    };
    let mib = whole(number).and_then(|n| n.checked_mul(factor)).ok_or_else(expected)?;
    if (least..=most).contains(&mib) { Ok(mib) } else { Err(expected()) }
}

/// A number of processors.
pub(super) fn cpus(text: &str) -> Result<u32, String> {
    let (least, most) = CPUS;
    let number = whole(text).filter(|n| (least..=most).contains(n));
    number.ok_or_else(|| format!("expected a whole number from {least} to {most}"))
}

/// A time limit within [`TIMEOUT`].
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    let (least, most) = TIMEOUT;
    let in_range = duration(text).filter(|d| (least..=most).contains(d));
    in_range.ok_or_else(|| {
        let most = most.as_secs() / 60;
        format!("expected a time with its unit from {}s to {most}m, as in `90s` or `2m`", least.as_secs())
    })
}

/// A time as in `90s`, `2m` or `1h`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let unit = match text.chars().next_back()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return None,
    };
    let number = whole(&text[..text.len() - 1])?;
    Some(Duration::from_secs(u64::from(number) * unit))
}

/// Decimal digits only: no sign, no `0x`, no spaces.
fn whole(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Parameters for the kernel's command line.
pub(super) fn cmdline(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("expected kernel parameters, as in `nosmt lpj=1000000`".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err("expected kernel parameters on one line, without control characters".to_owned());
    }
    if text.len() > CMDLINE_MAX {
        return Err(format!("expected at most {CMDLINE_MAX} bytes, found {}", text.len()));
    }
    Ok(text.to_owned())
}

/// A machine's name.
pub(super) fn machine(text: &str) -> Result<MachineType, String> {
    MachineType::ALL
        .into_iter()
        .find(|m| m.as_str() == text)
        .ok_or_else(|| expected_one_of(text, MachineType::ALL.map(MachineType::as_str)))
}

/// The name of a control with a recipe.
pub(super) fn control(text: &str) -> Result<KernelName, String> {
    let recipes = Recipes::built_in();
    let names = || recipes.controls().iter().map(|control| control.name.as_str());
    recipes.control(text).map(|control| control.name.clone()).ok_or_else(|| expected_one_of(text, names()))
}

/// A line of releases that controls are built from.
pub(super) fn control_line(text: &str) -> Result<String, String> {
    let recipes = Recipes::built_in();
    let names = || recipes.lines().iter().map(|line| line.name.as_str());
    recipes.line(text).map(|line| line.name.clone()).ok_or_else(|| expected_one_of(text, names()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn package_name_cannot_add_words_to_a_command_line() {
        for good in ["linux-image-cloud-amd64", "linux-image-6.1.0-18-amd64", "linux-image-6.1.0+x.1", "0ad"] {
            assert_eq!(package(good).as_deref(), Ok(good));
        }
        let long = "a".repeat(101);
        for bad in [
            "",
            "a",
            "-y",
            "--force",
            "linux-image-",
            "linux-image+",
            "Linux",
            "a b",
            "a=1",
            "a/sid",
            "a:amd64",
            "a*",
            "a;b",
            "ä1",
            "./a.deb",
            "a\n",
            &long,
        ] {
            assert!(package(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn suite_is_a_name_and_never_a_path_out() {
        for good in ["sid", "trixie", "bookworm-backports", "buster/updates", "stable-security", "10.2"] {
            assert_eq!(suite(good).as_deref(), Ok(good));
        }
        for bad in ["", "-t", "../x", "a/../b", "/a", "a/", "a//b", "a b", "a;b", "[trusted=yes]", "a\nb"] {
            assert!(suite(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn memory_has_a_unit_and_bounds() {
        for (text, mib) in [("64M", 64), ("512M", 512), ("1G", 1024), ("64G", 65536), ("065M", 65)] {
            assert_eq!(memory(text), Ok(mib), "{text}");
        }
        let too_much = ["63M", "65G", "65537M", "4294967296M", "4194304G"];
        for bad in ["", "M", "G", "512", "512 M", "512MB", "512m", "-1G", "+1G", "1.5G", "0x40M", "٣G"] {
            assert!(memory(bad).is_err(), "{bad:?}");
        }
        assert!(too_much.iter().all(|text| memory(text).is_err()));
        assert_eq!(disk("1M"), Ok(1));
        assert!(["0M", "17G", "300"].iter().all(|text| disk(text).is_err()));
    }

    #[test]
    fn times_have_a_unit_and_bounds() {
        for (text, seconds) in [("1s", 1), ("90s", 90), ("2m", 120), ("60m", 3600), ("1h", 3600)] {
            assert_eq!(timeout(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "s", "60", "0s", "61m", "2h", "1d", "1.5m", "-1s", "500ms", "1 s", "4294967295h", "1é"] {
            assert!(timeout(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn processors_and_parameters_have_bounds() {
        assert_eq!((cpus("1"), cpus("64")), (Ok(1), Ok(64)));
        assert!(["", "0", "65", "-1", "1.0", "two", "4294967297"].iter().all(|text| cpus(text).is_err()));
        assert!(cmdline(&"a".repeat(CMDLINE_MAX)).is_ok());
        let long = "a".repeat(CMDLINE_MAX + 1);
        assert!(["", " ", "a\nb", "a\0b", "\u{7f}", &long].iter().all(|text| cmdline(text).is_err()));
    }

    proptest! {
        #[test]
        fn any_text_is_a_value_or_a_message(text in "\\PC{0,40}|[0-9]{0,25}[smhMG]?") {
            let _ = (package(&text), suite(&text), memory(&text), cpus(&text), timeout(&text), machine(&text));
            let _ = (path(&text).is_ok(), cmdline(&text), control(&text), control_line(&text));
            let _ = (line(&text), paragraph(&text), kernel_file(&text), function(&text), module(&text), option(&text));
        }
    }
}
