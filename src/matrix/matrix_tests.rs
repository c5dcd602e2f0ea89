use super::*;
use crate::recipe::Recipes;
use crate::words::State;

fn good(text: &str, path: &str) -> Matrix {
    let read = parse(text, Path::new(path), &Bugs::built_in());
    read.unwrap_or_else(|problems| panic!("expected a matrix:\n{problems}"))
}

fn name(name: &str) -> KernelName {
    name.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn bug(name: &str) -> BugId {
    name.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn all_bugs() -> [BugId; 3] {
    ["tcp-fragment-stall", "syn-cookie-data-loss", "zero-window-user-timeout"].map(bug)
}

#[test]
fn default_matrix_is_valid() {
    let matrix = good(include_str!("../../kernels.yaml"), "kernels.yaml");
    let by_default = matrix.select(&[], &[], &[]).unwrap_or_else(|error| panic!("{error}"));
    let names: Vec<_> = by_default.kernels.iter().map(|k| k.name.as_str()).collect();
    assert_eq!(names, ["debian-11", "debian-12", "debian-12-backports", "debian-13", "debian-sid"]);
    for kernel in &by_default.kernels {
        assert_eq!(kernel.bugs, all_bugs());
        for good in ["tcp-fragment-stall", "zero-window-user-timeout"] {
            assert_eq!(kernel.expected(&bug(good)), Expectation::Outcome(Outcome::Pass));
        }
        assert_eq!(kernel.expected(&bug("syn-cookie-data-loss")), Expectation::Outcome(Outcome::Fail));
    }
}

#[test]
fn default_matrix_has_every_control_and_runs_none() {
    let matrix = good(include_str!("../../kernels.yaml"), "kernels.yaml");
    let recipes = Recipes::built_in();
    let controls: Vec<_> = matrix.kernels.iter().filter(|k| matches!(k.source, Source::Control { .. })).collect();
    let mut expected = Vec::new();
    for (line, control) in recipes.pairs() {
        expected.push(format!("control-{}-{}", line.name, control.name));
    }
    assert_eq!(controls.iter().map(|k| k.name.as_str()).collect::<Vec<_>>(), expected);
    for kernel in controls {
        assert!(kernel.tags.contains("control") && !kernel.optional, "{}", kernel.name);
        let Source::Control { control, line } = &kernel.source else { continue };
        assert!(kernel.tags.contains(&format!("control-{line}")), "{}", kernel.name);
        assert_eq!(kernel.name.as_str(), format!("control-{line}-{control}"));
    }
}

#[test]
fn control_of_another_line_is_a_mistake() {
    let text = "kernels: [{ name: a, control: { name: stock-small-smp, line: \"6.12\" } }]\n";
    let problems = parse(text, Path::new("m.yaml"), &Bugs::built_in()).map(|_| ()).unwrap_err().to_string();
    assert!(problems.contains("line 6.12 has no control `stock-small-smp`"), "{problems}");
}

#[test]
fn control_expectation_comes_from_its_recipe() {
    let matrix = good(
        "
expect: { syn-cookie-data-loss: pass, tcp-fragment-stall: pass }
kernels:
  - { name: a, control: { name: stock, line: \"6.1\" } }
  - { name: b, control: { name: stall-half-fix, line: \"6.12\" }, tags: [mine], bugs: [tcp-fragment-stall] }
",
        "m.yaml",
    );
    let [a, b] = &matrix.kernels[..] else { panic!("expected two kernels") };
    assert_eq!(a.source, Source::Control { control: name("stock"), line: "6.1".to_owned() });
    assert_eq!(a.expected(&bug("tcp-fragment-stall")), Expectation::State(State::Fixed));
    assert_eq!(a.expected(&bug("syn-cookie-data-loss")), Expectation::State(State::Affected));
    assert_eq!(a.tags, BTreeSet::from(["control".to_owned()]));
    assert_eq!(b.tags, BTreeSet::from(["control".to_owned(), "mine".to_owned()]));
    let half_fixed = (bug("tcp-fragment-stall"), Expectation::State(State::HalfFixed));
    assert_eq!(b.expect, BTreeMap::from([half_fixed]), "and nothing of bugs that are not looked for");
}

#[test]
fn matrix_names_bugs_by_cve_and_commit_too() {
    let matrix = good(
        "bugs: [CVE-2019-11478, 9721e709fa68]\nexpect: { cve-2019-11478: fail }\n\
             kernels: [{ name: a, tree: b, bugs: [f070ef2ac667] }, { name: c, tree: d }]\n",
        "m.yaml",
    );
    let [stall, _, window] = all_bugs();
    assert_eq!(matrix.bugs, [stall.clone(), window]);
    assert_eq!(matrix.kernels[0].bugs, std::slice::from_ref(&stall));
    assert_eq!(matrix.kernels[0].expected(&stall), Expectation::Outcome(Outcome::Fail));
    let twice =
        parse("bugs: [tcp-fragment-stall, CVE-2019-11478]\nkernels: []\n", Path::new("m.yaml"), &Bugs::built_in());
    assert!(twice.is_err_and(|problems| problems.to_string().contains("`tcp-fragment-stall` is listed twice")));
}

#[test]
fn every_example_of_the_reference_is_valid() {
    let examples: Vec<_> = include_str!("../../docs/matrix.md").split("```yaml\n").skip(1).collect();
    assert!(examples.len() >= 5);
    for example in examples {
        good(example.split("```").next().unwrap_or_default(), "docs/matrix.md");
    }
}

#[test]
fn reference_lists_every_key() {
    let reference = include_str!("../../docs/matrix.md");
    for key in check::KEYS.iter().chain(&kernels::KEYS).chain(&profile::KEYS) {
        assert!(reference.contains(&format!("`{key}`")), "{key}");
    }
}

#[test]
fn source_paths_start_at_the_matrix() {
    let apt = |suite: Option<&str>| Source::Apt {
        package: "linux-image".into(),
        suite: suite.map(str::to_owned),
        archive: None,
    };
    let image = |image: &str, modules: Option<&str>, config: Option<&str>| Source::Image {
        image: image.into(),
        modules: modules.map(PathBuf::from),
        config: config.map(PathBuf::from),
    };
    let mainline = |archive| Source::Mainline { version: "v4.19.57".parse().expect("a version"), archive };
    for (text, path, source) in [
        ("apt: linux-image", "m.yaml", apt(None)),
        ("apt: { package: linux-image }", "m.yaml", apt(None)),
        ("apt: { package: linux-image, suite: sid }", "m.yaml", apt(Some("sid"))),
        ("deb: a.deb", "m.yaml", Source::Deb(vec!["./a.deb".into()])),
        ("rpm: [a.rpm]", "m.yaml", Source::Rpm(vec!["./a.rpm".into()])),
        ("deb: [a.deb, /b.deb]", "x/m.yaml", Source::Deb(vec!["x/a.deb".into(), "/b.deb".into()])),
        ("image: bzImage", "/x/m.yaml", image("/x/bzImage", None, None)),
        ("image: { file: b, config: .config }", "x/m.yaml", image("x/b", None, Some("x/.config"))),
        ("image: { file: b, modules: m }", "x/m.yaml", image("x/b", Some("x/m"), None)),
        ("tree: ../linux", "x/m.yaml", Source::Tree("x/../linux".into())),
        ("tree: -rf", "m.yaml", Source::Tree("./-rf".into())),
        ("mainline: v4.19.57", "m.yaml", mainline(MainlineArchive::default())),
    ] {
        let matrix = good(&format!("kernels:\n  - name: a\n    {text}\n"), path);
        assert_eq!(matrix.kernels[0].source, source, "{text}");
    }
}

#[test]
fn kernel_settings_override_the_matrix() {
    let matrix = good(
        "
bugs: [syn-cookie-data-loss]
expect: { syn-cookie-data-loss: fail }
opt-in: [slow]
kernels:
  - { name: plain, tree: linux }
  - name: special
    tree: linux
    tags: [slow, \"4.19\"]
    optional: true
    bugs: [tcp-fragment-stall, syn-cookie-data-loss]
    expect: { tcp-fragment-stall: half-fixed, syn-cookie-data-loss: pass }
    memory: 1G
    cpus: 2
    cmdline: nosmt lpj=1000000
    machine: microvm
    timeout: 2m
",
        "m.yaml",
    );
    let [plain, special] = &matrix.kernels[..] else { panic!("expected two kernels") };
    let cookies = bug("syn-cookie-data-loss");
    assert_eq!((&plain.bugs, plain.optional), (&vec![cookies.clone()], false));
    assert_eq!(plain.expected(&cookies), Expectation::Outcome(Outcome::Fail));
    assert_eq!(plain.guest, GuestSettings::default());
    assert_eq!(special.tags, BTreeSet::from(["slow".to_owned(), "4.19".to_owned()]));
    assert!(special.optional);
    assert_eq!(special.bugs, [bug("tcp-fragment-stall"), cookies.clone()]);
    assert_eq!(special.expected(&bug("tcp-fragment-stall")), Expectation::State(State::HalfFixed));
    assert_eq!(special.expected(&cookies), Expectation::Outcome(Outcome::Pass));
    let guest = GuestSettings {
        memory_mib: Some(1024),
        cpus: Some(2),
        cmdline: Some("nosmt lpj=1000000".to_owned()),
        machine: Some(MachineType::Microvm),
        timeout: Some(Duration::from_secs(120)),
    };
    assert_eq!(special.guest, guest);
    assert_eq!(matrix.opt_in, BTreeSet::from(["slow".to_owned()]));
}

#[test]
fn mainline_archive_holds_for_all_kernels() {
    let matrix = good(
        "
kernels:
  - { name: a, mainline: v4.19.57 }
mainline-archive:
  address: https://mirror.example/mainline
  key: keys/archive.asc
  fingerprint: 60aa 7b6f 3043 4ae6 8e56  9963 e50c 6a09 17c6 22b0
",
        "x/m.yaml",
    );
    let Source::Mainline { archive, .. } = &matrix.kernels[0].source else { panic!("expected a build") };
    assert_eq!(archive.address.as_ref().map(|a| a.as_str()), Some("https://mirror.example/mainline/"));
    let key = archive.key.as_ref().expect("a key");
    assert_eq!(
        (key.file.as_path(), key.fingerprint.as_str()),
        (Path::new("x/keys/archive.asc"), "60AA7B6F30434AE68E569963E50C6A0917C622B0")
    );
}

#[test]
fn default_matrix_has_mainline_boundaries_and_runs_none() {
    let matrix = good(include_str!("../../kernels.yaml"), "kernels.yaml");
    let builds: Vec<_> = matrix.kernels.iter().filter(|k| k.tags.contains("mainline")).collect();
    assert_eq!(builds.len(), 31);
    for kernel in builds {
        let Source::Mainline { version, archive } = &kernel.source else { panic!("{}", kernel.name) };
        assert_eq!(kernel.name.as_str(), format!("mainline-{}", version.release()));
        assert!(kernel.optional && archive == &MainlineArchive::default() && kernel.bugs == all_bugs());
        assert!(
            ["tcp-fragment-stall", "zero-window-user-timeout"]
                .iter()
                .all(|b| matches!(kernel.expected(&bug(b)), Expectation::State(_)))
        );
    }
    assert!(matrix.opt_in.contains("mainline"));
}

#[test]
fn matrix_without_bugs_looks_for_all_known_ones() {
    let matrix = good("kernels: [{ name: a, tree: linux }]", "m.yaml");
    assert_eq!(matrix.kernels[0].bugs, all_bugs());
}

#[test]
fn build_has_the_options_that_its_bugs_need() {
    let bugs = "bugs: [tcp-fragment-stall, syn-cookie-data-loss]";
    let matrix = good(&format!("kernels: [{{ name: a, build: linux, {bugs} }}]"), "m.yaml");
    let Source::Build(build) = &matrix.kernels[0].source else { panic!("a build") };
    assert_eq!(build.needs, ["CONFIG_NET_NS", "CONFIG_TUN"], "each once");
}

#[test]
fn byte_order_mark_and_windows_line_ends_are_read() {
    let matrix = good("\u{feff}kernels:\r\n  - name: a\r\n    tree: linux\r\n", "m.yaml");
    assert_eq!(matrix.kernels[0].source, Source::Tree("./linux".into()));
}
