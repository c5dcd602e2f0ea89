//! Which files a site has, and which nights may have changed otherwise than before.

use std::collections::{BTreeMap, HashSet};

use super::super::web::inert::inert;
use super::folder::short_hash;
use super::overview::{Overview, SiteRun};
use crate::history::RecordedRun;

/// The most runs of a file. A month of nights has 31; a matrix that runs every hour has many files a month.
const RUNS_MOST: usize = 64;

/// How many earlier runs tell what is slower or flakier, so that an earlier run that comes late may change what changed in so
/// many later ones.
const RUNS_AFTER: usize = 20;

/// The runs of a matrix.
#[derive(Debug, PartialEq)]
pub(super) struct MatrixPlan {
    pub(super) name: String,
    /// The oldest first.
    pub(super) files: Vec<FilePlan>,
}

/// The runs of a file.
#[derive(Debug, PartialEq)]
pub(super) struct FilePlan {
    pub(super) month: String,
    /// The oldest first: as the history has it, and as the site shows it.
    pub(super) runs: Vec<(RecordedRun, SiteRun)>,
}

/// The files of these runs, which are the newest first. Matrices are in the order of their names.
pub(super) fn plan(runs: Vec<RecordedRun>) -> Vec<MatrixPlan> {
    let mut matrices: BTreeMap<String, Vec<RecordedRun>> = BTreeMap::new();
    for run in runs.into_iter().rev() {
        matrices.entry(run.run.matrix.clone()).or_default().push(run);
    }
    let mut plans: Vec<MatrixPlan> = Vec::new();
    for (matrix, runs) in matrices {
        let mut name = inert(&matrix);
        // Names that look alike are still of different matrices.
        if plans.iter().any(|plan| plan.name == name) {
            name = format!("{name} ({})", short_hash(matrix.as_bytes()));
        }
        plans.push(MatrixPlan { name, files: files(runs) });
    }
    plans
}

fn files(runs: Vec<RecordedRun>) -> Vec<FilePlan> {
    let mut files: Vec<FilePlan> = Vec::new();
    for run in runs {
        let month = month(&run.run.started);
        let shown = SiteRun::of(&run);
        match files.last_mut().filter(|file| file.month == month && file.runs.len() < RUNS_MOST) {
            Some(file) => file.runs.push((run, shown)),
            None => files.push(FilePlan { month, runs: vec![(run, shown)] }),
        }
    }
    files
}

/// The month of a time, `2026-11`.
fn month(started: &str) -> String {
    let month = started.get(..7).unwrap_or_default();
    let is_month = |(at, byte): (usize, u8)| if at == 4 { byte == b'-' } else { byte.is_ascii_digit() };
    if month.len() == 7 && month.bytes().enumerate().all(is_month) { month.to_owned() } else { "undated".to_owned() }
}

/// The runs whose changes are not those of the earlier site: new ones, and the next ones after each.
pub(super) fn to_compare(plans: &[MatrixPlan], earlier: &Overview) -> HashSet<String> {
    let mut found = HashSet::new();
    for plan in plans {
        let same = earlier.matrices.iter().filter(|matrix| matrix.name == plan.name);
        let known: HashSet<&str> =
            same.flat_map(|it| &it.files).flat_map(|it| &it.runs).map(|it| it.id.as_str()).collect();
        let mut after = 0;
        for (_, run) in plan.files.iter().flat_map(|file| &file.runs) {
            if !known.contains(run.id.as_str()) {
                found.insert(run.id.clone());
                after = RUNS_AFTER;
            } else if after > 0 {
                found.insert(run.id.clone());
                // Only these count among the earlier runs.
                after -= usize::from(!run.untrusted && !run.interrupted);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use crate::report::site::overview::{NightsFile, SiteMatrix};
    use crate::results::{ComparedRun, RunSelection};

    fn run(id: &str, started: &str, matrix: &str) -> RecordedRun {
        let (id, started, matrix) = (id.to_owned(), started.to_owned(), matrix.to_owned());
        let selection = RunSelection::default();
        let run = ComparedRun { id, started, matrix, selection, interrupted: false, exit_code: Exit::Clean };
        RecordedRun { run, trusted: true, cells: 1, unexpected: 0 }
    }

    /// Runs of one night after another, the newest first.
    fn nights(count: usize) -> Vec<RecordedRun> {
        (0..count).rev().map(|at| run(&format!("run-{at}"), &format!("2026-11-01T{at:03}"), "kernels.yaml")).collect()
    }

    fn overview(plans: &[MatrixPlan]) -> Overview {
        let file = |file: &FilePlan| NightsFile {
            runs: file.runs.iter().map(|(_, run)| run.clone()).collect(),
            ..NightsFile::default()
        };
        let matrix =
            |plan: &MatrixPlan| SiteMatrix { name: plan.name.clone(), files: plan.files.iter().map(file).collect() };
        Overview::of(None, plans.iter().map(matrix).collect())
    }

    #[test]
    fn runs_are_apart_by_matrix_month_and_number() {
        let mut runs = vec![
            run("d", "2026-12-01T00:00:00Z", "b.yaml"),
            run("c", "2026-12-01T00:00:00Z", "a.yaml"),
            run("b", "yesterday", "a.yaml"),
            run("a", "2026-11-30T00:00:00Z", "a.yaml"),
        ];
        runs.extend(nights(RUNS_MOST + 1));
        let shape: Vec<(String, Vec<(String, usize)>)> = plan(runs)
            .into_iter()
            .map(|plan| (plan.name, plan.files.into_iter().map(|file| (file.month, file.runs.len())).collect()))
            .collect();
        let files = |files: &[(&str, usize)]| files.iter().map(|(month, runs)| ((*month).to_owned(), *runs)).collect();
        assert_eq!(
            shape,
            [
                ("a.yaml".to_owned(), files(&[("2026-11", 1), ("undated", 1), ("2026-12", 1)])),
                ("b.yaml".to_owned(), files(&[("2026-12", 1)])),
                ("kernels.yaml".to_owned(), files(&[("2026-11", RUNS_MOST), ("2026-11", 1)])),
            ]
        );
    }

    #[test]
    fn matrices_whose_names_look_alike_stay_apart() {
        let runs = vec![run("b", "2026-11-02T", "a\u{1b}.yaml"), run("a", "2026-11-01T", "a␛.yaml")];
        let names: Vec<String> = plan(runs).into_iter().map(|plan| plan.name).collect();
        assert_eq!(names.len(), 2);
        assert!(names[0] == "a␛.yaml" && names[1].starts_with("a␛.yaml ("), "{names:?}");
    }

    #[test]
    fn late_run_makes_the_next_ones_compared_again() {
        let all = nights(40);
        let known = overview(&plan(all.clone()));
        assert_eq!(to_compare(&plan(all.clone()), &known).len(), 0);
        let newer = [vec![run("new", "2026-11-02T", "kernels.yaml")], all.clone()].concat();
        assert_eq!(to_compare(&plan(newer), &known), HashSet::from(["new".to_owned()]));
        let mut late = all.clone();
        // After run-9; of those that follow, one does not count.
        late.insert(30, run("late", "2026-11-01T009z", "kernels.yaml"));
        late[20].trusted = false;
        let found = to_compare(&plan(late), &known);
        assert_eq!(found.len(), 1 + RUNS_AFTER + 1, "{found:?}");
        assert!(found.contains("run-10") && found.contains("run-30") && !found.contains("run-31"), "{found:?}");
        // A run that is gone changes nothing that was told.
        assert_eq!(to_compare(&plan(all[..30].to_vec()), &known).len(), 0);
    }
}
