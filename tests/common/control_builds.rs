//! Builds control kernels from sources that compile in no time.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::fake_source::FakeSource;
use super::{Lab, Ran, alive, descendants};

/// The file that `stall-break` patches, made of its patch's context and removed lines.
pub fn patched_file() -> (&'static str, String) {
    let patch = include_str!("../../images/patches/6.1/stall-break.patch");
    let hunk = patch.split_once("\n@@ ").expect("a hunk").1;
    let lines = hunk.lines().skip(1).filter(|line| !line.starts_with('+'));
    ("net/ipv4/tcp_output.c", lines.map(|line| format!("{}\n", line.get(1..).unwrap_or_default())).collect())
}

pub fn source(lab: &Lab) -> FakeSource {
    let (name, text) = patched_file();
    FakeSource::new(lab.dir.path(), &[(name, &text)])
}

pub fn args<'a>(names: &[&'a str]) -> Vec<&'a str> {
    [&["controls", "build", "--source", "linux", "--cache", "cache", "--format", "json"], names].concat()
}

/// Its exit, and its document.
pub fn build(lab: &Lab, names: &[&str]) -> (Ran, Value) {
    let ran = lab.run(&args(names));
    let document = serde_json::from_str(&ran.stdout).unwrap_or(Value::Null);
    (ran, document)
}

/// A build that is compiling b.c, and its processes.
pub fn held(lab: &Lab, source: &FakeSource) -> (Child, Vec<u32>) {
    source.hold();
    let child = lab.command(&args(&["stock"])).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let family = family_at_b(&child, source);
    (child, family)
}

/// The processes of a build, once its compiler is held at b.c.
pub fn family_at_b(child: &Child, source: &FakeSource) -> Vec<u32> {
    let began = Instant::now();
    while !source.is_held() {
        assert!(began.elapsed() < Duration::from_secs(60), "the compiler never came to b.c");
        // Without inotify there is no event for a new file.
        std::thread::sleep(Duration::from_millis(10));
    }
    let family = descendants(child.id()).into_iter().map(|(pid, _)| pid).collect::<Vec<_>>();
    assert!(family.len() >= 3, "make and its shells: {family:?}");
    family
}

pub fn all_end(family: &[u32]) {
    let began = Instant::now();
    while family.iter().any(|pid| alive(*pid)) {
        assert!(began.elapsed() < Duration::from_secs(10), "some of {family:?} live on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn image(document: &Value, at: usize, cache: &Path) -> String {
    let sha256 = document["built"][at]["image_sha256"].as_str().expect("an image");
    String::from_utf8_lossy(&fs::read(cache.join("blobs").join(sha256)).expect("the image")).into_owned()
}
