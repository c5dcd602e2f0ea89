//! Ubuntu's archive of mainline builds: the names of its folders, its address, and the key that signs it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use url::Url;

use super::Upstream;
use super::remote::address;
use crate::json;

/// A folder of the archive with one version's builds: `v4.19.57`, `v5.2-rc6`, `v4.4-wily`. They sort like their
/// releases. Other folders (`daily/`, `drm-tip/`) and releases before 3.0 are not supported.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MainlineVersion {
    release: Upstream,
    /// The Ubuntu series of its configuration, or `unstable`; only in the names of folders until 2016.
    series: Option<String>,
}

/// A text that is not the name of a folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the name of a folder of the archive, as in `v4.19.57`, `v5.2-rc6` or `v4.4-wily`")]
pub struct BadMainlineVersion;

impl MainlineVersion {
    /// The release that it was built from.
    pub fn release(&self) -> Upstream {
        self.release
    }

    /// The part of its packages' names after the kind, see [`mainline_numbers`].
    pub fn numbers(&self) -> String {
        mainline_numbers(self.release)
    }
}

/// The name of the archive's kernels and packages of a release, without the flavour: the release in three numbers, and
/// again as Ubuntu's ABI number with at least two digits each: `4.19.57-041957`, `4.14.120-0414120`, `5.2.0-050200rc6`.
pub fn mainline_numbers(release: Upstream) -> String {
    let [version, patchlevel, _] = release.line().numbers();
    let stable = release.stable();
    let candidate = release.candidate().map(|number| format!("rc{number}")).unwrap_or_default();
    format!("{version}.{patchlevel}.{stable}-{version:02}{patchlevel:02}{stable:02}{candidate}")
}

impl FromStr for MainlineVersion {
    type Err = BadMainlineVersion;

    fn from_str(text: &str) -> Result<Self, BadMainlineVersion> {
        let (release, _, rest) = text.strip_prefix('v').and_then(Upstream::prefix).ok_or(BadMainlineVersion)?;
        let series = match rest {
            "" => None,
            rest => {
                let series = rest.strip_prefix('-').ok_or(BadMainlineVersion)?;
                let letters = series.bytes().all(|b| b.is_ascii_lowercase());
                (letters && (3..=20).contains(&series.len()))
                    .then_some(series.to_owned())
                    .map(Some)
                    .ok_or(BadMainlineVersion)?
            }
        };
        let version = Self { release, series };
        // One folder has one name: no `v5.2.0`, no `v05.2`.
        let exact = version.to_string() == text && release.line().numbers()[0] >= 3;
        exact.then_some(version).ok_or(BadMainlineVersion)
    }
}

impl fmt::Display for MainlineVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.release)?;
        self.series.iter().try_for_each(|series| write!(f, "-{series}"))
    }
}

/// The archive that a matrix's `mainline:` kernels come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MainlineArchive {
    /// Its address, with a `/` at the end; absent: the default.
    #[serde(serialize_with = "json::optional_text")]
    pub address: Option<Url>,
    /// The key that must sign its checksums; absent: they are not verified, and the results say so.
    #[serde(rename = "fingerprint")]
    pub key: Option<ArchiveKey>,
}

/// An OpenPGP key that must sign an archive's checksums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveKey {
    /// The file with the public key, armored or not.
    pub file: PathBuf,
    /// Its required fingerprint.
    pub fingerprint: Fingerprint,
}

/// Its fingerprint, because it identifies the key regardless of its file.
impl Serialize for ArchiveKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.fingerprint.as_str())
    }
}

/// The fingerprint of an OpenPGP key of version 4, in 40 uppercase hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = String;

    /// With the spaces that GnuPG prints, or without.
    fn from_str(text: &str) -> Result<Self, String> {
        let digits: String = text.chars().filter(|c| *c != ' ').map(|c| c.to_ascii_uppercase()).collect();
        if digits.len() == 40 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(Self(digits));
        }
        Err("expected the fingerprint of an OpenPGP key: 40 hexadecimal digits, as `gpg --show-keys` prints them"
            .to_owned())
    }
}

/// The address of an archive, with a `/` at its end.
///
/// # Errors
/// The expected form, as text.
pub fn archive_address(text: &str) -> Result<Url, String> {
    let mut url = address(text)?;
    if url.query().is_some() {
        return Err("expected the address of an archive's folder, without a query".to_owned());
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn version_is_exactly_the_name_of_a_folder() {
        // The numbers as in packages that people have linked to: 4.14.120-0414120, 5.2.0-050200rc4, 4.3.0-040300.
        for (text, numbers) in [
            ("v4.19.57", "4.19.57-041957"),
            ("v4.14.120", "4.14.120-0414120"),
            ("v5.2", "5.2.0-050200"),
            ("v5.2-rc6", "5.2.0-050200rc6"),
            ("v4.3-wily", "4.3.0-040300"),
            ("v4.2-rc7-unstable", "4.2.0-040200rc7"),
            ("v3.13.9-trusty", "3.13.9-031309"),
            ("v6.13", "6.13.0-061300"),
        ] {
            let version: MainlineVersion = text.parse().unwrap_or_else(|_| panic!("{text}"));
            assert_eq!((version.to_string().as_str(), version.numbers().as_str()), (text, numbers));
        }
        for bad in [
            "",
            "v",
            "4.19.57",
            "v4",
            "v4.19.57/",
            "v5.2.0",
            "v05.2",
            "v5.2-rc",
            "v5.2-RC6",
            "v5.2-rc06",
            "v4.4-",
            "v4.4-w1",
            "v4.4-wily-x",
            "v2.6.32",
            "v2.6.32.27",
            "v4.19.57 ",
            "v4.19..57",
            "../v4.19.57",
            "daily",
            "v4.19.57-%2e%2e",
            "V4.19",
            "v4.4.182.1",
            "v4.19.57\n",
        ] {
            assert_eq!(bad.parse::<MainlineVersion>(), Err(BadMainlineVersion), "{bad:?}");
        }
    }

    #[test]
    fn versions_sort_as_they_came_out() {
        let sorted = [
            "v3.16.69",
            "v4.4-wily",
            "v4.4.182",
            "v4.19",
            "v4.19.9",
            "v4.19.57",
            "v5.2-rc6",
            "v5.2-rc10",
            "v5.2",
            "v5.2.1",
        ];
        let versions = sorted.map(|text| text.parse::<MainlineVersion>().unwrap_or_else(|_| panic!("{text}")));
        assert!(versions.is_sorted());
    }

    #[test]
    fn archive_is_a_folder_of_a_web_server() {
        for (text, address) in [
            ("https://kernel.ubuntu.com/mainline/", "https://kernel.ubuntu.com/mainline/"),
            ("http://[::1]:8080/m", "http://[::1]:8080/m/"),
            ("https://mirror.example", "https://mirror.example/"),
        ] {
            assert_eq!(archive_address(text).map(String::from).as_deref(), Ok(address));
        }
        for bad in [
            "",
            "mainline",
            "/srv/mainline",
            "file:///srv/",
            "ftp://a/",
            "https://",
            "https://me:secret@a/",
            "https://a/?q",
            "https://a/#f",
        ] {
            assert!(archive_address(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn fingerprint_is_read_as_printed() {
        let digits = "0123456789ABCDEF0123456789ABCDEF01234567";
        for good in [digits, "0123 4567 89AB CDEF 0123  4567 89AB CDEF 0123 4567", &digits.to_lowercase()] {
            assert_eq!(good.parse::<Fingerprint>().as_ref().map(Fingerprint::as_str), Ok(digits));
        }
        for bad in
            ["", "0x01", &digits[1..], &format!("{digits}0"), &digits.replace('A', "G"), &digits.replace('A', "é")]
        {
            assert!(bad.parse::<Fingerprint>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_version_that_is_written_so_or_none(text in "\\PC{0,20}|v[0-9.]{1,9}(-rc[0-9]{1,3})?(-[a-z]{1,9})?") {
            if let Ok(version) = text.parse::<MainlineVersion>() {
                prop_assert_eq!(version.to_string(), text);
                prop_assert!(version.numbers().bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b)));
            }
        }

        #[test]
        fn any_text_is_an_address_or_none(text in "\\PC{0,40}|https?://[a-z@:/?#.\\[\\]]{0,20}") {
            if let Ok(address) = archive_address(&text) {
                prop_assert!(address.path().ends_with('/'));
            }
        }
    }
}
