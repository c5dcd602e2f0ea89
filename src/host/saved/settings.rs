//! `sysctl -a`, and lists of /proc/sys.

use std::collections::BTreeMap;

use super::text::bare;
use crate::host::SETTINGS;

/// The relevant settings, from lines `name = value`, `name=value`, and `/proc/sys/name:value`.
pub fn read(text: &str) -> BTreeMap<String, String> {
    let setting = |line: &str| {
        // `# net.ipv4.tcp_syncookies = 0` is a comment.
        let is_comment = line.trim_start_matches(['>', '|', ' ', '\t']).starts_with(['#', ';']);
        if is_comment || !line.contains("net") {
            return None;
        }
        let (name, value) = bare(line).split_once(['=', ':'])?;
        let name = name.trim().trim_start_matches("/proc/sys/").replace('/', ".");
        // Values are numbers; anything else is another program's output.
        let value: Vec<&str> = value.split_ascii_whitespace().take(4).collect();
        let numbers = !value.is_empty() && value.iter().all(|word| word.parse::<u64>().is_ok());
        (numbers && SETTINGS.contains(&name.as_str())).then(|| (name, value.join(" ")))
    };
    text.lines().filter_map(setting).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_that_matter_are_taken() {
        let text = "net.core.somaxconn = 128\n> net.ipv4.tcp_wmem=4096\t16384\t4194304\nkernel.x = 1\n\
                    net.ipv4.tcp_syncookies = yes\nnet.ipv4.tcp_rmem =\n# net.ipv4.tcp_syncookies = 0\n/proc/sys/net/ipv4/tcp_max_syn_backlog:512\n";
        let found: Vec<_> = read(text).into_iter().collect();
        let expected = [
            ("net.core.somaxconn", "128"),
            ("net.ipv4.tcp_max_syn_backlog", "512"),
            ("net.ipv4.tcp_wmem", "4096 16384 4194304"),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
