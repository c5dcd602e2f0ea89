//! A line of kernel.org releases: `4.19` means all of them.

use super::advice::UpgradeAdvice;
use super::release::{Beyond, KnownPackage, Release, Vendor};
use super::{held, known, states};
use crate::evidence::StateSet;
use crate::matrix::{Bug, ReleaseLine, Upstream};
use crate::words::State;

/// Consecutive releases of a line with the same states.
struct LineSpan {
    first: Upstream,
    last: Upstream,
    states: StateSet,
}

impl Release {
    /// The line of kernel.org's releases that a text names: `4.19`, `4.19.y`, `linux-4.19.y`, `2.6.32`. `4.19.0` and
    /// `v4.19` are the release.
    pub fn whole_line(text: &str) -> Option<Self> {
        let text = text.trim();
        let said = [".y", ".x", ".*"].iter().find_map(|end| text.strip_suffix(end));
        let name = said.map_or(text, |name| name.strip_prefix("linux-").unwrap_or(name));
        let (base, numbers, rest) = Upstream::prefix(name)?;
        let is_old = base.line().numbers()[0] < 3;
        let is_line = rest.is_empty() && !base.is_candidate() && numbers == if is_old { 3 } else { 2 };
        is_line.then(|| Self::of_line(base.line()))?
    }

    fn of_line(line: ReleaseLine) -> Option<Self> {
        let (vendor, package) = (Vendor::KernelOrg(Beyond::Nothing), KnownPackage::Unknown);
        let base = line.to_string().parse().ok()?;
        Some(Self { vendor, base, base_is_exact: true, package, flavour: None, by_form: false, is_line: true })
    }
}

/// The possible states of a whole line, and which releases have which states.
pub(super) fn weigh(bug: &Bug, line: ReleaseLine) -> Result<(StateSet, String), String> {
    let (spans, goes_on) = spans(bug, line)?;
    let states = spans.iter().flat_map(|span| span.states.iter()).collect();
    let end = spans.len().saturating_sub(1);
    let told = spans.iter().enumerate().map(|(at, span)| match (goes_on && at == end, span.first == span.last) {
        (true, _) => format!("{} from {} on", named(span.states), span.first),
        (false, true) => format!("{} in {}", named(span.states), span.first),
        (false, false) => format!("{} from {} to {}", named(span.states), span.first, span.last),
    });
    Ok((states, told.collect::<Vec<_>>().join("; ")))
}

/// The missing evidence: the exact release. Also names the first release from which on the line is good.
pub(super) fn settle(bug: &Bug, line: ReleaseLine) -> UpgradeAdvice {
    let good = spans(bug, line).ok().and_then(|(spans, _)| {
        let bad = spans.iter().rposition(|span| span.states.iter().any(State::is_affected));
        spans.get(bad.map_or(0, |bad| bad + 1)).map(|span| span.first)
    });
    let first = good.map_or_else(String::new, |good| format!("; all releases from {good} on are good"));
    UpgradeAdvice::Settle(format!("name the release, as `uname -r` prints it{first}"))
}

/// The spans of a line, and whether it is active.
fn spans(bug: &Bug, line: ReleaseLine) -> Result<(Vec<LineSpan>, bool), String> {
    let (last, goes_on) = known::last(line);
    let mut spans: Vec<LineSpan> = Vec::new();
    for stable in 0..=last {
        let text = if stable == 0 { line.to_string() } else { format!("{line}.{stable}") };
        let Ok(release) = text.parse::<Upstream>() else { continue };
        let found = states(&held(bug, &Release::of_kernel_org(release))?);
        match spans.last_mut().filter(|span| span.states == found) {
            Some(span) => span.last = release,
            None => spans.push(LineSpan { first: release, last: release, states: found }),
        }
    }
    Ok((spans, goes_on))
}

fn named(states: StateSet) -> String {
    if states == StateSet::all() {
        return "unknown".to_owned();
    }
    states.iter().map(State::as_str).collect::<Vec<_>>().join(" or ")
}
