//! A headless Chromium, driven by chromedriver over WebDriver (W3C, "WebDriver"): one JSON request for each step.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Leaves the browser's tests out, and says so: for machines on which no browser may be installed.
const SKIP: &str = "BACKPROOF_TEST_WITHOUT_BROWSER";

/// The key of an element's id in an answer (WebDriver, section 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// How long to wait for what a page does.
const PATIENCE: Duration = Duration::from_secs(30);

/// Keys (WebDriver, section 17.4.2).
pub const TAB: &str = "\u{e004}";
pub const ENTER: &str = "\u{e007}";
pub const ESCAPE: &str = "\u{e00c}";
pub const RIGHT: &str = "\u{e014}";
pub const DOWN: &str = "\u{e015}";

/// The texts of the page whose contrast is below 4.5 (WCAG 2.2, section 1.4.3), with their contrast.
const FAINT: &str = "
const numbers = (colour) => (colour.match(/[\\d.]+/g) ?? []).map(Number);
const channel = (v) => v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4;
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const behind = (e) => {
  for (let at = e; at; at = at.parentElement) {
    const found = numbers(getComputedStyle(at).backgroundColor);
    if (found.length === 3 || found[3] === 1) return found;
  }
  return [255, 255, 255];
};
const faint = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const e = walker.currentNode.parentElement;
  if (!walker.currentNode.textContent.trim() || !e.checkVisibility() || e.closest('.unseen, .to-content, script, style')) continue;
  const style = getComputedStyle(e);
  const [a, b] = [light(numbers(e.namespaceURI.endsWith('svg') ? style.fill : style.color)), light(behind(e))].sort((x, y) => y - x);
  const contrast = (a + 0.05) / (b + 0.05);
  if (contrast < 4.5) faint.push(walker.currentNode.textContent.trim().slice(0, 40) + ' ' + contrast.toFixed(2));
}
return faint;";

/// A browser with one window.
pub struct Browser {
    driver: Child,
    address: String,
    session: String,
}

impl Browser {
    /// Starts one with a window of this size, in pixels. None, with a line on stderr, only if the environment asks to leave
    /// out the browser's tests.
    pub fn open(width: u32, height: u32) -> Option<Self> {
        if std::env::var_os(SKIP).is_some() {
            // The test harness would keep what a macro prints to itself.
            let _ = writeln!(std::io::stderr(), "SKIPPED: {SKIP} is set, so no browser looked at the page");
            return None;
        }
        let driver = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let advice = format!("install chromium-driver (`make tools` does), or set {SKIP}=1 to leave these tests out");
        let mut driver = driver.unwrap_or_else(|error| panic!("cannot start chromedriver: {error}; {advice}"));
        let said = BufReader::new(driver.stdout.take().expect("its output"));
        let port = said.lines().map_while(Result::ok).find_map(|line| {
            let (_, rest) = line.split_once("started successfully on port ")?;
            rest.trim_end_matches('.').parse::<u16>().ok()
        });
        let address = format!("127.0.0.1:{}", port.expect("chromedriver's port"));
        let mut browser = Self { driver, address, session: String::new() };
        // Only root needs to do without the sandbox. A page of a test is no foreign one.
        let sandbox: &[&str] = if rustix::process::geteuid().is_root() { &["--no-sandbox"] } else { &[] };
        let size = format!("--window-size={width},{height}");
        let args: Vec<&str> = ["--headless=new", "--disable-dev-shm-usage", "--hide-scrollbars", &size]
            .iter()
            .chain(sandbox)
            .copied()
            .collect();
        let wanted = json!({ "browserName": "chrome", "goog:chromeOptions": { "args": args }, "goog:loggingPrefs": { "browser": "ALL" } });
        let made = browser.request("POST", "/session", &json!({ "capabilities": { "alwaysMatch": wanted } }));
        browser.session = format!("/session/{}", made["sessionId"].as_str().expect("a session"));
        Some(browser)
    }

    /// One request; panics with the driver's words if it fails.
    fn request(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let mut stream = TcpStream::connect(&self.address).expect("chromedriver");
        stream.set_read_timeout(Some(PATIENCE * 2)).expect("a timeout");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).expect("a request");
        let mut answer = Vec::new();
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("an answer");
            if line.trim().is_empty() {
                break;
            }
            if let Some((_, value)) =
                line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            {
                length = value.trim().parse().expect("a length");
            }
        }
        reader.take(length).read_to_end(&mut answer).expect("a body");
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        assert!(answer["value"]["error"].is_null(), "{method} {path} {body}: {}", answer["value"]);
        answer["value"].clone()
    }

    fn command(&self, path: &str, body: &Value) -> Value {
        self.request("POST", &format!("{}{path}", self.session), body)
    }

    /// Opens an address.
    pub fn open_address(&self, address: &str) {
        self.command("/url", &json!({ "url": address }));
    }

    /// What a script returns. Its arguments are `arguments`.
    pub fn run(&self, script: &str, arguments: &[Value]) -> Value {
        self.command("/execute/sync", &json!({ "script": script, "args": arguments }))
    }

    /// What a script hands to its last argument, a function.
    pub fn run_async(&self, script: &str, arguments: &[Value]) -> Value {
        self.command("/execute/async", &json!({ "script": script, "args": arguments }))
    }

    /// Waits until an expression is true.
    pub fn wait(&self, expression: &str) {
        let began = Instant::now();
        while self.run(&format!("return Boolean({expression})"), &[]) != json!(true) {
            assert!(began.elapsed() < PATIENCE, "timed out waiting for {expression}");
        }
    }

    /// A command of Chromium's own protocol.
    pub fn chromium(&self, command: &str, parameters: &Value) -> Value {
        self.command("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// Clicks the first element that a selector finds.
    pub fn click(&self, selector: &str) {
        let found = self.command("/element", &json!({ "using": "css selector", "value": selector }));
        let element = found[ELEMENT].as_str().expect("an element");
        self.command(&format!("/element/{element}/click"), &json!({}));
    }

    /// Presses keys one after another, as a keyboard does: text, or a code of WebDriver, section 17.4.2.
    pub fn keys(&self, keys: &str) {
        let steps = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() })));
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": steps.collect::<Vec<_>>() });
        self.command("/actions", &json!({ "actions": [keyboard] }));
    }

    /// The page as PDF, in base64.
    pub fn print(&self) -> String {
        self.command("/print", &json!({})).as_str().expect("a PDF").to_owned()
    }

    /// The value of an expression.
    pub fn value(&self, expression: &str) -> Value {
        self.run(&format!("return {expression}"), &[])
    }

    /// The texts of the elements that a selector finds.
    pub fn texts(&self, selector: &str) -> Vec<String> {
        let texts = self
            .run("return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", &[json!(selector)]);
        serde_json::from_value(texts).expect("texts")
    }

    /// The texts of the page whose contrast is too low.
    pub fn faint(&self) -> Value {
        self.run(FAINT, &[])
    }

    /// Fails the test unless the page has its landmarks, a name for each control, and headings without
    /// gaps. Returns the number of tables.
    #[track_caller]
    pub fn is_accessible(&self) -> usize {
        let tree = self.chromium("Accessibility.getFullAXTree", &json!({}));
        let nodes = tree["nodes"].as_array().expect("nodes");
        let heard = || nodes.iter().filter(|node| node["ignored"] == false);
        let count = |role: &str| heard().filter(|node| node["role"]["value"] == role).count();
        for landmark in ["banner", "main", "contentinfo"] {
            assert_eq!(count(landmark), 1, "{landmark}");
        }
        let controls = ["link", "button", "searchbox", "combobox", "image", "region", "navigation"];
        let unnamed = heard().filter(|node| {
            controls.iter().any(|role| node["role"]["value"] == *role)
                && node["name"]["value"].as_str().is_none_or(str::is_empty)
        });
        assert_eq!(unnamed.count(), 0);
        let levels = self.run(
            "return [...document.querySelectorAll('h1, h2, h3, h4, h5')].filter((h) => h.checkVisibility()).map((h) => Number(h.tagName[1]))",
            &[],
        );
        let levels: Vec<u8> = serde_json::from_value(levels).expect("levels");
        assert_eq!(levels[0], 1);
        assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
        count("table")
    }

    /// What the browser complained about: errors of scripts, and what the page's policy forbade.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.command("/se/log", &json!({ "type": "browser" }));
        log.as_array().into_iter().flatten().map(|entry| entry["message"].to_string()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // This ends the browser, also after a failed test. Nothing may panic here.
        if let Ok(mut stream) = TcpStream::connect(&self.address) {
            let path =
                format!("DELETE {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.session, self.address);
            let _ = stream.set_read_timeout(Some(PATIENCE));
            let _ = stream.write_all(path.as_bytes()).and_then(|()| stream.read(&mut [0; 512]));
        }
        let pid = rustix::process::Pid::from_child(&self.driver);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.driver.wait();
    }
}
