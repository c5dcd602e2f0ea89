//! Derives the possible states from the presence of each step.

use std::collections::BTreeMap;

use crate::evidence::{StateSet, Strength};
use crate::matrix::Bug;
use crate::words::{Role, State};

/// The presence of a step in a kernel, with its uncertainty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::evidence) struct Presence {
    /// Whether it may be in.
    pub may: bool,
    /// Whether it must be in.
    pub must: bool,
    /// Whether it is in by the hints; none if there is no hint.
    pub hint: Option<bool>,
}

impl Presence {
    pub const IN: Self = Self { may: true, must: true, hint: None };
    pub const OUT: Self = Self { may: false, must: false, hint: None };
    pub const OPEN: Self = Self { may: true, must: false, hint: None };

    /// Whether it is in, by evidence or else by hints.
    fn believed(self) -> Option<bool> {
        self.hint.or(if self.must {
            Some(true)
        } else if self.may {
            None
        } else {
            Some(false)
        })
    }

    /// Whether both are in.
    fn and(self, other: Self) -> Self {
        let hint = match (self.believed(), other.believed()) {
            _ if self.hint.is_none() && other.hint.is_none() => None,
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        };
        Self { may: self.may && other.may, must: self.must && other.must, hint }
    }

    /// Whether it is not in.
    fn not(self) -> Self {
        Self { may: !self.must, must: !self.may, hint: self.hint.map(|hint| !hint) }
    }

    /// Whether at least one of them is in.
    fn or(self, other: Self) -> Self {
        self.not().and(other.not()).not()
    }

    fn possible(self, hints: bool) -> impl Iterator<Item = bool> {
        let (may, must) = match self.hint {
            Some(hint) if hints => (hint, hint),
            _ => (self.may, self.must),
        };
        [false, true].into_iter().filter(move |value| if *value { may } else { !must })
    }
}

/// The steps of a chain in a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::evidence) struct ChainPresence {
    pub break_: Presence,
    pub half_fix: Presence,
    pub fix: Presence,
    /// `IN` if this kernel doesn't need it.
    pub fix_of_fix: Presence,
}

impl ChainPresence {
    /// Combines these steps into a chain. One of several breaks or half fixes is enough. Several fixes must all be in,
    /// or count as a half fix. A break that the dossier doesn't name was always there, unless it is unknown; a fix that it
    /// doesn't name is in no kernel.
    pub fn of(bug: &Bug, steps: impl IntoIterator<Item = (Role, Presence)>) -> Self {
        let unknown = bug.break_unknown.then_some((Role::Break, Presence::OPEN));
        Self::of_steps(steps.into_iter().chain(unknown))
    }

    fn of_steps(steps: impl IntoIterator<Item = (Role, Presence)>) -> Self {
        let mut of_role: BTreeMap<Role, Vec<Presence>> = BTreeMap::new();
        for (role, presence) in steps {
            of_role.entry(role).or_default().push(presence);
        }
        let all = |role| of_role.get(&role).and_then(|all| all.iter().copied().reduce(Presence::and));
        let any = |role| of_role.get(&role).and_then(|all| all.iter().copied().reduce(Presence::or));
        let has_parts = of_role.get(&Role::Fix).is_some_and(|parts| parts.len() > 1);
        let part = any(Role::Fix).filter(|_| has_parts);
        Self {
            break_: any(Role::Break).unwrap_or(Presence::IN),
            half_fix: any(Role::HalfFix).into_iter().chain(part).reduce(Presence::or).unwrap_or(Presence::OUT),
            fix: all(Role::Fix).unwrap_or(Presence::OUT),
            fix_of_fix: all(Role::FixOfFix).unwrap_or(Presence::IN),
        }
    }

    /// The possible states, with or without hints.
    fn states(&self, hints: bool) -> StateSet {
        let mut states = Vec::new();
        for fix in self.fix.possible(hints) {
            for half in self.half_fix.possible(hints) {
                for break_ in self.break_.possible(hints) {
                    for mended in self.fix_of_fix.possible(hints) {
                        states.extend(match (break_, half, fix, mended) {
                            (_, _, true, true) => vec![State::Fixed],
                            (_, _, true, false) => vec![State::FixedWithDefect],
                            (true, true, false, _) => vec![State::HalfFixed],
                            (true, false, false, _) => vec![State::Affected],
                            // With a half fix but no break, the break came another way, or was removed.
                            (false, true, false, _) => vec![State::NeverHad, State::HalfFixed],
                            (false, false, false, _) => vec![State::NeverHad],
                        });
                    }
                }
            }
        }
        states.into_iter().collect()
    }

    /// The conclusion. Evidence wins if it separates affected from not affected; else hints may decide.
    pub fn conclude(&self) -> (StateSet, Strength) {
        let strong = self.states(false);
        let weak = self.states(true);
        let decides = strong.and(StateSet::affected()).is_empty() || strong.and(StateSet::not_affected()).is_empty();
        if decides || weak == strong { (strong, Strength::Strong) } else { (weak, Strength::Weak) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_break_leaves_open_whether_it_was_ever_there() {
        let bug = |more: &str| {
            let text = format!(
                "id: a\ntitle: a\nsummary: a\nreferences: [a]\n{more}chain: [{{ role: fix, commit: 0123456789ab, effect: a }}]\n"
            );
            Bug::parse(&text, std::path::Path::new("a.yaml")).unwrap_or_else(|problems| panic!("{problems}"))
        };
        let without_fix = |bug: &Bug| ChainPresence::of(bug, [(Role::Fix, Presence::OUT)]).conclude().0;
        assert_eq!(without_fix(&bug("")).only(), Some(State::Affected));
        let open = without_fix(&bug("break-unknown: true\n"));
        assert_eq!(open, [State::NeverHad, State::Affected].into_iter().collect::<StateSet>());
        let fixed = ChainPresence::of(&bug("break-unknown: true\n"), [(Role::Fix, Presence::IN)]).conclude().0;
        assert_eq!(fixed.only(), Some(State::Fixed));
    }

    #[test]
    fn steps_give_the_state() {
        use State::{Affected, Fixed, FixedWithDefect, HalfFixed, NeverHad};
        const IN: Presence = Presence::IN;
        const OUT: Presence = Presence::OUT;
        const OPEN: Presence = Presence::OPEN;
        const HINT: Presence = Presence { may: true, must: false, hint: Some(true) };
        const UNHINT: Presence = Presence { may: true, must: false, hint: Some(false) };
        type PresenceRow<'a> = (&'a str, [Presence; 4], &'a [State], Strength);
        let (strong, weak) = (Strength::Strong, Strength::Weak);
        let table: &[PresenceRow] = &[
            ("nothing", [OUT, OUT, OUT, IN], &[NeverHad], strong),
            ("break", [IN, OUT, OUT, IN], &[Affected], strong),
            ("half fix", [IN, IN, OUT, IN], &[HalfFixed], strong),
            ("fix", [IN, IN, IN, IN], &[Fixed], strong),
            ("fix without the break's commit", [OUT, OUT, IN, IN], &[Fixed], strong),
            ("fix, not mended", [IN, IN, IN, OUT], &[FixedWithDefect], strong),
            ("fix, perhaps mended", [IN, OUT, IN, OPEN], &[Fixed, FixedWithDefect], strong),
            ("fix, mended by a hint: the verdict stays strong", [IN, OUT, IN, HINT], &[Fixed, FixedWithDefect], strong),
            ("nothing can be told", [OPEN; 4], &State::ALL, strong),
            ("break, all else open", [IN, OPEN, OPEN, IN], &[Affected, HalfFixed, Fixed], strong),
            ("fixed by a hint", [IN, IN, HINT, IN], &[Fixed], weak),
            ("fixed, reverted by a hint", [IN, IN, UNHINT, IN], &[HalfFixed], weak),
            ("break by a hint", [HINT, OUT, OUT, IN], &[Affected], weak),
            ("half fix by a hint: affected either way", [IN, HINT, OUT, IN], &[Affected, HalfFixed], strong),
            ("half fix alone", [OUT, IN, OUT, IN], &[NeverHad, HalfFixed], strong),
        ];
        for (name, [break_, half_fix, fix, fix_of_fix], states, strength) in table {
            let chain = ChainPresence { break_: *break_, half_fix: *half_fix, fix: *fix, fix_of_fix: *fix_of_fix };
            assert_eq!(chain.conclude(), (states.iter().copied().collect(), *strength), "{name}");
        }
    }

    #[test]
    fn one_break_is_enough_but_all_fixes_are_needed() {
        use Role::{Break, Fix, HalfFix};
        use State::{Affected, Fixed, HalfFixed, NeverHad};
        const IN: Presence = Presence::IN;
        const OUT: Presence = Presence::OUT;
        const OPEN: Presence = Presence::OPEN;
        const HINT: Presence = Presence { may: true, must: false, hint: Some(true) };
        type PresenceRow<'a> = (&'a [(Role, Presence)], &'a [State], Strength);
        let (strong, weak) = (Strength::Strong, Strength::Weak);
        let table: &[PresenceRow] = &[
            (&[], &[Affected], strong),
            (&[(Break, OUT), (Break, OUT), (Fix, OUT)], &[NeverHad], strong),
            (&[(Break, OUT), (Break, IN), (Fix, OUT)], &[Affected], strong),
            (&[(Break, OPEN), (Break, IN), (Fix, OUT)], &[Affected], strong),
            (&[(Break, OPEN), (Break, OUT), (Fix, OUT)], &[NeverHad, Affected], strong),
            (&[(Break, HINT), (Break, OUT), (Fix, OUT)], &[Affected], weak),
            (&[(Break, IN), (Fix, IN), (Fix, IN)], &[Fixed], strong),
            (&[(Break, IN), (Fix, IN), (Fix, OUT)], &[HalfFixed], strong),
            (&[(Break, IN), (Fix, OUT), (Fix, OUT)], &[Affected], strong),
            (&[(Break, IN), (Fix, IN), (Fix, OPEN)], &[HalfFixed, Fixed], strong),
            (&[(Break, IN), (Fix, IN), (Fix, HINT)], &[Fixed], weak),
            (&[(Break, IN), (HalfFix, OUT), (Fix, IN), (Fix, OUT)], &[HalfFixed], strong),
            (&[(Break, IN), (HalfFix, IN), (Fix, OUT), (Fix, OUT)], &[HalfFixed], strong),
        ];
        for (steps, states, strength) in table {
            let chain = ChainPresence::of_steps(steps.iter().copied());
            assert_eq!(chain.conclude(), (states.iter().copied().collect(), *strength), "{steps:?}");
        }
    }
}
