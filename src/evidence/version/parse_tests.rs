use proptest::prelude::*;

use super::*;

#[test]
fn real_kernel_names_are_understood() {
    let table = include_str!("releases.txt").lines().filter(|line| !line.starts_with('#'));
    let (mut rows, mut wrong) = (0, Vec::new());
    for line in table {
        let mut columns = line.split(" | ");
        let (Some(text), Some(vendor), Some(understood), None) =
            (columns.next(), columns.next(), columns.next(), columns.next())
        else {
            panic!("expected three columns: {line}");
        };
        let release = Release::parse(text).unwrap_or_else(|error| panic!("{error}"));
        let found = (release.vendor().key(), release.to_string());
        wrong.extend((found != (vendor, understood.to_owned())).then(|| format!("{text}: {found:?}")));
        rows += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows > 150, "{rows}");
}

#[test]
fn base_is_exact_only_when_the_name_tells() {
    for (text, base, exact) in [
        ("4.19.57-mine", "4.19.57", true),
        ("5.2.0", "5.2", true),
        ("4.15.0-58-generic", "4.15", false),
        ("Ubuntu 4.15.0-58.64-generic 4.15.18", "4.15.18", true),
        (
            "Linux version 5.4.0-80-generic (b@h) (gcc) #90-Ubuntu SMP Fri Jul 9 22:49:44 UTC 2021 (Ubuntu 5.4.0-80.90-generic 5.4.124)",
            "5.4.124",
            true,
        ),
        ("4.19.0-5-amd64", "4.19", false),
        ("Linux h 4.19.0-5-amd64 #1 SMP Debian 4.19.37-5 (2019-06-19)", "4.19.37", true),
        ("6.12.94+deb13-amd64", "6.12.94", true),
        ("7.2~rc3-1~exp1", "7.2-rc3", true),
        ("3.10.0-957.el7.x86_64", "3.10", false),
        ("5.3.0-0.rc1.git0.1.fc31.x86_64", "5.3-rc1", false),
        ("5.1.15-300.fc30.x86_64", "5.1.15", true),
    ] {
        let release = Release::parse(text).expect(text);
        assert_eq!((release.base().to_string().as_str(), release.base_is_exact), (base, exact), "{text}");
    }
}

#[test]
fn builders_own_names_are_recognised() {
    let is_own = |text: &str| Release::parse(text).expect(text).is_builders_own();
    assert!(["4.19.62-mine", "4.19.62-dirty", "4.19.62-3-gdeadbeef", "5.3.0-rc2+"].into_iter().all(is_own));
    assert!(!["4.19.62", "5.3-rc2", "4.15.0-59-generic", "4.19.67-2", "4.14.137+"].into_iter().any(is_own));
}

#[test]
fn candidate_lookalikes_are_not_kernel_orgs() {
    for text in ["5.3.0-rc0", "5.3.0-RC1", "5.3.0-rc1a", "5.3-rcx", "5.3.0-Rc2-mine"] {
        let open = Release::parse(text).map_or(true, |release| release.vendor().key() == Vendor::Unnamed.key());
        assert!(open, "{text}: {:?}", Release::parse(text));
    }
    assert!(Release::parse("5.3.0-rc2").is_ok_and(|release| release.base().is_candidate()));
}

#[test]
fn text_without_a_release_is_rejected() {
    let long = format!("4.19.57-{}", "a".repeat(300));
    for text in [
        "",
        " ",
        "linux",
        "latest",
        "4",
        "4.",
        "v",
        "1.2.3",
        "10.0.0.1",
        "192.168.1.254",
        "10.0.0.1:3306",
        "4.19.57foo",
        "4.19.57 mine",
        "4.19.57-ä",
        "4.19.57\n4.19.58",
        "x4.19.57",
        "99999.1",
        "4.99999",
        "Linux",
        "Linux version",
        "Linux version x",
        "Ubuntu 4.15.0-58.64-generic",
        "Ubuntu x y",
        "firefox_4.15.0-58.64_amd64.deb",
        "linux-image_x_amd64.deb",
        ".deb",
        "a_b_c.deb",
        "/",
        "./4.19.57/x",
        "-4.19.57",
        "5.3.0-rc1-next-today",
        "systemd-252.1-1.el9.x86_64.rpm",
        &long,
    ] {
        let refused = Release::parse(text);
        assert!(refused.is_err(), "{text:?}: {refused:?}");
    }
    let message = Release::parse("lat\u{7}est").map_err(|error| error.to_string());
    assert!(
        matches!(&message, Err(text) if text.starts_with("`latest` names no kernel release: expected what `uname -r`"))
    );
}

#[test]
fn kernel_in_a_pasted_line_is_found() {
    let table = include_str!("pasted.txt").lines().filter(|line| !line.starts_with('#'));
    let (mut rows, mut wrong) = (0, Vec::new());
    for line in table {
        let (text, understood) = line.split_once(" => ").unwrap_or_else(|| panic!("expected two columns: {line}"));
        let text = text.replace("\\t", "\t");
        let found = Pasted::find(&text).map_or_else(|error| error.to_string(), |found| found.to_string());
        let expected = if understood == "-" { "names no kernel release" } else { understood };
        let fits = if understood == "-" { found.contains(expected) } else { found == expected };
        wrong.extend((!fits).then(|| format!("{text}\n  {found}\n  {understood}")));
        rows += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows > 60, "{rows}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn pasted_line_search_never_panics(
        text in "(ii  |rc |i \\| |Kernel: |Kernel Version:  |Linux |\\* )?((linux-image-|kernel|linux|vmlinuz-|[a-z]{1,6}|\\|)?[-.:/ ]?[2-6]\\.[0-9]{1,2}(\\.[0-9]{1,3})?[-.:\\[( ]?(5-amd64|58\\.64|generic|el7|x86_64|#1|ä)? ){0,4}"
    ) {
        let _ = Pasted::find(&text);
    }

    #[test]
    fn parsing_text_never_panics(text in ".{0,80}") {
        let _ = Release::parse(&text);
    }

    #[test]
    fn parsing_a_lookalike_never_panics(
        text in "(Linux |Linux version |Ubuntu |linux-image-|kernel-|vmlinuz-)?v?[2-7]\\.[0-9]{0,6}(\\.[0-9]{1,3})?\
                 ([-+~._ #]?(rc|el|fc|g|rt|SMP|Debian |Ubuntu|uek|generic|amd64|%3a|0\\.rc|next|[0-9]{1,6}|ä)){0,6}(\\.deb|\\.rpm)?"
    ) {
        if let Ok(release) = Release::parse(&text) {
            prop_assert!(release.to_string().len() <= text.len() + 200);
        }
    }

    /// Names with build numbers, enterprise releases or Ubuntu flavours are never kernel.org's.
    #[test]
    fn distribution_marks_are_not_kernel_orgs(
        base in "[3-6]\\.[0-9]{1,2}\\.[0-9]{1,3}",
        build in "[0-9]{1,4}(\\.[0-9]{1,3}){0,2}",
        end in "(-[a-f]{1,6}|-generic|-aws|-default|\\.el[6-9](_[0-9])?(\\.x86_64)?|\\.fc[0-9]{2}|\\.amzn2|-amd64|-cloud-amd64)",
    ) {
        let release = Release::parse(&format!("{base}-{build}{end}"));
        prop_assert!(release.is_ok_and(|release| !matches!(release.vendor(), Vendor::KernelOrg(_))));
    }

    #[test]
    fn kernel_org_names_are_read_as_written(z in 1u16..400, x in 3u16..8, y in 0u16..20) {
        let release = Release::parse(&format!("{x}.{y}.{z}")).map(|release| release.to_string());
        prop_assert_eq!(release, Ok(format!("kernel.org {x}.{y}.{z}")));
    }
}

#[test]
fn sentence_with_two_kernels_is_refused() {
    for text in [
        "I have kernel 4.19.55; it is fixed in kernel 4.19.62",
        "fixed in kernel 4.19.62 (we run 4.19.55)",
        "kernel 4.19.62 fixes this; I have kernel 4.19.55",
    ] {
        assert!(matches!(Pasted::find(text), Err(NotARelease::Several(..))), "{text}");
    }
    for text in ["it happens on kernel 4.19.55", "Kernel 3.10.0-957.el7.x86_64 on an x86_64"] {
        assert!(Pasted::find(text).is_ok(), "{text}");
    }
}
