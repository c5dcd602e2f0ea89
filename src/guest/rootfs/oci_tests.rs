use std::fs;
use std::io::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};
use tar::EntryType::{Directory, Link, Regular, Symlink};
use tempfile::TempDir;

use super::super::RootfsEntry;
use super::super::rootfs_tests::tarball;
use super::*;

/// An image layout that is being made.
struct LayoutFolder(TempDir);

impl LayoutFolder {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(folder.path().join("blobs/sha256")).expect("a folder");
        fs::write(folder.path().join(MARK), r#"{"imageLayoutVersion": "1.0.0"}"#).expect("a file");
        Self(folder)
    }

    fn add(&self, bytes: &[u8]) -> Value {
        let sha256 = hex(Sha256::new_with_prefix(bytes));
        fs::write(self.0.path().join("blobs/sha256").join(&sha256), bytes).expect("a blob");
        json!({ "mediaType": "application/octet-stream", "digest": format!("sha256:{sha256}"), "size": bytes.len() })
    }

    /// Adds an image of these layers, for this architecture.
    fn add_image(&self, architecture: &str, layers: &[Vec<u8>]) -> Value {
        let config = self.add(json!({ "os": "linux", "architecture": architecture }).to_string().as_bytes());
        let layers: Vec<Value> = layers.iter().map(|layer| self.add(layer)).collect();
        self.add(json!({ "schemaVersion": 2, "config": config, "layers": layers }).to_string().as_bytes())
    }

    fn write_index(&self, manifests: &[Value]) {
        fs::write(self.0.path().join(INDEX), json!({ "manifests": manifests }).to_string()).expect("an index");
    }

    fn load(&self) -> Result<Rootfs, String> {
        Rootfs::load(self.0.path())
    }
}

fn for_platform(mut image: Value, architecture: &str, name: Option<&str>) -> Value {
    image["platform"] = json!({ "os": "linux", "architecture": architecture });
    if let Some(name) = name {
        image["annotations"] = json!({ NAME: name });
    }
    image
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// Its entries: folders end with a slash, links show their target, files their content.
fn listing(rootfs: &Rootfs) -> Vec<String> {
    let shown = |(path, entry): (&str, &RootfsEntry)| match entry {
        RootfsEntry::Folder { .. } => format!("{path}/"),
        RootfsEntry::Link { target } => format!("{path} -> {target}"),
        RootfsEntry::File { bytes, .. } => format!("{path}: {}", String::from_utf8_lossy(bytes)),
    };
    rootfs.entries().map(shown).collect()
}

/// Layers with everything that a layer can do to those below it.
fn layers() -> Vec<Vec<u8>> {
    let base = tarball(&[
        (Symlink, "lib", "usr/lib"),
        (Directory, "usr/lib/", ""),
        (Regular, "usr/lib/old", "1"),
        (Regular, "usr/lib/gone", "1"),
        (Regular, "etc/conf.d/a", "1"),
        (Regular, "etc/conf.d/b", "1"),
        (Regular, "opt/folder/file", "1"),
        (Regular, "srv", "1"),
    ]);
    let upper = tarball(&[
        (Regular, "lib/new", "2"),
        (Link, "lib/also", "lib/new"),
        (Regular, "usr/lib/old", "2"),
        (Regular, "lib/.wh.gone", ""),
        (Regular, "etc/conf.d/c", "2"),
        (Regular, "etc/conf.d/.wh..wh..opq", ""),
        (Regular, "opt/folder", "2"),
        (Regular, "srv/www/index", "2"),
        (Regular, ".wh.nothing", ""),
    ]);
    // A file that becomes a folder is replaced by an entry of its own.
    let upper = [tarball(&[(Regular, ".wh.srv", "")]), upper];
    vec![gzip(&base), upper[0].clone(), zstd::encode_all(upper[1].as_slice(), 1).expect("memory")]
}

const MERGED: [&str; 14] = [
    "etc/",
    "etc/conf.d/",
    "etc/conf.d/c: 2",
    "lib -> usr/lib",
    "opt/",
    "opt/folder: 2",
    "srv/",
    "srv/www/",
    "srv/www/index: 2",
    "usr/",
    "usr/lib/",
    "usr/lib/also: 2",
    "usr/lib/new: 2",
    "usr/lib/old: 2",
];

#[test]
fn layers_replace_and_remove_what_is_below() {
    let layout = LayoutFolder::new();
    let image = layout.add_image("amd64", &layers());
    layout.write_index(&[image]);
    let rootfs = layout.load().expect("a rootfs");
    assert_eq!(listing(&rootfs), MERGED);
    assert_eq!(rootfs.size(), 6);
}

#[test]
fn image_in_a_tarball_is_read_like_one_in_a_folder() {
    let layout = LayoutFolder::new();
    let image = layout.add_image("amd64", &layers());
    layout.write_index(&[image]);
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_dir_all(".", layout.0.path()).expect("a tarball");
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), tar.into_inner().expect("a tarball")).expect("a file");
    assert_eq!(Rootfs::load(file.path()).expect("a rootfs"), layout.load().expect("a rootfs"));
}

#[test]
fn image_for_a_guest_is_chosen() {
    let layout = LayoutFolder::new();
    let ours = layout.add_image("amd64", &[tarball(&[(Regular, "ours", "x")])]);
    let other = layout.add_image("arm64", &[tarball(&[(Regular, "other", "x")])]);
    let third = layout.add_image("amd64", &[tarball(&[(Regular, "third", "x")])]);
    let nested = layout.add(
        json!({ "manifests": [for_platform(other.clone(), "arm64", None), for_platform(ours.clone(), "amd64", None)] })
            .to_string()
            .as_bytes(),
    );
    let (amd64, arm64) = (|name| for_platform(ours.clone(), "amd64", name), for_platform(other.clone(), "arm64", None));
    type ImageChoice = Result<&'static str, &'static str>;
    let table: [(&str, Vec<Value>, ImageChoice); 7] = [
        ("one of two platforms", vec![arm64.clone(), amd64(None)], Ok("ours: x")),
        ("two names of one image", vec![amd64(Some("1.0")), amd64(Some("latest"))], Ok("ours: x")),
        ("an index in an index", vec![nested], Ok("ours: x")),
        (
            "two images",
            vec![amd64(Some("1.0")), for_platform(third, "amd64", Some("2.0"))],
            Err("has 2 images for linux/amd64 (1.0, 2.0): keep one"),
        ),
        ("another platform", vec![arm64], Err("no image for linux/amd64 (found: linux/arm64)")),
        ("another platform by its configuration", vec![other], Err("no image for linux/amd64 (found: linux/arm64)")),
        ("nothing", vec![], Err("no image for linux/amd64 (found: none)")),
    ];
    for (name, manifests, expected) in table {
        layout.write_index(&manifests);
        match (layout.load(), expected) {
            (Ok(rootfs), Ok(file)) => assert_eq!(listing(&rootfs), [file], "{name}"),
            (Err(error), Err(why)) => assert!(error.contains(why), "{name}: {error}"),
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}

#[test]
fn bad_images_are_rejected_with_the_reason() {
    let layout = LayoutFolder::new();
    let expect = |why: &str| {
        let error = layout.load().expect_err(why);
        assert!(error.contains(why), "{error}");
    };
    expect("cannot read index.json of its OCI image");
    fs::write(layout.0.path().join(INDEX), "[]").expect("an index");
    expect("index.json of its OCI image is no index or manifest");
    layout.write_index(&[json!({ "digest": "sha256:../../../etc/passwd" })]);
    expect("expected `sha256:` and 64 hexadecimal digits");
    layout.write_index(&[json!({ "digest": format!("sha256:{}", "0".repeat(64)) })]);
    expect("cannot read blobs/sha256/000");
    let empty = layout.add(b"{}");
    layout.write_index(&[empty]);
    expect("neither `manifests` nor `layers`");
    let image = layout.add_image("amd64", &[tarball(&[(Regular, "../evil", "")])]);
    layout.write_index(&[image]);
    expect("../evil leads out of its rootfs (layer sha256:");
    let image = layout.add_image("amd64", &[b"no tarball".to_vec()]);
    layout.write_index(std::slice::from_ref(&image));
    expect("its rootfs is not a whole tarball");
    let path = layout.0.path().join("blobs").join(image["digest"].as_str().expect("a digest").replace(':', "/"));
    fs::write(path, "{}").expect("a file");
    expect("its OCI image is damaged");
}

#[test]
fn index_that_contains_itself_ends() {
    // No index can have its own digest, so each is in the next.
    let layout = LayoutFolder::new();
    let mut inner = layout.add_image("amd64", &[]);
    for _ in 0..DEPTH_MAX {
        inner = layout.add(json!({ "manifests": [inner] }).to_string().as_bytes());
    }
    layout.write_index(&[inner]);
    assert!(layout.load().expect_err("too deep").contains("nested too deeply"));
}

proptest! {
    #[test]
    fn no_layer_makes_the_reader_panic_or_leave_the_root(
        mut bytes in Just(tarball(&[(Regular, "a/b", "x"), (Symlink, "c", "a"), (Regular, "c/.wh.b", ""), (Regular, "a/.wh..wh..opq", "")])),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..8),
    ) {
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut rootfs = Rootfs::default();
        let base = tarball(&[(Symlink, "l", "/a/../../.."), (Regular, "a/b", "x")]);
        rootfs.add_layer(Compression::None, base.as_slice()).expect("a layer");
        if rootfs.add_layer(Compression::None, bytes.as_slice()).is_ok() {
            let total: usize = rootfs.entries().map(|(_, e)| if let RootfsEntry::File { bytes, .. } = e { bytes.len() } else { 0 }).sum();
            prop_assert_eq!(rootfs.size(), total);
            for (path, _) in rootfs.entries() {
                prop_assert!(path.split('/').all(|part| !matches!(part, "" | "." | "..")), "{}", path);
            }
        }
    }
}
