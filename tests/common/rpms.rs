//! RPM packages, built by rpmbuild.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The recipe of a package.
pub struct Rpm<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub release: &'a str,
    /// How its payload is compressed, in rpmbuild's words: `w2.xzdio`.
    pub payload: &'a str,
    /// Its files, by their absolute paths.
    pub files: &'a [(&'a str, Content<'a>)],
    /// The changelog, as a spec file has it.
    pub changelog: &'a str,
}

/// The kind of a path.
#[derive(Clone, Copy)]
pub enum Content<'a> {
    File(&'a [u8]),
    Link(&'a str),
    /// Another name of this earlier file.
    Same(&'a str),
    /// Of the package, and not in it: `%ghost`.
    Ghost,
}

impl Rpm<'_> {
    /// Builds it below `folder`. Returns its file.
    #[track_caller]
    pub fn build(&self, folder: &Path) -> PathBuf {
        let top = folder.join(format!("{}-{}", self.name, self.payload));
        let tree = top.join("tree");
        let mut list = String::new();
        for (path, content) in self.files {
            let place = tree.join(path.trim_start_matches('/'));
            fs::create_dir_all(place.parent().expect("a parent")).expect("a folder");
            match content {
                Content::File(bytes) => fs::write(&place, bytes).expect("a file"),
                Content::Link(to) => std::os::unix::fs::symlink(to, &place).expect("a link"),
                Content::Same(as_) => fs::hard_link(tree.join(as_.trim_start_matches('/')), &place).expect("a link"),
                Content::Ghost => fs::write(&place, b"").expect("a file"),
            }
            list += if matches!(content, Content::Ghost) { "%ghost " } else { "" };
            list += &format!("{path}\n");
        }
        fs::write(top.join("list"), list).expect("a list");
        fs::write(top.join("entries"), self.changelog).expect("a changelog");
        let spec = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rpm/kernel.spec");
        let shown = |path: &str| top.join(path).display().to_string();
        let macros = [
            ("_topdir", shown("build")),
            ("package", self.name.to_owned()),
            ("number", self.version.to_owned()),
            ("build", self.release.to_owned()),
            ("payload", self.payload.to_owned()),
            ("tree", shown("tree")),
            ("list", shown("list")),
            ("entries", shown("entries")),
        ];
        let mut command = Command::new("rpmbuild");
        command.args(["-bb", "--quiet", "--target", "x86_64-linux", spec]);
        for (name, value) in macros {
            command.arg("--define").arg(format!("{name} {value}"));
        }
        let output = command.output().expect("rpmbuild starts; `make tools` installs it");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        top.join(format!("build/RPMS/x86_64/{}-{}-{}.x86_64.rpm", self.name, self.version, self.release))
    }
}
