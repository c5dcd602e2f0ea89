//! RPM packages made by rpmbuild with the distributions' layouts, and a kernel booted from some of them.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use backproof::kernel::{Kernel, Obtain, ObtainError, Store, obtain};
use backproof::matrix::Source;
use backproof::shim::Shim;
use common::rpms::{Content, Rpm};
use common::{Lab, cell, tiny_kernel};

const CONFIG: &[u8] = b"CONFIG_SYN_COOKIES=y\nCONFIG_TUN=m\n";
const BUILTIN: &[u8] = b"kernel/drivers/net/veth.ko\n";
/// The compressions of payloads that old and current versions of rpmbuild use.
const PAYLOADS: [&str; 6] = ["w9.gzdio", "w9.bzdio", "w1.lzdio", "w2.xzdio", "w3.zstdio", "w.ufdio"];

fn image() -> Vec<u8> {
    tiny_kernel::image(&[tiny_kernel::Act::Halt])
}

fn from(store: &Path, files: Vec<PathBuf>) -> Result<Kernel, ObtainError> {
    let store = Store::open(Some(store.to_owned())).expect("a cache");
    let shim = Shim::at(env!("CARGO_BIN_EXE_backproof").into());
    let with = Obtain { store: &store, shim: &shim, offline: true, refresh: false, locked: None, tell: &|_| {} };
    obtain(&Source::Rpm(files), &with)
}

/// A minimal module in 64-bit ELF that only lists its dependencies.
fn module(modinfo: &[u8]) -> Vec<u8> {
    use object::write::Object;
    let mut module = Object::new(object::BinaryFormat::Elf, object::Architecture::X86_64, object::Endianness::Little);
    let section = module.add_section(Vec::new(), b".modinfo".to_vec(), object::SectionKind::ReadOnlyData);
    module.append_section_data(section, modinfo, 1);
    module.write().expect("an object")
}

#[test]
fn old_layout_becomes_a_kernel_in_every_compression() {
    let lab = Lab::new();
    let (image, tun) = (image(), module(b"name=tun\0depends=\0"));
    let xz = liblzma::encode_all(&tun[..], 6).expect("xz");
    let path = |release: &str, below: &str| format!("/lib/modules/{release}/{below}");
    // el7: the image is below /boot, and each module is compressed.
    let el7 = "3.10.0-957.21.3.el7.x86_64";
    let [vmlinuz, config] = ["vmlinuz", "config"].map(|name| format!("/boot/{name}-{el7}"));
    let [builtin, tun_xz] = ["modules.builtin", "kernel/drivers/net/tun.ko.xz"].map(|name| path(el7, name));
    let files: [(&str, Content); 4] = [
        (&vmlinuz, Content::File(&image)),
        (&config, Content::File(CONFIG)),
        (&builtin, Content::File(BUILTIN)),
        (&tun_xz, Content::File(&xz)),
    ];
    let changelog = "* Tue Jun 18 2019 A B <a@b.c> [3.10.0-957.21.3.el7]\n- [net] tcp: x (A B) [1719914]\n";
    for payload in PAYLOADS {
        let package =
            Rpm { name: "kernel", version: "3.10.0", release: "957.21.3.el7", payload, files: &files, changelog };
        let kernel = from(&lab.path("cache"), vec![package.build(lab.dir.path())]);
        let kernel = kernel.unwrap_or_else(|error| panic!("{payload}: {error}"));
        assert_eq!(kernel.release.as_deref(), Some(el7), "{payload}");
        assert_eq!(fs::read(&kernel.image).expect("the image"), image);
        assert_eq!(kernel.modules_for(&["tun", "veth"]).expect("modules")[0].bytes, tun);
        let entries = kernel.changelog().expect("the cache").expect("a changelog").entries;
        assert_eq!(entries[0].title, "2019-06-18 A B [3.10.0-957.21.3.el7]");
        assert_eq!(entries[0].text.trim_end(), "- [net] tcp: x (A B) [1719914]");
    }
}

#[test]
fn missing_parts_come_from_another_package() {
    let lab = Lab::new();
    let (image, tun) = (image(), module(b"name=tun\0depends=\0"));
    let packed = liblzma::encode_all(&tun[..], 6).expect("xz");
    // el9: the image is in the modules' folder, and the modules have their own packages.
    let release = "5.14.0-427.13.1.el9_4.x86_64";
    let path = |below: &str| format!("/lib/modules/{release}/{below}");
    let [vmlinuz, config, builtin] = ["vmlinuz", "config", "modules.builtin"].map(path);
    let [boot, tun_xz] = [format!("/boot/vmlinuz-{release}"), path("kernel/drivers/net/tun.ko.xz")];
    let el9 = |name, files: &[(&str, Content)]| {
        let (version, release) = ("5.14.0", "427.13.1.el9_4");
        Rpm { name, version, release, payload: "w3.zstdio", files, changelog: "" }.build(lab.dir.path())
    };
    let core = el9(
        "kernel-core",
        &[
            (&boot, Content::Ghost),
            (&vmlinuz, Content::File(&image)),
            (&config, Content::File(CONFIG)),
            (&builtin, Content::File(BUILTIN)),
        ],
    );
    let modules = el9("kernel-modules-core", &[(&tun_xz, Content::File(&packed))]);
    let error = from(&lab.path("cache"), vec![modules.clone()]).expect_err("no image").to_string();
    assert!(error.contains("kernel-modules-core 5.14.0-427.13.1.el9_4") && error.contains("kernel-default"), "{error}");
    let error = from(&lab.path("cache"), vec![core.clone()]).expect("a kernel").modules_for(&["tun"]);
    assert!(error.expect_err("no module").to_string().contains("CONFIG_TUN=m"));
    let kernel = from(&lab.path("cache"), vec![modules, core]).expect("a kernel");
    assert_eq!(kernel.release.as_deref(), Some(release));
    assert_eq!(kernel.modules_for(&["tun"]).expect("modules")[0].bytes, tun);

    // openSUSE: all below /usr, links to it in /boot, and two names for one module.
    let release = "6.4.0-150600.21-default";
    let path = |below: &str| format!("/usr/lib/modules/{release}/{below}");
    let [vmlinuz, config, builtin] = ["vmlinuz", "config", "modules.builtin"].map(path);
    let [a, b] = ["kernel/drivers/net/tun.ko.zst", "kernel/drivers/net/veth.ko.zst"].map(path);
    let (boot, packed) = (format!("/boot/vmlinuz-{release}"), zstd::encode_all(&tun[..], 3).expect("zstd"));
    let suse = Rpm {
        name: "kernel-default",
        version: "6.4.0",
        release: "150600.21.3",
        payload: "w2.xzdio",
        files: &[
            (&vmlinuz, Content::File(&image)),
            (&config, Content::File(CONFIG)),
            (&builtin, Content::File(b"")),
            (&boot, Content::Link("../usr/lib/modules/6.4.0-150600.21-default/vmlinuz")),
            (&a, Content::File(&packed)),
            (&b, Content::Same(&a)),
        ],
        changelog: "",
    };
    let kernel = from(&lab.path("cache"), vec![suse.build(lab.dir.path())]).expect("a kernel");
    assert_eq!(kernel.release.as_deref(), Some(release));
    let modules = kernel.modules_for(&["tun", "veth"]).expect("modules");
    assert!(modules.iter().all(|module| module.bytes == tun) && modules.len() == 2);
    assert!(kernel.changelog().expect("the cache").is_none());
}

/// Debian's kernel in el9's packages. Its modules include their dependencies.
fn repackaged(lab: &Lab, changelog: &str) -> [PathBuf; 2] {
    let store = Store::open(None).expect("the cache");
    let shim = Shim::at(env!("CARGO_BIN_EXE_backproof").into());
    let with = Obtain { store: &store, shim: &shim, offline: false, refresh: false, locked: None, tell: &|_| {} };
    let source =
        Source::Apt { package: "linux-image-cloud-amd64".into(), suite: Some("bookworm".into()), archive: None };
    let kernel = obtain(&source, &with).expect("Debian's kernel");
    let release = kernel.release.as_deref().expect("a release");
    let image = fs::read(&kernel.image).expect("the image");
    let modules = kernel.modules_for(&["tun", "veth", "sch_netem"]).expect("modules");
    let path = |below: &str| format!("/lib/modules/{release}/{below}");
    let [vmlinuz, builtin] = ["vmlinuz", "modules.builtin"].map(path);
    let files =
        modules.iter().map(|module| (path(&format!("kernel/{}.ko", module.name)), Content::File(&module.bytes)));
    let files: Vec<(String, Content)> = files.collect();
    let files: Vec<(&str, Content)> = files.iter().map(|(path, content)| (path.as_str(), *content)).collect();
    let build = |name, files: &[(&str, Content)]| {
        let (version, release) = ("6.1.0", "56.el9");
        Rpm { name, version, release, payload: "w3.zstdio", files, changelog }.build(lab.dir.path())
    };
    let core = build("kernel-core", &[(&vmlinuz, Content::File(&image)), (&builtin, Content::File(b""))]);
    [core, build("kernel-modules-core", &files)]
}

#[test]
fn rpm_kernel_boots_and_its_changelog_is_heard() {
    let fix = "tcp: be more careful in tcp_fragment()";
    let changelog = format!(
        "* Thu Jul 18 2024 A B <a@b.c> [6.1.0-56.el9]\n- x86: something else (A B) [RHEL-1]\n\n\
         * Thu Jul 25 2019 A B <a@b.c> [6.1.0-1.el9]\n- [net] {fix} (Florian Westphal) [1719914]\n"
    );
    let lab = Lab::new();
    let [core, modules] = repackaged(&lab, &changelog);
    let matrix = format!(
        "bugs: [tcp-fragment-stall]\nkernels:\n  - {{ name: el, rpm: [{}, {}] }}\n",
        core.display(),
        modules.display()
    );
    lab.write("kernels.yaml", matrix);
    let (ran, document) = lab.judge(&[]);
    ran.ends_with(0);
    let el = cell(&document, "el", "tcp-fragment-stall");
    assert_eq!((&el["outcome"], &el["conflict"]), (&"pass".into(), &false.into()), "{el:#}");
    let findings = el["findings"].as_array().expect("findings");
    let of = |witness: &str| findings.iter().find(|finding| finding["witness"] == witness);
    let said = of("changelog").unwrap_or_else(|| panic!("no changelog in {el:#}"));
    let why = said["why"].as_str().unwrap_or_default();
    assert!(why.contains("fix since 2019-07-25 A B [6.1.0-1.el9]") && why.contains(fix), "{why}");
    assert_eq!((&said["strength"], &said["states"]), (&"weak".into(), &serde_json::json!(["fixed"])));
    assert!(of("runtime").is_some() && of("binary").is_some(), "{el:#}");

    let core = core.display().to_string();
    let ran = lab.run(&["affected", "--explain", "--bug", "tcp-fragment-stall", &core]);
    ran.ends_with(0);
    // No el9 kernel starts from 6.1, so its vendor is unknown by that name.
    assert!(ran.stdout.contains("an unnamed distribution's kernel, based on 6.1"), "{}", ran.stdout);
    assert!(ran.stdout.contains("changelog") && ran.stdout.contains("fix since 2019-07-25"), "{}", ran.stdout);
}
