//! Texts that name releases: what can be told of them without comparing any.

/// The longest text.
const MAX: usize = 100;

/// A kernel's release: `5.2`, `5.2-rc6`, `4.19.52`.
pub(super) fn check(text: &str) -> Result<(), String> {
    let (numbers, candidate) = match text.split_once("-rc") {
        Some((numbers, candidate)) => (numbers, Some(candidate)),
        None => (text, None),
    };
    let parts = numbers.split('.').count();
    if (2..=4).contains(&parts) && numbers.split('.').all(is_number) && candidate.is_none_or(is_number) {
        return Ok(());
    }
    Err("expected a kernel's release, as in `5.2`, `5.2-rc6` or `4.19.52`".to_owned())
}

/// A line of releases: `4.19`.
pub(super) fn check_line(text: &str) -> Result<(), String> {
    // Before 3.0 a line had three numbers.
    if (2..=3).contains(&text.split('.').count()) && text.split('.').all(is_number) {
        return Ok(());
    }
    Err("expected a line of releases, as in `4.19`".to_owned())
}

/// A release of this line.
pub(super) fn check_of_line(text: &str, line: &str) -> Result<(), String> {
    check(text)?;
    let of_line = text.strip_prefix(line).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']));
    if of_line { Ok(()) } else { Err(format!("expected a release of the line {line}, as in `{line}.1`")) }
}

/// A distribution's name.
pub(super) fn check_distribution(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !text.is_empty() && text.len() <= MAX && text.chars().all(allowed) {
        return Ok(());
    }
    Err("expected a distribution's name, as in `debian`: lower case letters, digits and `-`".to_owned())
}

/// A package's version, or what the versions of a line begin with: distributions differ in the rest.
pub(super) fn check_package(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".+-~:_".contains(c);
    if text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.len() <= MAX && text.chars().all(allowed) {
        return Ok(());
    }
    Err("expected a package's version, as in `4.15.0-52.56` or `3.10.0-957.21.3.el7`".to_owned())
}

/// Decimal digits only, and few enough to be a number.
fn is_number(text: &str) -> bool {
    (1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_numbers_and_perhaps_a_candidate() {
        for good in ["5.2", "5.2-rc6", "4.19.52", "2.6.32.71", "5.3.0-rc1"] {
            assert_eq!(check(good), Ok(()));
        }
        for bad in ["", "5", "5.", ".2", "v5.2", "5.2-rc", "5.2-rc1-rc2", "5.2-6", "5.x", "5.2 ", "1.2.3.4.5", "5.٣"] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_line_s_releases_begin_with_it() {
        for (text, line, good) in [
            ("4.19.52", "4.19", true),
            ("4.19", "4.19", true),
            ("4.19-rc1", "4.19", true),
            ("4.190.1", "4.19", false),
            ("4.9.1", "4.19", false),
            ("4.19.52", "4.1", false),
        ] {
            assert_eq!(check_of_line(text, line).is_ok(), good, "{text} of {line}");
        }
        assert!(check_line("4.19").is_ok() && check_line("2.6.32").is_ok());
        assert!(["4", "4.19-rc1", "4.19.", "a.b", ""].iter().all(|bad| check_line(bad).is_err()));
    }

    #[test]
    fn a_package_s_version_and_a_distribution_s_name_are_words() {
        for good in ["4.15.0-52.56", "1:4.9.168-1+deb9u3", "3.10.0-957.21.3.el7", "4.12.14~rc1", "5.3"] {
            assert_eq!(check_package(good), Ok(()));
        }
        assert!(["", "-1", "4 15", "4.15\n", "4/15"].iter().all(|bad| check_package(bad).is_err()));
        assert!(check_distribution("oracle-uek").is_ok() && check_distribution("Debian").is_err());
    }
}
