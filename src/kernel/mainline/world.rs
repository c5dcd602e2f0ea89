//! A server on loopback with the archive's layout, for tests.

use std::cell::Cell;

use pgp::composed::{SignedPublicKey, SignedSecretKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::ser::Serialize as _;
use pgp::types::KeyDetails as _;
use sha2::{Digest as _, Sha256};

use super::fixtures::{checksums, listing, sign};
use super::*;
use crate::kernel::fetch::server::{Answer, Server};
use crate::kernel::fixtures::{bzimage, deb, module, tar};
use crate::kernel::store::hex;
use crate::shim::Shim;

pub(super) const RELEASE: &str = "4.19.57-041957-generic";
pub(super) const DATE: &str = "201907031431";

/// An archive, and a cache.
pub(super) struct ArchiveWorld {
    pub folder: tempfile::TempDir,
    pub store: Store,
    pub web: Web,
}

/// A server, and the number of requests that were already read.
pub(super) struct Web {
    pub server: Server,
    pub seen: Cell<usize>,
}

impl Web {
    pub(super) fn url(&self, path: &str) -> String {
        self.server.at(path)
    }

    pub(super) fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.server.on(path, [Answer::ok(bytes)]);
    }

    pub(super) fn remove(&self, path: &str) {
        self.server.on(path, [Answer::status(404)]);
    }

    /// The requested paths since the last call, in order.
    pub(super) fn asked(&self) -> Vec<String> {
        let all = self.server.requests();
        let new = all.iter().skip(self.seen.replace(all.len()));
        new.map(|request| request.path.clone()).collect()
    }
}

impl ArchiveWorld {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path().join("cache"))).unwrap();
        let web = Web { server: Server::new(), seen: Cell::new(0) };
        web.put(
            "/mainline/",
            listing(&["../", "daily/", "v4.19.56/", "v4.19.57/", "v4.19.58/", "v4.4-wily/", "v5.2-rc6/"]),
        );
        Self { folder, store, web }
    }

    pub(super) fn root(&self) -> Url {
        self.web.url("/mainline/").parse().unwrap()
    }

    /// Serves files below the version's folder, which links to these.
    pub(super) fn lay_out(&self, below: &str, links: &[&str], files: &[(String, Vec<u8>)]) {
        self.web.put("/mainline/v4.19.57/", listing(links));
        let sums: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), sha256(bytes))).collect();
        let sums: Vec<_> = sums.iter().map(|(name, sum)| (*name, sum.as_str())).collect();
        self.web.put(&format!("/mainline/v4.19.57/{below}CHECKSUMS"), checksums(&sums));
        for (name, bytes) in files {
            self.web.put(&format!("/mainline/v4.19.57/{below}{name}"), bytes.clone());
        }
    }

    /// The usual build, in the newer layout.
    pub(super) fn with_build() -> Self {
        let world = Self::new();
        world.lay_out("amd64/", &["amd64/", "arm64/", "CHECKSUMS"], &packages(DATE));
        world
    }

    pub(super) fn ask<T>(&self, offline: bool, locked: Option<&[LockedFile]>, ask: impl FnOnce(&Obtain) -> T) -> T {
        let shim = Shim::at("/nonexistent".into());
        ask(&Obtain { store: &self.store, shim: &shim, offline, refresh: false, locked, tell: &|_| {} })
    }

    pub(super) fn obtain(&self, version: &str, key: Option<&ArchiveKey>) -> Result<Kernel, MainlineError> {
        self.ask(false, None, |with| from(&self.root(), &version.parse().unwrap(), key, with))
    }

    pub(super) fn list(&self, pattern: &str, offline: bool) -> Result<Vec<String>, MainlineError> {
        let listing = self.ask(offline, None, |with| list_from(self.root(), pattern, with))?;
        Ok(listing.versions.iter().map(ToString::to_string).collect())
    }

    /// The key in a file of its own.
    pub(super) fn key(&self, secret: &SignedSecretKey) -> ArchiveKey {
        let public = SignedPublicKey::from(secret.clone());
        let file = self.folder.path().join("archive.asc");
        std::fs::write(&file, public.to_bytes().unwrap()).unwrap();
        ArchiveKey { file, fingerprint: public.fingerprint().to_string().parse().unwrap() }
    }

    pub(super) fn put_signature(&self, by: &SignedSecretKey, over: &[u8]) {
        self.web
            .put("/mainline/v4.19.57/amd64/CHECKSUMS.gpg", sign(by, over, clock::now() - 60, HashAlgorithm::Sha256));
    }

    pub(super) fn sums(&self) -> Vec<u8> {
        let sums: Vec<_> = packages(DATE).into_iter().map(|(name, bytes)| (name, sha256(&bytes))).collect();
        let sums: Vec<_> = sums.iter().map(|(name, sum)| (name.as_str(), sum.as_str())).collect();
        checksums(&sums).into_bytes()
    }
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

pub(super) fn image() -> (&'static str, Vec<u8>) {
    ("./boot/vmlinuz-4.19.57-041957-generic", bzimage(RELEASE))
}

pub(super) fn modules() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("./boot/config-4.19.57-041957-generic", b"CONFIG_TUN=m\nCONFIG_SYN_COOKIES=y\n".to_vec()),
        ("./lib/modules/4.19.57-041957-generic/modules.builtin", b"kernel/net/ipv4/tcp.ko\n".to_vec()),
        ("./lib/modules/4.19.57-041957-generic/kernel/drivers/net/tun.ko", module(b"name=tun\0depends=\0")),
    ]
}

pub(super) fn package_of(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let files: Vec<_> = files.iter().map(|(path, bytes)| (*path, bytes.as_slice())).collect();
    deb(&tar(&files))
}

/// The packages of a build of this date, in the newer layout, among others.
pub(super) fn packages(date: &str) -> Vec<(String, Vec<u8>)> {
    let name = |kind: &str, rest: &str| format!("linux-{kind}-4.19.57-041957{rest}_4.19.57-041957.{date}");
    vec![
        (name("headers", "") + "_all.deb", b"headers".to_vec()),
        (name("image-unsigned", "-generic") + "_amd64.deb", package_of(&[image()])),
        (name("image-unsigned", "-lowlatency") + "_amd64.deb", b"lowlatency".to_vec()),
        (name("modules", "-generic") + "_amd64.deb", package_of(&modules())),
    ]
}

/// The provenance from the archive.
pub(super) fn archive(kernel: &Kernel) -> &Provenance {
    kernel.provenance.iter().find(|from| matches!(from, Provenance::Archive { .. })).unwrap()
}
