//! Asks `backproof affected`.

use serde_json::Value;

use super::{Lab, Ran};

/// Its exit, and its document.
pub fn asked(lab: &Lab, args: &[&str]) -> (Ran, Value) {
    let ran = lab.run(&[&["affected", "--format", "json"], args].concat());
    let document = serde_json::from_str(&ran.stdout).unwrap_or(Value::Null);
    (ran, document)
}

/// The answer about one subject and the first requested bug.
#[track_caller]
pub fn said<'a>(document: &'a Value, subject: &str) -> &'a Value {
    let subjects = document["subjects"].as_array().expect("subjects");
    let found = subjects.iter().find(|s| s["subject"] == subject);
    &found.unwrap_or_else(|| panic!("no subject {subject} in {document:#}"))["bugs"][0]
}
