//! The suite that packages come from, of the system's archives or of one that the matrix names.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::error::AptError;
use super::sources::Archive;
use super::system::System;
use crate::kernel::file_error::FileError;
use crate::kernel::obtain::Obtain;
use crate::matrix::AptArchive;

/// A suite, and the archive that serves it.
pub(in crate::kernel) struct Place<'a> {
    suite: String,
    archive: Option<&'a AptArchive>,
}

impl<'a> Place<'a> {
    /// The named suite, or else the host's own.
    pub(in crate::kernel) fn of(
        suite: Option<&str>,
        archive: Option<&'a AptArchive>,
        with: &Obtain,
    ) -> Result<Self, AptError> {
        let suite = suite.map_or_else(|| System::read(with)?.own_suite(), |suite| Ok(suite.to_owned()))?;
        Ok(Self { suite, archive })
    }

    /// A named suite.
    pub(in crate::kernel) fn named(suite: &str, archive: Option<&'a AptArchive>) -> Self {
        Self { suite: suite.to_owned(), archive }
    }

    pub(super) fn suite(&self) -> &str {
        &self.suite
    }

    /// Its unique name in the store, because suites of one name in two archives share nothing.
    pub(super) fn id(&self) -> String {
        match self.archive {
            None => self.suite.clone(),
            Some(AptArchive { mirror, components, keyring }) => {
                let all = format!("{mirror}\n{components:?}\n{keyring:?}");
                let digest: String = Sha256::digest(all).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
                format!("{}@{digest}", self.suite)
            }
        }
    }

    /// The archives that serve it, the suite itself first.
    pub(super) fn served_by(&self, system: &System) -> Result<Vec<Archive>, AptError> {
        match self.archive {
            None => system.serving(&self.suite),
            Some(AptArchive { mirror, components, keyring }) => {
                let keyring = keyring.as_deref().map(keys).transpose()?;
                Ok(vec![Archive::new(mirror.as_str(), &self.suite, components, keyring)])
            }
        }
    }
}

/// The keyring's path for apt: absolute, and without characters that would end a word of its sources.
fn keys(path: &Path) -> Result<String, FileError> {
    let unusable = |problem: &str| FileError::unusable("the keyring", path, problem);
    let absolute: PathBuf = path.canonicalize().map_err(|error| unusable(&format!("cannot be read: {error}")))?;
    let text = absolute.to_str().filter(|text| !text.contains(|c: char| c.is_whitespace() || c == ',' || c == '"'));
    text.map(str::to_owned)
        .ok_or_else(|| unusable("has a name that apt cannot use: expected no spaces, commas or quotes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_of_one_name_share_nothing_across_archives() {
        let archive = |mirror: &str, components: &[&str]| AptArchive {
            mirror: mirror.parse().expect("an address"),
            components: components.iter().map(|name| (*name).to_owned()).collect(),
            keyring: None,
        };
        let (one, other) =
            (archive("https://a.example/ubuntu", &["main"]), archive("https://b.example/ubuntu", &["main"]));
        let more = archive("https://a.example/ubuntu", &["main", "universe"]);
        let mut ids: Vec<String> =
            [None, Some(&one), Some(&other), Some(&more)].map(|archive| Place::named("sid", archive).id()).to_vec();
        assert_eq!(ids[0], "sid");
        ids.dedup();
        assert_eq!(ids.len(), 4);
    }
}
