//! The order of RPM versions: rpm-version(7), and `rpmvercmp()` in rpm's rpmio/rpmvercmp.cc.

use std::cmp::Ordering;

use super::{number, split_while};

/// Compares two texts `version-release`, without an epoch. The version counts before the release.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (a_version, a_release) = a.split_once('-').unwrap_or((a, ""));
    let (b_version, b_release) = b.split_once('-').unwrap_or((b, ""));
    part(a_version, b_version).then_with(|| part(a_release, b_release))
}

/// Compares stretches of letters and of digits. Other characters only separate them.
fn part(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        let parts = |c: u8| !c.is_ascii_alphanumeric() && c != b'~' && c != b'^';
        (a, b) = (split_while(a, parts).1, split_while(b, parts).1);
        match (a.first(), b.first()) {
            (None, None) => return Ordering::Equal,
            // A `~` sorts before everything, even the end.
            (Some(b'~'), Some(b'~')) | (Some(b'^'), Some(b'^')) => (a, b) = (&a[1..], &b[1..]),
            (Some(b'~'), _) => return Ordering::Less,
            (_, Some(b'~')) => return Ordering::Greater,
            // A `^` sorts after the end, but before everything else.
            (Some(b'^'), None) | (Some(_), None) => return Ordering::Greater,
            (None, Some(_)) => return Ordering::Less,
            (Some(b'^'), _) => return Ordering::Less,
            (_, Some(b'^')) => return Ordering::Greater,
            (Some(x), Some(y)) => {
                // A number is newer than a word.
                let order = x.is_ascii_digit().cmp(&y.is_ascii_digit());
                if order.is_ne() {
                    return order;
                }
                let digits = x.is_ascii_digit();
                let same = |c: u8| c.is_ascii_alphanumeric() && c.is_ascii_digit() == digits;
                let ((a_part, a_rest), (b_part, b_rest)) = (split_while(a, same), split_while(b, same));
                let order = if digits { number(a_part, b_part) } else { a_part.cmp(b_part) };
                if order.is_ne() {
                    return order;
                }
                (a, b) = (a_rest, b_rest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn versions_sort_as_rpm_says() {
        let ascending = [
            "1.0~rc1-1",
            "1.0-1",
            "1.0^git1-1",
            "1.0.1-1",
            "2.6.32-754.15.3.el6",
            "3.10.0-957.el7",
            "3.10.0-957.1.3.el7",
            "3.10.0-957.21.2.el7",
            "3.10.0-957.21.3.el7",
            "3.10.0-1062.el7",
            "4.12.14-197.4.1",
            "4.12.14-197.15.1",
            "4.18.0-80.el8",
            "4.18.0-80.7.1.el8_0",
            "5.3.0-0.rc1.git0.1.fc31",
            "5.3.0-1.fc31",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&j), "{a:?} against {b:?}");
            }
        }
        assert_eq!(compare("1.0-01", "1_0-1"), Ordering::Equal);
    }

    proptest! {
        #[test]
        fn any_two_versions_have_one_order(a in "[0-9a-c.~^_-]{0,9}", b in "[0-9a-c.~^_-]{0,9}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        }

        #[test]
        fn no_text_makes_it_panic(a in ".*", b in ".*") {
            let _ = compare(&a, &b);
        }
    }
}
