//! What the witnesses that need no boot cost: `cargo bench --bench witnesses`.
//!
//! Looks at the kernels of the default matrix and the control kernels that the cache has, at the source trees that the
//! controls were built of, and at a thousand releases.
#![expect(clippy::disallowed_macros, reason = "a bench prints for people who watch it")]

use std::error::Error;
use std::fs;
use std::time::{Duration, Instant};

use backproof::evidence::binary::{self, Binary};
use backproof::evidence::source::{self, SourceFolder};
use backproof::evidence::version::{self, Release};
use backproof::kernel::{Obtain, Store, obtain};
use backproof::matrix::{self, Bugs};
use backproof::shim::Shim;

fn main() -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    let bugs = Bugs::built_in();
    println!("the dossiers  {:.1} ms", milliseconds(began.elapsed()));

    let began = Instant::now();
    for n in 0..1000 {
        let release = Release::parse(&match n % 4 {
            0 => format!("4.19.{n}"),
            1 => format!("4.15.0-{n}-generic"),
            2 => format!("4.19.{n}-1+deb10u1"),
            _ => format!("3.10.0-957.{n}.3.el7.x86_64"),
        })?;
        for bug in bugs.iter() {
            std::hint::black_box(version::weigh(bug, &release));
        }
    }
    println!("version       1,000 releases: {:.1} ms", milliseconds(began.elapsed()));

    let store = Store::open(None)?;
    let shim = Shim::of_this_program()?;
    let with = Obtain { store: &store, shim: &shim, offline: true, refresh: false, locked: None, tell: &|_| {} };
    let matrix = matrix::parse(include_str!("../kernels.yaml"), "kernels.yaml".as_ref(), &bugs)?;
    for entry in &matrix.kernels {
        let Ok(kernel) = obtain(&entry.source, &with) else { continue };
        let began = Instant::now();
        let image = Binary::open(&kernel.image)?;
        for bug in bugs.iter() {
            std::hint::black_box(binary::weigh(bug, &image));
        }
        println!("binary        {:<36} {:.0} ms", entry.name.as_str(), milliseconds(began.elapsed()));
    }

    for line in fs::read_dir(store.path("controls")).into_iter().flatten().flatten() {
        for tree in fs::read_dir(line.path()).into_iter().flatten().flatten() {
            let Ok(files) = SourceFolder::open(&tree.path().join("src")) else { continue };
            let began = Instant::now();
            for bug in bugs.iter() {
                std::hint::black_box(source::weigh(bug, &files));
            }
            println!("source        {:<36} {:.0} ms", line.file_name().display(), milliseconds(began.elapsed()));
        }
    }
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
