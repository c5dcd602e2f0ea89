//! From what is known of each step to the states that are possible.

use crate::evidence::{StateSet, Strength};
use crate::words::{Role, State};

/// What is known of one step in a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::evidence) struct Presence {
    /// Whether it may be in.
    pub may: bool,
    /// Whether it must be in.
    pub must: bool,
    /// Whether it is in, if hints are believed. None where there is no hint.
    pub hint: Option<bool>,
}

impl Presence {
    pub const IN: Self = Self { may: true, must: true, hint: None };
    pub const OUT: Self = Self { may: false, must: false, hint: None };
    pub const OPEN: Self = Self { may: true, must: false, hint: None };

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
pub(in crate::evidence) struct Chain {
    pub break_: Presence,
    pub half_fix: Presence,
    pub fix: Presence,
    /// `IN` where this kernel needs none.
    pub fix_of_fix: Presence,
}

impl Chain {
    /// What is known of one step.
    pub fn step(&mut self, role: Role) -> &mut Presence {
        match role {
            Role::Break => &mut self.break_,
            Role::HalfFix => &mut self.half_fix,
            Role::Fix => &mut self.fix,
            Role::FixOfFix => &mut self.fix_of_fix,
        }
    }

    /// The states that are possible, with or without believing hints.
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
                            // A repair without what it repairs: the break came some other way, or was taken out.
                            (false, true, false, _) => vec![State::NeverHad, State::HalfFixed],
                            (false, false, false, _) => vec![State::NeverHad],
                        });
                    }
                }
            }
        }
        states.into_iter().collect()
    }

    /// What it comes to. What was really seen goes first, as long as it tells affected from not; else hints may.
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
    fn the_steps_that_are_in_give_the_state() {
        use State::{Affected, Fixed, FixedWithDefect, HalfFixed, NeverHad};
        const IN: Presence = Presence::IN;
        const OUT: Presence = Presence::OUT;
        const OPEN: Presence = Presence::OPEN;
        const HINT: Presence = Presence { may: true, must: false, hint: Some(true) };
        const UNHINT: Presence = Presence { may: true, must: false, hint: Some(false) };
        type Row<'a> = (&'a str, [Presence; 4], &'a [State], Strength);
        let (strong, weak) = (Strength::Strong, Strength::Weak);
        let table: &[Row] = &[
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
            let chain = Chain { break_: *break_, half_fix: *half_fix, fix: *fix, fix_of_fix: *fix_of_fix };
            assert_eq!(chain.conclude(), (states.iter().copied().collect(), *strength), "{name}");
        }
    }
}
