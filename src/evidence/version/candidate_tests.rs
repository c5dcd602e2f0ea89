//! Tests names of kernels that precede the release with their number.

use super::*;

#[test]
fn candidates_of_any_spelling_are_never_the_release() {
    for name in [
        "kernel-5.3.0_rc1-1.x86_64.rpm",
        "kernel-5.3.0_rc1_00012_gdeadbeef-1.x86_64",
        "5.3.0_rc1",
        "5.3_rc1",
        "5.3_rc1_1",
        "linux-edge-5.3_rc1-r0",
        "5.3.rc1-1.1.gabcdef1",
        "kernel-default-5.3.rc1-1.1.g5f9e832.x86_64",
        "5.3.0-0.rc1.1.mga8",
        "5.3.0-desktop-0.rc1.1.mga8",
        "kernel-desktop-5.3.0-0.rc1.1.mga8-1-1.mga8.x86_64",
        "5.3.0-desktop-0.rc1.1omv4001",
        "5.3rc1.d0721.g5f9e832-1",
        "5.3.0-0.rc1.elrepo",
        "5.3.0-1.rc1.fc31",
        "5.3.0-0.rc1.foo",
        "5.3.0-gentoo-rc1",
        "5.3.0-custom-rc1",
        "5.11.0_rc3",
        // Daily builds of mainline.
        "5.3.0-999-generic",
        "5.3.0-994-generic",
        "linux-image-unsigned-5.3.0-999-generic_5.3.0-999.201907230202_amd64.deb",
    ] {
        let is_less = Release::parse(name).is_ok_and(|release| {
            !release.base.is_candidate() && !matches!(release.vendor, Vendor::Unnamed) && !release.is_builders_own()
        });
        assert!(!is_less, "{name}: {:?}", Release::parse(name));
    }
    for name in [
        "kernel.x86_64 5.3.0_rc1-1 @@commandline",
        "linux53 5.3.rc1-1",
        "Linux u 5.3.0-999-generic #201907230202 SMP Tue",
    ] {
        let found = Pasted::find(name);
        let is_nobodys =
            found.as_ref().map_or(true, |it| it.release.vendor == Vendor::Unnamed || it.release.base.is_candidate());
        assert!(is_nobodys, "{name}: {found:?}");
    }
    // These names contain no candidate.
    for name in ["5.3.0-arch1-1-ARCH", "4.19.57-src1", "5.3.0-18-generic", "4.18.0-80.11.2.el8_0.x86_64"] {
        assert!(!matches!(Release::parse(name).map(|it| it.vendor), Ok(Vendor::Unnamed) | Err(_)), "{name}");
    }
}

#[test]
fn manjaro_name_without_sublevel_is_not_the_release() {
    // `uname -r` drops the candidate; only the package names it.
    let release = Release::parse("5.3.0-1-MANJARO").expect("a release");
    assert!(!release.base_is_exact && release.vendor.key() == "manjaro", "{release:?}");
    assert!(Release::parse("5.3.5-1-MANJARO").expect("a release").base_is_exact);
    let package = Pasted::find("linux53 5.3rc3-1").map(|pasted| pasted.release);
    let is_judged = |release: &Release| !release.base.is_candidate() && release.vendor != Vendor::Unnamed;
    assert!(!package.as_ref().is_ok_and(is_judged), "{package:?}");
}

#[test]
fn packages_without_a_kernel_have_no_release() {
    for name in [
        "kernel-headers-3.10.0-957.12.2.el7.x86_64",
        "kernel-firmware-2.6.32-754.11.1.el6.noarch",
        "kernel-doc-3.10.0-957.12.2.el7.noarch",
        "kernel-abi-whitelists-3.10.0-957.12.2.el7.noarch",
        "kernel-tools-3.10.0-957.12.2.el7.x86_64",
        "linux-tools-4.15.0-50-generic_4.15.0-50.54_amd64.deb",
    ] {
        assert!(Release::parse(name).is_err(), "{name}: {:?}", Release::parse(name));
    }
    assert!(Release::parse("kernel-core-4.18.0-80.11.2.el8_0.x86_64").is_ok());
}

#[test]
fn two_versions_in_a_line_are_rejected() {
    let found = Pasted::find("Installed: 4.15.0-52.56 Candidate: 4.15.0-60.67");
    assert!(matches!(found, Err(NotARelease::Several(..))), "{found:?}");
}

#[test]
fn banner_that_contradicts_the_release_names_no_vendor() {
    for (banner, is_ubuntus) in [
        ("Linux x 4.15.0-60-generic #67-Ubuntu SMP x86_64 GNU/Linux", true),
        ("Linux x 4.15.0-60-generic #54-Ubuntu SMP x86_64 GNU/Linux", false),
        ("4.15.0-60-generic #67+lp1836816 SMP x86_64", false),
    ] {
        let vendor = Release::parse(banner).map(|release| release.vendor);
        assert_eq!(vendor == Ok(Vendor::Ubuntu), is_ubuntus, "{banner}: {vendor:?}");
    }
}
