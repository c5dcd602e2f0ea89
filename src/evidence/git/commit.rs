//! Parses the raw bytes of a commit object.
//!
//! libgit2 is not used for this, because a walk over a million commits needs neither copies nor UTF-8. The format is
//! that of git's `fsck_commit`: header lines, an empty line, the message.

use git2::Oid;

/// One commit, as the repository stores it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RawCommit<'a> {
    /// Its tree.
    pub tree: Oid,
    /// Its parents by the object, without grafts.
    pub parents: Vec<Oid>,
    /// The commit time in seconds since 1970; 0 if it can't be parsed.
    pub time: i64,
    /// Its message, in any encoding.
    pub message: &'a [u8],
}

impl<'a> RawCommit<'a> {
    /// Parses a commit object. None if the bytes are not a commit.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        let tree = oid(take_line(&mut rest).strip_prefix(b"tree ")?)?;
        let mut commit = Self { tree, parents: Vec::new(), time: 0, message: b"" };
        while !rest.is_empty() {
            let line = take_line(&mut rest);
            if line.is_empty() {
                commit.message = rest;
                break;
            }
            if let Some(parent) = line.strip_prefix(b"parent ") {
                commit.parents.push(oid(parent)?);
            } else if let Some(committer) = line.strip_prefix(b"committer ") {
                commit.time = time(committer);
            }
        }
        Some(commit)
    }

    /// The first line of the message.
    pub fn subject(&self) -> &'a [u8] {
        subject(self.message)
    }
}

/// The subject of a message: its first non-empty line.
pub(super) fn subject(message: &[u8]) -> &[u8] {
    let mut lines = message.split(|b| *b == b'\n').map(<[u8]>::trim_ascii);
    lines.find(|line| !line.is_empty()).unwrap_or_default()
}

fn take_line<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
    let line = &rest[..end];
    *rest = rest.get(end + 1..).unwrap_or_default();
    line
}

fn oid(hex: &[u8]) -> Option<Oid> {
    // git2 pads short names with zeros, but a commit's own header only has full names.
    std::str::from_utf8(hex).ok().filter(|hex| hex.len() == 40).and_then(|hex| Oid::from_str(hex).ok())
}

/// The time in `A U Thor <a@b.c> 1234567890 +0100`, after the last `>`.
fn time(committer: &[u8]) -> i64 {
    let after = committer.rsplit(|b| *b == b'>').next().unwrap_or_default();
    let seconds = after.split(|b| *b == b' ').find(|word| !word.is_empty()).unwrap_or_default();
    std::str::from_utf8(seconds).ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
    const PARENT: &str = "1da177e4c3f41524e886b7f1b8a0c1fc7321cac2";

    #[test]
    fn commit_in_any_encoding_is_parsed() {
        let text = format!(
            "tree {TREE}\nparent {PARENT}\nparent {TREE}\nauthor J\u{fc}rgen <j@x> 1 +0000\ncommitter X <x@y> 1563984000 \
             -0700\nencoding ISO-8859-1\ngpgsig -----BEGIN\n parent no\n -----END\n\nsubject\n\nparent body\n"
        );
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(b"\xe9t\xe9\n");
        let commit = RawCommit::parse(&bytes).unwrap();
        assert_eq!(commit.tree.to_string(), TREE);
        assert_eq!(commit.parents.iter().map(ToString::to_string).collect::<Vec<_>>(), [PARENT, TREE]);
        assert_eq!((commit.time, commit.subject()), (1_563_984_000, &b"subject"[..]));
        assert!(commit.message.ends_with(b"parent body\n\xe9t\xe9\n"));
    }

    #[test]
    fn object_that_is_not_a_commit_is_rejected() {
        let cut = format!("tree {TREE}\nparent {}\n", &PARENT[..39]);
        for bytes in ["", "tree", "tree xyz\n", "blob\n", "parent 1\n", cut.as_str()] {
            assert_eq!(RawCommit::parse(bytes.as_bytes()), None, "{bytes:?}");
        }
        let bare = format!("tree {TREE}\n");
        let commit = RawCommit::parse(bare.as_bytes()).unwrap();
        assert_eq!((commit.parents.len(), commit.time, commit.message, commit.subject()), (0, 0, &b""[..], &b""[..]));
    }

    proptest! {
        #[test]
        fn any_bytes_parse_without_panic(head in "(tree [0-9a-f]{40}\n)?(parent [0-9a-f]{39,40}\n)?", tail in any::<Vec<u8>>()) {
            let mut bytes = head.into_bytes();
            bytes.extend(tail);
            let _ = RawCommit::parse(&bytes).map(|commit| commit.subject().len());
        }
    }
}
