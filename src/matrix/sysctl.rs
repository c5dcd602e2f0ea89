//! Sysctls: their names, and files in the syntax of sysctl.d(5).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::problems::{Collector, Problems};
use super::text::quote;
use crate::json;

/// The largest file of sysctls, in bytes.
pub(super) const FILE_MAX: usize = 1 << 20;

/// The longest value, in bytes; the kernel's longest (lists of ports) are shorter.
const VALUE_MAX: usize = 1024;

/// A setting of a file that is not applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The file.
    #[serde(serialize_with = "json::path")]
    pub file: PathBuf,
    /// Its line, from 1 on.
    pub line: usize,
    /// The setting's name, as in the file.
    pub name: String,
    /// Why not.
    pub why: String,
}

/// The name of a sysctl, with dots between its parts, or slashes if a part has a dot (`eth0.1`). The first separator
/// decides what dots and slashes mean (sysctl.d(5)).
pub(super) fn name(text: &str) -> Result<String, String> {
    let expected = || "expected the name of a sysctl, as in `net.ipv4.tcp_sack`".to_owned();
    let first = text.find(['.', '/']).ok_or_else(expected)?;
    let slashed: String = match text.get(first..=first) {
        Some("/") => text.to_owned(),
        _ => text
            .chars()
            .map(|c| {
                if c == '.' {
                    '/'
                } else if c == '/' {
                    '.'
                } else {
                    c
                }
            })
            .collect(),
    };
    let part = |part: &str| !matches!(part, "" | "." | "..") && part.chars().all(|c| c.is_ascii_graphic());
    if text.len() > 255 || !slashed.split('/').all(part) {
        return Err(expected());
    }
    Ok(if slashed.contains('.') { slashed } else { slashed.replace('/', ".") })
}

/// Whether a name is a pattern (glob(7)).
pub(super) fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

/// A sysctl's value: the text for its file.
pub(super) fn value(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("expected a value".to_owned());
    }
    if text.chars().any(|c| c.is_control() && c != '\t') || text.len() > VALUE_MAX {
        return Err(format!("expected one line of at most {VALUE_MAX} bytes, without control characters"));
    }
    Ok(text.trim().to_owned())
}

/// The content of a file.
#[derive(Debug)]
pub(super) struct Settings {
    /// Names and values in order; the last one for a name counts.
    pub(super) applied: Vec<(String, String)>,
    /// The line of that last one, from 1 on.
    pub(super) lines: BTreeMap<String, usize>,
    /// The settings that are not applied.
    pub(super) left_out: Vec<LeftOut>,
}

/// Reads a file.
///
/// # Errors
/// All lines that are not settings.
pub(super) fn read(bytes: &[u8], path: &Path) -> Result<Settings, Problems> {
    if bytes.len() > FILE_MAX {
        let message = format!("the file is larger than {} KiB: expected sysctls", FILE_MAX / 1024);
        return Err(Problems::of_file(path.to_owned(), message));
    }
    // Comments may be in any encoding; settings must be UTF-8, which is checked below.
    let text = String::from_utf8_lossy(bytes);
    let mut problems = Collector::new(&text);
    let (mut applied, mut lines, mut left_out) = (Vec::new(), BTreeMap::new(), Vec::new());
    let mut start = 0;
    for (number, whole) in text.split_inclusive('\n').enumerate() {
        let line = whole.trim();
        let at = start + (whole.len() - whole.trim_start().len());
        start += whole.len();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        match setting(line) {
            Ok((name, Setting::Applied(value))) => {
                lines.insert(name.clone(), number + 1);
                applied.push((name, value));
            }
            Ok((name, Setting::LeftOut(why))) => left_out.push((number, name, why)),
            Err(message) => problems.add(&(at..at + line.len()), || message),
        }
    }
    let left_out =
        left_out.into_iter().map(|(number, name, why)| LeftOut { file: path.to_owned(), line: number + 1, name, why });
    match problems.finish(path.to_owned()) {
        Some(problems) => Err(problems),
        None => Ok(Settings { applied, lines, left_out: left_out.collect() }),
    }
}

/// The result of a line.
enum Setting {
    /// The value to apply.
    Applied(String),
    /// Why it is not applied.
    LeftOut(String),
}

/// The name in a line, and its result. Only a line with a leading `-` may lack a value. Values are checked only if the
/// setting is applied.
fn setting(line: &str) -> Result<(String, Setting), String> {
    let (lenient, rest) = line.strip_prefix('-').map_or((false, line), |rest| (true, rest.trim_start()));
    let expected = || format!("{} is not a setting: expected `name = value`", quote(line));
    let (key, text) = match rest.split_once('=') {
        Some((key, text)) => (key.trim_end(), Some(text)),
        None if lenient => (rest, None),
        None => return Err(expected()),
    };
    let name = name(key).map_err(|expected| format!("bad name {}: {expected}", quote(key)))?;
    let setting = match (not_applied(&name), text) {
        (Some(why), _) => Setting::LeftOut(why),
        (None, None) => Setting::LeftOut("it excludes a name from patterns, and patterns are not applied".to_owned()),
        (None, Some(text)) => {
            let read =
                if text.contains(char::REPLACEMENT_CHARACTER) { Err("expected UTF-8".to_owned()) } else { value(text) };
            Setting::Applied(read.map_err(|expected| format!("bad value of {}: {expected}", quote(key)))?)
        }
    };
    Ok((name, setting))
}

/// Why a setting of a file is not applied to a guest, if it isn't. A guest has no hardware, and runs only the agent.
fn not_applied(name: &str) -> Option<String> {
    if is_pattern(name) {
        return Some("it is a pattern: name each setting".to_owned());
    }
    let separator = if name.contains('/') { '/' } else { '.' };
    let parts: Vec<&str> = name.split(separator).collect();
    match parts.as_slice() {
        ["net", "ipv4" | "ipv6", "conf" | "neigh", interface, ..]
            if !matches!(*interface, "all" | "default" | "lo") =>
        {
            Some(format!("the guest has no interface {}: name `all` or `default`", quote(interface)))
        }
        ["net", "core" | "ipv4" | "ipv6" | "unix", _, ..] => None,
        _ => Some(
            "it is outside net.core, net.ipv4, net.ipv6 and net.unix, so guests don't need it; to apply it anyway, \
             add it to the profile's `sysctls`"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn good(text: &str) -> Settings {
        read(text.as_bytes(), Path::new("50-mine.conf")).unwrap_or_else(|problems| panic!("{problems}"))
    }

    #[test]
    fn dots_and_slashes_name_the_same_sysctl() {
        for (text, expected) in [
            ("net.ipv4.tcp_sack", Ok("net.ipv4.tcp_sack")),
            ("net/ipv4/tcp_sack", Ok("net.ipv4.tcp_sack")),
            ("net/ipv4/conf/eth0.1/rp_filter", Ok("net/ipv4/conf/eth0.1/rp_filter")),
            ("net.ipv4.conf.eth0/1.rp_filter", Ok("net/ipv4/conf/eth0.1/rp_filter")),
            ("", Err(())),
            ("tcp_sack", Err(())),
            ("net..ipv4", Err(())),
            ("/etc/passwd", Err(())),
            ("net/../../etc", Err(())),
            ("net.ipv4.tcp sack", Err(())),
            ("net.ipv4.größe", Err(())),
        ] {
            assert_eq!(name(text).as_deref().map_err(|_| ()), expected, "{text:?}");
        }
    }

    #[test]
    fn sysctl_d_file_says_what_is_not_applied() {
        let Settings { applied, lines, left_out } = good(
            "# ours\n; and theirs\n\n net.ipv4.tcp_wmem =  4096\t16384 4194304 \r\nnet/core/somaxconn=4096\n-net.ipv4.tcp_sack = 0\n\
             net.ipv4.conf.*.rp_filter = 2\n-net.ipv4.conf.all.rp_filter\nnet.ipv4.conf.eth0.rp_filter=1\nvm.swappiness = 1\n\
             net.netfilter.nf_conntrack_max=1\nnet.ipv4.conf.all.rp_filter=1\nnet.core.somaxconn = 5",
        );
        let shown: Vec<String> = applied.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let expected = [
            "net.ipv4.tcp_wmem=4096\t16384 4194304",
            "net.core.somaxconn=4096",
            "net.ipv4.tcp_sack=0",
            "net.ipv4.conf.all.rp_filter=1",
            "net.core.somaxconn=5",
        ];
        assert_eq!(shown, expected);
        assert_eq!((lines.get("net.ipv4.tcp_sack"), lines.get("net.core.somaxconn")), (Some(&6), Some(&13)));
        let lines: Vec<(usize, &str)> = left_out.iter().map(|l| (l.line, l.name.as_str())).collect();
        let expected = [
            (7, "net.ipv4.conf.*.rp_filter"),
            (8, "net.ipv4.conf.all.rp_filter"),
            (9, "net.ipv4.conf.eth0.rp_filter"),
            (10, "vm.swappiness"),
            (11, "net.netfilter.nf_conntrack_max"),
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn ignored_settings_may_have_any_value() {
        let text = b"# taille du tampon, r\xe9gl\xe9e\n; \xff\nkernel.core_pattern=\nkernel.domainname = caf\xe9\n\
                     net.ipv4.conf.*.rp_filter =\nvm.x = a\x07\nnet.ipv4.tcp_sack = 0\n";
        let Settings { applied, left_out, .. } = read(text, Path::new("a.conf")).unwrap_or_else(|p| panic!("{p}"));
        assert_eq!(applied, [("net.ipv4.tcp_sack".to_owned(), "0".to_owned())]);
        let lines: Vec<(usize, &str)> = left_out.iter().map(|l| (l.line, l.name.as_str())).collect();
        let expected =
            [(3, "kernel.core_pattern"), (4, "kernel.domainname"), (5, "net.ipv4.conf.*.rp_filter"), (6, "vm.x")];
        assert_eq!(lines, expected);
    }

    #[test]
    fn line_without_a_setting_is_reported_with_its_place() {
        let said = read(
            b"net.ipv4.tcp_sack 0\n  x = 1\nnet.core.a =\nnet.core.b = 1\x07\nnet.core.c = \xe9\n\xe9.f = 1\n",
            Path::new("a.conf"),
        )
        .map_err(|p| p.to_string());
        let Err(said) = said else { panic!("it was read: {said:?}") };
        for part in [
            "a.conf:1:1: `net.ipv4.tcp_sack 0` is not a setting: expected `name = value`",
            "a.conf:2:3: bad name `x`: expected the name of a sysctl, as in `net.ipv4.tcp_sack`",
            "a.conf:3:1: bad value of `net.core.a`: expected a value",
            "a.conf:4:1: bad value of `net.core.b`: expected one line of at most 1024 bytes",
            "a.conf:5:1: bad value of `net.core.c`: expected UTF-8",
            "a.conf:6:1: bad name `\u{fffd}.f`: expected the name of a sysctl",
            "6 mistakes in a.conf",
        ] {
            assert!(said.contains(part), "{part} is missing in\n{said}");
        }
        let long = vec![b'#'; FILE_MAX + 1];
        assert!(read(&long, Path::new("a")).is_err_and(|p| p.to_string().contains("larger than 1024 KiB")));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn any_bytes_are_settings_that_stay_below_proc_sys_or_a_message(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            lines in proptest::collection::vec("[-#; ]?[a-z*./]{0,12}( ?= ?[\\PC]{0,10})?", 0..8),
        ) {
            for bytes in [bytes, lines.join("\n").into_bytes()] {
                match read(&bytes, Path::new("a.conf")) {
                    Ok(Settings { applied, left_out, .. }) => {
                        let number = bytes.split(|b| *b == b'\n').count();
                        prop_assert!(applied.len() + left_out.len() <= number);
                        prop_assert!(left_out.iter().all(|l| (1..=number).contains(&l.line) && !l.why.is_empty()));
                        for (read_name, read_value) in applied {
                            prop_assert_eq!(name(&read_name), Ok(read_name.clone()));
                            prop_assert!(read_name.starts_with("net") && !read_name.split('/').any(|part| part == ".."));
                            prop_assert!(!read_value.is_empty() && !read_value.contains('\n'));
                        }
                    }
                    Err(problems) => prop_assert!(!problems.to_string().is_empty()),
                }
            }
        }
    }
}
