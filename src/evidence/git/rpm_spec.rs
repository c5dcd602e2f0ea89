//! Parses an RPM spec file: which patches it names, and which of those it always applies.

use std::collections::{BTreeMap, HashMap};

/// The most passes over a line that expand macros.
const MOST_PASSES: usize = 8;

/// The patches of a spec file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Spec {
    /// The files of patches that are always applied, in order. Unknown macros stay in the names.
    pub applied: Vec<String>,
    /// The files of patches that may be applied in reverse, or removed again.
    pub reversed: Vec<String>,
    /// Whether it names patches at all.
    pub has_patches: bool,
}

/// Parses a spec file. Conditional patches are not surely applied.
pub(super) fn parse(text: &str) -> Spec {
    let mut macros: HashMap<String, String> = HashMap::new();
    // By number: the file, and whether its line is unconditional.
    let mut named: BTreeMap<u64, (String, bool)> = BTreeMap::new();
    let mut spec = Spec::default();
    let (mut depth, mut shell, mut section) = (0usize, 0usize, String::new());
    let mut next = 0;
    // Whether a here-document has begun, because its end is not detected; and whether all patches may be removed again.
    let (mut is_lost, mut takes_all_out) = (false, false);
    let text = text.replace("\\\r\n", " ").replace("\\\n", " ");
    for line in text.lines() {
        let line = line.trim();
        let first = line.split_whitespace().next().unwrap_or_default();
        if first.starts_with('#') || first == "%dnl" || first.is_empty() {
            continue;
        }
        match first {
            _ if first.starts_with("%if") => depth += 1,
            "%endif" => depth = depth.saturating_sub(1),
            _ if is_section(first) => (section, shell, is_lost) = (first.to_owned(), 0, false),
            _ => {}
        }
        let is_certain = depth == 0;
        if let "%global" | "%define" = first {
            let mut words = line.splitn(3, char::is_whitespace).skip(1);
            if let (Some(name), Some(value)) = (words.next(), words.next()) {
                // A conditional value, or one of two, is unknown.
                let value = if is_certain { value.trim() } else { "%{?}" };
                let known = macros.insert(name.to_owned(), value.to_owned());
                if known.is_some_and(|known| known != value) {
                    macros.insert(name.to_owned(), "%{?}".to_owned());
                }
            }
            continue;
        }
        if section.is_empty() {
            let Some((tag, value)) = line.split_once(':') else { continue };
            let (tag, value) = (tag.trim().to_ascii_lowercase(), value.trim());
            if let "name" | "version" | "release" = tag.as_str() {
                macros.entry(tag).or_insert_with(|| value.to_owned());
            } else if let Some(number) = tag.strip_prefix("patch") {
                let number = if number.is_empty() { Some(next) } else { number.parse().ok() };
                let Some(number) = number else { continue };
                next = number + 1;
                spec.has_patches = true;
                let file = value.split_whitespace().next().unwrap_or_default();
                named.insert(number, (file.to_owned(), is_certain));
            }
            continue;
        }
        if section != "%prep" {
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let lower = line.to_ascii_lowercase();
        let is_odd = words[1..].iter().any(|word| is_odd_option(word));
        let is_chained = ["&&", "||", ";", "|", "<<"].iter().any(|mark| line.contains(mark));
        if line.contains("git revert") || is_odd && (lower.contains("patch") || lower.contains("apply")) {
            let one = |number: u64| named.get(&number).map(|(file, _)| file.clone());
            match first {
                _ if is_chained => takes_all_out = true,
                "ApplyPatch" | "ApplyOptionalPatch" => {
                    spec.reversed.extend(words.get(1).map(|file| (*file).to_owned()));
                }
                _ if first.starts_with("%patch") => {
                    spec.reversed.extend(patch_numbers(&words).into_iter().filter_map(one));
                }
                _ => takes_all_out = true,
            }
        }
        is_lost |= line.contains("<<");
        if let "fi" | "done" | "esac" | "}" | ")" = first {
            shell = shell.saturating_sub(1);
        }
        if is_certain && shell == 0 && !is_lost && !is_odd && !is_chained {
            let all = || named.values().filter(|(_, is_certain)| *is_certain).map(|(file, _)| file.clone());
            let one =
                |number: u64| named.get(&number).filter(|(_, is_certain)| *is_certain).map(|(file, _)| file.clone());
            match first {
                // A group of short options may include -N, so only plain options are certain.
                "%autosetup" if !words.iter().any(|word| word.starts_with('-') && word.contains('N')) => {
                    spec.applied.extend(all());
                }
                "%autopatch" if words[1..].iter().all(|word| word.starts_with("-p") || *word == "-v") => {
                    spec.applied.extend(all());
                }
                "ApplyPatch" | "ApplyOptionalPatch" => {
                    let file =
                        words.get(1).filter(|file| named.values().any(|(named, certain)| named == *file && *certain));
                    spec.applied.extend(file.map(|file| (*file).to_owned()));
                }
                _ => spec.applied.extend(patch_numbers(&words).into_iter().filter_map(one)),
            }
        }
        if let "if" | "for" | "while" | "until" | "case" = first
            && !line.ends_with("fi")
            && !line.ends_with("done")
            && !line.ends_with("esac")
        {
            shell += 1;
        } else if first.ends_with("()") || line.ends_with(['{', '(']) {
            shell += 1;
        }
    }
    if takes_all_out {
        spec.reversed.extend(named.into_values().map(|(file, _)| file));
    }
    spec.reversed = files(&spec.reversed, &macros);
    spec.applied = files(&spec.applied, &macros);
    spec.applied.retain(|file| !spec.reversed.contains(file));
    spec
}

/// The files of these names, each once.
fn files(names: &[String], macros: &HashMap<String, String>) -> Vec<String> {
    let mut files: Vec<String> = Vec::new();
    for name in names {
        let name = expand(name, macros);
        let file = name.rsplit('/').next().unwrap_or_default();
        if !files.iter().any(|known| known == file) {
            files.push(file.to_owned());
        }
    }
    files
}

/// Whether an option makes `patch` do something other than apply: `-R` in any group, `--reverse`, `--dry-run`.
fn is_odd_option(word: &str) -> bool {
    match word.strip_prefix("--") {
        Some(long) => long.starts_with('r') || long.starts_with('d'),
        None => word.strip_prefix('-').is_some_and(|cluster| cluster.contains('R')),
    }
}

/// The numbers of the patches that `%patch1`, `%patch 1`, `%patch -P 1`, `%patch -P1` name.
fn patch_numbers(words: &[&str]) -> Vec<u64> {
    let Some(tail) = words.first().and_then(|first| first.strip_prefix("%patch")) else { return Vec::new() };
    if !tail.is_empty() {
        return tail.parse().into_iter().collect();
    }
    let mut numbers = Vec::new();
    let mut rest = words[1..].iter();
    while let Some(word) = rest.next() {
        let number = match word.strip_prefix("-P") {
            Some("") => rest.next().copied(),
            Some(number) => Some(number),
            None if word.starts_with('-') => {
                // These options take an argument.
                if let "-b" | "-z" | "-d" | "-F" | "-o" | "-p" = *word {
                    rest.next();
                }
                None
            }
            None => Some(*word),
        };
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    // Without a number it means the first patch.
    if numbers.is_empty() && !words[1..].iter().any(|word| word.starts_with("-P")) {
        numbers.push(0);
    }
    numbers
}

fn is_section(word: &str) -> bool {
    const SECTIONS: [&str; 20] = [
        "%prep",
        "%build",
        "%install",
        "%check",
        "%clean",
        "%files",
        "%changelog",
        "%description",
        "%package",
        "%pre",
        "%post",
        "%preun",
        "%postun",
        "%pretrans",
        "%posttrans",
        "%triggerin",
        "%triggerun",
        "%conf",
        "%generate_buildrequires",
        "%sourcelist",
    ];
    SECTIONS.contains(&word)
}

/// A name with known macros expanded.
fn expand(name: &str, macros: &HashMap<String, String>) -> String {
    let mut name = name.to_owned();
    for _ in 0..MOST_PASSES {
        let Some((before, rest)) = name.split_once("%{") else { break };
        let Some((inner, after)) = rest.split_once('}') else { break };
        let Some(value) = macros.get(inner.trim_start_matches(['?', '!'])) else { break };
        name = format!("{before}{value}{after}");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unconditional_patches_of_a_spec_count() {
        for (says, spec, applied) in [
            (
                "autosetup",
                "Patch1: a.patch\nPatch0002: b.patch\n%prep\n%autosetup -p1 -n linux\n",
                &["a.patch", "b.patch"][..],
            ),
            ("autosetup that applies none", "Patch1: a.patch\n%prep\n%autosetup -N\n", &[]),
            ("by number", "Patch1: a.patch\nPatch2: b.patch\n%prep\n%setup -q\n%patch2 -p1\n", &["b.patch"]),
            (
                "-P",
                "Patch1: a\nPatch2: b\nPatch3: c\n%prep\n%patch -P 1 -p1\n%patch -P2\n%patch 3 -p1\n",
                &["a", "b", "c"],
            ),
            ("without a number", "Patch: a\nPatch: b\n%prep\n%patch -p1\n%patch1 -p1\n", &["a", "b"]),
            (
                "ApplyPatch",
                "Patch5: a.patch\nPatch6: b.patch\n%prep\nApplyPatch a.patch\n# ApplyPatch b.patch\n",
                &["a.patch"],
            ),
            ("optional", "Patch9: x.patch\n%prep\nApplyOptionalPatch x.patch\n", &["x.patch"]),
            ("not named", "%prep\nApplyPatch a.patch\n", &[]),
            ("a comment", "#Patch1: a\nPatch2: b\n%prep\n#%patch2\n%dnl %patch2\n", &[]),
            ("a condition above", "%if %{with_rt}\nPatch1: a\n%endif\nPatch2: b\n%prep\n%autosetup\n", &["b"]),
            ("a condition below", "Patch1: a\nPatch2: b\n%prep\n%ifarch arm\n%patch1\n%else\n%patch2\n%endif\n", &[]),
            ("after a condition", "Patch1: a\n%prep\n%if 1\n%if 2\n%endif\n%endif\n%patch1\n", &["a"]),
            ("the shell's condition", "Patch1: a\nPatch2: b\n%prep\nif test x; then\n%patch1\nfi\n%patch2\n", &["b"]),
            ("one line", "Patch1: a\n%prep\nif test x; then y; fi\n%patch1\n", &["a"]),
            ("a reversal", "Patch1: a\n%prep\n%patch1 -p1 -R\n", &[]),
            ("a reversal in a cluster", "Patch1: a\n%prep\n%patch1 -Rp1\n", &[]),
            ("a long reversal", "Patch1: a\n%prep\n%patch1 -p1 --reverse\n", &[]),
            ("a dry run", "Patch1: a\n%prep\n%patch1 -p1 --dry-run\n", &[]),
            ("a later reversal", "Patch1: a\nPatch2: b\n%prep\n%patch1 -p1\n%patch2 -p1\n%patch -P1 -R\n", &["b"]),
            ("ApplyPatch reversed", "Patch1: a\n%prep\nApplyPatch a\nApplyPatch a -R\n", &[]),
            ("patch -R", "Patch1: a\n%prep\n%autosetup -p1\npatch -p1 -R < %{PATCH1}\n", &[]),
            ("git revert", "Patch1: a\n%prep\n%autosetup -S git\ngit revert --no-edit HEAD\n", &[]),
            ("a here-document", "Patch1: a\n%prep\ncat <<EOF\n%patch1 -p1\nEOF\n", &[]),
            ("a line that goes on", "Patch1: a\n%prep\ntest -f x && \\\n%patch1 -p1\n", &[]),
            ("a group", "Patch1: a\nPatch2: b\n%prep\ntest -f x && {\n%patch1 -p1\n}\n%patch2 -p1\n", &["b"]),
            ("macros", "%global v 1.2\nName: k\nPatch1: %{name}-%{v}.patch\n%prep\n%autosetup\n", &["k-1.2.patch"]),
            ("an unknown macro", "Patch1: %{who}.patch\n%prep\n%autosetup\n", &["%{who}.patch"]),
            ("an address", "Patch1: https://example.org/x/a.patch\n%prep\n%autopatch -p1\n", &["a.patch"]),
            ("a range", "Patch1: a\n%prep\n%autopatch -m 1 -M 2\n", &[]),
            ("a changelog", "Patch1: a\n%prep\n%changelog\n- %patch1\n%patch1\n", &[]),
        ] {
            assert_eq!(parse(spec).applied, applied, "{says}");
        }
        assert!(!parse("Name: linux-firmware\n%prep\n%autosetup\n").has_patches);
    }
}
