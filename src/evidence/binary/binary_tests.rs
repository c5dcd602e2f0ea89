use std::io::Write;

use super::fixture::{self, OF_6_1};
use super::*;
use crate::evidence::config::BuildConfig;
use crate::evidence::exhibits::Exhibits;
use crate::evidence::version::Release;
use crate::evidence::{Strength, Witness};
use crate::matrix::Bugs;
use crate::verdict::{Case, Verdict};

fn kernel(strings: &[&str]) -> Vec<u8> {
    let functions = fixture::with_caller(vec![("some_function", vec![0xc3; 16])]);
    fixture::vmlinux(OF_6_1, &functions, strings).0
}

#[test]
fn release_and_strings_of_a_kernel_are_read() {
    let binary = Binary::read(kernel(&["TCPWqueueTooBig", "TCPRcvQDropped"])).unwrap();
    assert_eq!(binary.release(), "6.1.0-test");
    assert!(binary.has_string("TCPWqueueTooBig") && binary.has_string("WqueueTooBig"));
    // A longer string with the same start is a different string.
    assert!(!binary.has_string("TCPRcvQDrop") && !binary.has_string("TCPNothing"));
    assert!(binary.config().is_none());
}

#[test]
fn configuration_in_the_image_is_read_unless_damaged() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"CONFIG_TUN=m\nCONFIG_NET=y\n").unwrap();
    let packed = packed.finish().unwrap();
    let image = [&kernel(&[])[..], b"IKCFG_ST", &packed, b"IKCFG_ED"].concat();
    let binary = Binary::read(image.clone()).unwrap();
    assert!(binary.config().is_some_and(|config| config.is_module("TUN")));
    let cut = [&kernel(&[])[..], b"IKCFG_ST", &packed[..packed.len() / 2]].concat();
    assert!(Binary::read(cut).unwrap().config().is_none());
}

#[test]
fn configuration_in_the_image_wins_over_one_beside_it() {
    let set = "# Automatically generated file; DO NOT EDIT.\nCONFIG_SYN_COOKIES=y\n";
    let unset = "# Automatically generated file; DO NOT EDIT.\n# CONFIG_SYN_COOKIES is not set\n";
    let cookies = Bugs::built_in().find("syn-cookie-data-loss").unwrap().clone();
    for (inside, beside, strength, verdict) in [
        (Some(unset), set, Some(Strength::Strong), Verdict::NotAffected),
        (Some(set), unset, None, Verdict::Unknown),
        (None, unset, Some(Strength::Weak), Verdict::Unknown),
        (None, set, None, Verdict::Unknown),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config-6.1"), beside).unwrap();
        let embedded = inside.map(|text| {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(text.as_bytes()).unwrap();
            [b"IKCFG_ST", &packed.finish().unwrap()[..]].concat()
        });
        let exhibits = Exhibits {
            release: Some(Ok(Release::parse("4.19.57").unwrap())),
            config: BuildConfig::beside(&folder.path().join("vmlinuz-6.1")),
            binary: Some(Ok(Binary::read([kernel(&[]), embedded.unwrap_or_default()].concat()).unwrap())),
            ..Exhibits::default()
        };
        let findings = exhibits.look(&cookies).findings;
        let config = findings.iter().find(|finding| finding.witness == Witness::Config).map(|finding| finding.strength);
        assert_eq!(config, strength, "{inside:?} {beside:?}");
        assert_eq!(Case::of_findings(findings).verdict, verdict, "{inside:?} {beside:?}");
    }
}

#[test]
fn file_that_is_not_a_kernel_is_rejected_by_its_kind() {
    let without_banner: Vec<u8> = {
        let mut image = kernel(&[]);
        let at = memmem::find(&image, BANNER).unwrap();
        image[at] = b'l';
        image
    };
    for (image, expected) in [
        (Vec::new(), "an empty file"),
        (b"#!/bin/sh\necho\n".to_vec(), "a text file"),
        (without_banner, "without the banner"),
        (kernel(&[])[..3000].to_vec(), "truncated"),
    ] {
        let error = Binary::read(image).map(|_| ()).map_err(|error| error.to_string());
        assert!(error.as_ref().is_err_and(|told| told.contains(expected)), "{expected}: {error:?}");
    }
}

#[test]
fn oversized_file_is_rejected_unread() {
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large");
    File::create(&large).unwrap().set_len(2 << 30).unwrap();
    assert!(matches!(Binary::open(&large), Err(BinaryError::TooLarge(size)) if size == 2 << 30));
    assert!(matches!(Binary::open(folder.path()), Err(BinaryError::NotAFile)));
    assert!(matches!(Binary::open(&folder.path().join("absent")), Err(BinaryError::Io(_))));
}
