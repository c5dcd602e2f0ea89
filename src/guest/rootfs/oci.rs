//! Reads an OCI image layout: a folder, or a tarball of one (OCI image specification 1.1: image-layout.md, image-index.md,
//! manifest.md, layer.md). Digests are checked, so a damaged image is never taken for another.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{ROOTFS_MAX, Rootfs};
use crate::kernel::compression::Compression;
use crate::kernel::hex;
use crate::regular;

/// The file that marks a layout.
pub(super) const MARK: &str = "oci-layout";

/// What it starts with.
const INDEX: &str = "index.json";

/// The most bytes of an index, a manifest or a configuration: as much as registries accept.
const DOCUMENT_MAX: u64 = 4 << 20;

/// The most layers: as many as Docker allows.
const LAYERS_MAX: usize = 127;

/// How deep an index may be in another.
const DEPTH_MAX: usize = 4;

/// What guests are, in the words of the specification (those of Go).
const PLATFORM: (&str, &str) = ("linux", "amd64");

/// The annotation with an image's name.
const NAME: &str = "org.opencontainers.image.ref.name";

/// An index or a manifest.
#[derive(Deserialize)]
struct OciDocument {
    manifests: Option<Vec<Descriptor>>,
    layers: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
}

/// Names a blob.
#[derive(Clone, Deserialize)]
struct Descriptor {
    digest: String,
    platform: Option<Platform>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// A platform, or a configuration that names one.
#[derive(Clone, Deserialize)]
struct Platform {
    os: String,
    architecture: String,
}

impl Platform {
    fn is_ours(&self) -> bool {
        (self.os.as_str(), self.architecture.as_str()) == PLATFORM
    }
}

/// The files of a layout.
enum Layout<'a> {
    Folder(&'a Path),
    Tarball(&'a Rootfs),
}

/// The image in a folder.
pub(super) fn in_folder(folder: &Path) -> Result<Rootfs, String> {
    Layout::Folder(folder).image()
}

/// The image in a tarball that was read as files.
pub(super) fn in_tarball(files: &Rootfs) -> Result<Rootfs, String> {
    Layout::Tarball(files).image()
}

impl Layout<'_> {
    fn image(&self) -> Result<Rootfs, String> {
        let mut rootfs = Rootfs::default();
        let layers = self.layers(&parse(INDEX, &self.read(INDEX, DOCUMENT_MAX)?)?, DEPTH_MAX)?;
        if layers.len() > LAYERS_MAX {
            return Err(format!("its OCI image has more than {LAYERS_MAX} layers"));
        }
        for layer in layers {
            // As much as the largest tarball, which may hardly be compressed.
            let bytes = self.blob(&layer.digest, 2 * ROOTFS_MAX)?;
            let how = Compression::of(&bytes).unwrap_or(Compression::None);
            let added = rootfs.add_layer(how, bytes.as_slice());
            added.map_err(|why| format!("{why} (layer {:.19} of its OCI image)", layer.digest))?;
        }
        Ok(rootfs)
    }

    /// The layers of the image for a guest, the lowest first.
    fn layers(&self, document: &OciDocument, depth: usize) -> Result<Vec<Descriptor>, String> {
        match (&document.manifests, &document.layers) {
            (Some(manifests), None) => {
                let depth = depth.checked_sub(1).ok_or("the indexes of its OCI image are nested too deeply")?;
                let chosen = choose(manifests)?;
                self.layers(&parse(&chosen.digest, &self.blob(&chosen.digest, DOCUMENT_MAX)?)?, depth)
            }
            (None, Some(layers)) => {
                let config =
                    document.config.as_ref().map(|config| self.blob(&config.digest, DOCUMENT_MAX)).transpose()?;
                let platform: Option<Platform> = config.and_then(|bytes| serde_json::from_slice(&bytes).ok());
                match platform.filter(|platform| !platform.is_ours()) {
                    Some(other) => Err(other_platform(&[other])),
                    None => Ok(layers.clone()),
                }
            }
            _ => Err("its OCI image has a document with neither `manifests` nor `layers`".to_owned()),
        }
    }

    /// A blob, whose content matches its digest.
    fn blob(&self, digest: &str, most: u64) -> Result<Vec<u8>, String> {
        let is_hash =
            |text: &&str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let Some(wanted) = digest.strip_prefix("sha256:").filter(is_hash) else {
            return Err(format!(
                "its OCI image names a blob {digest:.80?}: expected `sha256:` and 64 hexadecimal digits"
            ));
        };
        let bytes = self.read(&format!("blobs/sha256/{wanted}"), most)?;
        let found = hex(Sha256::new_with_prefix(&bytes));
        if found != wanted {
            return Err(format!("its OCI image is damaged: blobs/sha256/{wanted} has the sha256 {found}"));
        }
        Ok(bytes)
    }

    fn read(&self, path: &str, most: u64) -> Result<Vec<u8>, String> {
        match self {
            Self::Folder(folder) => regular::read(&folder.join(path), most)
                .map_err(|error| format!("cannot read {path} of its OCI image: {error}")),
            Self::Tarball(files) => match files.file(path) {
                Ok((_, bytes)) if bytes.len() as u64 > most => {
                    Err(format!("{path} of its OCI image is larger than {most} bytes"))
                }
                Ok((_, bytes)) => Ok(bytes.to_vec()),
                Err(_) => Err(format!("its OCI image has no {path}")),
            },
        }
    }
}

fn parse(name: &str, bytes: &[u8]) -> Result<OciDocument, String> {
    serde_json::from_slice(bytes)
        .map_err(|error| format!("{name:.80} of its OCI image is no index or manifest: {error}"))
}

/// The one image for a guest. A name is often twice in an index, and an image without a platform may be for any.
fn choose(manifests: &[Descriptor]) -> Result<&Descriptor, String> {
    let fits = |one: &&Descriptor| one.platform.as_ref().is_none_or(Platform::is_ours);
    let fitting: Vec<&Descriptor> = manifests.iter().filter(fits).collect();
    let digests: BTreeSet<&str> = fitting.iter().map(|one| one.digest.as_str()).collect();
    match (fitting.first(), digests.len()) {
        (Some(one), 1) => Ok(one),
        (None, _) => {
            let platforms: Vec<Platform> = manifests.iter().filter_map(|one| one.platform.clone()).collect();
            Err(other_platform(&platforms))
        }
        (Some(_), count) => {
            let names: Vec<&str> =
                fitting.iter().filter_map(|one| one.annotations.get(NAME)).map(String::as_str).collect();
            let names = if names.is_empty() { String::new() } else { format!(" ({:.200})", names.join(", ")) };
            Err(format!("its OCI layout has {count} images for {}/{}{names}: keep one", PLATFORM.0, PLATFORM.1))
        }
    }
}

fn other_platform(found: &[Platform]) -> String {
    let found: Vec<String> = found.iter().map(|one| format!("{:.30}/{:.30}", one.os, one.architecture)).collect();
    let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
    format!("its OCI layout has no image for {}/{} (found: {found:.200})", PLATFORM.0, PLATFORM.1)
}

#[cfg(test)]
#[path = "oci_tests.rs"]
mod tests;
