//! Cached boots: a boot whose inputs are known has its answer already, and a guest that says anything else is an alarm.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

mod common;
use common::{Lab, Ran, debian_12, sealed};

/// Runs with the cache of boots, unlike other tests.
fn judge(lab: &Lab, args: &[&str]) -> (Ran, Value) {
    let args = [&["run", "--accel", "tcg", "--format", "json", "--bug", "tcp-fragment-stall"], args].concat();
    let ran = Ran::of(lab.cached_command(&args).output().expect("the program starts"));
    let document = serde_json::from_str(&ran.stdout).unwrap_or(Value::Null);
    (ran, document)
}

fn boots(document: &Value) -> Vec<&Value> {
    document["kernels"][0]["boots"].as_array().expect("boots").iter().collect()
}

/// The record of the boot with this transcript, in the user's cache.
fn record_of(sha256: &str) -> PathBuf {
    let cache = std::env::var_os("BACKPROOF_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("XDG_CACHE_HOME")?).join("backproof")));
    let cache =
        cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("a home")).join(".cache/backproof"));
    let records = fs::read_dir(cache.join("boots")).expect("a folder").flatten().map(|entry| entry.path());
    let names = |path: &PathBuf| fs::read_to_string(path).is_ok_and(|text| text.contains(sha256));
    records.into_iter().find(names).expect("a record of the boot")
}

#[test]
fn known_boot_is_cached_and_fresh_boots_it() {
    let lab = Lab::with_matrix(&debian_12(""));
    let (ran, fresh) = judge(&lab, &["--seed", "90001", "--fresh"]);
    ran.ends_with(0);
    let (ran, cached) = judge(&lab, &["--seed", "90001"]);
    ran.ends_with(0);
    let (fresh, cached) = (boots(&fresh)[0].clone(), (boots(&cached)[0].clone(), cached["cells"][0].clone()));
    assert_eq!(fresh.get("cached"), None);
    assert!(cached.0["cached"].is_string() && cached.1["cached"] == cached.0["cached"], "{cached:#?}");
    assert_eq!(cached.0["transcript_sha256"], fresh["transcript_sha256"]);
    // What the guest said is in the run's folder all the same, and the boot can be repeated.
    let console = fs::read_to_string(lab.result("debian-12/boot-1/console.log")).expect("a console");
    assert!(console.contains("Linux version 6.1"));
    let replayed = lab.run(&["replay", "latest", "debian-12"]);
    assert!(replayed.ends_with(0).stdout.contains("transcript  identical"), "{}", replayed.stdout);
    let shown = lab.run(&["report"]);
    assert!(shown.stdout.contains("cached       1 of 1 boots, judged 20"), "{}", shown.stdout);
}

#[test]
fn guest_that_differs_from_its_cached_boot_is_an_alarm() {
    let lab = Lab::with_matrix(&debian_12(""));
    let (ran, document) = judge(&lab, &["--seed", "90002", "--fresh"]);
    ran.ends_with(0);
    let said = boots(&document)[0]["transcript_sha256"].as_str().expect("a checksum").to_owned();
    // A record that is whole, and of a guest that said one word more.
    let record = record_of(&said);
    let text = fs::read_to_string(&record).expect("a record");
    let json = format!("{{{}", text.split_once(',').expect("a seal").1);
    let mut value: Value = serde_json::from_str(&json).expect("JSON");
    let decode = |value: &Value| BASE64_STANDARD.decode(value.as_str().expect("text")).expect("base64");
    let console = [b"Hello\r\n".to_vec(), decode(&value["console"])].concat();
    let other = sha256(&[console.clone(), decode(&value["agent"])].concat());
    value["console"] = BASE64_STANDARD.encode(console).into();
    value["transcript_sha256"] = other.into();
    let name = format!("boots/{}", record.file_name().expect("a name").to_str().expect("UTF-8"));
    fs::write(&record, sealed(&name, &value.to_string())).expect("a record");

    let (ran, document) = judge(&lab, &["--seed", "90002", "--audit", "100%"]);
    ran.ends_with(3);
    let complaint = document["differing"][0].as_str().expect("a complaint");
    assert!(complaint.starts_with("debian-12/boot-1: console.log line 1: then `Hello`, now "), "{complaint}");
    assert_eq!(boots(&document)[0]["transcript_sha256"], *said);
    let kept = fs::read(lab.result("debian-12/boot-1/cached-console.log")).expect("both are kept");
    assert!(kept.starts_with(b"Hello\r\n"));
    let shown = lab.run(&["report"]);
    assert!(shown.ends_with(3).stdout.starts_with("TRANSCRIPT DIFFERS  debian-12/boot-1"), "{}", shown.stdout);
    // Neither is trusted, so it boots again, and is cached again.
    let (ran, again) = judge(&lab, &["--seed", "90002"]);
    ran.ends_with(0);
    assert_eq!(boots(&again)[0].get("cached"), None);
    assert!(record.exists());
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn seeds_are_counted_and_cached_one_by_one() {
    let lab = Lab::with_matrix(&debian_12(""));
    // Seeds that no earlier test left in the user's cache.
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time");
    let first = since.as_millis() as u64 % 4_000_000_000;
    let seed = first.to_string();
    let (ran, two) = judge(&lab, &["--seed", &seed, "--seeds", "2"]);
    ran.ends_with(0);
    assert_eq!(boots(&two).iter().filter_map(|boot| boot["seed"].as_u64()).collect::<Vec<_>>(), [first, first + 1]);
    let (ran, three) = judge(&lab, &["--seed", &seed, "--seeds", "3"]);
    ran.ends_with(0);
    let cached: Vec<bool> = boots(&three).iter().map(|boot| boot["cached"].is_string()).collect();
    assert_eq!(cached, [true, true, false]);
    let cell = &three["cells"][0];
    assert_eq!((&cell["seeds"]["tried"], &cell["seeds"]["affected"]), (&3.into(), &0.into()), "{cell:#}");
    let runtime = cell["findings"].as_array().expect("findings").iter().find(|f| f["witness"] == "runtime");
    let why = runtime.expect("a finding")["why"].as_str().expect("a reason");
    assert!(why.starts_with("0 of 3 seeds: affected (less than 63.2 % of schedules, 95 % confidence); "), "{why}");
}

#[test]
fn impossible_seeds_and_audits_are_bad_usage() {
    let lab = Lab::with_matrix(&debian_12(""));
    for (args, why) in [
        (&["--seeds", "0"][..], "--seeds"),
        (&["--seeds", "2", "--time", "real"], "seeds need virtual time"),
        (&["--seeds", "2", "--accel", "kvm"], "needs --accel tcg"),
        (&["--seed", "4294967295", "--seeds", "2"], "exceeds the largest seed, 4294967295"),
        (&["--audit", "101%"], "expected a percentage from 0% to 100%"),
        (&["--audit", "some"], "expected a percentage from 0% to 100%"),
        (&["--audit", "5%", "--fresh"], "cannot be used with"),
        (&["--reuse", "--fresh"], "cannot be used with"),
    ] {
        let ran = Ran::of(lab.cached_command(&[&["run"], args].concat()).output().expect("the program starts"));
        ran.ends_with(2);
        assert!(ran.stderr.contains(why), "{args:?}: {}", ran.stderr);
    }
}
