use proptest::prelude::*;

use super::*;

/// The agent is such a program.
fn good() -> Vec<u8> {
    crate::guest::AGENT.to_vec()
}

/// The agent with other bytes at a place.
fn with(at: usize, other: &[u8]) -> Vec<u8> {
    let mut bytes = good();
    bytes[at..at + other.len()].copy_from_slice(other);
    bytes
}

#[test]
fn only_x86_64_programs_are_accepted() {
    assert_eq!(check(&good()), Ok(()));
    assert_eq!(check(&std::fs::read("/bin/sh").expect("a shell")), Ok(()), "with its libraries");
    for (name, bytes, expected) in [
        ("nothing", Vec::new(), "not an ELF file"),
        ("a script", b"#!/bin/sh\n".to_vec(), "it is a script"),
        ("a 32-bit program", with(4, &[1]), "damaged ELF"),
        ("another byte order", with(5, &[2]), "machine number"),
        ("an ARM program", with(18, &183_u16.to_le_bytes()), "machine number 183"),
        ("an object file", with(16, &1_u16.to_le_bytes()), "an object file"),
        ("one that begins nowhere", with(24, &[0; 8]), "no entry point"),
        ("half a program", good()[..good().len() / 2].to_vec(), "truncated"),
        ("a head alone", good()[..64].to_vec(), "damaged ELF"),
    ] {
        let said = check(&bytes);
        assert!(said.as_ref().is_err_and(|why| why.contains(expected)), "{name}: {said:?}");
    }
}

#[test]
fn unreadable_file_is_named_with_its_bug() {
    let bug: BugId = "my-bug".parse().expect("a name");
    let load = |path: &Path| {
        GuestProgram::load(&bug, path, &[], None, &mut RootfsShelf::default()).map_err(|error| error.to_string())
    };
    let gone = load(Path::new("/no/such/file"));
    let start = "cannot read /no/such/file, which the reproducer of `my-bug` needs: No such file";
    assert!(gone.as_ref().is_err_and(|said| said.starts_with(start)), "{gone:?}");
    for path in ["/", "/dev/zero"] {
        assert!(load(Path::new(path)).is_err_and(|said| said.contains("not a regular file")), "{path}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("repro");
    std::fs::write(&path, good()).expect("a file");
    let large = folder.path().join("large");
    std::fs::write(&large, [good(), vec![0; PROGRAM_MAX]].concat()).expect("a file");
    assert!(load(&large).is_err_and(|said| said.contains("larger than 32 MiB")));
    // The files beside it: a folder is none, and each name is there once.
    let beside = |more: &[&str]| {
        let more: Vec<PathBuf> = more.iter().map(|name| folder.path().join(name)).collect();
        GuestProgram::load(&bug, &path, &more, None, &mut RootfsShelf::default()).map_err(|error| error.to_string())
    };
    std::fs::write(folder.path().join("data"), "x").expect("a file");
    let names: Vec<String> = beside(&["data"]).expect("files").files().map(|(name, ..)| name.to_owned()).collect();
    assert_eq!(names, ["repro", "data"]);
    assert!(beside(&["data", "data"]).is_err_and(|said| said.contains("called `data`, too")));
    assert!(beside(&["."]).is_err_and(|said| said.contains("not a regular file")));
    assert_eq!(load(&path).map(|program| program.path()).as_deref(), Ok("my-bug/repro"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_file_makes_the_check_panic(
        slips in proptest::collection::vec((0_usize..600, any::<u8>()), 0..8), length in 0_usize..5000,
    ) {
        let mut bytes = good()[..length.max(600)].to_vec();
        for (at, byte) in slips {
            bytes[at] = byte;
        }
        let _ = check(&bytes);
    }
}
