//! Exit codes: what a process says to whoever started it.

use serde::{Deserialize, Serialize};

/// How a command ended, as its exit code says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u8", from = "u8")]
pub enum Exit {
    /// 0: everything as expected, nothing affected.
    #[default]
    Clean,
    /// 1: a kernel is affected or unlike its expectation, or strong witnesses contradict each other.
    Affected,
    /// 2: bad usage or configuration.
    Usage,
    /// 3: no verdict, because the harness, the host, the network or a guest broke, or the evidence does not say.
    NoVerdict,
    /// 130: interrupted. Partial results are kept.
    Interrupted,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Affected => 1,
            Self::Usage => 2,
            Self::NoVerdict => 3,
            Self::Interrupted => 130,
        }
    }

    /// The exit of both together: 1 wins over 2, 2 over 3, and 3 over 0. An interruption wins over all.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let rank = |exit| match exit {
            Self::Clean => 0,
            Self::NoVerdict => 1,
            Self::Usage => 2,
            Self::Affected => 3,
            Self::Interrupted => 4,
        };
        if rank(self) >= rank(other) { self } else { other }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<Exit> for u8 {
    fn from(exit: Exit) -> Self {
        exit.code()
    }
}

/// A number that no command exits with is read as no verdict.
impl From<u8> for Exit {
    fn from(code: u8) -> Self {
        let all = [Self::Clean, Self::Affected, Self::Usage, Self::Interrupted];
        all.into_iter().find(|exit| exit.code() == code).unwrap_or(Self::NoVerdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worst_exit_wins_and_numbers_are_stable() {
        use Exit::{Affected, Clean, Interrupted, NoVerdict, Usage};
        for (exit, code) in [(Clean, 0), (Affected, 1), (Usage, 2), (NoVerdict, 3), (Interrupted, 130)] {
            assert_eq!((exit.code(), Exit::from(code)), (code, exit));
            assert_eq!((exit.and(Clean), Clean.and(exit)), (exit, exit));
        }
        for (one, other, both) in
            [(Affected, NoVerdict, Affected), (Usage, NoVerdict, Usage), (Usage, Affected, Affected)]
        {
            assert_eq!((one.and(other), other.and(one)), (both, both));
        }
        assert_eq!(Exit::from(7), NoVerdict);
    }
}
