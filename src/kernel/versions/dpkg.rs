//! The order of Debian package versions: deb-version(7), Debian Policy §5.6.12.

use std::cmp::Ordering;

use super::{number, split_while};

/// Compares two versions `[epoch:]upstream[-revision]`.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (a_epoch, a_rest) = split_epoch(a);
    let (b_epoch, b_rest) = split_epoch(b);
    let (a_upstream, a_revision) = a_rest.rsplit_once('-').unwrap_or((a_rest, ""));
    let (b_upstream, b_revision) = b_rest.rsplit_once('-').unwrap_or((b_rest, ""));
    number(a_epoch.as_bytes(), b_epoch.as_bytes())
        .then_with(|| part(a_upstream, b_upstream))
        .then_with(|| part(a_revision, b_revision))
}

fn split_epoch(version: &str) -> (&str, &str) {
    version.split_once(':').unwrap_or(("", version))
}

/// Compares alternating stretches of non-digits and digits.
fn part(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while !(a.is_empty() && b.is_empty()) {
        let (a_text, a_rest) = split_while(a, |c| !c.is_ascii_digit());
        let (b_text, b_rest) = split_while(b, |c| !c.is_ascii_digit());
        // The end of a text sorts after `~` and before everything else, so both texts are read with an end appended.
        let weights = |t: &[u8]| t.iter().map(|&c| weight(c)).chain([0]).collect::<Vec<_>>();
        let (a_number, a_next) = split_while(a_rest, |c| c.is_ascii_digit());
        let (b_number, b_next) = split_while(b_rest, |c| c.is_ascii_digit());
        match weights(a_text).cmp(&weights(b_text)).then_with(|| number(a_number, b_number)) {
            Ordering::Equal => (a, b) = (a_next, b_next),
            unequal => return unequal,
        }
    }
    Ordering::Equal
}

fn weight(c: u8) -> i32 {
    match c {
        b'~' => -1,
        c if c.is_ascii_alphabetic() => i32::from(c),
        c => i32::from(c) + 256,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn versions_sort_as_policy_says() {
        let ascending = [
            "~~",
            "~~a",
            "~",
            "",
            "1~rc1-1",
            "1-1~bpo12+1",
            "1-1",
            "1-1+b1",
            "1-2",
            "1.0",
            "1.0a",
            "1.0+x",
            "5.10.9-1",
            "5.10.262-1",
            "6.1.192-2",
            "6.12.95-1~bpo12+1",
            "6.12.95-1",
            "7.2~rc3-1~exp1",
            "7.2-1",
            "0010-1",
            "a",
            "1:0.1-1",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&j), "{a:?} against {b:?}");
            }
        }
        assert_eq!(compare("0:1.0-0", "1.0"), Ordering::Equal);
    }

    proptest! {
        #[test]
        fn any_three_versions_are_in_one_order(a in "[0-9a-c.~+:-]{0,9}", b in "[0-9a-c.~+:-]{0,9}", c in "[0-9a-c.~+:-]{0,9}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
                prop_assert!(compare(&a, &c).is_le());
            }
        }

        #[test]
        fn no_text_makes_it_panic(a in ".*", b in ".*") {
            let _ = compare(&a, &b);
        }
    }
}
