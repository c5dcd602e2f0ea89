//! `backproof` proves whether a kernel has a bug, and whether a backport really removed it.
//!
//! One room per stage, and data flows one way through them: a room knows those before it in this list and none
//! after it. `words` is what they all speak.
#![forbid(unsafe_code)]

pub mod child;
pub mod exit;
pub mod json;
pub mod lack;
pub mod regular;
pub mod shim;
#[cfg(test)]
mod small_disk;
pub mod words;

pub mod recipe;

pub mod repository;

pub mod matrix;

pub mod kernel;

pub mod host;

pub mod guest;

pub mod import;

pub mod vm;

pub mod evidence;

pub mod verdict;

pub mod answer;

pub mod run;

pub mod results;

pub mod history;

pub mod validate;

pub mod prove;

pub mod report;

pub mod cli;

#[cfg(fuzzing)]
pub mod fuzzing;
