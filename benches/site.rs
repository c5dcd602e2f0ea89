//! What the site of a history costs: `cargo bench --bench site -- [--nights N] [--kernels N] [--flips N]`.
//!
//! The site is written from nothing, and after one more night; each data file of the site is read by a headless Chromium as it
//! is needed: the time until the site can be used, and of each interaction until its result is drawn. The median of five
//! counts, because hosts are busy.
#![expect(clippy::disallowed_macros, reason = "a bench prints for people who watch it")]

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use backproof::history::HistoryFile;
use backproof::report::{SiteSummary, write_site};
use backproof::{evidence, exit, json, results, run, verdict, vm, words};
use clap::Parser;
use serde_json::json;

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../src/history/nights.rs"]
#[allow(dead_code, reason = "shared with the unit tests")]
mod nights;
use common::browser::Browser;
use nights::{Night, night, step};

const ROUNDS: usize = 5;

/// The most seconds for another night, and the most milliseconds until the site can be used and for one interaction.
const NIGHT_MOST: f64 = 5.0;
const INTERACTIVE_MOST: f64 = 1000.0;
const INTERACTION_MOST: f64 = 100.0;

#[derive(Parser)]
struct Asked {
    /// Nights
    #[arg(long, default_value_t = 1000)]
    nights: u32,
    /// Kernels of a night, each with three bugs
    #[arg(long, default_value_t = 500)]
    kernels: u32,
    /// The most planted changes of a night
    #[arg(long, default_value_t = 5)]
    flips: usize,
    /// What cargo gives every bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let asked = Asked::parse();
    let folder = tempfile::tempdir()?;
    let (results, site) = (folder.path().join("results"), folder.path().join("site"));
    fs::create_dir(&results)?;
    let mut random = fastrand::Rng::with_seed(1);
    let mut now = Night::plain(0, asked.kernels);
    let add = |now: &Night| HistoryFile::in_results(&results).conclude(&night(now), None);
    let began = Instant::now();
    for _ in 0..asked.nights {
        add(&now);
        let flips = random.usize(..=asked.flips);
        now = step(&now, &mut random, flips).0;
    }
    println!(
        "{} nights of {} kernels, recorded in {:.0} s",
        asked.nights,
        asked.kernels,
        began.elapsed().as_secs_f64()
    );
    let update = || -> Result<(f64, SiteSummary)> {
        let began = Instant::now();
        let done = write_site(&mut HistoryFile::in_results(&results), &results, &site, &mut |_| ())?;
        Ok((began.elapsed().as_secs_f64(), done))
    };
    let tell = |what: &str, (seconds, done): &(f64, SiteSummary)| {
        println!(
            "{what}: {seconds:.2} s, {} files of {} bytes written, {} removed",
            done.written, done.bytes, done.removed
        );
    };
    tell("site from nothing", &update()?);
    println!("  {} bytes; the largest file has {}", size(&site).0, size(&site).1);
    let mut worst = 0.0_f64;
    for _ in 0..ROUNDS {
        add(&now);
        now = step(&now, &mut random, asked.flips).0;
        let done = update()?;
        tell("another night", &done);
        worst = worst.max(done.0);
    }
    tell("nothing new", &update()?);
    let browser = Browser::open(1280, 900).context("the bench needs a browser")?;
    let (interactive, slowest) = read_by(&browser, &site.join("index.html"));
    ensure!(worst < NIGHT_MOST, "another night took {worst:.2} s, not {NIGHT_MOST}");
    ensure!(interactive < INTERACTIVE_MOST, "the site can be used after {interactive:.0} ms, not {INTERACTIVE_MOST}");
    ensure!(slowest < INTERACTION_MOST, "an interaction took {slowest:.0} ms, not {INTERACTION_MOST}");
    Ok(())
}

/// What people do: a name, a script, and what is true when its result is there.
const INTERACTIONS: [(&str, &str, &str); 9] = [
    (
        "filter",
        "const w = document.getElementById('words'); w.value = w.value ? '' : 'kernel-1 stall'; w.dispatchEvent(new Event('input'))",
        "true",
    ),
    (
        "sort",
        "const s = document.getElementById('sort'); s.selectedIndex = (s.selectedIndex + 1) % 3; s.dispatchEvent(new Event('change'))",
        "true",
    ),
    ("scroll", "document.getElementById('table').scrollTop += 9000", "true"),
    (
        "open a cell",
        "location.hash = `#cell/kernels.yaml/kernel-${4 + Math.floor(Math.random() * 90)}/tcp-fragment-stall`",
        "document.querySelector('[aria-label=Past]')",
    ),
    (
        "all of its past",
        "location.hash = `#cell/kernels.yaml/kernel-${4 + Math.floor(Math.random() * 90)}/tcp-fragment-stall`",
        "document.querySelector('[aria-label=Past]') && !document.querySelector('#view .quiet')",
    ),
    ("go back", "location.hash = '#matrix/kernels.yaml'", "!document.getElementById('kernels').hidden"),
    ("trends", "location.hash = '#trends/kernels.yaml'", "document.querySelector('figure')"),
    (
        "all nights",
        "location.hash = '#matrix/kernels.yaml'; const n = document.getElementById('nights'); n.selectedIndex = n.options.length - 1; n.dispatchEvent(new Event('change'))",
        "!document.getElementById('kernels').hidden && document.querySelectorAll('.days [role=columnheader]').length > 365",
    ),
    (
        "scroll through all nights",
        "const t = document.getElementById('table'); t.scrollTop += 9000; t.scrollLeft += 5000",
        "true",
    ),
];

/// Runs a script, and returns the milliseconds until the frame after its result is drawn.
const TIMED: &str = "const [script, until, done] = arguments; const began = performance.now(); new Function(script)();
const is = new Function('return Boolean(' + until + ')');
const look = () => requestAnimationFrame(() => {
  if (!is()) { setTimeout(look); return; }
  const channel = new MessageChannel();
  channel.port1.onmessage = () => done(performance.now() - began);
  channel.port2.postMessage(0);
});
setTimeout(look);";

/// The milliseconds until the site can be used, and of the slowest interaction.
fn read_by(browser: &Browser, index: &Path) -> (f64, f64) {
    let ready = (0..ROUNDS).filter_map(|_| {
        browser.open_address("about:blank");
        browser.open_address(&format!("file://{}", index.display()));
        browser.wait("performance.getEntriesByName('interactive').length > 0");
        browser.run("return performance.getEntriesByName('interactive')[0].startTime", &[]).as_f64()
    });
    let interactive = median(ready.collect());
    println!("the site can be used after {interactive:.0} ms");
    let mut slowest = 0.0_f64;
    for (name, script, until) in INTERACTIONS {
        let times = (0..ROUNDS).filter_map(|_| browser.run_async(TIMED, &[json!(script), json!(until)]).as_f64());
        let times: Vec<f64> = times.collect();
        let (first, usual) = (times.first().copied().unwrap_or_default(), median(times));
        println!("  {name}: {usual:.0} ms, the first time {first:.0} ms");
        slowest = slowest.max(usual);
    }
    (interactive, slowest)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::INFINITY)
}

/// The bytes of a folder, and of its largest file.
fn size(folder: &Path) -> (u64, u64) {
    let (mut total, mut largest) = (0, 0);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (bytes, most) = match entry.metadata() {
            Ok(found) if found.is_dir() => size(&entry.path()),
            Ok(found) => (found.len(), found.len()),
            Err(_) => (0, 0),
        };
        (total, largest) = (total + bytes, largest.max(most));
    }
    (total, largest)
}
