//! Files and archives at addresses, as a matrix names them.

use std::path::PathBuf;

use serde::{Serialize, Serializer};
use url::Url;

use super::problems::Collector;
use super::text::quote;
use super::tree::{Value, YamlNode};
use crate::json;
use crate::words::{BadSha256, Sha256};

/// The longest address, in bytes; servers and proxies should accept 8000 (RFC 9110, section 4.1).
const ADDRESS_MAX: usize = 4000;

/// Both ways to pin a file.
const EXPECTED_PIN: &str = "the file's sha256 (64 hexadecimal digits), or `trust-on-first-use`, which accepts the first \
                            download and pins it in kernels.lock";

const EXPECTED_FILE: &str = "a file to fetch, as in `{ address: https://…, sha256: … }`";

/// A package archive, as in sources.list(5), which the system's own apt need not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AptArchive {
    /// Its root: the folder with `dists`, by http, https or file.
    #[serde(serialize_with = "json::text")]
    pub mirror: Url,
    /// Components of the suite. Never empty.
    pub components: Vec<String>,
    /// The keys that may sign it; absent: those that the system's apt trusts.
    #[serde(serialize_with = "json::optional_path")]
    pub keyring: Option<PathBuf>,
}

/// A file to fetch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remote {
    /// Its http or https address, without a user name.
    #[serde(serialize_with = "json::text")]
    pub address: Url,
    /// The check of its content.
    #[serde(rename = "sha256")]
    pub pin: Pin,
    /// Other addresses of the same bytes, tried in turn if the first fails.
    #[serde(serialize_with = "json::texts")]
    pub mirrors: Vec<Url>,
}

/// The check of a fetched file's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    /// Its sha256 is known.
    Sha256(Sha256),
    /// The first download is trusted, and pinned in kernels.lock.
    TrustOnFirstUse,
}

impl Pin {
    /// The matrix's word for an unknown sha256.
    pub const TRUST_ON_FIRST_USE: &'static str = "trust-on-first-use";

    /// As the matrix has it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Sha256(sum) => sum.as_str(),
            Self::TrustOnFirstUse => Self::TRUST_ON_FIRST_USE,
        }
    }
}

impl Serialize for Pin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Collector<'_> {
    /// One file that is fetched, or a list of them.
    pub(super) fn remotes(&mut self, node: &YamlNode) -> Option<Vec<Remote>> {
        match node.value {
            Value::List(_) => self.each(node, "files to fetch", |item, problems| problems.remote(item)),
            _ => Some(vec![self.remote(node)?]),
        }
    }

    fn remote(&mut self, node: &YamlNode) -> Option<Remote> {
        if let Value::Text(text) = &node.value {
            self.add(&node.span, || {
                let shown = quote(text);
                let bare = shown.trim_matches('`');
                format!("no checksum for {shown}: expected `{{ address: {bare}, sha256: … }}` with {EXPECTED_PIN}")
            });
            return None;
        }
        let inner = self.mapping(node, EXPECTED_FILE, &["address", "sha256", "mirrors"])?;
        let mirrors = match inner.get("mirrors") {
            Some(list) => self.each(list, "addresses", |item, problems| problems.value(item, "address", address)),
            None => Some(Vec::new()),
        };
        let pin = match inner.get("sha256") {
            Some(sum) => self.value(sum, "sha256", pin),
            None => {
                self.add(&node.span, || format!("the key `sha256` is missing here: expected {EXPECTED_PIN}"));
                None
            }
        };
        let at = self.needed(&inner, "address", node).and_then(|node| self.value(node, "address", address));
        Some(Remote { address: at?, pin: pin?, mirrors: mirrors? })
    }
}

impl Remote {
    /// Whether a text looks like an address.
    pub fn is_meant(text: &str) -> bool {
        let begins = |scheme: &str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
        begins("http://") || begins("https://")
    }

    /// The file at an address, which may end in `#sha256=…`.
    ///
    /// # Errors
    /// The expected form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (at, pin) = match text.split_once("#sha256=") {
            None => (text, Pin::TrustOnFirstUse),
            Some((at, sum)) => {
                let sum = sum.parse().map_err(|BadSha256| "expected 64 hexadecimal digits after `#sha256=`")?;
                (at, Pin::Sha256(sum))
            }
        };
        Ok(Self { address: address(at)?, pin, mirrors: Vec::new() })
    }
}

/// A package archive for apt: an address, or a folder.
pub(super) fn archive(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if url.scheme() == "file" && url.to_file_path().is_ok() => Ok(url),
        _ => address(text).map_err(|_| {
            "expected an address as in `https://mirror.example/ubuntu`, without user name and password, or a folder as in \
             `file:///srv/mirror`"
                .to_owned()
        }),
    }
}

fn pin(text: &str) -> Result<Pin, String> {
    if text == Pin::TRUST_ON_FIRST_USE {
        return Ok(Pin::TrustOnFirstUse);
    }
    text.parse::<Sha256>().map(Pin::Sha256).map_err(|BadSha256| format!("expected {EXPECTED_PIN}"))
}

/// An address that a file can be fetched from.
pub(super) fn address(text: &str) -> Result<Url, String> {
    if text.len() > ADDRESS_MAX {
        return Err(format!("expected at most {ADDRESS_MAX} bytes, found {}", text.len()));
    }
    // The parser would silently drop some of these, and turn others into a different address.
    if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("expected an address without spaces, control characters and backslashes".to_owned());
    }
    let expected = "expected an address as in `https://kernel.example/linux-image.deb`";
    let url = Url::parse(text).map_err(|error| format!("{expected} ({error})"))?;
    match url.scheme() {
        "http" | "https" if url.host_str().is_some_and(|host| !host.is_empty()) => {}
        "http" | "https" => return Err(expected.to_owned()),
        _ => return Err(format!("{expected} (only http and https are supported)")),
    }
    if !text.split_once("://").is_some_and(|(_, rest)| !rest.is_empty() && !rest.starts_with('/')) {
        return Err(expected.to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("expected an address without user name and password, because results contain addresses".to_owned());
    }
    if url.fragment().is_some() {
        return Err("expected an address without `#…`, because it is never sent to the server".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn address_is_http_and_has_no_user_name() {
        for (text, read) in [
            ("https://kernel.example/a.deb", "https://kernel.example/a.deb"),
            ("http://127.0.0.1:8080/a?b=c", "http://127.0.0.1:8080/a?b=c"),
            ("https://[::1]/a", "https://[::1]/a"),
            ("HTTPS://Kernel.Example/A", "https://kernel.example/A"),
            ("https://kernel.example/a/../b", "https://kernel.example/b"),
            ("https://kernel.example/a~b+c%2b", "https://kernel.example/a~b+c%2b"),
            ("https://kernel.example", "https://kernel.example/"),
        ] {
            assert_eq!(address(text).map(String::from).as_deref(), Ok(read), "{text}");
        }
        let long = format!("https://kernel.example/{}", "a".repeat(ADDRESS_MAX));
        for text in [
            "",
            "kernel.example/a.deb",
            "/a.deb",
            "ftp://kernel.example/a.deb",
            "file:///etc/passwd",
            "https:kernel.example",
            "https:///a.deb",
            "https://",
            "https://user@kernel.example/",
            "https://user:secret@kernel.example/",
            "https://:secret@kernel.example/",
            "https://kernel.example/#sha256=1",
            "https://kernel.example/a b",
            "https://kernel.example/\na",
            "https:\\\\kernel.example",
            "https://kernel.example:99999/",
            &long,
        ] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn address_on_the_command_line_may_have_a_sha256() {
        let sum = "a1".repeat(32);
        let read = |text: &str| Remote::parse(text).map(|remote| (remote.address.to_string(), remote.pin));
        let plain = "https://kernel.example/a.deb".to_owned();
        assert_eq!(read(&plain), Ok((plain.clone(), Pin::TrustOnFirstUse)));
        assert_eq!(read(&format!("{plain}#sha256={sum}")), Ok((plain.clone(), Pin::Sha256(sum.parse().unwrap()))));
        assert!(read(&format!("{plain}#sha256=1")).is_err_and(|why| why.contains("64")));
        assert!(read(&format!("{plain}#other")).is_err());
        assert!(Remote::is_meant("HTTPS://a") && !Remote::is_meant("https:/a") && !Remote::is_meant("ftp://a"));
        assert!(!Remote::is_meant("é") && !Remote::is_meant(""));
    }

    #[test]
    fn sha256_may_be_uppercase() {
        let sum = "ABCDEF0123456789".repeat(4);
        assert_eq!(pin(&sum).map(|pin| pin.as_str().to_owned()), Ok(sum.to_lowercase()));
        assert_eq!(pin("trust-on-first-use"), Ok(Pin::TrustOnFirstUse));
        let short = &sum[1..];
        assert!(["", "trust", short, "g".repeat(64).as_str()].iter().all(|text| pin(text).is_err()));
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_a_message(text in "\\PC{0,40}|https?:/{0,3}[a-z@:#?\\[\\]./]{0,30}") {
            if let Ok(url) = address(&text) {
                prop_assert!(matches!(url.scheme(), "http" | "https") && url.password().is_none());
            }
            let _ = pin(&text);
        }
    }
}
