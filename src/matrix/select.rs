//! Chooses a part of the matrix: by kernel, by tag, by bug.

use std::collections::BTreeSet;

use super::Matrix;
use super::text::{expected_one_of, one_of};
use crate::words::{BugId, KernelName};

/// A selection that fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unselectable {
    /// Names that the matrix doesn't have: one sentence for each, with what there is.
    #[error("{}", .0.join("\n"))]
    Unknown(Vec<String>),
    /// A kernel was named, but is checked for none of the selected bugs.
    #[error("kernel `{kernel}` is not checked for {}: its bugs are {}", list(.asked), list(.there))]
    NotChecked {
        /// The kernel.
        kernel: KernelName,
        /// The selected bugs.
        asked: Vec<BugId>,
        /// The kernel's bugs.
        there: Vec<BugId>,
    },
    /// Nothing is left to run.
    #[error("nothing to run: {0}")]
    Nothing(String),
}

impl Matrix {
    /// The selected part of the matrix, in the matrix's order.
    ///
    /// With neither kernels nor tags: every kernel but those with an opt-in tag. Otherwise exactly the kernels with
    /// one of these names or one of these tags, opt-in or not. With bugs: only these, and only the kernels that are
    /// checked for one of them.
    ///
    /// # Errors
    /// All unknown names at once; a named kernel without a selected bug; an empty selection.
    pub fn select(&self, kernels: &[KernelName], bugs: &[BugId], tags: &[String]) -> Result<Self, Unselectable> {
        self.check_names(kernels, bugs, tags)?;
        let by_default = kernels.is_empty() && tags.is_empty();
        let mut chosen = Vec::new();
        for entry in &self.kernels {
            let named = kernels.contains(&entry.name);
            let tagged = tags.iter().any(|tag| entry.tags.contains(tag));
            if !(named || tagged || by_default && entry.tags.is_disjoint(&self.opt_in)) {
                continue;
            }
            let mut entry = entry.clone();
            let all = entry.bugs.clone();
            entry.bugs.retain(|bug| bugs.is_empty() || bugs.contains(bug));
            entry.expect.retain(|bug, _| entry.bugs.contains(bug));
            if !entry.bugs.is_empty() {
                chosen.push(entry);
            } else if named {
                return Err(Unselectable::NotChecked { kernel: entry.name, asked: bugs.to_vec(), there: all });
            }
        }
        if chosen.is_empty() {
            let why = if by_default && bugs.is_empty() {
                let opt_in = one_of(self.opt_in.iter().map(String::as_str));
                format!("every kernel is opt-in; select some with --tag {opt_in}, or by name")
            } else {
                format!("no selected kernel is checked for {}", list(bugs))
            };
            return Err(Unselectable::Nothing(why));
        }
        let mut matrix = Self { kernels: chosen, ..self.clone() };
        matrix.bugs.retain(|bug| bugs.is_empty() || bugs.contains(bug));
        Ok(matrix)
    }

    fn check_names(&self, kernels: &[KernelName], bugs: &[BugId], tags: &[String]) -> Result<(), Unselectable> {
        let all_kernels: Vec<&str> = self.kernels.iter().map(|k| k.name.as_str()).collect();
        let all_bugs: BTreeSet<&str> = self.kernels.iter().flat_map(|k| &k.bugs).map(BugId::as_str).collect();
        let all_tags: BTreeSet<&str> = self.kernels.iter().flat_map(|k| &k.tags).map(String::as_str).collect();
        let path = self.path.display();
        let mut unknown = Vec::new();
        for name in kernels.iter().map(KernelName::as_str).filter(|name| !all_kernels.contains(name)) {
            let expected = expected_one_of(name, all_kernels.iter().copied());
            unknown.push(format!("no kernel `{name}` in {path}: {expected}"));
        }
        for name in bugs.iter().map(BugId::as_str).filter(|name| !all_bugs.contains(name)) {
            let expected = expected_one_of(name, all_bugs.iter().copied());
            unknown.push(format!("no kernel in {path} is checked for a bug `{name}`: {expected}"));
        }
        for name in tags.iter().map(String::as_str).filter(|name| !all_tags.contains(name)) {
            let expected = expected_one_of(name, all_tags.iter().copied());
            unknown.push(format!("no kernel in {path} has the tag `{name}`: {expected}"));
        }
        if unknown.is_empty() { Ok(()) } else { Err(Unselectable::Unknown(unknown)) }
    }
}

fn list(bugs: &[BugId]) -> String {
    one_of(bugs.iter().map(BugId::as_str))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::matrix::{Bugs, parse};

    const MATRIX: &str = "
opt-in: [control, mainline]
expect: { syn-cookie-data-loss: fail }
kernels:
  - { name: debian-11, apt: linux-image, tags: [debian, old] }
  - { name: debian-12, apt: linux-image, tags: [debian] }
  - { name: v4.19.57, image: bzImage, tags: [mainline, old], bugs: [tcp-fragment-stall] }
  - { name: broken, image: bzImage, tags: [control] }
";

    /// The names of the selected kernels, or the error.
    fn choose(matrix: &str, kernels: &[&str], bugs: &[&str], tags: &[&str]) -> Result<String, String> {
        let matrix = parse(matrix, Path::new("m.yaml"), &Bugs::built_in()).map_err(|e| e.to_string())?;
        let kernels: Vec<KernelName> = kernels.iter().filter_map(|k| k.parse().ok()).collect();
        let bugs: Vec<BugId> = bugs.iter().filter_map(|b| b.parse().ok()).collect();
        let tags: Vec<String> = tags.iter().map(|t| (*t).to_owned()).collect();
        let chosen = matrix.select(&kernels, &bugs, &tags).map_err(|e| e.to_string())?;
        for kernel in &chosen.kernels {
            assert!(kernel.bugs.iter().all(|bug| bugs.is_empty() || bugs.contains(bug)));
            assert!(!kernel.bugs.is_empty() && kernel.expect.keys().all(|bug| kernel.bugs.contains(bug)));
        }
        Ok(chosen.kernels.iter().map(|k| k.name.as_str()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn opt_in_kernels_run_only_if_named_or_tagged() {
        for (kernels, bugs, tags, chosen) in [
            (&[][..], &[][..], &[][..], "debian-11 debian-12"),
            (&["debian-12"], &[], &[], "debian-12"),
            (&["v4.19.57"], &[], &[], "v4.19.57"),
            (&[], &[], &["old"], "debian-11 v4.19.57"),
            (&[], &[], &["control"], "broken"),
            (&["debian-12"], &[], &["mainline"], "debian-12 v4.19.57"),
            (&["debian-11"], &[], &["debian"], "debian-11 debian-12"),
            (&[], &["tcp-fragment-stall"], &[], "debian-11 debian-12"),
            (&[], &["syn-cookie-data-loss"], &["old"], "debian-11"),
        ] {
            assert_eq!(choose(MATRIX, kernels, bugs, tags).as_deref(), Ok(chosen), "{kernels:?} {bugs:?} {tags:?}");
        }
    }

    #[test]
    fn all_unknown_names_are_reported_with_the_known_ones() {
        let said = choose(MATRIX, &["debian-13", "v5"], &["tcp-stall"], &["contrl"]);
        let expected = "\
no kernel `debian-13` in m.yaml: did you mean `debian-11`?
no kernel `v5` in m.yaml: expected `debian-11`, `debian-12`, `v4.19.57` or `broken`
no kernel in m.yaml is checked for a bug `tcp-stall`: expected `syn-cookie-data-loss`, `tcp-fragment-stall` or `zero-window-user-timeout`
no kernel in m.yaml has the tag `contrl`: did you mean `control`?";
        assert_eq!(said.as_ref().map_err(String::as_str), Err(expected));
    }

    #[test]
    fn empty_selection_says_why() {
        let only_controls = "opt-in: [c]\nkernels: [{ name: a, tree: a, tags: [c] }]";
        for (matrix, kernels, bugs, tags, expected) in [
            (
                MATRIX,
                &["v4.19.57", "debian-11"][..],
                &["syn-cookie-data-loss"][..],
                &[][..],
                "kernel `v4.19.57` is not checked for `syn-cookie-data-loss`: its bugs are `tcp-fragment-stall`",
            ),
            (
                MATRIX,
                &[],
                &["syn-cookie-data-loss"],
                &["mainline"],
                "nothing to run: no selected kernel is checked for `syn-cookie-data-loss`",
            ),
            (
                only_controls,
                &[],
                &[],
                &[],
                "nothing to run: every kernel is opt-in; select some with --tag `c`, or by name",
            ),
        ] {
            let said = choose(matrix, kernels, bugs, tags);
            assert_eq!(said.as_ref().map_err(String::as_str), Err(expected));
        }
    }
}
