//! What the page of a run costs: `cargo bench --bench page`.
//!
//! Runs of 100 and of 1,667 kernels, three bugs each, made of the tests' sample run: the time to write the page and its size;
//! and in a headless Chromium the time until the page can be used, and of each interaction until its frame is drawn. The
//! median of nine counts, because a browser's first frames are slower and hosts are busy.
#![expect(clippy::disallowed_macros, reason = "a bench prints for people who watch it")]

use std::fs;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

#[path = "../tests/common/mod.rs"]
mod common;
use common::Lab;
use common::browser::Browser;
use common::page_run::{multiplied, page, sample};

const ROUNDS: usize = 9;

/// The most milliseconds until a page can be used, and for one interaction.
const INTERACTIVE_MOST: f64 = 1000.0;
const INTERACTION_MOST: f64 = 100.0;

/// What people do: a name, and a script.
const INTERACTIONS: [(&str, &str); 6] = [
    ("sort", "document.querySelector('th:nth-child(3) button').click()"),
    (
        "filter",
        "const w = document.getElementById('words'); w.value = w.value ? '' : 'kernel-1 stall'; w.dispatchEvent(new Event('input'))",
    ),
    ("scroll", "document.getElementById('table').scrollTop += 17000"),
    ("open a cell", "location.hash = '#kernel-8/tcp-fragment-stall'"),
    ("go back", "location.hash = ''"),
    ("open the cookies", "location.hash = '#kernel-9/syn-cookie-data-loss'"),
];

/// Runs a script, and returns the milliseconds until the next frame is drawn.
const TIMED: &str = "const [script, done] = arguments; const began = performance.now(); new Function(script)();
setTimeout(() => requestAnimationFrame(() => {
  const channel = new MessageChannel();
  channel.port1.onmessage = () => done(performance.now() - began);
  channel.port2.postMessage(0);
}));";

fn main() -> Result<()> {
    let mut worst = (0.0_f64, 0.0_f64);
    for kernels in [100, 1667] {
        let lab = Lab::new();
        let document = multiplied(&sample(&lab, "sample"), kernels, true);
        for number in 0..kernels {
            sample_files(&lab, number)?;
        }
        let mut writing = f64::INFINITY;
        for _ in 0..2 {
            let began = Instant::now();
            page(&lab, "run", &document);
            writing = writing.min(began.elapsed().as_secs_f64());
        }
        let path = lab.path("run/page.html");
        let size = fs::metadata(&path)?.len();
        println!("{} cells: written in {writing:.2} s with reading the run, {size} bytes", kernels * 3);
        let browser = Browser::open(1280, 900).context("the bench needs a browser")?;
        let ready = (0..ROUNDS).filter_map(|_| {
            browser.open_address("about:blank");
            browser.open_address(&format!("file://{}", path.display()));
            browser.run("return performance.getEntriesByName('interactive')[0].startTime", &[]).as_f64()
        });
        let interactive = median(ready.collect());
        println!("  can be used after {interactive:.0} ms");
        worst.0 = worst.0.max(interactive);
        for (name, script) in INTERACTIONS {
            let times = (0..ROUNDS).filter_map(|_| browser.run_async(TIMED, &[json!(script)]).as_f64());
            let usual = median(times.collect());
            println!("  {name}: {usual:.0} ms");
            worst.1 = worst.1.max(usual);
        }
    }
    ensure!(worst.0 < INTERACTIVE_MOST, "a page can be used after {:.0} ms, not {INTERACTIVE_MOST}", worst.0);
    ensure!(worst.1 < INTERACTION_MOST, "an interaction took {:.0} ms, not {INTERACTION_MOST}", worst.1);
    Ok(())
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::INFINITY)
}

/// Gives a kernel of the run the files of its like.
fn sample_files(lab: &Lab, number: usize) -> Result<()> {
    let like = ["control-6.1-stall-break", "debian-13"][number % 2];
    for folder in ["boot-1", "tcp-fragment-stall"] {
        let to = lab.path(format!("run/kernel-{number}/{folder}"));
        fs::create_dir_all(&to)?;
        for entry in fs::read_dir(lab.path(format!("sample/{like}/{folder}")))? {
            let entry = entry?;
            fs::hard_link(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
