//! Patterns of machine code: what can be told of their texts by any reader.

/// The longest pattern, in bytes.
const MAX: usize = 1000;

/// A pattern of machine code.
pub(super) fn check_binary(text: &str) -> Result<(), String> {
    check(text)
}

/// What both have in common: one line whose brackets close.
fn check(text: &str) -> Result<(), String> {
    if text.trim().is_empty() || text.len() > MAX || text.chars().any(char::is_control) {
        return Err(format!("expected one line of at most {MAX} bytes, without control characters"));
    }
    let mut open = Vec::new();
    for bracket in text.chars() {
        let opens = match bracket {
            '(' | '[' | '{' => {
                open.push(bracket);
                continue;
            }
            ')' => '(',
            ']' => '[',
            '}' => '{',
            _ => continue,
        };
        if open.pop() != Some(opens) {
            return Err(format!("expected brackets that close each other: this `{bracket}` closes nothing"));
        }
    }
    match open.pop() {
        None => Ok(()),
        Some(bracket) => Err(format!("expected brackets that close each other: a `{bracket}` is left open")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_line_whose_brackets_close() {
        for good in ["$SK->sk_wmem_queued >> 1", "adds 0x20200..0x20a00", "f($A[1], (2))", "string TCPWqueueTooBig"] {
            assert_eq!(check_binary(good), Ok(()));
        }
        let long = "a".repeat(1001);
        for bad in ["", " ", "a\nb", "f(", "f)", "f(]", "{[}]", &long] {
            assert!(check_binary(bad).is_err(), "{bad:?}");
        }
    }
}
