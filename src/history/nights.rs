//! Synthetic nights, for tests and benches.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::evidence::{Finding, StateSet, Strength, Witness};
use crate::exit::Exit;
use crate::json;
use crate::results::{MatrixDocument, QemuRecord, RunHost, RunRecord, RunSelection, SCHEMA_VERSION};
use crate::run::{BootRecord, Cell, CellTally, CellTrials, KernelRecord};
use crate::verdict::{Boots, Case, Question};
use crate::vm::{Accel, VirtualTime};
use crate::words::{Expectation, JobId};

/// The bugs of each kernel.
pub const BUGS: [&str; 3] = ["syn-cookie-data-loss", "tcp-fragment-stall", "zero-window-user-timeout"];

/// The numbers of kernels that come later start here.
const LATER: u32 = 1_000_000;

/// What a cell shows. A cell without a face passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// It fails, unexpectedly.
    Fail,
    /// It has no verdict.
    Error,
    /// It passes, and witnesses contradict each other.
    Conflict,
    /// It passes, in three times its time.
    Slow,
}

/// What a night finds.
#[derive(Clone, Debug, Default)]
pub struct Night {
    /// The number of the night, from 0 on.
    pub at: u32,
    /// The kernels, with the numbers of their releases.
    pub kernels: BTreeMap<u32, u32>,
    /// The cells that do not just pass, by kernel and bug.
    pub faces: BTreeMap<(u32, usize), Face>,
}

impl Night {
    /// So many kernels, and all is well.
    pub fn plain(at: u32, kernels: u32) -> Self {
        Self { at, kernels: (0..kernels).map(|kernel| (kernel, 0)).collect(), faces: BTreeMap::new() }
    }
}

/// The run of a night.
pub fn run_name(at: u32) -> String {
    format!("{}-210000-{}", start(at).strftime("%Y%m%d"), 1000 + at)
}

fn start(at: u32) -> jiff::civil::Date {
    let first = jiff::civil::date(2026, 1, 1);
    first.checked_add(jiff::Span::new().days(i64::from(at))).expect("a day")
}

/// The name of a kernel.
pub fn kernel_name(kernel: u32) -> String {
    format!("kernel-{kernel}")
}

/// The time of a cell: a little different each night.
fn guest_ms(at: u32, kernel: u32, bug: usize) -> u64 {
    let mixed = (u64::from(at) * 31 + u64::from(kernel)) * 31 + bug as u64;
    1000 + mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 60
}

fn cell(night: &Night, kernel: u32, release: u32, bug: usize) -> Cell {
    let face = night.faces.get(&(kernel, bug)).copied();
    let question = Question {
        kernel: kernel_name(kernel).parse().expect("a name"),
        job: BUGS[bug].parse().expect("a job"),
        expect: Expectation::default(),
        mitigates: false,
        control: false,
        strict: false,
    };
    let showed = |states| Boots::Showed(Finding::new(Witness::Runtime, states, Strength::Decisive, "it says so"));
    let boots = match face {
        Some(Face::Fail) => showed(StateSet::affected()),
        Some(Face::Error) => Boots::Broke(format!("night {}: the guest died\n[ 1.0] a line", night.at)),
        Some(Face::Conflict | Face::Slow) | None => showed(StateSet::not_affected()),
    };
    let ms = guest_ms(night.at, kernel, bug);
    let guest_ms = Some(if face == Some(Face::Slow) { 3 * ms } else { ms });
    let trials = CellTrials { guest_ms, seconds: 1.0, boots: vec!["boot-1".to_owned()], ..CellTrials::default() };
    let mut cell = Cell::judged(&question, Some(release_name(release)), Case { boots, ..Case::default() }, trials);
    cell.judgement.conflict = face == Some(Face::Conflict);
    cell
}

fn release_name(release: u32) -> String {
    format!("6.1.0-{release}-amd64")
}

/// The document of a night.
pub fn night(night: &Night) -> MatrixDocument {
    let cells: Vec<Cell> = night
        .kernels
        .iter()
        .flat_map(|(kernel, release)| (0..BUGS.len()).map(|bug| cell(night, *kernel, *release, bug)))
        .collect();
    let record = |(kernel, release): (&u32, &u32)| {
        let name: crate::words::KernelName = kernel_name(*kernel).parse().expect("a name");
        let sha256 = format!("{:064x}", u64::from(*kernel) << 32 | u64::from(*release));
        let boot = BootRecord {
            control: None,
            kernel: name.clone(),
            number: 1,
            accelerator: Accel::Tcg,
            time: Some(VirtualTime { seed: 1, shift: 4 }),
            transcript_sha256: Some(sha256.replace('0', "a")),
            jobs: BUGS.iter().map(|bug| bug.parse::<JobId>().expect("a job")).collect(),
            seconds: 3.0,
            cached: None,
            inputs_sha256: Some(sha256.replace('0', "b")),
            differs: None,
            failure: None,
            notes: Vec::new(),
        };
        KernelRecord {
            name,
            source: "apt linux-image-amd64".to_owned(),
            release: Some(release_name(*release)),
            image_sha256: sha256,
            provenance: Vec::new(),
            files: Vec::new(),
            locked: false,
            stale: None,
            boots: vec![boot],
        }
    };
    let summary = CellTally::of(&cells);
    MatrixDocument {
        schema_version: SCHEMA_VERSION,
        cannot_be_trusted: Vec::new(),
        conflicts: Vec::new(),
        differing: Vec::new(),
        changes: None,
        run: RunRecord {
            id: run_name(night.at),
            started: format!("{}T21:00:00Z", start(night.at)),
            seconds: 60.0,
            finished: true,
            interrupted: false,
            tool: String::new(),
            arguments: vec!["run".to_owned()],
            matrix: "kernels.yaml".to_owned(),
            selection: RunSelection::default(),
            profiles: Vec::new(),
            natural: false,
            jobs: 1,
            host: RunHost { kernel: String::new(), cpus: 1, memory_mib: 1, load: 0.0 },
            qemu: QemuRecord { program: String::new(), version: String::new() },
            accelerator: "tcg: requested".to_owned(),
            time: "virtual, seed 1, shift 4".to_owned(),
            not_written: Vec::new(),
        },
        kernels: night.kernels.iter().map(record).collect(),
        cells,
        summary,
        exit_code: if summary.unexpected > 0 { Exit::Affected } else { Exit::Clean },
    }
}

/// Writes the folder of a night.
pub fn write_night(results: &Path, document: &MatrixDocument) {
    let folder = results.join(&document.run.id);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("matrix.json"), json::to_vec(document).expect("JSON")).expect("a file");
}

/// A random step from one night to the next, and the entries that it must make in a list of changes: each is a kernel, and a
/// bug if it is a cell's.
pub fn step(night: &Night, random: &mut fastrand::Rng, flips: usize) -> (Night, Vec<(String, Option<String>)>) {
    let mut next = Night { at: night.at + 1, ..night.clone() };
    let kernels: Vec<u32> = night.kernels.keys().copied().collect();
    let mut touched = BTreeSet::new();
    let mut entries = Vec::new();
    // Slow cells are fast again after a night, which is no news.
    next.faces.retain(|_, face| *face != Face::Slow);
    for _ in 0..flips {
        let Some(kernel) = random.choice(&kernels).copied().filter(|kernel| touched.insert(*kernel)) else { continue };
        let (bug, name) = (random.usize(..BUGS.len()), kernel_name(kernel));
        let cell_entry = (name.clone(), Some(BUGS[bug].to_owned()));
        match random.u32(..8) {
            0 if kernels.len() > 2 => {
                next.kernels.remove(&kernel);
                next.faces.retain(|(of, _), _| *of != kernel);
                entries.push((name, None));
            }
            1 => {
                let new = LATER + night.at * 100 + entries.len() as u32;
                next.kernels.insert(new, 0);
                entries.push((kernel_name(new), None));
            }
            2 => {
                if let Some(release) = next.kernels.get_mut(&kernel) {
                    *release += 1;
                    entries.push((name, None));
                }
            }
            // Only what was fast for long can get slower.
            3 if night.at > 8
                && kernel < LATER
                && !night.faces.contains_key(&(kernel, bug))
                && night.at % 40 == kernel % 40 =>
            {
                next.faces.insert((kernel, bug), Face::Slow);
                entries.push(cell_entry);
            }
            at => match (next.faces.remove(&(kernel, bug)), night.faces.get(&(kernel, bug))) {
                // It was slow, and still passes.
                (None, Some(_)) => {}
                (Some(_), _) => entries.push(cell_entry),
                (None, None) => {
                    let face = [Face::Fail, Face::Error, Face::Conflict][at as usize % 3];
                    next.faces.insert((kernel, bug), face);
                    entries.push(cell_entry);
                }
            },
        }
    }
    entries.sort();
    (next, entries)
}
