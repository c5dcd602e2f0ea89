//! The server of the original report, PyTorch's TCPStore, reduced to how it reads the first query of a connection.
//!
//! The format is that of torch/csrc/distributed/c10d (TCPStore). One byte gives the kind of the query. ADD continues
//! with the key (its length in 8 bytes, little-endian, then its bytes) and the amount in 8 bytes.

/// The query ADD.
const ADD: u8 = 3;

/// The longest key to read. No real key is longer.
const MAX_KEY: u64 = 4096;

/// The meaning of a stream's beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The beginning of an ADD. More has to be read.
    More,
    /// An ADD.
    Add {
        /// The key.
        key: Vec<u8>,
        /// The amount.
        amount: i64,
    },
    /// Something else. The server closes the connection.
    Other {
        /// The query kind that the server sees.
        kind: u8,
    },
}

/// Reads the beginning of a stream.
pub fn read(stream: &[u8]) -> Reading {
    let Some((&kind, rest)) = stream.split_first() else { return Reading::More };
    if kind != ADD {
        return Reading::Other { kind };
    }
    let Some((length, rest)) = rest.split_first_chunk() else { return Reading::More };
    let length = u64::from_le_bytes(*length);
    if length > MAX_KEY {
        return Reading::Other { kind };
    }
    let Some((key, rest)) = rest.split_at_checked(length as usize) else { return Reading::More };
    match rest.first_chunk() {
        Some(amount) => Reading::Add { key: key.to_vec(), amount: i64::from_le_bytes(*amount) },
        None => Reading::More,
    }
}

#[cfg(test)]
mod tests {
    use super::super::MESSAGE;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn query_without_its_first_byte_is_no_add() {
        assert_eq!(read(MESSAGE), Reading::Add { key: b"init/".to_vec(), amount: 1 });
        for end in 0..MESSAGE.len() {
            assert_eq!(read(&MESSAGE[..end]), Reading::More, "{end}");
        }
        assert_eq!(read(&MESSAGE[1..]), Reading::Other { kind: 5 });
        assert_eq!(read(&MESSAGE[2..]), Reading::Other { kind: 0 });
        assert_eq!(read(&[&[ADD][..], &[0xff; 30]].concat()), Reading::Other { kind: ADD });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn more_bytes_never_change_an_answer(
            add: bool, mut stream in proptest::collection::vec(any::<u8>(), 0..60), small: bool,
        ) {
            if add && !stream.is_empty() {
                stream[0] = ADD;
            }
            if small && stream.len() > 9 {
                stream[1] %= 32;
                stream[2..9].fill(0);
            }
            let mut answer = Reading::More;
            for end in 0..=stream.len() {
                let now = read(&stream[..end]);
                if answer != Reading::More {
                    prop_assert_eq!(&now, &answer);
                }
                answer = now;
            }
        }
    }
}
