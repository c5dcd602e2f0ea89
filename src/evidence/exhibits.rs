//! What of a kernel lies before the witnesses that need no boot, and what they say of it.

use super::version::{self, Release};
use super::{Finding, Witness};
use crate::kernel::{Kernel, Provenance};
use crate::matrix::{Bug, Source};

/// What of one kernel can be looked at without booting it.
#[derive(Default)]
pub struct Exhibits {
    /// Its release, from its name, its package or its Makefile: understood, or why not.
    pub release: Option<Result<Release, String>>,
}

impl Exhibits {
    /// What can be looked at of a kernel that was obtained from this source.
    pub fn of_kernel(kernel: &Kernel, source: &Source) -> Self {
        // A control kernel's name says which release it was made of, and nothing of what was put in or taken out.
        let release = match source {
            Source::Control { .. } => None,
            _ => named(kernel).map(|name| Release::parse(&name).map_err(|error| error.to_string())),
        };
        Self { release }
    }

    /// What each witness says of a bug that has something to look at. A witness that looked and saw nothing says so.
    pub fn findings(&self, bug: &Bug) -> Vec<Finding> {
        let release = self.release.as_ref().map(|release| match release {
            Ok(release) => version::weigh(bug, release),
            Err(why) => Finding::unknown(Witness::Version, why),
        });
        release.into_iter().collect()
    }
}

/// What a kernel is called: its package's version says more than its release does, which may be the ABI's number only.
fn named(kernel: &Kernel) -> Option<String> {
    let release = kernel.release.as_deref();
    let package = kernel.provenance.iter().find_map(|from| match from {
        Provenance::Package { version, .. } => Some(version),
        _ => None,
    });
    match (release, package) {
        (Some(release), Some(version)) => Some(format!("linux-image-{release}_{version}_amd64.deb")),
        (release, package) => release.or(package.map(String::as_str)).map(str::to_owned),
    }
}
