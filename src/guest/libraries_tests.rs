use std::io::Read as _;
use std::process::Command;

use proptest::prelude::*;

use super::*;

fn cc(args: &[&str], folder: &Path) {
    assert!(Command::new("cc").args(args).current_dir(folder).status().expect("cc").success());
}

/// A program that needs `libdeep.so` through `libmine.so`, by its RUNPATH.
fn built() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    fs::create_dir(at.join("lib")).expect("a folder");
    fs::write(at.join("deep.c"), "int deep(void) { return 0; }\n").expect("a file");
    fs::write(at.join("mine.c"), "int deep(void); int mine(void) { return deep(); }\n").expect("a file");
    fs::write(at.join("main.c"), "int mine(void); int main(void) { return mine(); }\n").expect("a file");
    cc(&["-shared", "-fPIC", "-o", "lib/libdeep.so", "deep.c"], at);
    cc(&["-shared", "-fPIC", "-o", "lib/libmine.so", "mine.c", "-Llib", "-ldeep", "-Wl,-rpath,$ORIGIN"], at);
    cc(&["-o", "main", "main.c", "-Llib", "-lmine", "-Wl,-rpath,$ORIGIN/lib", "-Wl,-rpath-link,lib"], at);
    let program = at.join("main");
    (folder, program)
}

#[test]
fn libraries_are_found_with_those_that_they_need() {
    let (folder, path) = built();
    let bytes = fs::read(&path).expect("the program");
    let libraries = Libraries::of(&bytes, &path).expect("libraries");
    let names: Vec<&str> = libraries.files.iter().map(|library| library.name.as_str()).collect();
    assert_eq!(
        names.iter().filter(|name| ["libmine.so", "libdeep.so", "libc.so.6"].contains(name)).count(),
        3,
        "{names:?}"
    );
    let loader = libraries.loader.as_ref().expect("a loader");
    assert!(loader.name.starts_with('/') && libraries.size() > loader.bytes.len());

    fs::remove_file(folder.path().join("lib/libdeep.so")).expect("it is there");
    let gone = Libraries::of(&bytes, &path);
    assert!(
        gone.as_ref().is_err_and(|why| why.contains("it needs the library libdeep.so, which this host does not have"))
    );
    fs::write(folder.path().join("lib/libdeep.so"), "rubbish").expect("a file");
    assert!(Libraries::of(&bytes, &path).is_err_and(|why| why.contains("damaged ELF file")));
    let agent = Libraries::of(crate::guest::AGENT, Path::new("agent")).expect("a static program");
    assert_eq!(agent, Libraries::default());
}

#[test]
fn list_of_folders_is_read_with_its_includes() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ld.so.conf");
    fs::create_dir(folder.path().join("more")).expect("a folder");
    fs::write(&file, "include more/*.conf\n# a comment\n/opt/lib # ours\nrelative\n").expect("a file");
    fs::write(folder.path().join("more/a.conf"), "/opt/a\ninclude ../ld.so.conf\n").expect("a file");
    let mut folders = Vec::new();
    listed(&file, &mut folders, 0);
    assert!(folders.contains(&PathBuf::from("/opt/lib")) && folders.contains(&PathBuf::from("/opt/a")), "{folders:?}");
    assert!(folders.iter().all(|folder| folder.is_absolute()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_file_makes_the_reader_panic(slips in proptest::collection::vec((0_usize..2000, any::<u8>()), 0..12)) {
        // The whole file has hundreds of megabytes.
        let mut bytes = Vec::new();
        let start = fs::File::open("/proc/self/exe").expect("a program").take(1 << 16).read_to_end(&mut bytes);
        start.expect("its start");
        for (at, byte) in slips {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        let _ = ElfNeeds::of(&bytes);
    }
}
