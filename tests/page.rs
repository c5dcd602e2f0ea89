//! The page of a run in a real browser: a headless Chromium that reads it from a file, as people do.

use serde_json::{Value, json};

mod common;
use common::Lab;
use common::browser::{Browser, DOWN, ENTER, ESCAPE, TAB};
use common::page_run::{multiplied, page, sample};

/// The cell that stalls.
const STALL: &str = "#control-6.1-stall-break/tcp-fragment-stall";

/// A page in a browser. The lab has its files.
struct Seen {
    browser: Browser,
    address: String,
    _lab: Lab,
}

impl Seen {
    /// The sample run's page.
    fn sample() -> Option<Self> {
        Self::changed(|_| ())
    }

    /// The same after a change of its document.
    fn changed(change: impl FnOnce(&mut Value)) -> Option<Self> {
        let browser = Browser::open(1280, 900)?;
        let lab = Lab::new();
        let mut document = sample(&lab, "run");
        change(&mut document);
        let address = format!("file://{}", page(&lab, "run", &document).display());
        let seen = Self { browser, address, _lab: lab };
        seen.open("");
        Some(seen)
    }

    /// Opens the page at a hash, as a new visit.
    fn open(&self, hash: &str) {
        self.browser.open_address("about:blank");
        self.browser.open_address(&format!("{}{hash}", self.address));
    }

    fn quiet(&self) {
        assert_eq!(self.browser.complaints(), Vec::<String>::new());
    }
}

#[test]
fn matrix_sorts_by_what_asks_to_be_looked_at() {
    let Some(seen) = Seen::changed(|document| *document = multiplied(document, 40, true)) else { return };
    assert_eq!(seen.browser.texts("#count"), ["120 cells in 40 rows"]);
    assert_eq!(seen.browser.texts("tbody th").first().map(String::as_str), Some("kernel-0 control"));
    for (order, first) in [("descending", "kernel-9"), ("ascending", "kernel-1")] {
        seen.browser.click("th:nth-child(3) button");
        assert_eq!(seen.browser.value("document.querySelectorAll('thead th')[2].getAttribute('aria-sort')"), order);
        assert_eq!(seen.browser.texts("tbody th")[0], first);
    }
    // Numbers in names count as numbers.
    seen.browser.click("th.kernel button");
    assert_eq!(seen.browser.texts("tbody th")[2], "kernel-2 control");
    seen.quiet();
}

#[test]
fn matrix_filters_by_text_outcome_and_state() {
    let Some(seen) = Seen::changed(|document| *document = multiplied(document, 40, true)) else { return };
    seen.browser.click("#words");
    seen.browser.keys("kernel-1 fragment");
    assert_eq!(seen.browser.texts("#count"), ["11 of 120 cells match, in 11 rows"]);
    seen.browser.click("[aria-label=Outcomes] button:last-child");
    assert_eq!(seen.browser.texts("[aria-pressed=true]"), ["‼ error 12"]);
    assert_eq!(seen.browser.texts("#count"), ["1 of 120 cells match, in 1 row"]);
    assert_eq!(seen.browser.texts("tbody a.outcome:not(.other)"), ["‼ ERROR, unexpected"]);
    seen.browser.run(
        "const s = document.getElementById('state'); s.value = 'fixed'; s.dispatchEvent(new Event('change'))",
        &[],
    );
    assert_eq!(seen.browser.texts("#count"), ["0 of 120 cells match, in 0 rows"]);
    seen.quiet();
}

#[test]
fn opened_cell_shows_all_its_evidence() {
    let Some(seen) = Seen::sample() else { return };
    assert_eq!(seen.browser.texts("tbody a.outcome").len(), 8);
    seen.browser.click(&format!("a[href='{STALL}']"));
    seen.browser.wait("!document.getElementById('cell').hidden");
    assert_eq!(seen.browser.value("location.hash"), STALL);
    let titles = ["Judgement", "Ledger", "The wire", "Checks", "Counters", "Settings", "Kernel", "Boots", "Files"];
    assert_eq!(seen.browser.texts("#cell h3"), titles);
    let text = seen.browser.texts("#cell").join("");
    let wanted = [
        "tcp_fragment at 0xffffffff81251ca0",
        "backproof replay 20261201-012237-23030 control-6.1-stall-break --boot 1",
        "1, shift 4",
        "wqueue_too_big",
        "reboot: Restarting system",
        "exec /usr/bin/qemu-system-x86_64",
    ];
    for wanted in wanted {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert_eq!(
        seen.browser.value("document.querySelector('#cell a[href$=\"console.log\"]').href.startsWith('file:')"),
        true
    );
    // From the address alone, too.
    seen.open("#debian-13/syn-cookie-data-loss");
    assert_eq!(seen.browser.texts("#cell .heat.lost").len(), 12);
    assert_eq!(seen.browser.texts("#cell .heat.differs"), Vec::<String>::new());
    assert_eq!(seen.browser.texts("#cell .map th[scope=row]")[3], "MSS 1460");
    seen.quiet();
}

#[test]
fn stall_and_recovery_stand_side_by_side() {
    let Some(seen) = Seen::sample() else { return };
    seen.open(STALL);
    let figure = |n: usize, selector: &str| {
        seen.browser
            .value(&format!("document.querySelectorAll('.pictures figure')[{n}].querySelectorAll('{selector}').length"))
    };
    assert_eq!(
        seen.browser.value("document.getElementById('beside').selectedOptions[0].textContent"),
        "debian-13: pass"
    );
    assert_eq!((figure(0, "path.again"), figure(0, "line.timeout")), (json!(0), json!(3)));
    assert_eq!(figure(1, "path.again"), json!(1));
    // Both have one time scale.
    let scale = "[...document.querySelectorAll('.pictures figure')].slice(0, 2).map((f) => f.querySelectorAll('line.rule[y1=\"14\"]').length)";
    let scales = seen.browser.value(scale);
    assert_eq!(scales[0], scales[1]);
    let natural =
        seen.browser.value("[...document.querySelectorAll('.pictures svg')].at(-2).getAttribute('aria-label')");
    let natural = natural.as_str().expect("a label").to_owned();
    assert!(natural.contains("write: ") && natural.contains("none sent again, 3 lost on the wire"), "{natural}");
    seen.browser.click(".pictures summary");
    seen.browser.wait("document.querySelectorAll('.pictures figure table tbody tr').length > 10");
    seen.quiet();
}

#[test]
fn keyboard_alone_is_enough() {
    let Some(seen) = Seen::sample() else { return };
    let focused = || seen.browser.value("document.activeElement.getAttribute('href') ?? document.activeElement.id");
    seen.browser.keys(TAB);
    assert_eq!(focused(), "#main");
    seen.browser.keys(ENTER);
    assert_eq!(focused(), "matrix-title");
    seen.browser.keys("/");
    assert_eq!(focused(), "words");
    seen.browser.keys("stall-break");
    for _ in 0..40 {
        seen.browser.keys(TAB);
        if focused() == STALL {
            break;
        }
    }
    assert_eq!(focused(), STALL);
    seen.browser.keys(DOWN);
    assert_eq!(focused(), STALL, "the row below has no cell of this bug");
    let ring = seen.browser.value("getComputedStyle(document.activeElement).outlineStyle");
    assert_eq!(ring, "solid");
    seen.browser.keys(ENTER);
    seen.browser.wait("document.activeElement.id === 'cell-title'");
    seen.browser.keys(ESCAPE);
    seen.browser.wait("!document.getElementById('matrix').hidden");
    assert_eq!(focused(), STALL);
    seen.quiet();
}

#[test]
fn contrast_is_enough_in_light_and_dark() {
    let Some(seen) = Seen::changed(|document| {
        *document = multiplied(document, 20, false);
        document["cells"][0]["conflict"] = json!(true);
    }) else {
        return;
    };
    let mut papers = Vec::new();
    for scheme in ["light", "dark"] {
        let feature = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        seen.browser.chromium("Emulation.setEmulatedMedia", &feature);
        for hash in
            ["", "#kernel-0/tcp-fragment-stall", "#kernel-1/syn-cookie-data-loss", "#kernel-9/tcp-fragment-stall"]
        {
            seen.open(hash);
            let faint = seen.browser.faint();
            assert_eq!(faint, json!([]), "{scheme} {hash}");
        }
        papers.push(seen.browser.value("getComputedStyle(document.documentElement).backgroundColor"));
    }
    assert_eq!(papers, ["rgb(255, 255, 255)", "rgb(13, 17, 23)"]);
}

#[test]
fn narrow_screen_needs_no_sideways_scrolling() {
    let Some(seen) = Seen::sample() else { return };
    let screen = json!({ "width": 340, "height": 700, "deviceScaleFactor": 1, "mobile": true });
    seen.browser.chromium("Emulation.setDeviceMetricsOverride", &screen);
    for hash in ["", STALL, "#debian-13/syn-cookie-data-loss"] {
        seen.open(hash);
        let width = seen.browser.value("document.documentElement.scrollWidth");
        assert!(width.as_u64().is_some_and(|width| width <= 340), "{hash}: {width}");
    }
    // A cell's row is a card, and still a row of a table for those who hear it.
    seen.open("");
    assert_eq!(seen.browser.value("getComputedStyle(document.querySelector('tbody tr')).display"), "block");
    assert_eq!(seen.browser.value("document.querySelector('tbody td').getAttribute('role')"), "cell");
}

#[test]
fn page_has_landmarks_and_names_for_all_controls() {
    let Some(seen) = Seen::sample() else { return };
    for (hash, tables) in [("", 1), (STALL, 3)] {
        seen.open(hash);
        let found = seen.browser.is_accessible();
        assert!(found >= tables, "{found} tables {hash}");
    }
}

#[test]
fn page_prints_all_its_rows() {
    let Some(seen) = Seen::changed(|document| *document = multiplied(document, 300, true)) else { return };
    let made = "document.querySelectorAll('tbody a.outcome').length";
    assert!(seen.browser.value(made).as_u64().is_some_and(|made| made < 600), "rows are made when they are looked at");
    let pdf = seen.browser.print();
    // `%PDF-` in base64.
    assert!(pdf.starts_with("JVBERi0"), "{}", &pdf[..40]);
    assert_eq!(seen.browser.value(made), 900);
    seen.browser.chromium("Emulation.setEmulatedMedia", &json!({ "media": "print" }));
    assert_eq!(seen.browser.value("getComputedStyle(document.getElementById('filters')).display"), "none");
    assert_eq!(seen.browser.value("getComputedStyle(document.getElementById('table')).overflow"), "visible");
}

#[test]
fn rows_are_made_when_they_are_looked_at() {
    let Some(seen) = Seen::changed(|document| *document = multiplied(document, 1667, true)) else { return };
    assert_eq!(seen.browser.texts("#count"), ["5001 cells in 1667 rows"]);
    assert!(
        seen.browser
            .value("document.querySelectorAll('tbody a.outcome').length")
            .as_u64()
            .is_some_and(|made| made < 600)
    );
    seen.browser.run("document.getElementById('table').scrollTop = 1e9", &[]);
    let last = "document.querySelector('a[href=\"#kernel-1666/tcp-fragment-stall\"]')";
    seen.browser.wait(last);
    // From a cell far below, back to its place.
    seen.browser.run(&format!("{last}.click()"), &[]);
    seen.browser.wait("!document.getElementById('cell').hidden");
    seen.browser.keys(ESCAPE);
    seen.browser.wait(&format!("document.activeElement === {last}"));
    seen.quiet();
}

#[test]
fn hostile_strings_do_nothing_in_a_browser() {
    let hostile = "</script><script>document.hacked = 1</script><img src=x onerror='document.hacked = 1'>\u{1b}[2J\u{202e}\u{2028}";
    let Some(seen) = Seen::changed(|document| {
        let cell = &mut document["cells"][0];
        for field in ["release", "reason"] {
            cell[field] = json!(hostile);
        }
        cell["findings"][0]["why"] = json!(hostile);
        cell["findings"][0]["artefacts"] =
            json!(["javascript:alert(1)", "../../etc/passwd", "//evil.example/x", "a/b.log"]);
        cell["checks"][0]["name"] = json!(hostile);
        cell["said"] = json!([hostile, "x".repeat(1 << 20)]);
        document["conflicts"] = json!([hostile]);
        document["run"]["arguments"] = json!([hostile]);
    }) else {
        return;
    };
    seen.browser.click("tbody a.outcome");
    seen.browser.wait("!document.getElementById('cell').hidden");
    assert_eq!(seen.browser.value("document.hacked ?? null"), Value::Null);
    assert_eq!(seen.browser.value("document.querySelectorAll('img').length"), 0);
    let text = seen.browser.texts("#cell").join("");
    assert!(
        text.contains("</script><script>document.hacked = 1</script>") && text.contains("␛[2J⟨U+202E⟩⟨U+2028⟩"),
        "{text}"
    );
    // Only the plain relative path became a link.
    let links = seen.browser.value("[...document.querySelectorAll('#cell .files a')].map((a) => a.getAttribute('href')).filter((href) => !/boot-|json$|tcp-fragment-stall/.test(href))");
    assert_eq!(links, json!(["a/b.log"]));
    seen.quiet();
}

#[test]
fn changes_stand_above_the_matrix_and_mark_their_cells() {
    let run = |id: &str| json!({ "id": id, "started": "2026-11-30T00:00:00Z", "matrix": "kernels.yaml", "selection": {}, "interrupted": false, "exit_code": 0 });
    let change = json!({ "kinds": ["outcome"], "kernel": "debian-13", "bug": "tcp-fragment-stall", "profile": "default", "says": "was FAIL" });
    let changes = json!({ "schema_version": 1, "before": run("20261130-1"), "after": run("20261201-1"), "compared": 8, "changes": [change], "not_compared": [] });
    let Some(seen) = Seen::changed(|document| document["changes"] = changes) else { return };
    assert_eq!(seen.browser.texts("#changes h2"), ["What changed since 20261130-1"]);
    assert_eq!(seen.browser.texts("#changes li"), ["debian-13 tcp-fragment-stall was FAIL"]);
    assert_eq!(seen.browser.texts("a.outcome.changed"), ["✓ pass Δ, changed"]);
    assert_eq!(seen.browser.texts("[aria-label=Marks] button"), ["Δ changed 1"]);
    seen.browser.click("#changes a");
    seen.browser.wait("!document.getElementById('cell').hidden");
    assert_eq!(seen.browser.texts("#cell h3").first().map(String::as_str), Some("What changed"));
    seen.quiet();
}

#[test]
fn run_leaves_its_page_and_links_from_elsewhere() {
    let lab = Lab::with_matrix("bugs: [tcp-fragment-stall]\nkernels: [{ name: text, image: text.txt }]\n");
    lab.write("text.txt", "I am no kernel.\n");
    lab.run(&["run", "--report", "html=elsewhere.html"]).ends_with(3);
    let text = |path: &str| std::fs::read_to_string(lab.path(path)).expect("a page");
    let folder = |page: &str| {
        page.split_once("\"folder\":\"").and_then(|(_, rest)| rest.split_once('"')).expect("a folder").0.to_owned()
    };
    let own = text("results/latest/page.html");
    assert!(own.starts_with("<!DOCTYPE html>") && own.contains(">No verdict<"), "{}", &own[..2000]);
    assert_eq!(folder(&own), "");
    let way = folder(&text("elsewhere.html"));
    assert!(way.starts_with("results/") && lab.path(&way).join("matrix.json").is_file(), "{way}");
    // Again, after somebody lost it.
    std::fs::remove_file(lab.path("results/latest/page.html")).expect("a file");
    lab.run(&["report", "--html"]).ends_with(3);
    assert_eq!(text("results/latest/page.html"), own);
}
