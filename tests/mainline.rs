//! Kernels of the archive of mainline builds, from a server on loopback with the archive's layout.

use std::path::Path;
use std::process::{Command, Output};

use backproof::kernel::{Kernel, Obtain, Store, obtain};
use backproof::matrix::Source;
use backproof::shim::Shim;
use serde_json::Value;
use sha2::{Digest, Sha256};

mod common;
use common::server::{Answer, Server};
use common::{Lab, Ran, cell, fixtures};

const STALL: &str = "tcp-fragment-stall";
const VERSION: &str = "v4.19.57";
const NUMBERS: &str = "4.19.57-041957";

/// A version whose builds' release is as long as that of Debian 12's cloud kernel.
const REAL_VERSION: &str = "v6.1";
const REAL_NUMBERS: &str = "6.1.0-060100";

fn index(links: &[&str]) -> String {
    links.iter().map(|link| format!("<tr><td><a href=\"{link}\">{link}</a></td></tr>\n")).collect()
}

/// An archive with one version, which has these packages: the image, and perhaps the modules.
fn archive(image: Vec<u8>, modules: Option<Vec<u8>>) -> Server {
    archive_of(VERSION, NUMBERS, image, modules)
}

fn archive_of(version: &str, numbers: &str, image: Vec<u8>, modules: Option<Vec<u8>>) -> Server {
    let server = Server::new();
    server.on("/mainline/", [Answer::ok(index(&["v4.19.56/", "v4.19.57/", "v5.2-rc6/"]))]);
    server.on(&format!("/mainline/{version}/"), [Answer::ok(index(&["CHECKSUMS", "amd64/"]))]);
    let name = |kind: &str| format!("linux-{kind}-{numbers}-generic_{numbers}.201907031431_amd64.deb");
    let image_kind = if modules.is_some() { "image-unsigned" } else { "image" };
    let mut sums = "# Checksums-Sha256:\n".to_owned();
    for (kind, bytes) in std::iter::once((image_kind, image)).chain(modules.map(|bytes| ("modules", bytes))) {
        let sum: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        sums += &format!("{sum}  {}\n", name(kind));
        server.on(&format!("/mainline/{version}/amd64/{}", name(kind)), [Answer::ok(bytes)]);
    }
    server.on(&format!("/mainline/{version}/amd64/CHECKSUMS"), [Answer::ok(sums)]);
    server
}

/// The program with this archive and its own cache.
fn command(lab: &Lab, server: &Server, args: &[&str]) -> Command {
    let mut command = lab.command(args);
    command.env("BACKPROOF_MAINLINE", server.at("/mainline/")).env("BACKPROOF_CACHE", lab.path("cache"));
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command
}

fn ran(command: &mut Command) -> (Ran, Value) {
    let ran = Ran::of(command.output().expect("the program starts"));
    let document = serde_json::from_str(&ran.stdout).unwrap_or(Value::Null);
    (ran, document)
}

#[test]
fn unverified_mainline_build_says_so() {
    let release = format!("{NUMBERS}-generic");
    let image = fixtures::bzimage(&release);
    let path = format!("./boot/vmlinuz-{release}");
    let (lab, server) = (Lab::new(), archive(fixtures::deb(&fixtures::tar(&[(&path, &image)])), None));
    let ask = ["affected", "--bug", STALL, "--format", "json", "mainline:v4.19.57"];
    let (first, document) = ran(&mut command(&lab, &server, &ask));
    first.ends_with(3).says(&["signature: unverified"]);
    let subject = &document["subjects"][0];
    let understood = subject["understood"].as_str().unwrap_or_default();
    assert!(
        understood.contains("the build of 201907031431") && understood.contains("signature: unverified"),
        "{understood}"
    );
    let bug = &subject["bugs"][0];
    // The archive's image has no readable code, and its release does not replace that.
    assert_eq!((&bug["verdict"], &bug["state"]), (&"unknown".into(), &Value::Null), "{bug:#}");
    assert_eq!(bug["findings"][0]["states"], serde_json::json!(["half-fixed"]), "{bug:#}");
    assert!(bug["reason"].to_string().contains("binary could not see"), "{bug:#}");
    // From now on the fetched files are enough.
    let offline = [&ask[..], &["--offline"]].concat();
    let before = server.requests().len();
    assert_eq!(ran(&mut command(&lab, &server, &offline)).1["subjects"][0]["bugs"][0], *bug);
    assert_eq!(server.requests().len(), before);

    let list = ["kernels", "list", "--source", "mainline", "4.19.5*"];
    let (listed, _) = ran(&mut command(&lab, &server, &list));
    listed.ends_with(0);
    assert!(listed.stdout.starts_with("v4.19.56\nv4.19.57\n2 versions in http://127.0.0.1:"), "{}", listed.stdout);
    assert!(listed.stdout.contains("signature: unverified"), "{}", listed.stdout);
    let offline = [&list[..], &["--offline", "--format", "json"]].concat();
    let (_, document) = ran(&mut command(&lab, &server, &offline));
    assert_eq!((&document["versions"][1], &document["stale"]), (&VERSION.into(), &"offline mode".into()));

    for (bad, code, words) in [
        (&["affected", "mainline:4.19.57", "--format", "json"][..], 2, "it names no mainline build"),
        (&["affected", "mainline:v4.19.58", "--format", "json"], 3, "but v4.19.57"),
        (&["kernels", "list", "4.19.5*"], 2, "--source"),
        (&["kernels", "list", "--source", "mainline", "[4]"], 2, "invalid pattern of versions `[4]`"),
    ] {
        let (ran, _) = ran(&mut command(&lab, &server, bad));
        ran.ends_with(code);
        assert!((ran.stdout + &ran.stderr).contains(words), "{bad:?}");
    }
}

#[test]
fn matrix_archive_is_listed_without_its_kernels() {
    let release = format!("{NUMBERS}-generic");
    let path = format!("./boot/vmlinuz-{release}");
    let server = archive(fixtures::deb(&fixtures::tar(&[(&path, &fixtures::bzimage(&release))])), None);
    let address = server.at("/mainline/");
    let lab =
        Lab::with_matrix(&format!("mainline-archive: {{ address: '{address}' }}\nkernels: [{{ name: a, tree: x }}]\n"));
    let mut list = command(&lab, &server, &["kernels", "list", "--source", "mainline", "v4.19.57"]);
    let (listed, _) = ran(list.env_remove("BACKPROOF_MAINLINE"));
    assert!(listed.ends_with(0).stdout.contains(&format!("1 version in {address}")), "{}", listed.stdout);

    lab.write("kernels.yaml", format!("kernels: [{{ name: build, mainline: {VERSION} }}]"));
    ran(&mut command(&lab, &server, &["kernels", "update", "--yes"])).0.ends_with(0);
    assert!(server.requests().iter().all(|request| !request.path.ends_with(".deb")), "a package was fetched");
    let lock = std::fs::read_to_string(lab.path("kernels.lock")).expect("a lock");
    assert!(lock.contains(&format!("release: {release}")) && !lock.contains("size:"), "{lock}");
    // The fields that a run fills in change nothing.
    let run = ["run", "--locked", "--accel", "tcg", "--bug", STALL, "--format", "json"];
    let (_, document) = ran(&mut command(&lab, &server, &run));
    assert_eq!(
        (&document["kernels"][0]["locked"], &document["kernels"][0]["release"]),
        (&true.into(), &(&*release).into())
    );
    let (again, _) = ran(&mut command(&lab, &server, &["kernels", "update"]));
    assert!(again.ends_with(0).stdout.contains("1 unchanged"), "{}", again.stdout);
}

/// A package of this folder, as dpkg-deb makes it.
fn dpkg_deb(lab: &Lab, name: &str) -> Vec<u8> {
    let control =
        format!("Package: {name}\nVersion: 1\nArchitecture: amd64\nMaintainer: A <a@example.test>\nDescription: x\n");
    lab.write(&format!("{name}/DEBIAN/control"), control);
    let build = ["--root-owner-group", "-Znone", "--build", name, "out.deb"];
    let Output { status, stderr, .. } =
        Command::new("dpkg-deb").args(build).current_dir(lab.dir.path()).output().expect("dpkg-deb starts");
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    std::fs::read(lab.path("out.deb")).expect("the package")
}

fn debian_12() -> Kernel {
    let store = Store::open(None).expect("the user's cache");
    let shim = Shim::at(env!("CARGO_BIN_EXE_backproof").into());
    let source = Source::Apt {
        package: "linux-image-cloud-amd64".to_owned(),
        suite: Some("bookworm".to_owned()),
        archive: None,
    };
    let with = Obtain { store: &store, shim: &shim, offline: false, refresh: false, locked: None, tell: &|_| {} };
    obtain(&source, &with).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn mainline_build_is_judged_by_its_booted_release() {
    let kernel = debian_12();
    let lab = Lab::with_matrix(&format!(
        "bugs: [{STALL}]\nkernels: [{{ name: build, mainline: {REAL_VERSION}, optional: true }}]\n"
    ));
    let mut image = std::fs::read(&kernel.image).expect("the image");
    // The release in its header is overwritten with that of a build of this version.
    let (own, release) = (kernel.release.clone().expect("a release"), format!("{REAL_NUMBERS}-generic"));
    let at = image.windows(own.len()).position(|window| window == own.as_bytes()).expect("its release");
    assert!(at < 64 << 10, "the header comes first");
    image[at..at + own.len()].fill(b' ');
    image[at..at + release.len()].copy_from_slice(release.as_bytes());
    lab.write(&format!("image/boot/vmlinuz-{release}"), image);
    let config = kernel.config.as_ref().expect("a configuration");
    let set = |option: &&str| config.is_builtin(option) || config.is_module(option);
    let options = [
        "TUN",
        "NET_NS",
        "INET",
        "SYN_COOKIES",
        "SERIAL_8250",
        "SERIAL_8250_CONSOLE",
        "BLK_DEV_INITRD",
        "PRINTK",
        "TTY",
        "DEVTMPFS",
    ];
    let options = options.into_iter().filter(set);
    let lines = options.map(|o| format!("CONFIG_{o}={}\n", if config.is_builtin(o) { "y" } else { "m" }));
    lab.write(&format!("modules/boot/config-{release}"), lines.collect::<String>());
    lab.write(&format!("modules/lib/modules/{release}/modules.builtin"), "");
    for module in kernel.modules_for(&["tun"]).expect("modules") {
        let path = Path::new("modules/lib/modules").join(&release).join(format!("kernel/{}.ko", module.name));
        lab.write(path.to_str().expect("UTF-8"), &module.bytes);
    }
    let server = archive_of(REAL_VERSION, REAL_NUMBERS, dpkg_deb(&lab, "image"), Some(dpkg_deb(&lab, "modules")));
    let run = ["run", "--accel", "tcg", "--format", "json"];
    let (ran, document) = ran(&mut command(&lab, &server, &run));
    // It boots, but its guest reports its real release, which is not the image's.
    ran.ends_with(3).says(&["signature: unverified"]);
    let judged = cell(&document, "build", STALL);
    let reason = judged["reason"].as_str().unwrap_or_default();
    assert!(judged["outcome"] == "error" && reason.contains("not this kernel"), "{judged:#}");
    assert!(reason.contains(&own) && reason.contains(&release), "{reason}");
    let provenance = document["kernels"][0]["provenance"].as_array().expect("provenance");
    let from = provenance.iter().find_map(|from| from.get("archive")).expect("the archive");
    assert_eq!((&from["build"], &from["signature"]), (&"201907031431".into(), &"unverified".into()));

    // A build that the archive has removed is a skip with the reason. If the archive cannot be asked, it is an error.
    let gone = Server::new();
    gone.on("/mainline/", [Answer::ok(index(&["v5.2/"]))]);
    let skipped = Lab::with_matrix(&std::fs::read_to_string(lab.path("kernels.yaml")).expect("the matrix"));
    let (ran, document) = self::ran(&mut command(&skipped, &gone, &run));
    ran.ends_with(0);
    let reason = cell(&document, "build", STALL)["reason"].as_str().unwrap_or_default().to_owned();
    assert!(
        cell(&document, "build", STALL)["outcome"] == "skip" && reason.contains("cannot find a build of v6.1"),
        "{reason}"
    );
    let portal = Server::new();
    portal.on("/mainline/", [Answer::ok("<html>Log in</html>")]);
    let (ran, document) = self::ran(&mut command(&skipped, &portal, &run));
    ran.ends_with(3);
    assert_eq!(cell(&document, "build", STALL)["outcome"], "error");
}
