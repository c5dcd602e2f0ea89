//! What a history of many nights costs, and whether it tells every planted change and no other one.
//!
//! `cargo bench --bench nights -- [--nights N] [--kernels N] [--flips N] [--seed N]`
#![expect(clippy::disallowed_macros, reason = "a bench prints for people who watch it")]

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use backproof::history::HistoryFile;
use backproof::results::RunChange;
use backproof::{evidence, exit, json, results, run, verdict, vm, words};
use clap::Parser;

#[path = "../src/history/nights.rs"]
#[allow(dead_code, reason = "shared with the unit tests")]
mod nights;
use nights::{Night, night, run_name, step};

#[derive(Parser)]
struct Nights {
    /// Nights
    #[arg(long, default_value_t = 1000)]
    nights: u32,
    /// Kernels of a night, each with three bugs
    #[arg(long, default_value_t = 500)]
    kernels: u32,
    /// The most planted changes of a night
    #[arg(long, default_value_t = 5)]
    flips: usize,
    /// Of the planted changes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What cargo gives every bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let asked = Nights::parse();
    let folder = tempfile::tempdir()?;
    let mut history = HistoryFile::in_results(folder.path());
    let mut random = fastrand::Rng::with_seed(asked.seed);
    let (mut now, mut planted) = (Night::plain(0, asked.kernels), Vec::new());
    let (mut told, mut missed, mut invented) = (0, 0, 0);
    let mut concluded = Vec::new();
    for _ in 0..asked.nights {
        let document = night(&now);
        let began = Instant::now();
        let done = history.conclude(&document, None);
        concluded.push(began.elapsed());
        let changes = done.changes.ok_or("no changes")?;
        let entry = |it: &RunChange| (it.kernel.to_string(), it.bug.as_ref().map(ToString::to_string));
        let found: Vec<_> = changes.changes.iter().map(entry).collect();
        missed += planted.iter().filter(|it| !found.contains(it)).count();
        invented += found.iter().filter(|it| !planted.contains(it)).count();
        told += found.len();
        let flips = random.usize(..=asked.flips);
        (now, planted) = step(&now, &mut random, flips);
    }
    println!(
        "{} nights of {} kernels: {told} changes told, {missed} missed, {invented} invented",
        asked.nights, asked.kernels
    );
    let bytes = folder.path().join(backproof::history::HISTORY_FILE).metadata()?.len();
    println!("history: {:.1} MiB", bytes as f64 / f64::from(1 << 20));
    times("conclude a run", concluded.split_off(concluded.len() / 2));
    let last = asked.nights - 1;
    let timed = |what: &str, before: Option<String>, after: Option<String>| -> Result<(), Box<dyn Error>> {
        let mut taken = Vec::new();
        for _ in 0..20 {
            let began = Instant::now();
            HistoryFile::in_results(folder.path()).diff(before.as_deref(), after.as_deref())?;
            taken.push(began.elapsed());
        }
        times(what, taken);
        Ok(())
    };
    timed("diff of the last two runs", None, None)?;
    timed("diff of the first and the last", Some(run_name(0)), Some(run_name(last)))?;
    timed("diff in the middle", Some(run_name(last / 2)), Some(run_name(last / 2 + 1)))?;
    let mut taken = Vec::new();
    for kernel in 0..20 {
        let began = Instant::now();
        let kernel = nights::kernel_name(kernel).parse()?;
        // A kernel may have vanished, but it has a past.
        HistoryFile::in_results(folder.path()).past(&kernel, None)?;
        taken.push(began.elapsed());
    }
    times("past of a kernel", taken);
    Ok(if missed + invented == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn times(what: &str, mut taken: Vec<Duration>) {
    taken.sort();
    let ms = |at: Option<&Duration>| at.copied().unwrap_or_default().as_secs_f64() * 1000.0;
    println!("{what}: median {:.1} ms, longest {:.1} ms", ms(taken.get(taken.len() / 2)), ms(taken.last()));
}
