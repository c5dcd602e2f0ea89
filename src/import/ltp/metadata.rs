//! LTP's metadata: the JSON file that its own `metaparse` makes of the tests' sources.
//!
//! Read are both forms: `metadata/ltp.json` (since 2020), with flags as booleans, and the older `docparse/metadata.json`,
//! in which all values are strings.

use serde_json::{Map, Value};

/// What the metadata say.
#[derive(Debug)]
pub(super) struct LtpMetadata {
    /// The version of LTP, if it is named.
    pub(super) version: Option<String>,
    /// The time limit of a test that names none, in seconds.
    pub(super) timeout: u64,
    /// The tests, in the order of the file.
    pub(super) tests: Vec<LtpTest>,
}

/// The time limit of tests that name none, if the metadata name none either (`lib/tst_test.c`).
const TIMEOUT: u64 = 30;

/// What the metadata say of one test.
#[derive(Clone, Debug)]
pub(super) struct LtpTest {
    /// Its name.
    pub(super) name: String,
    /// Its source file, relative to the tree.
    pub(super) source: String,
    fields: Map<String, Value>,
}

impl LtpMetadata {
    /// Reads the file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| format!("it is not JSON: {error}"))?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let suite = &value["testsuite"];
        let name = text(&suite["short_name"]).or_else(|| text(&value["testsuite_short"])).or_else(|| text(suite));
        match name.as_deref() {
            Some("LTP" | "Linux Test Project") => {}
            Some(other) => return Err(format!("it is the metadata of another test suite, {other:.60?}")),
            None => {
                return Err("it is no metadata of LTP, or of an unknown version: it names no `testsuite`".to_owned());
            }
        }
        let Some(tests) = value["tests"].as_object() else {
            return Err("it is of an unknown version: expected an object `tests`".to_owned());
        };
        let tests: Vec<LtpTest> = tests.iter().filter_map(|(name, test)| LtpTest::of(name, test)).collect();
        if tests.is_empty() {
            return Err("it is of an unknown version: no test has the key `fname`".to_owned());
        }
        let version = text(&suite["version"]).or_else(|| text(&value["version"]));
        let timeout = number(&value["defaults"]["timeout"]).or_else(|| number(&value["timeout"]));
        Ok(Self { version, timeout: timeout.unwrap_or(TIMEOUT), tests })
    }
}

impl LtpTest {
    fn of(name: &str, test: &Value) -> Option<Self> {
        let fields = test.as_object()?;
        let source = fields.get("fname")?.as_str()?;
        Some(Self { name: name.to_owned(), source: source.to_owned(), fields: fields.clone() })
    }

    /// Whether a flag is set.
    pub(super) fn flag(&self, key: &str) -> bool {
        match self.fields.get(key) {
            Some(Value::Bool(set)) => *set,
            Some(Value::String(text)) => !matches!(text.as_str(), "" | "0" | "false"),
            Some(Value::Number(number)) => number.as_u64() != Some(0),
            Some(_) | None => false,
        }
    }

    /// A whole number. None if it is absent, or no plain number.
    pub(super) fn number(&self, key: &str) -> Option<u64> {
        self.fields.get(key).and_then(number)
    }

    /// A text.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.fields.get(key).and_then(Value::as_str)
    }

    /// Whether the key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.fields.contains_key(key)
    }

    /// A list of texts; a single text is a list of one.
    pub(super) fn texts(&self, key: &str) -> Vec<&str> {
        match self.fields.get(key) {
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(text)) => vec![text],
            _ => Vec::new(),
        }
    }

    /// A list of objects.
    pub(super) fn items(&self, key: &str) -> &[Value] {
        self.fields.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The values of the tags with this name.
    pub(super) fn tags<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.items("tags").iter().filter_map(move |tag| match tag.as_array().map(Vec::as_slice) {
            Some([Value::String(found), Value::String(value), ..]) if found == name => Some(value.as_str()),
            _ => None,
        })
    }

    /// The CVEs that it is about, as `CVE-2017-8890`.
    pub(super) fn cves(&self) -> impl Iterator<Item = String> {
        self.tags("CVE").map(|cve| if cve.starts_with("CVE-") { cve.to_owned() } else { format!("CVE-{cve}") })
    }
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_forms_of_metadata_are_read() {
        let new = r#"{ "testsuite": { "name": "Linux Test Project", "short_name": "LTP", "version": "20260529" },
            "defaults": { "timeout": 30 }, "tests": { "a01": { "needs_root": true, "min_cpus": "2",
            "tags": [["linux-git", "0123456789ab"], ["CVE", "2020-1"], ["CVE"], 7], "fname": "testcases/a01.c" } } }"#;
        let old = r#"{ "testsuite": "Linux Test Project", "testsuite_short": "LTP", "version": "20210121",
            "timeout": 300, "tests": { "a01": { "needs_root": "1", "min_cpus": "2", "needs_drivers": ["tun"],
            "tags": [["linux-git", "0123456789ab"], ["CVE", "CVE-2020-1"]], "fname": "testcases/a01.c" }, "b": 3 } }"#;
        for (text, version, timeout) in [(new, "20260529", 30), (old, "20210121", 300)] {
            let read = LtpMetadata::parse(text.as_bytes()).expect("metadata");
            assert_eq!((read.version.as_deref(), read.timeout, read.tests.len()), (Some(version), timeout, 1));
            let test = &read.tests[0];
            assert!(test.flag("needs_root") && !test.flag("needs_tmpdir"));
            assert_eq!((test.number("min_cpus"), test.source.as_str()), (Some(2), "testcases/a01.c"));
            assert_eq!(test.cves().collect::<Vec<_>>(), ["CVE-2020-1"]);
            assert_eq!(test.tags("linux-git").collect::<Vec<_>>(), ["0123456789ab"]);
        }
    }

    #[test]
    fn other_json_is_rejected_with_its_reason() {
        let deep = "[".repeat(100_000);
        for (text, expected) in [
            ("", "not JSON"),
            (deep.as_str(), "not JSON"),
            ("[]", "names no `testsuite`"),
            (r#"{"tests":{}}"#, "names no `testsuite`"),
            (r#"{"testsuite":"xfstests","tests":{}}"#, "another test suite, \"xfstests\""),
            (r#"{"testsuite":{"short_name":"LTP"},"tests":[]}"#, "expected an object `tests`"),
            (r#"{"testsuite":{"short_name":"LTP"},"tests":{"a":{"file":"a.c"}}}"#, "no test has the key `fname`"),
        ] {
            let said = LtpMetadata::parse(text.as_bytes()).map(|_| ());
            assert!(said.as_ref().is_err_and(|why| why.contains(expected)), "{said:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            value in "(\\{|\\}|\\[|\\]|,|:|\"tags\"|\"fname\"|\"CVE\"|1|true|null){0,20}",
        ) {
            let text = format!("{{\"testsuite\":{{\"short_name\":\"LTP\"}},\"tests\":{{\"a\":{value}}}}}");
            for bytes in [bytes, text.into_bytes()] {
                let _ = LtpMetadata::parse(&bytes).map(|read| {
                    read.tests.iter().map(|test| (test.cves().count(), test.texts("tags").len())).collect::<Vec<_>>()
                });
            }
        }
    }
}
