//! Prompts: their length in words, and the host that they name.

use super::super::text::is_clock;

/// The number of a line's first words that are a prompt, a time before it, or variables before the command:
/// `[root@db1 ~]#`, `db1:~ #`, `/ #`, `LC_ALL=C`.
pub fn length(words: &[&str]) -> usize {
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let is_end = |word: &&str| ["#", "$", "%", ">"].contains(word);
        let is_folder = word.starts_with(['/', '~']) || named(word).is_some();
        at += match () {
            // `db1 ~ #`, Gentoo's prompt.
            () if at == 0 && words.get(1) == Some(&"~") && words.get(2).is_some_and(is_end) => 3,
            () if is_word(word) => 1,
            () if is_folder && words.get(at + 1).is_some_and(is_end) => 2,
            () => break,
        };
    }
    at
}

/// Whether a word by itself can be part of a prompt.
pub fn is_word(word: &str) -> bool {
    word.ends_with(['$', '#', '%', '>', '\u{276f}'])
        || word.contains('@')
        || word.starts_with('[')
        || word.ends_with(']')
        || is_clock(word)
        || word
            .split_once('=')
            .is_some_and(|(name, _)| !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
}

/// The host that a prompt's words name: `db1` of `root@db1:~#`, `[root@db1`, `db1#`, `db1:~ #`.
pub fn host(words: &[&str]) -> Option<String> {
    let at = words.iter().find_map(|word| {
        let (user, host) = word.split_once('@')?;
        let is_user = user.chars().all(|c| c.is_ascii_alphanumeric() || "-_.[({<".contains(c)) && !user.is_empty();
        is_user.then(|| name(host)).flatten()
    });
    let bare = || {
        let end = words.len().checked_sub(1)?;
        let is_alone = |word: &&str| ["#", "$", "%", ">"].contains(word);
        match words {
            [host, "~", end] if is_alone(end) => name(host),
            _ if is_alone(&words[end]) => named(words.get(end.checked_sub(1)?)?),
            _ => named(words[end].strip_suffix(['#', '$', '%', '>'])?),
        }
    };
    at.or_else(bare)
}

/// The host of `db1:~`, `db1:/root` or `db1`.
fn named(word: &str) -> Option<String> {
    /// Shells' default names in a prompt: `bash-4.2$`, `sh-5.1#`.
    const SHELLS: [&str; 7] = ["bash", "-bash", "sh", "zsh", "ksh", "ash", "root"];
    let (host, folder) = word.split_once(':').unwrap_or((word, "~"));
    let is_shell = SHELLS.contains(&host.split_once(['-', '.']).map_or(host, |(begin, _)| begin));
    let is_host = host.starts_with(|c: char| c.is_ascii_alphabetic()) && folder.starts_with(['~', '/']) && !is_shell;
    name(host).filter(|found| is_host && found.len() == host.len())
}

/// The host's name at the beginning of a word.
pub fn name(word: &str) -> Option<String> {
    let name: String = word.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).take(64).collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_measured_and_name_their_host() {
        for (line, words, named) in [
            ("root@db1:~# ss", 1, Some("db1")),
            ("[root@db1 ~]# ss", 2, Some("db1")),
            ("user@db2:~$ ss", 1, Some("db2")),
            ("db1# ss", 1, Some("db1")),
            ("{root@db1} ss", 1, Some("db1")),
            ("db1:~ # ss", 2, Some("db1")),
            ("db1:/root # ss", 2, Some("db1")),
            ("db1 ~ # ss", 3, Some("db1")),
            ("(venv) me@db1.example.org:~$ ss", 0, None),
            ("12:00:01 me@db1:~$ ss", 2, Some("db1")),
            ("/ # ss", 2, None),
            ("~ $ ss", 2, None),
            ("bash-4.2$ ss", 1, None),
            ("sh-5.1# ss", 1, None),
            ("-bash-4.2# ss", 1, None),
            ("# ss", 1, None),
            ("$ LC_ALL=C ss", 2, None),
            ("ss -t", 0, None),
            ("ESTAB 0 0", 0, None),
        ] {
            let all: Vec<&str> = line.split(' ').collect();
            let found = length(&all);
            assert_eq!((found, host(&all[..found]).as_deref()), (words, named), "{line}");
        }
    }
}
