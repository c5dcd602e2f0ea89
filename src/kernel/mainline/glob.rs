//! A simple pattern: `*` stands for any characters, `?` for any one, everything else for itself.

/// The longest pattern: longer ones than any name can still be meant, as `*4*1*9*`.
const LONGEST: usize = 100;

/// A pattern.
pub(super) struct Glob(Vec<char>);

impl Glob {
    /// Reads a pattern.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "*?.-".contains(c);
        if text.is_empty() || text.len() > LONGEST || !text.chars().all(allowed) {
            return Err("a version with `*` or `?` in it, as in '4.19.5*'");
        }
        Ok(Self(text.chars().collect()))
    }

    /// Whether the whole text fits. Goes back to the last `*` only, so it takes no longer than both lengths multiplied.
    pub(super) fn fits(&self, text: &str) -> bool {
        let (pattern, text) = (&self.0, text.chars().collect::<Vec<_>>());
        let (mut p, mut t) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            match pattern.get(p) {
                Some('*') => {
                    star = Some((p, t));
                    p += 1;
                }
                Some(&c) if c == '?' || c == text[t] => (p, t) = (p + 1, t + 1),
                _ => match star {
                    // The star takes one character more.
                    Some((at, taken)) => {
                        star = Some((at, taken + 1));
                        (p, t) = (at + 1, taken + 1);
                    }
                    None => return false,
                },
            }
        }
        pattern[p..].iter().all(|c| *c == '*')
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pattern_fits_the_whole_name() {
        for (pattern, fits, not) in [
            ("4.19.5*", &["4.19.5", "4.19.57", "4.19.5-rc1"][..], &["4.19.6", "v4.19.57", "14.19.5"][..]),
            ("v4.19.5?", &["v4.19.57"], &["v4.19.5", "v4.19.573"]),
            ("*", &["", "v5.2"], &[]),
            ("*-rc*", &["5.2-rc6"], &["5.2", "5.2rc6"]),
            ("4*9*7", &["4.19.57", "497"], &["4.19.5", "4.19.577 "]),
            ("5.2", &["5.2"], &["5.2.1", "5x2"]),
        ] {
            let glob = Glob::parse(pattern).unwrap();
            assert!(fits.iter().all(|text| glob.fits(text)) && !not.iter().any(|text| glob.fits(text)), "{pattern}");
        }
        for bad in ["", "4.19 ", "[45].*", "a/b", "é", &"*".repeat(101)] {
            assert!(Glob::parse(bad).is_err(), "{bad:?}");
        }
        let hostile = Glob::parse(&"*a".repeat(50)).unwrap();
        assert!(!hostile.fits(&"a".repeat(2000).replace("aaa", "aab")[..45]));
    }

    proptest! {
        #[test]
        fn it_says_what_trying_everything_says(pattern in "[a-b*?]{1,7}", text in "[a-b]{0,7}") {
            fn all(pattern: &[char], text: &[char]) -> bool {
                match (pattern.first(), text.first()) {
                    (None, None) => true,
                    (Some('*'), _) => all(&pattern[1..], text) || (!text.is_empty() && all(pattern, &text[1..])),
                    (Some('?'), Some(_)) => all(&pattern[1..], &text[1..]),
                    (Some(p), Some(t)) if p == t => all(&pattern[1..], &text[1..]),
                    _ => false,
                }
            }
            let slowly = all(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>());
            prop_assert_eq!(Glob::parse(&pattern).unwrap().fits(&text), slowly);
        }
    }
}
