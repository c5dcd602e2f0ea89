use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use serde_json::json;
use url::Url;

use super::*;
use crate::matrix::BuildOrigin;

#[test]
fn source_is_shown_in_one_line_and_written_under_one_key() {
    let apt = |suite: Option<&str>, archive| Source::Apt {
        package: "linux-image".into(),
        suite: suite.map(str::to_owned),
        archive,
    };
    let elsewhere = AptArchive {
        mirror: Url::parse("https://mirror.example/ubuntu").expect("an address"),
        components: vec!["main".to_owned()],
        keyring: Some("ubuntu.gpg".into()),
    };
    let image = Source::Image { image: "b/bzImage".into(), modules: None, config: Some("b/.config".into()) };
    let control = Source::Control { control: "stock".parse().expect("a name"), line: "6.1".into() };
    let archive = MainlineArchive { address: Url::parse("https://mirror.example/").ok(), key: None };
    let mainline = Source::Mainline { version: "v4.19.57".parse().expect("a version"), archive };
    let of_mainline = json!({"version": "v4.19.57", "address": "https://mirror.example/", "fingerprint": null});
    let remote = Remote {
        address: "https://k.example/a.deb".parse().expect("an address"),
        pin: Pin::TrustOnFirstUse,
        mirrors: vec!["https://m.example/a.deb".parse().expect("an address")],
    };
    let url = Source::Url(vec![remote]);
    for (source, shown, written) in [
        (mainline, "mainline v4.19.57", json!({"mainline": of_mainline})),
        (control, "control stock (6.1)", json!({"control": {"name": "stock", "line": "6.1"}})),
        (apt(None, None), "apt linux-image", json!({"apt": {"package": "linux-image", "suite": null}})),
        (apt(Some("sid"), None), "apt linux-image (sid)", json!({"apt": {"package": "linux-image", "suite": "sid"}})),
        (
            apt(Some("noble-updates"), Some(elsewhere)),
            "apt linux-image (noble-updates main of https://mirror.example/ubuntu)",
            json!({"apt": {
                "package": "linux-image",
                "suite": "noble-updates",
                "mirror": "https://mirror.example/ubuntu",
                "components": ["main"],
                "keyring": "ubuntu.gpg",
            }}),
        ),
        (Source::Deb(vec!["a.deb".into(), "b.deb".into()]), "deb a.deb b.deb", json!({"deb": ["a.deb", "b.deb"]})),
        (Source::Rpm(vec!["a.rpm".into()]), "rpm a.rpm", json!({"rpm": ["a.rpm"]})),
        (
            url,
            "url https://k.example/a.deb",
            json!({"url": [{
                "address": "https://k.example/a.deb",
                "sha256": "trust-on-first-use",
                "mirrors": ["https://m.example/a.deb"],
            }]}),
        ),
        (image, "image b/bzImage", json!({"image": {"file": "b/bzImage", "modules": null, "config": "b/.config"}})),
        (Source::Tree("linux".into()), "tree linux", json!({"tree": "linux"})),
        (
            Source::Build(BuildSource::plain(BuildOrigin::Tree("linux".into()))),
            "build linux",
            json!({"build": {"tree": "linux"}}),
        ),
        (
            Source::Build(BuildSource {
                origin: BuildOrigin::Repo { repo: "linux.git".into(), revision: "v6.1".to_owned() },
                config: Some("config".into()),
                fragment: vec!["f".into()],
                patches: vec!["a.patch".into(), "b.patch".into()],
                revert: vec!["c.patch".into()],
                needs: vec!["CONFIG_ODD".to_owned()],
            }),
            "build linux.git v6.1 (config config) (fragment f) (revert c.patch) (patch a.patch) (patch b.patch)",
            json!({"build": {
                "repo": "linux.git",
                "revision": "v6.1",
                "config": "config",
                "fragment": ["f"],
                "patches": ["a.patch", "b.patch"],
                "revert": ["c.patch"],
                "needs": ["CONFIG_ODD"],
            }}),
        ),
    ] {
        assert_eq!(source.to_string(), shown);
        assert_eq!(serde_json::to_value(&source).ok(), Some(written));
    }
}

#[test]
fn folder_name_that_is_not_utf_8_can_be_written() {
    let source = Source::Tree(PathBuf::from(OsStr::from_bytes(b"linux\xff")));
    assert_eq!(serde_json::to_value(&source).ok(), Some(json!({"tree": "linux\u{fffd}"})));
}
