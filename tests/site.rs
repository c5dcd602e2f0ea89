//! The history as a site, in a real browser: a headless Chromium that reads it from files and over HTTP, as people do.

use std::fs;
use std::path::Path;

use backproof::{evidence, exit, json, results, run, verdict, vm, words};
use serde_json::{Value, json};

mod common;
#[path = "../src/history/nights.rs"]
#[allow(dead_code, reason = "shared with the unit tests")]
mod nights;
use common::Lab;
use common::browser::{Browser, DOWN, ENTER, ESCAPE, RIGHT, TAB};
use common::server::{Answer, Server};
use nights::{Face, Night, night, run_name, write_night};

/// The folder of the site, among the results.
const SITE: &str = "results/site";

/// A cell that fails since night 30.
const FAILS: &str = "#cell/kernels.yaml/kernel-3/tcp-fragment-stall";

/// Forty nights of twelve kernels, of which some change, in the results of a lab.
fn forty_nights(lab: &Lab) {
    for at in 0..40 {
        let mut now = Night::plain(at, 12);
        if at >= 30 {
            now.faces.insert((3, 1), Face::Fail);
        }
        if at == 20 {
            now.faces.insert((4, 0), Face::Error);
        }
        if at == 39 {
            now.faces.insert((5, 2), Face::Conflict);
        }
        if at >= 33 {
            now.kernels.insert(20, 0);
        }
        if at >= 35 {
            now.kernels.remove(&11);
        }
        if at >= 36 {
            now.kernels.insert(2, 1);
        }
        write_night(&lab.path("results"), &night(&now));
    }
}

/// A site in a browser. The lab has its files.
struct Seen {
    browser: Browser,
    address: String,
    lab: Lab,
}

impl Seen {
    /// The site of forty nights, after a change of its results.
    fn changed(change: impl FnOnce(&Lab)) -> Option<Self> {
        let browser = Browser::open(1280, 900)?;
        let lab = Lab::new();
        forty_nights(&lab);
        change(&lab);
        lab.run(&["report", "--site", SITE]).ends_with(0);
        let address = format!("file://{}", lab.path(SITE).join("index.html").display());
        let seen = Self { browser, address, lab };
        seen.open("");
        Some(seen)
    }

    fn site() -> Option<Self> {
        Self::changed(|_| ())
    }

    /// Opens it at a hash, as a new visit.
    fn open(&self, hash: &str) {
        self.browser.open_address("about:blank");
        self.browser.open_address(&format!("{}{hash}", self.address));
        self.browser.wait("performance.getEntriesByName('interactive').length > 0");
    }

    /// Chooses a value of a list.
    fn choose(&self, id: &str, value: &str) {
        let script = "const list = document.getElementById(arguments[0]); list.value = arguments[1]; list.dispatchEvent(new Event('change'))";
        self.browser.run(script, &[json!(id), json!(value)]);
    }

    fn quiet(&self) {
        assert_eq!(self.browser.complaints(), Vec::<String>::new());
    }
}

#[test]
fn partial_night_hides_nothing_of_the_whole_one() {
    let partial = |lab: &Lab| {
        for at in 40..75 {
            let mut document = night(&Night::plain(at, 1));
            document.run.selection.kernels = vec!["kernel-0".parse().expect("a name")];
            write_night(&lab.path("results"), &document);
        }
    };
    let Some(seen) = Seen::changed(partial) else { return };
    assert_eq!(seen.browser.texts("h1"), ["Witnesses in conflict"]);
    let says = seen.browser.texts("#summary").join("");
    assert!(
        says.starts_with("The newest whole night, 2026-02-09")
            && says.contains("A newer night judged a part (kernel-0): 2026-03-16"),
        "{says}"
    );
    // The nights of one kernel push no other out of sight.
    assert_eq!(seen.browser.texts("#count"), ["39 cells over 65 nights"]);
    seen.open("#trends/kernels.yaml");
    let chart = seen.browser.texts("figcaption");
    assert!(chart[0].contains("1 unexpected, 1 fail"), "{chart:?}");
    seen.quiet();
}

#[test]
fn nights_are_sorted_and_filtered() {
    let Some(seen) = Seen::site() else { return };
    assert_eq!(seen.browser.texts("h1"), ["Witnesses in conflict"]);
    assert_eq!(seen.browser.texts("#count"), ["39 cells over 30 nights"]);
    let first = || seen.browser.texts("td.job a")[0].clone();
    assert_eq!(first(), "kernel-0 syn-cookie-data-loss");
    // Numbers in names count as numbers.
    assert_eq!(seen.browser.texts("td.job a")[6], "kernel-2 syn-cookie-data-loss");
    assert_eq!(seen.browser.texts(".days .month:first-child [role=columnheader]:nth-child(2)"), ["2026-02-08"]);
    let spans = |kernel: u32, bug: usize| {
        seen.browser.texts(&format!("tr:has(a[href$='/kernel-{kernel}/{}']) .outcome", nights::BUGS[bug]))
    };
    assert_eq!(spans(3, 1), ["✗ FAIL, unexpected ×10", "✓ pass ×20"]);
    assert_eq!(spans(4, 0), ["✓ pass ×19", "‼ ERROR, unexpected", "✓ pass ×10"]);
    assert_eq!(spans(5, 2), ["✓⚡ pass!, conflict", "✓ pass ×29"]);
    assert_eq!(spans(20, 0), ["✓ pass ×7"]);
    // A result stands below its night.
    let left = |of: &str| seen.browser.value(&format!("{of}.getBoundingClientRect().left")).as_f64().expect("a place");
    let line = "document.querySelector(\"tr:has(a[href$='/kernel-4/syn-cookie-data-loss']) .line\")";
    for (part, night) in [(1, 19), (2, 20)] {
        let away = left(&format!("{line}.children[{part}]"))
            - left(&format!("document.querySelectorAll('.days [role=columnheader]')[{night}]"));
        assert!(away.abs() < 1.0, "{part} is {away} from its night");
    }
    seen.choose("sort", "first");
    assert_eq!(
        seen.browser.texts("td.job a")[..2],
        ["kernel-5 zero-window-user-timeout", "kernel-3 tcp-fragment-stall"]
    );
    seen.choose("sort", "change");
    assert_eq!(first(), "kernel-5 zero-window-user-timeout");

    let count = |what: &str| assert_eq!(seen.browser.texts("#count"), [what]);
    seen.browser.click("[aria-label^=Marks] button:last-child");
    assert_eq!(seen.browser.texts("[aria-pressed=true]"), ["Δ changed 3"]);
    count("3 of 39 cells match, over 30 nights");
    seen.browser.click("[aria-label^=Outcomes] button:nth-child(2)");
    assert_eq!(seen.browser.texts("[aria-pressed=true]"), ["✗ fail 1", "Δ changed 3"]);
    count("1 of 39 cells match, over 30 nights");
    seen.browser.click("[aria-label^=Outcomes] button:nth-child(2)");
    seen.browser.click("[aria-label^=Marks] button:last-child");
    seen.browser.click("#words");
    seen.browser.keys("kernel-1 stall");
    count("3 of 39 cells match, over 30 nights");
    seen.choose("nights", "40");
    seen.browser.wait("document.getElementById('count').textContent.endsWith('40 nights')");
    count("3 of 39 cells match, over 40 nights");
    assert_eq!(spans(11, 1), ["✓ pass ×35"]);
    seen.quiet();
}

#[test]
fn past_of_a_cell_is_that_of_the_history() {
    let Some(seen) = Seen::changed(|lab| drop(lab.write(&format!("results/{}/page.html", run_name(30)), "a page")))
    else {
        return;
    };
    for cell in ["kernel-3/tcp-fragment-stall", "kernel-4/syn-cookie-data-loss", "kernel-2/syn-cookie-data-loss"] {
        seen.open(&format!("#cell/kernels.yaml/{cell}"));
        let (kernel, bug) = cell.split_once('/').expect("a cell");
        let ran = seen.lab.run(&["history", kernel, bug, "--format", "json"]);
        let past: Value = serde_json::from_str(&ran.ends_with(0).stdout).expect("JSON");
        let day = |time: &Value| time.as_str().expect("a time")[..10].to_owned();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let told: Vec<Vec<String>> = past["cells"][0]["spans"]
            .as_array()
            .expect("spans")
            .iter()
            .map(|span| {
                let standing = &span["standing"];
                vec![
                    day(&span["since"]),
                    day(&span["until"]),
                    span["runs"].to_string(),
                    text(&standing["release"]),
                    text(&standing["reason"]),
                ]
            })
            .collect();
        let rows = "[...document.querySelectorAll('[aria-label=Past] tbody tr')].map((row) => [...row.cells].slice(2).map((cell) => cell.textContent))";
        let shown: Vec<Vec<String>> = serde_json::from_value(seen.browser.value(rows)).expect("rows");
        assert_eq!(shown, told, "{cell}");
    }
    assert_eq!(seen.browser.texts("#view h3"), ["Past", "Time in the guest"]);
    seen.browser.click("#view summary");
    seen.browser.wait("document.querySelectorAll('[aria-label^=Times] tbody tr').length === 40");
    let picture = seen.browser.value("document.querySelector('figure svg').getAttribute('aria-label')");
    assert!(picture.as_str().is_some_and(|says| says.contains("by the guest’s own clock: 1 s to 1.0")), "{picture}");

    // Data that is here is not loaded again.
    seen.open(FAILS);
    seen.browser.wait("document.querySelector('[aria-label=Past]') && !document.querySelector('#view .quiet')");
    seen.browser.run("document.head.append = () => { document.loadedAgain = true; }", &[]);
    seen.browser.run("location.hash = '#cell/kernels.yaml/kernel-4/syn-cookie-data-loss'", &[]);
    seen.browser.wait("document.getElementById('view-title').textContent.startsWith('kernel-4')");
    seen.browser.wait("document.querySelector('[aria-label=Past]') && !document.querySelector('#view .quiet')");
    assert_eq!(seen.browser.value("document.loadedAgain ?? null"), Value::Null);

    // From a cell to the night in which it began, and what changed there.
    seen.open(FAILS);
    seen.browser.click("[aria-label=Past] tbody td a");
    seen.browser.wait(&format!("location.hash === '#night/{}' && document.querySelector('.changes')", run_name(30)));
    assert_eq!(
        seen.browser.texts(".changes li"),
        ["kernel-3 tcp-fragment-stall FAIL, was pass unexpected-began, outcome"]
    );
    assert_eq!(seen.browser.texts("[aria-label='Unexpected cells'] tbody tr th"), ["kernel-3 tcp-fragment-stall"]);
    assert_eq!(
        seen.browser.value("document.querySelector('.facts a').getAttribute('href')"),
        format!("../{}/page.html", run_name(30))
    );
    assert_eq!(
        seen.browser.texts("[aria-label='Numbers of cells'] tbody tr:nth-child(2) > *")[..3],
        ["tcp-fragment-stall", "11", "1"]
    );
    seen.browser.click("a[rel=prev]");
    seen.browser.wait(&format!("location.hash === '#night/{}' && document.querySelector('.facts code')", run_name(29)));

    seen.open("#trends/kernels.yaml");
    assert_eq!(seen.browser.texts("#view tbody tr").len(), 40);
    assert_eq!(seen.browser.texts("#view tbody tr:first-child > *")[1..9], ["36", "35", "1", "0", "0", "1", "1", "1"]);
    assert_eq!(seen.browser.value("document.querySelectorAll('figure > svg path').length"), 4);
    seen.choose("trend", "zero-window-user-timeout");
    assert_eq!(seen.browser.texts("#view tbody tr:first-child > *")[1..9], ["12", "12", "0", "0", "0", "0", "1", "1"]);
    seen.open("#night/nosuch");
    assert_eq!(seen.browser.texts("#view h2"), ["Not here"]);
    seen.quiet();
}

#[test]
fn site_needs_only_a_keyboard_and_fits_its_reader() {
    let Some(seen) = Seen::site() else { return };
    let focused = || seen.browser.value("document.activeElement.getAttribute('href') ?? document.activeElement.id");
    seen.browser.keys(TAB);
    seen.browser.keys(ENTER);
    assert_eq!(focused(), "kernels-title");
    seen.browser.keys("/");
    assert_eq!(focused(), "words");
    seen.browser.keys("kernel-3");
    let until = |wanted: &str| {
        let found = (0..30).any(|_| {
            seen.browser.keys(TAB);
            focused() == wanted
        });
        assert!(found, "{wanted} is not reached: {}", focused());
    };
    until(&format!("#night/{}", run_name(39)));
    seen.browser.keys(RIGHT);
    assert_eq!(focused(), format!("#night/{}", run_name(38)));
    until("#cell/kernels.yaml/kernel-3/syn-cookie-data-loss");
    seen.browser.keys(DOWN);
    assert_eq!(focused(), FAILS);
    assert_eq!(seen.browser.value("getComputedStyle(document.activeElement).outlineStyle"), "solid");
    seen.browser.keys(ENTER);
    seen.browser.wait("document.activeElement.id === 'view-title'");
    seen.browser.keys(ESCAPE);
    seen.browser.wait("!document.getElementById('kernels').hidden");
    assert_eq!(focused(), FAILS);
    seen.quiet();

    let views = ["", FAILS, &format!("#night/{}", run_name(30)), "#trends/kernels.yaml"];
    for scheme in ["dark", "light"] {
        let feature = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        seen.browser.chromium("Emulation.setEmulatedMedia", &feature);
        for hash in views {
            seen.open(hash);
            assert_eq!(seen.browser.faint(), json!([]), "{scheme} {hash}");
            if scheme == "light" {
                assert!(seen.browser.is_accessible() >= 1, "{hash}");
            }
        }
    }
    seen.open("");
    assert!(seen.browser.print().starts_with("JVBERi0"));
    assert_eq!(seen.browser.texts("td.job a").len(), 39);
    let screen = json!({ "width": 340, "height": 700, "deviceScaleFactor": 1, "mobile": true });
    seen.browser.chromium("Emulation.setDeviceMetricsOverride", &screen);
    for hash in views {
        seen.open(hash);
        let wide = seen.browser.value("document.documentElement.scrollWidth").as_u64().expect("a width");
        assert!(wide <= 340, "{hash} is {wide} wide");
    }
    seen.open("");
    assert_eq!(seen.browser.value("getComputedStyle(document.querySelector('tbody tr')).display"), "flex");
    assert_eq!(seen.browser.value("document.querySelector('tbody td').getAttribute('role')"), "cell");
    seen.quiet();
}

#[test]
fn hostile_strings_do_nothing_in_a_site_that_is_served() {
    let hostile = "</script><script>document.hacked = 1</script><img src=x onerror='document.hacked = 1'>\u{1b}[2J\u{202e}\u{2028}";
    let Some(seen) = Seen::changed(|lab| {
        let mut other = night(&Night::plain(41, 2));
        other.run.id = "<img src=x onerror='document.hacked = 1'>".to_owned();
        other.run.matrix = hostile.to_owned();
        other.cells[0].release = Some(hostile.to_owned());
        other.cells[0].judgement.reason = Some(hostile.to_owned());
        write_night(&lab.path("results"), &other);
    }) else {
        return;
    };
    // Over HTTP, as from any web server.
    let server = Server::new();
    serve(&server, &seen.lab.path(SITE), "");
    let seen = Seen { address: server.at("/index.html"), ..seen };
    seen.open("");
    assert_eq!(seen.browser.texts("#count"), ["6 cells over 1 night"]);
    let text = || seen.browser.texts("body").join("");
    let shown =
        "</script><script>document.hacked = 1</script><img src=x onerror='document.hacked = 1'>␛[2J⟨U+202E⟩⟨U+2028⟩";
    assert!(text().contains(shown), "{}", text());
    assert_eq!(seen.browser.texts("#matrix-choice option"), [shown, "kernels.yaml"]);
    seen.browser.click("td.job a");
    seen.browser.wait("document.querySelector('[aria-label=Past]')");
    assert_eq!(seen.browser.texts("[aria-label=Past] tbody td:last-child"), [shown]);
    seen.browser.click("[aria-label=Past] tbody td a");
    seen.browser.wait("document.querySelector('.facts')");
    assert!(text().contains("<img src=x onerror='document.hacked = 1'>"), "{}", text());
    assert_eq!(seen.browser.value("document.hacked ?? null"), Value::Null);
    assert_eq!(seen.browser.value("document.querySelectorAll('img').length"), 0);
    // The other matrix is a choice, and never mixed with this one.
    seen.choose("matrix-choice", "kernels.yaml");
    seen.browser.wait("document.getElementById('count').textContent === '39 cells over 30 nights'");
    seen.quiet();
}

/// Serves the files of a folder.
fn serve(server: &Server, folder: &Path, below: &str) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let path = format!("{below}/{}", entry.file_name().to_str().expect("a name"));
        if entry.path().is_dir() {
            serve(server, &entry.path(), &path);
        } else {
            let kind = if path.ends_with(".html") { "text/html" } else { "text/javascript" };
            let content = fs::read(entry.path()).expect("a file");
            server.on(
                &path,
                [Answer::ok(content).header("Content-Type", kind).header("X-Content-Type-Options", "nosniff")],
            );
        }
    }
}

#[test]
fn report_says_what_it_wrote_and_what_it_refuses() {
    let lab = Lab::new();
    for at in 0..3 {
        write_night(&lab.path("results"), &night(&Night::plain(at, 2)));
    }
    let first = lab.run(&["report", "--site", "site"]);
    first.ends_with(0).says(&["made results/history.sqlite from 3 run folders"]);
    assert!(first.stdout.starts_with("site/index.html  3 nights; 6 files written ("), "{}", first.stdout);
    let again = lab.run(&["report", "--site", "site", "--format", "json"]);
    let said: Value = serde_json::from_str(&again.ends_with(0).stdout).expect("JSON");
    assert_eq!(
        said,
        json!({ "schema_version": 1, "index": "site/index.html", "nights": 3, "written": 0, "bytes": 0, "removed": 0 })
    );

    for more in [&["latest"][..], &["--html"], &["--explain"], &["--report", "md=a.md"]] {
        lab.run(&[&["report", "--site", "site"], more].concat()).ends_with(2).says(&["cannot be used with"]);
    }
    lab.run(&["report", "--site", "site", "--format", "junit"])
        .ends_with(2)
        .says(&["--site prints `table` or `json`, not `junit`"]);
    lab.run(&["report", "--site", "site", "--results", "nosuch"]).ends_with(2).says(&["no results folder nosuch"]);
    lab.run(&["report", "--site", "results"])
        .ends_with(2)
        .says(&["results has other files, such as 20260101-210000-1000, and no site"]);

    // A damaged history is made again, and one of a newer backproof is left alone.
    let path = lab.path("results/history.sqlite");
    let whole = fs::read(&path).expect("a file");
    fs::write(&path, "damaged").expect("a file");
    lab.run(&["report", "--site", "site"]).ends_with(0).says(&["was damaged", "made it again from 3 run folders"]);
    let mut newer = whole;
    newer[60..64].copy_from_slice(&7_u32.to_be_bytes());
    fs::write(&path, newer).expect("a file");
    lab.run(&["report", "--site", "new"]).ends_with(2).says(&["has version 7"]);
    assert!(!lab.path("new").exists());
}
