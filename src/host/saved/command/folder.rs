//! The folder of a text's shell, if it is in /proc: the files there may be of another network namespace.

use super::{VIEWERS, base, live, place};

/// The folder in /proc that the shell is in, if it is in one.
#[derive(Debug, Default)]
pub struct ProcFolder(Option<String>);

impl ProcFolder {
    /// The process whose namespace the folder is of: `/proc/77`.
    pub fn process(&self) -> Option<String> {
        self.0.as_deref().and_then(place::process)
    }

    /// Takes a command line; returns it without its `cd`, and with the files of the folder named in full. None if it names no
    /// such file, and leads to no other process's folder.
    pub fn take(&mut self, call: &str) -> Option<String> {
        let begins = ["cd ", "pushd "].iter().any(|begin| call.contains(begin));
        if !begins && self.0.is_none() {
            return None;
        }
        let is_subshell = call.starts_with('(');
        let whole = call.trim_start_matches(['(', ' ']).trim_end();
        let whole = if is_subshell { whole.trim_end_matches(')') } else { whole };
        let before = self.0.clone();
        let (mut kept, mut is_changed) = (String::new(), false);
        let mut rest = whole;
        while !rest.is_empty() {
            let (part, behind) = first_call(rest);
            let separator = &rest[part.len()..rest.len() - behind.len()];
            match self.moved(part.trim()) {
                Some(to) => (self.0, is_changed) = (to, true),
                None => {
                    let named = self.named(part);
                    is_changed |= named.is_some();
                    kept.push_str(named.as_deref().unwrap_or(part));
                    kept.push_str(separator);
                }
            }
            rest = behind;
        }
        if is_subshell {
            self.0 = before;
        }
        let kept = kept.trim().to_owned();
        (is_changed && (!kept.is_empty() || self.process().is_some())).then_some(kept)
    }

    /// The folder that a call changes to.
    fn moved(&self, call: &str) -> Option<Option<String>> {
        let (program, target) = call.split_once(char::is_whitespace).unwrap_or((call, ""));
        let target = target.trim().trim_matches(['\'', '"']).trim_end_matches('/');
        if program == "popd" && target.is_empty() {
            return Some(None);
        }
        // A sentence may begin with these letters.
        let is_call = ["cd", "pushd"].contains(&program) && (!target.contains(' ') || target.contains("$("));
        is_call.then(|| {
            let path = match (&self.0, target.starts_with('/')) {
                (_, true) => target.to_owned(),
                (Some(folder), false) if !target.is_empty() && !target.starts_with(['~', '-', '$']) => {
                    format!("{folder}/{target}")
                }
                _ => return None,
            };
            let mut parts: Vec<&str> = Vec::new();
            for part in path.split('/').filter(|part| !["", "."].contains(part)) {
                match part {
                    ".." => drop(parts.pop()),
                    part => parts.push(part),
                }
            }
            (parts.first() == Some(&"proc")).then(|| format!("/{}", parts.join("/")))
        })
    }

    /// A call with the files of the folder named in full.
    fn named(&self, call: &str) -> Option<String> {
        let folder = self.0.as_ref()?;
        let mut words: Vec<String> = call.split_whitespace().map(str::to_owned).collect();
        let at = words.iter().position(|word| live::prints_files(base(word)) || VIEWERS.contains(&base(word)))?;
        let skipped = usize::from(live::takes_pattern(base(&words[at])));
        let is_plain = |word: &String| !word.starts_with(['-', '/', '<', '>', '$', '~']) && !word.contains('>');
        let is_number = |word: &String| word.bytes().all(|byte| byte.is_ascii_digit());
        let plain = words.iter_mut().skip(at + 1).filter(|word| is_plain(word)).skip(skipped);
        let mut is_changed = false;
        for word in plain.filter(|word| !is_number(word)) {
            *word = format!("{folder}/{word}");
            is_changed = true;
        }
        is_changed.then(|| words.join(" ") + " ")
    }
}

/// The first call of a line, and the text behind its separator.
fn first_call(line: &str) -> (&str, &str) {
    let (mut quote, mut depth) = (None, 0_usize);
    for (at, c) in line.char_indices() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"' | '`', None) => quote = Some(c),
            ('(', None) => depth += 1,
            (')', None) => depth = depth.saturating_sub(1),
            (';' | '&' | '|', None) if depth == 0 => {
                let behind = line[at..].trim_start_matches([';', '&', '|', ' ']);
                return (&line[..at], behind);
            }
            _ => {}
        }
    }
    (line, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_folder_in_proc_are_named_in_full() {
        for (lines, expected, process) in [
            (&["cd /proc/77/net", "cat netstat"][..], Some("cat /proc/77/net/netstat"), Some("/proc/77")),
            (
                &["cd /proc/77", "cat net/tcp net/tcp6"],
                Some("cat /proc/77/net/tcp /proc/77/net/tcp6"),
                Some("/proc/77"),
            ),
            (&["cd /proc", "cd 77/net/", "cat tcp"], Some("cat /proc/77/net/tcp"), Some("/proc/77")),
            (&["pushd /proc/77/net", "head -n 5 tcp"], Some("head -n 5 /proc/77/net/tcp"), Some("/proc/77")),
            (&["cd /proc/77/net", "cd ../../net", "cat tcp"], Some("cat /proc/net/tcp"), None),
            (
                &["cd /proc/$(pidof a b)/net", "cat tcp"],
                Some("cat /proc/$(pidof a b)/net/tcp"),
                Some("/proc/$(pidof a b)"),
            ),
            (&["cd /proc/77/net && cat netstat"], Some("cat /proc/77/net/netstat"), Some("/proc/77")),
            (
                &["cd /proc/77/net; grep Tcp netstat | head -3"],
                Some("grep Tcp /proc/77/net/netstat | head -3"),
                Some("/proc/77"),
            ),
            (&["(cd /proc/77/net; cat netstat)"], Some("cat /proc/77/net/netstat"), None),
            (&["cd /proc/self/net", "cat tcp"], Some("cat /proc/self/net/tcp"), None),
            (&["cd /proc/77/net", "cd", "cat tcp"], None, None),
            (&["cd /proc/77/net", "cd /tmp", "cat tcp"], None, None),
            (&["cd /proc/77/net", "popd", "cat tcp"], None, None),
            (&["cd /old; cat netstat"], Some("cat netstat"), None),
            (&["cd /proc/77/net", "ss -tan"], None, Some("/proc/77")),
            (&["cat tcp"], None, None),
            (&["cd drive is broken"], None, None),
        ] {
            let mut folder = ProcFolder::default();
            let last = lines.iter().map(|line| folder.take(line)).last().flatten();
            assert_eq!((last.as_deref(), folder.process().as_deref()), (expected, process), "{lines:?}");
        }
    }
}
