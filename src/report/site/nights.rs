//! The nights of a file: for each cell its results and its times, one after another.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::super::web::inert::{Text, Texts, inert};
use super::super::web::once::Once;
use super::encode::{NO_TIME, NONE, letter, time};
use super::overview::JobCounts;
use crate::history::{CellDigest, RunDigest};
use crate::results::CellStanding;
use crate::words::{JobId, KernelName, Outcome};

/// What a cell came to, in the words of `history KERNEL BUG`: runs in a row that say the same are one line there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Told(&'static str, String, Option<&'static str>, u8, String);

/// Marks of a result, as bits.
const UNEXPECTED: u8 = 1;
const CONFLICT: u8 = 2;

impl Told {
    fn of(standing: &CellStanding) -> Self {
        let marks = if standing.expected { 0 } else { UNEXPECTED } | if standing.conflict { CONFLICT } else { 0 };
        let state = standing.state.map(|state| state.as_str());
        Self(standing.outcome.as_str(), standing.verdict.to_string(), state, marks, standing.in_words())
    }
}

/// The place of a text for each kernel, and -1 for none.
type Places = Vec<i64>;

/// The content of a file. Texts, rows and times that cells have in common stand once.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Nights {
    site: &'static str,
    /// The runs, the oldest first; none whose verdicts cannot be trusted.
    runs: Vec<String>,
    /// The results, by their letters.
    told: Vec<Told>,
    jobs: Vec<String>,
    kernels: Vec<String>,
    /// One letter for each night.
    rows: Vec<String>,
    /// For each job, the row of each kernel.
    cells: Vec<Places>,
    /// Two digits for each night.
    times: Vec<String>,
    /// For each job, the times of each kernel.
    guest: Vec<Places>,
    /// For each kernel, from which night on it had which release; none if a night has none.
    releases: Vec<Vec<(usize, Option<Text>)>>,
    /// Why a cell has no verdict: kernel, job, night, reason.
    reasons: Vec<(usize, usize, usize, Text)>,
    texts: Vec<String>,
}

impl Nights {
    /// The nights of these runs, the oldest first.
    pub(super) fn of(runs: &[RunDigest]) -> Self {
        let runs: Vec<&RunDigest> = runs.iter().filter(|run| run.trusted).collect();
        let cells = || runs.iter().flat_map(|run| run.cells.keys());
        let kernels: BTreeSet<&KernelName> = cells().map(|(kernel, _)| kernel).collect();
        let jobs: BTreeSet<&JobId> = cells().map(|(_, job)| job).collect();
        let kernel_places: HashMap<&KernelName, usize> = kernels.iter().copied().zip(0..).collect();
        let job_places: HashMap<&JobId, usize> = jobs.iter().copied().zip(0..).collect();
        let (mut told, mut texts, mut reasons) = (Once::<Told>::default(), Texts::default(), Vec::new());
        let mut pasts = vec![Past::default(); kernels.len() * jobs.len()];
        let mut releases = vec![Vec::<(usize, Option<Text>)>::new(); kernels.len()];
        for (night, run) in runs.iter().enumerate() {
            let mut of_night: BTreeMap<usize, Option<&String>> = BTreeMap::new();
            for ((kernel, job), CellDigest { standing, clock }) in &run.cells {
                let (Some(at), Some(job)) = (kernel_places.get(kernel), job_places.get(job)) else { continue };
                let Some(past) = pasts.get_mut(job * kernels.len() + at) else { continue };
                past.add(night, letter(told.keep(Told::of(standing))), time(standing.guest_ms, *clock));
                if let Some(reason) = &standing.reason {
                    reasons.push((*at, *job, night, texts.keep(reason)));
                }
                let known = run.kernels.get(kernel).and_then(|kernel| kernel.release.as_ref());
                let release = of_night.entry(*at).or_default();
                *release = release.or(standing.release.as_ref()).or(known);
            }
            for (at, release) in of_night {
                let (text, Some(all)) = (release.map(|release| texts.keep(release)), releases.get_mut(at)) else {
                    continue;
                };
                if all.last().is_none_or(|(_, last)| *last != text) {
                    all.push((night, text));
                }
            }
        }
        let (mut rows, mut times) = (Once::<String>::default(), Once::<String>::default());
        let (mut cells, mut guest) = (Vec::new(), Vec::new());
        for of_job in pasts.chunks(kernels.len().max(1)) {
            let (of_cells, of_times) = of_job.iter().map(|past| past.places(runs.len(), &mut rows, &mut times)).unzip();
            cells.push(of_cells);
            guest.push(of_times);
        }
        Self {
            site: "nights",
            runs: runs.iter().map(|run| inert(&run.run.id)).collect(),
            told: told.all,
            jobs: jobs.iter().map(ToString::to_string).collect(),
            kernels: kernels.iter().map(ToString::to_string).collect(),
            rows: rows.all,
            cells,
            times: times.all,
            guest,
            releases,
            reasons,
            texts: texts.into_all(),
        }
    }
}

/// What a cell came to in each night so far.
#[derive(Clone, Debug, Default)]
struct Past {
    letters: String,
    times: String,
    nights: usize,
    has_time: bool,
}

impl Past {
    fn add(&mut self, night: usize, letter: char, time: [char; 2]) {
        self.skip(night);
        self.letters.push(letter);
        self.times.extend(time);
        self.nights += 1;
        self.has_time |= time != NO_TIME;
    }

    /// Fills the nights up to this one, in which the cell was not judged.
    fn skip(&mut self, night: usize) {
        while self.nights < night {
            self.letters.push(NONE);
            self.times.extend(NO_TIME);
            self.nights += 1;
        }
    }

    fn places(&self, nights: usize, rows: &mut Once<String>, times: &mut Once<String>) -> (i64, i64) {
        if self.letters.is_empty() {
            return (-1, -1);
        }
        let mut whole = self.clone();
        whole.skip(nights);
        let place = |at: usize| i64::try_from(at).unwrap_or(-1);
        (place(rows.keep(whole.letters)), if self.has_time { place(times.keep(whole.times)) } else { -1 })
    }
}

/// The bugs of these runs, and for each run their numbers.
pub(super) fn counts(runs: &[RunDigest]) -> (Vec<String>, Vec<Vec<JobCounts>>) {
    let jobs: BTreeSet<&JobId> = runs.iter().flat_map(|run| run.cells.keys()).map(|(_, job)| job).collect();
    let places: HashMap<&JobId, usize> = jobs.iter().copied().zip(0..).collect();
    let of_run = |run: &RunDigest| {
        let mut counts: BTreeMap<usize, JobCounts> = BTreeMap::new();
        for ((_, job), CellDigest { standing, .. }) in &run.cells {
            let Some(place) = places.get(job) else { continue };
            let count = counts.entry(*place).or_insert(JobCounts(*place, 0, 0, 0, 0, 0, 0));
            match standing.outcome {
                Outcome::Pass => count.1 += 1,
                Outcome::Fail => count.2 += 1,
                Outcome::Error => count.3 += 1,
                Outcome::Skip => count.4 += 1,
            }
            count.5 += u32::from(!standing.expected);
            count.6 += u32::from(standing.conflict);
        }
        counts.into_values().collect()
    };
    let counts = runs.iter().map(of_run).collect();
    (jobs.iter().map(ToString::to_string).collect(), counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::nights::{Face, Night, night};

    fn runs() -> Vec<RunDigest> {
        let mut first = Night::plain(0, 2);
        first.faces.insert((0, 1), Face::Error);
        let mut second = Night { at: 1, ..first.clone() };
        second.faces.insert((0, 1), Face::Fail);
        second.kernels.insert(7, 3);
        let third = Night { at: 2, ..Night::plain(2, 1) };
        [first, second, third].iter().map(|at| RunDigest::of(&night(at)).expect("a run")).collect()
    }

    #[test]
    fn cells_have_a_letter_for_each_night() {
        let nights = Nights::of(&runs());
        assert_eq!(nights.kernels, ["kernel-0", "kernel-1", "kernel-7"]);
        assert_eq!(nights.jobs, crate::history::nights::BUGS);
        assert_eq!(nights.told.iter().map(|told| told.4.as_str()).collect::<Vec<_>>(), ["pass", "ERROR", "FAIL"]);
        let row = |job: usize, kernel: usize| &nights.rows[usize::try_from(nights.cells[job][kernel]).expect("a row")];
        assert_eq!((row(0, 0), row(1, 0)), (&"aaa".to_owned(), &"bca".to_owned()));
        assert_eq!((row(0, 1), row(0, 2)), (&"aa-".to_owned(), &"-a-".to_owned()));
        // Equal rows stand once.
        assert_eq!(nights.rows.len(), 4);
        assert_eq!(nights.reasons.len(), 1);
        assert_eq!(nights.texts, ["night 0: the guest died", "6.1.0-0-amd64", "6.1.0-3-amd64"]);
        assert_eq!(nights.releases.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
        assert!(nights.times.iter().all(|times| times.len() == 6));
    }

    #[test]
    fn night_without_a_release_has_not_that_of_the_night_before() {
        let mut all = runs();
        for run in &mut all[1..2] {
            run.kernels.clear();
            run.cells.values_mut().for_each(|cell| cell.standing.release = None);
        }
        let nights = Nights::of(&all);
        let of =
            |kernel: usize| nights.releases[kernel].iter().map(|(at, text)| (*at, text.is_some())).collect::<Vec<_>>();
        assert_eq!(of(0), [(0, true), (1, false), (2, true)]);
    }

    #[test]
    fn untrusted_run_has_counts_and_no_nights() {
        let mut all = runs();
        all[1].trusted = false;
        let nights = Nights::of(&all);
        assert_eq!((nights.runs.len(), nights.kernels.len()), (2, 2));
        let (jobs, counts) = counts(&all);
        assert_eq!((jobs.len(), counts.len()), (3, 3));
        assert_eq!(counts[0][1], JobCounts(1, 1, 0, 1, 0, 1, 0));
        assert_eq!(counts[1][1], JobCounts(1, 2, 1, 0, 0, 1, 0));
        assert_eq!(Nights::of(&[]).cells, Vec::<Places>::new());
    }
}
