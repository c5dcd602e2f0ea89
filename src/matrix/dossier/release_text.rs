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

/// A distribution's name.
pub(super) fn check_distribution(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !text.is_empty() && text.len() <= MAX && text.chars().all(allowed) {
        return Ok(());
    }
    Err("expected a distribution's name, as in `debian`: lower case letters, digits and `-`".to_owned())
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
    fn a_distribution_s_name_is_a_word() {
        assert!(check_distribution("oracle-uek").is_ok() && check_distribution("Debian").is_err());
    }
}
