//! Evidence: the findings of one witness about one kernel and one bug.
//!
//! Each witness has its own file and returns [`Finding`]s; the verdict combines them.

use serde::{Deserialize, Serialize};

use crate::matrix::TellingString;
use crate::words::State;

pub mod binary;
pub mod changelog;
pub mod config;
pub mod exhibits;
pub mod git;
mod makefile;
pub mod runtime;
pub mod source;
pub mod version;
mod witness;

pub use witness::Witness;

/// The weight of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strength {
    /// A hint: it narrows the states down only where it contradicts nothing.
    Weak,
    /// Evidence. Two of these that contradict each other are a conflict.
    Strong,
    /// It was observed: the kernel is affected, regardless of other findings.
    Decisive,
}

/// A set of states: those that a finding, or a ledger, leaves possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<State>", into = "Vec<State>")]
pub struct StateSet(u8);

impl StateSet {
    /// Nothing is possible: the witnesses contradict each other.
    pub const EMPTY: Self = Self(0);

    /// Nothing is known.
    pub fn all() -> Self {
        State::ALL.into_iter().collect()
    }

    /// The states in which a kernel shows the bug.
    pub fn affected() -> Self {
        State::ALL.into_iter().filter(|s| s.is_affected()).collect()
    }

    /// The states in which a kernel does not show the bug.
    pub fn not_affected() -> Self {
        State::ALL.into_iter().filter(|s| !s.is_affected()).collect()
    }

    /// Whether `state` is in it.
    pub fn contains(self, state: State) -> bool {
        self.0 & Self::bit(state) != 0
    }

    /// The states that are in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The states that are not in it.
    #[must_use]
    pub fn complement(self) -> Self {
        Self(Self::all().0 & !self.0)
    }

    /// Whether nothing is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its states, in the order of the chain.
    pub fn iter(self) -> impl Iterator<Item = State> {
        State::ALL.into_iter().filter(move |s| self.contains(*s))
    }

    /// Its state, where it has exactly one.
    pub fn only(self) -> Option<State> {
        let mut states = self.iter();
        states.next().filter(|_| states.next().is_none())
    }

    fn bit(state: State) -> u8 {
        1 << state as u8
    }
}

impl TellingString {
    /// The states in which no kernel has it.
    pub fn excluded(&self) -> StateSet {
        self.excludes.iter().copied().collect()
    }
}

impl FromIterator<State> for StateSet {
    fn from_iter<I: IntoIterator<Item = State>>(states: I) -> Self {
        Self(states.into_iter().fold(0, |bits, state| bits | Self::bit(state)))
    }
}

impl From<Vec<State>> for StateSet {
    fn from(states: Vec<State>) -> Self {
        states.into_iter().collect()
    }
}

impl From<StateSet> for Vec<State> {
    fn from(set: StateSet) -> Self {
        set.iter().collect()
    }
}

/// The limit of a finding that is weaker than its witness's full judgement of the bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// It does not examine the bug itself: the dossier gives the witness no criteria, the witness had no part of this kernel
    /// to examine, or it noticed something else. If such a finding leaves the verdict open, hints still count.
    Aside,
    /// It is the base release of a file. Its builder may have added patches, so the release never decides; it only makes a
    /// state likely.
    Base,
}

/// The finding of one witness about one (kernel, bug).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The witness.
    pub witness: Witness,
    /// The states that it leaves possible.
    pub states: StateSet,
    /// The weight.
    pub strength: Strength,
    /// The reason, in one sentence with the figures behind it.
    pub why: String,
    /// Whether the cell's profile keeps the bug from showing. The states are the kernel's own all the same: a profile
    /// repairs nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mitigated: bool,
    /// Its limit; none if it is the witness's full judgement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// Files in the run's folder that show it, relative to that folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artefacts: Vec<String>,
}

impl Finding {
    /// A finding without evidence: every state remains, with the reason.
    pub fn unknown(witness: Witness, why: impl Into<String>) -> Self {
        Self::new(witness, StateSet::all(), Strength::Weak, why)
    }

    /// A finding of a witness that was not asked about the bug, because the dossier gives it no criteria or because it has no
    /// part of this kernel to examine.
    pub fn aside(witness: Witness, why: impl Into<String>) -> Self {
        Self { limit: Some(Limit::Aside), ..Self::unknown(witness, why) }
    }

    /// A finding.
    pub fn new(witness: Witness, states: StateSet, strength: Strength, why: impl Into<String>) -> Self {
        Self { witness, states, strength, why: why.into(), mitigated: false, limit: None, artefacts: Vec::new() }
    }

    /// Whether it leaves every state possible.
    pub fn is_unknown(&self) -> bool {
        self.states == StateSet::all()
    }

    /// Whether it leaves only affected states.
    pub fn is_affected(&self) -> bool {
        !self.states.is_empty() && self.states.and(StateSet::affected()) == self.states
    }

    /// Whether it is the silence of a reproducer without proof that the bug would have shown: it has no positive control.
    pub fn is_silence(&self) -> bool {
        let is_good = !self.states.is_empty() && self.states.and(StateSet::affected()).is_empty();
        self.witness == Witness::Runtime && self.strength == Strength::Weak && is_good
    }
}
