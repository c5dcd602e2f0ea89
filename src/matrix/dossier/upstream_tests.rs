use proptest::prelude::*;

use super::*;

#[test]
fn releases_sort_as_they_came_out() {
    let ascending =
        ["2.6.32-rc1", "2.6.32", "2.6.32.71", "2.6.33", "3.16", "3.16.69", "4.9", "4.19-rc1", "4.19-rc10", "4.19"];
    let ascending = ascending.into_iter().chain(["4.19.1-rc1", "4.19.1", "4.19.57", "5.3-rc2", "5.3", "5.10.9"]);
    let parsed: Vec<Upstream> = ascending.clone().filter_map(|text| text.parse().ok()).collect();
    assert_eq!(parsed.iter().map(ToString::to_string).collect::<Vec<_>>(), ascending.collect::<Vec<_>>());
    assert!(parsed.is_sorted());
}

#[test]
fn release_ends_where_its_numbers_end() {
    for (text, release, numbers, rest) in [
        ("5.2.0", "5.2", 3, ""),
        ("5.3-rc1+", "5.3-rc1", 2, "+"),
        ("5.3.0-rc1-next-20190729", "5.3-rc1", 3, "-next-20190729"),
        ("4.19.57-rc1", "4.19.57-rc1", 3, ""),
        ("4.19.57-rcx", "4.19.57", 3, "-rcx"),
        ("4.19.57-rc1x", "4.19.57", 3, "-rc1x"),
        ("5.15.153.1-microsoft", "5.15.153", 3, ".1-microsoft"),
        ("2.6.32-754.el6", "2.6.32", 3, "-754.el6"),
        ("2.6.32.71-mine", "2.6.32.71", 4, "-mine"),
    ] {
        let found = Upstream::prefix(text).map(|(r, n, rest)| (r.to_string(), n, rest));
        assert_eq!(found, Some((release.to_owned(), numbers, rest)), "{text}");
    }
    for none in ["", "5", "5.", ".5", "v5.2", "1.2", "100.1", "x", "5.70000", "5-rc1", "٣.٤"] {
        assert_eq!(Upstream::prefix(none), None, "{none:?}");
    }
    for bad in ["5.2 ", "5.2-6", "5.2.0.0", "5.x"] {
        assert!(bad.parse::<Upstream>().is_err(), "{bad:?}");
    }
    assert!("4.19.1".parse::<ReleaseLine>().is_err() && "4.19-rc1".parse::<ReleaseLine>().is_err());
}

#[test]
fn inexact_first_release_leaves_its_range_open() {
    type Row<'a> = (&'a str, &'a [(&'a str, Option<bool>)]);
    let cases: [Row; 4] = [
        ("4.19.52", &[("4.19.51", Some(false)), ("4.19.52", Some(true)), ("4.19.53", Some(true))]),
        ("5.10.9..5.10.13", &[("5.10.8", Some(false)), ("5.10.9", None), ("5.10.12", None), ("5.10.13", Some(true))]),
        ("3.16.70..", &[("3.16.69", Some(false)), ("3.16.70", None), ("3.16.85", None)]),
        ("..4.18.20", &[("4.18", None), ("4.18.19", None), ("4.18.20", Some(true))]),
    ];
    for (text, rows) in cases {
        let first: First<Upstream> = text.parse().expect(text);
        for (release, expected) in rows {
            let release: Upstream = release.parse().expect("a release");
            assert_eq!(first.is_in(|other| release >= *other), *expected, "{release} in {text}");
        }
    }
    for bad in ["", "..", "4.19.x..", "4.19..x", "4.19..4.20..5.0"] {
        assert!(bad.parse::<First<Upstream>>().is_err(), "{bad:?}");
    }
}

#[test]
fn package_version_has_no_epoch_arch_or_flavour() {
    for (text, version) in [
        ("4.15.0-52.56", Some("4.15.0-52.56")),
        ("1:4.19.37-5+deb10u1", Some("4.19.37-5+deb10u1")),
        ("0:3.10.0-957.21.3.el7", Some("3.10.0-957.21.3.el7")),
        ("3.10.0-957.21.3.el7.x86_64", Some("3.10.0-957.21.3.el7")),
        ("3.16.7-ckt25-2", Some("3.16.7-ckt25-2")),
        ("5.3.18-lp152.19.2", Some("5.3.18-lp152.19.2")),
        ("4.19.53-r0", Some("4.19.53-r0")),
        ("5.1.15.arch1-1", Some("5.1.15.arch1-1")),
        ("4.19", Some("4.19")),
        ("4.15.0-52-generic", None),
        ("4.19.0-5-amd64", None),
        ("4.12.14-197.4-default", None),
        ("x:4.19.37-5", None),
        ("1:", None),
        ("", None),
    ] {
        let found = text.parse::<PackageVersion>().ok();
        assert_eq!(found.as_ref().map(PackageVersion::as_str), version, "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,60}") {
        let _ = (text.parse::<First<Upstream>>(), text.parse::<First<PackageVersion>>(), text.parse::<ReleaseLine>());
    }

    #[test]
    fn written_release_is_read_back(text in "[2-9]\\.[0-9]{1,3}(\\.[1-9][0-9]{0,2})?(-rc[0-9])?") {
        if let Ok(release) = text.parse::<Upstream>() {
            prop_assert_eq!(release.to_string().parse::<Upstream>(), Ok(release));
        }
    }
}
