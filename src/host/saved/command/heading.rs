//! Headings that name the host of the following text: those of `ansible`, `clush -b`, `dshbak`, `pssh`, `salt`, and
//! handwritten ones.

use super::super::text::bare;
use super::vocabulary::is_neutral;

/// The host that a line names as the heading of the following text. The lines before and behind it matter too.
pub fn of([before, line, next]: [&str; 3]) -> Option<String> {
    let bare_line = bare(line);
    let host = of_ansible(bare_line)
        .or_else(|| bare_line.strip_prefix("[SUCCESS] ").or_else(|| bare_line.strip_prefix("[FAILURE] ")))
        .or_else(|| of_block(bare(before), bare_line, bare(next)))
        .or_else(|| of_salt(line, next))
        .or_else(|| decorated(bare_line))?;
    Some(host.chars().take(64).collect())
}

/// `db1 | CHANGED | rc=0 >>`, `db1 | SUCCESS => {`, `ok: [db1] => {`.
fn of_ansible(line: &str) -> Option<&str> {
    if let Some((host, rest)) = line.split_once(" | ") {
        let status = rest.split([' ', '!']).next().unwrap_or_default();
        let is_status = ["CHANGED", "SUCCESS", "FAILED", "UNREACHABLE"].contains(&status);
        return Some(host).filter(|host| is_status && is_nodes(host));
    }
    let (status, rest) = line.split_once(": [")?;
    let host = rest.split(']').next()?;
    (["ok", "changed", "failed", "fatal"].contains(&status) && is_nodes(host)).then_some(host)
}

/// A name between two lines of dashes: `db1`, `db[1-4] (4)`.
fn of_block<'a>(before: &str, line: &'a str, next: &str) -> Option<&'a str> {
    let is_dashes = |line: &str| line.len() > 3 && line.bytes().all(|byte| byte == b'-');
    let host = line.split_once(" (").map_or(line, |(host, _)| host);
    (is_dashes(before) && is_dashes(next) && is_nodes(host)).then_some(host)
}

/// `db1:` before an indented line.
fn of_salt<'a>(line: &'a str, next: &str) -> Option<&'a str> {
    let host = line.trim_end().strip_suffix(':')?;
    (next.starts_with("    ") && is_numbered(host) && !is_interface(host)).then_some(host)
}

/// `=== db1 ===`, `### db1`. Without a number it may be any word.
fn decorated(line: &str) -> Option<&str> {
    let marks = ['=', '#', '*', '-', '~', ' '];
    let inner = line.trim_start_matches(marks);
    let host = inner.trim_end_matches(marks);
    (line.len() - inner.len() > 2 && is_numbered(host) && !is_interface(host)).then_some(host)
}

/// A host's name with a number in it.
fn is_numbered(name: &str) -> bool {
    let is_numbered = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.contains(|c: char| c.is_ascii_digit());
    is_numbered && is_name(name) && !is_neutral(name)
}

fn is_interface(name: &str) -> bool {
    const KINDS: [&str; 14] =
        ["eth", "en", "lo", "wl", "bond", "br", "veth", "docker", "tun", "tap", "vlan", "virbr", "cni", "tcp"];
    let kind = name.trim_end_matches(|c: char| c.is_ascii_digit());
    KINDS.contains(&kind) || name.starts_with("enp") || name.starts_with("br-")
}

fn is_name(name: &str) -> bool {
    (2..=64).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// A host's name or a set of them: `db[1-4,7]`, `db1,db2`.
fn is_nodes(name: &str) -> bool {
    let is_usual = |c: char| c.is_ascii_alphanumeric() || "-_.[],:@".contains(c);
    !name.is_empty() && name.len() <= 200 && name.chars().all(is_usual) && name.contains(|c: char| c.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_name_their_host() {
        let dashes = "---------------\n";
        for (lines, expected) in [
            (["", "db1 | CHANGED | rc=0 >>\n", ""], Some("db1")),
            (["", "db1.example.org | SUCCESS => {\n", ""], Some("db1.example.org")),
            (["", "> db1 | FAILED | rc=127 >>\n", ""], Some("db1")),
            (["", "changed: [db1] => {\n", ""], Some("db1")),
            ([dashes, "db1\n", dashes], Some("db1")),
            ([dashes, "db[1-4] (4)\n", dashes], Some("db[1-4]")),
            (["", "[1] 12:00:01 [SUCCESS] db1\n", ""], Some("db1")),
            (["", "db1:\n", "    Linux\n"], Some("db1")),
            (["", "=== db1 ===\n", ""], Some("db1")),
            (["", "### web-01.example.org\n", ""], Some("web-01.example.org")),
            (["", "Tcp:\n", "    5 x\n"], None),
            (["", "eth0:\n", "    5 x\n"], None),
            (["", "=== uname ===\n", ""], None),
            (["", "=== step1 ===\n", ""], None),
            (["", "a | b | c\n", ""], None),
            ([dashes, "db1\n", ""], None),
            (["", "ESTAB 0 0 10.0.0.1:22 10.0.0.2:9\n", "\t skmem:(r0)\n"], None),
            (["", "", ""], None),
        ] {
            assert_eq!(of(lines).as_deref(), expected, "{lines:?}");
        }
    }
}
