//! Draws a conclusion from checks. One pure function serves every reproducer.

use backproof_protocol::{Check, Conclusion, Role, Shown};

/// The conclusion, and the checks that decide it.
///
/// Controls come first: a positive one has to show its effect, a negative one must not show the bug, and a failed one
/// is an error. Then one recipe that showed the bug decides, even if another is unclear. A pass needs all recipes: each
/// could have shown the bug and did not. Real connections never decide, but if they contradict a pass the conclusion is
/// an error, and their checks are returned.
pub fn conclude(checks: &[Check]) -> (Conclusion, Vec<&Check>) {
    let with = |wanted: &dyn Fn(&Check) -> bool| checks.iter().filter(|c| wanted(c)).collect::<Vec<_>>();
    let failed = with(&|c| match c.role {
        Role::PositiveControl => c.shown != Shown::Yes,
        Role::NegativeControl => c.shown != Shown::No,
        Role::Recipe | Role::Natural => false,
    });
    if !failed.is_empty() {
        return (Conclusion::Error, failed);
    }
    let recipes = |shown| with(&|c| c.role == Role::Recipe && c.shown == shown);
    let (yes, no, unclear) = (recipes(Shown::Yes), recipes(Shown::No), recipes(Shown::Unclear));
    let controlled = checks.iter().any(|c| matches!(c.role, Role::PositiveControl | Role::NegativeControl));
    match (controlled, yes.is_empty(), unclear.is_empty()) {
        (false, ..) => (Conclusion::Error, Vec::new()),
        (true, false, _) => (Conclusion::Affected, yes),
        (true, true, false) => (Conclusion::Error, unclear),
        (true, true, true) if no.is_empty() => (Conclusion::Error, Vec::new()),
        (true, true, true) => {
            let contradicts = with(&|c| c.role == Role::Natural && c.shown == Shown::Yes);
            if contradicts.is_empty() { (Conclusion::NotAffected, no) } else { (Conclusion::Error, contradicts) }
        }
    }
}

/// The remark for a decision by checks of real connections.
pub fn disagreement(deciding: &[&Check]) -> Option<&'static str> {
    let natural = deciding.first().is_some_and(|c| c.role == Role::Natural);
    natural.then_some("the recipes did not show the bug, but real connections did: ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn only_held_controls_and_proven_recipes_make_a_verdict() {
        use Conclusion::{Affected, Error, NotAffected};
        use Role::{Natural, NegativeControl as Neg, PositiveControl as Pos, Recipe};
        use Shown::{No, Unclear, Yes};
        type Row<'a> = (&'a [(Role, Shown)], Conclusion, &'a [usize]);
        let table: &[Row] = &[
            (&[], Error, &[]),
            (&[(Recipe, No)], Error, &[]),
            (&[(Recipe, Yes)], Error, &[]),
            (&[(Neg, No)], Error, &[]),
            (&[(Pos, Yes)], Error, &[]),
            (&[(Recipe, No), (Neg, No)], NotAffected, &[0]),
            (&[(Recipe, No), (Pos, Yes)], NotAffected, &[0]),
            (&[(Recipe, No), (Recipe, No), (Neg, No), (Pos, Yes)], NotAffected, &[0, 1]),
            (&[(Recipe, Yes), (Recipe, No), (Neg, No)], Affected, &[0]),
            (&[(Recipe, Unclear), (Recipe, Yes), (Neg, No)], Affected, &[1]),
            (&[(Recipe, Unclear), (Recipe, No), (Neg, No)], Error, &[0]),
            (&[(Recipe, Yes), (Neg, Yes)], Error, &[1]),
            (&[(Recipe, Yes), (Neg, Unclear)], Error, &[1]),
            (&[(Recipe, No), (Neg, Unclear)], Error, &[1]),
            (&[(Recipe, Yes), (Neg, No), (Pos, No)], Error, &[2]),
            (&[(Recipe, No), (Neg, No), (Pos, Unclear)], Error, &[2]),
            (&[(Recipe, No), (Natural, No)], Error, &[]),
            (&[(Recipe, No), (Neg, No), (Natural, Unclear)], NotAffected, &[0]),
            (&[(Recipe, Yes), (Neg, No), (Natural, No)], Affected, &[0]),
            (&[(Recipe, Yes), (Neg, No), (Natural, Yes)], Affected, &[0]),
            (&[(Recipe, No), (Neg, No), (Natural, Yes), (Natural, No)], Error, &[2]),
            (&[(Recipe, Unclear), (Neg, No), (Natural, Yes)], Error, &[0]),
        ];
        for (rows, conclusion, deciding) in table {
            let check = |(n, &(role, shown)): (usize, &(Role, Shown))| Check {
                name: n.to_string(),
                role,
                shown,
                why: String::new(),
                facts: BTreeMap::new(),
            };
            let checks: Vec<_> = rows.iter().enumerate().map(check).collect();
            let (found, why) = conclude(&checks);
            let names: Vec<usize> = why.iter().filter_map(|c| c.name.parse().ok()).collect();
            assert_eq!((found, names.as_slice()), (*conclusion, *deciding), "{rows:?}");
        }
    }
}
