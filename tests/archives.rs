//! Archives of packages that the matrix names, and hosts whose own archive is another distribution's.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use pgp::composed::{DetachedSignature, KeyType, SecretKeyParamsBuilder, SignedPublicKey, SignedSecretKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::ser::Serialize as _;
use pgp::types::Password;

mod common;
use common::archive::{Archive, PACKAGE};
use common::{Lab, Ran};

fn key(user: &str) -> SignedSecretKey {
    let mut params = SecretKeyParamsBuilder::default();
    params.key_type(KeyType::Ed25519Legacy).can_certify(true).can_sign(true).primary_user_id(user.into());
    params.build().unwrap().generate(rand::thread_rng()).unwrap()
}

fn public(key: &SignedSecretKey) -> Vec<u8> {
    SignedPublicKey::from(key.clone()).to_bytes().unwrap()
}

/// Signs the archive, as Release.gpg.
fn sign(mirror: &Path, key: &SignedSecretKey) {
    let release = fs::read(mirror.join("dists/sid/Release")).unwrap();
    let signature = DetachedSignature::sign_binary_data(
        rand::thread_rng(),
        &key.primary_key,
        &Password::empty(),
        HashAlgorithm::Sha256,
        &release[..],
    );
    let armored = signature.unwrap().to_armored_bytes(Default::default()).unwrap();
    fs::write(mirror.join("dists/sid/Release.gpg"), armored).unwrap();
}

fn run(lab: &Lab, archive: &Archive, args: &[&str]) -> Ran {
    let mut command = lab.command(args);
    command.env("APT_CONFIG", archive.configuration()).env("BACKPROOF_CACHE", lab.path("cache"));
    Ran::of(command.output().unwrap())
}

#[test]
fn own_archive_is_used_and_its_keyring_decides() {
    let lab = Lab::new();
    let archive = Archive::new(&lab.path("archive"));
    // The system knows nothing of it.
    lab.write("archive/etc/sources.list", "deb https://mirror.invalid/debian bookworm main\n");
    archive.publish("5.15.0-1");
    let (ours, other) = (key("Archive <a@example.test>"), key("Other <o@example.test>"));
    sign(&archive.mirror(), &ours);
    lab.write("ours.gpg", public(&ours));
    lab.write("other.gpg", public(&other));
    let matrix = |keyring: &str| {
        let mirror = archive.mirror();
        format!(
            "kernels:\n  - name: a\n    apt: {{ package: {PACKAGE}, suite: sid, mirror: \"file://{}\", components: \
             [main], keyring: {keyring} }}\n",
            mirror.display()
        )
    };
    for (keyring, code, complaint) in [
        ("other.gpg", 3, "NO_PUBKEY"),
        ("missing.gpg", 2, "the keyring"),
        ("kernels.yaml", 3, "refresh the index of sid"),
    ] {
        lab.write("kernels.yaml", matrix(keyring));
        let ran = run(&lab, &archive, &["kernels", "update", "--yes"]);
        ran.ends_with(code);
        assert!(ran.stdout.contains(complaint), "{complaint}\n{}\n{}", ran.stdout, ran.stderr);
    }
    lab.write("kernels.yaml", matrix("ours.gpg"));
    run(&lab, &archive, &["kernels", "update", "--yes"]).ends_with(0);
    let lock = fs::read_to_string(lab.path("kernels.lock")).unwrap();
    assert!(lock.contains("5.15.0-1") && lock.contains("(sid main of file:///"), "{lock}");
    // It is fetched and unpacked too. This kernel always dies at once.
    let ran = run(&lab, &archive, &["run", "--accel", "tcg", "--locked", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
    let kernel = &document["kernels"][0];
    assert_eq!(kernel["locked"], true, "{}\n{}", ran.stdout, ran.stderr);
    assert!(kernel["image_sha256"].as_str().is_some_and(|sum| sum.len() == 64), "{kernel}");
}

#[test]
fn other_distribution_gets_one_message_with_the_remedy() {
    let lab = Lab::with_matrix(
        "kernels:\n  - { name: a, apt: { package: linux-image-amd64, suite: bookworm } }\n  - { name: b, apt: { package: \
         linux-image-amd64, suite: trixie } }\n",
    );
    let archive = Archive::new(&lab.path("archive"));
    lab.write("archive/etc/sources.list", "deb https://mirror.invalid/ubuntu noble main universe\n");
    let ran = run(&lab, &archive, &["run", "--accel", "tcg"]);
    ran.ends_with(3);
    let said = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let told = said.matches("cannot find Debian's suites on the system's apt archive").count();
    assert_eq!(told, 1, "{}", ran.stdout);
}
