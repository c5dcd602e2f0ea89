//! Finished boots, kept by everything that they depend on. In virtual time the same guest says the same, so a boot whose
//! inputs are known has its answer already. Kept is what the guest said, and not the verdict: today's rules and dossiers judge
//! it again each time.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::recording::Recording;
use crate::kernel::{FileError, Store, hex};
use crate::vm::{Boot, DeathPlace, FailureKind, GuestDisk, QemuCommand, Transcript};
use crate::words::KernelName;

/// Which boots a run takes from the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheUse {
    /// Those in virtual time.
    #[default]
    Virtual,
    /// Those in real time, too, although another boot may show something else.
    All,
    /// None. Boots are compared with cached ones all the same.
    Fresh,
}

impl CacheUse {
    /// Whether boots of this time are kept.
    pub(super) fn keeps(self, recording: &Recording) -> bool {
        recording.time.is_some() || self == Self::All
    }
}

/// Everything that a guest's answer depends on, as one sha256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BootKey(String);

impl BootKey {
    /// The key of this guest. `qemu` is QEMU's identity, and `initramfs` the sha256 of the initramfs for a quiet host: the
    /// deadlines in a plan for real time depend on the host's load.
    pub(super) fn of(recording: &Recording, command: &QemuCommand, initramfs: &str, qemu: &str) -> Self {
        let mut all = Sha256::new();
        for part in [qemu, &recording.image_sha256, initramfs, recording.accel.as_str()] {
            all.update(format!("{}:{part}\n", part.len()));
        }
        for word in command.fingerprint() {
            all.update(format!("{}:{word}\n", word.len()));
        }
        Self(hex(all))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn record(&self) -> String {
        format!("boots/{}.json", self.0)
    }
}

/// A finished boot.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CachedBoot {
    /// When it ran.
    pub(super) judged: Timestamp,
    /// What its guest said.
    pub(super) transcript: Transcript,
    /// Where its kernel died, if it did.
    pub(super) death: Option<DeathPlace>,
}

/// The record of a boot. `gc` keeps the files of all sha256 as long as it.
#[derive(Serialize, Deserialize)]
struct BootFile {
    kernel: KernelName,
    judged: Timestamp,
    image_sha256: String,
    initramfs_sha256: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    disks_sha256: Vec<String>,
    transcript_sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    death: Option<DeathPlace>,
    console: String,
    agent: String,
}

impl CachedBoot {
    /// A boot that has just ended; None unless it finished, or the kernel ended it when it died, and nothing on the host
    /// disturbed it.
    pub(super) fn of(boot: &Boot) -> Option<Self> {
        let is_quiet = boot.time.is_some() || (boot.host.freezes.is_empty() && boot.host.too_busy().is_none());
        let now = Timestamp::now();
        let judged = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let is_whole = boot.end.is_ok() || boot.own_death.is_some();
        (is_whole && is_quiet).then(|| Self { judged, transcript: boot.transcript.clone(), death: boot.own_death })
    }

    /// How the transcript of a boot of the same inputs differs, if it does. A boot that the host ended says nothing, nor does
    /// one in real time.
    pub(super) fn difference(&self, boot: &Boot) -> Option<String> {
        if boot.time.is_none() || boot.end.as_ref().is_err_and(|failure| failure.kind.is_of_the_host()) {
            return None;
        }
        if boot.own_death.is_none() && boot.end.as_ref().is_err_and(|f| matches!(f.kind, FailureKind::Splat(_))) {
            // The watch ended it, sooner or later, so only the beginnings can be compared.
            let cut = |a: &[u8], b: &[u8]| a[..a.len().min(b.len())].to_vec();
            let (now, then) = (&boot.transcript, &self.transcript);
            let begun = Transcript { console: cut(&now.console, &then.console), agent: cut(&now.agent, &then.agent) };
            let known = Transcript { console: cut(&then.console, &now.console), agent: cut(&then.agent, &now.agent) };
            return begun.difference(&known).map(|first| first.to_string());
        }
        boot.transcript.difference(&self.transcript).map(|first| first.to_string())
    }

    /// The boot of this key. A damaged one counts as absent.
    pub(super) fn read(store: &Store, key: &BootKey) -> Option<Self> {
        let file: BootFile = store.read_record(&key.record())?;
        let decode = |text: &str| BASE64_STANDARD.decode(text).ok();
        let transcript = Transcript { console: decode(&file.console)?, agent: decode(&file.agent)? };
        if transcript.sha256() != file.transcript_sha256 {
            return None;
        }
        store.touch(&key.record());
        Some(Self { judged: file.judged, transcript, death: file.death })
    }

    /// Keeps it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn write(
        &self,
        store: &Store,
        key: &BootKey,
        kernel: &KernelName,
        recording: &Recording,
    ) -> Result<(), FileError> {
        let file = BootFile {
            kernel: kernel.clone(),
            judged: self.judged,
            image_sha256: recording.image_sha256.clone(),
            initramfs_sha256: recording.initramfs_sha256.clone(),
            disks_sha256: recording
                .disks
                .iter()
                .filter_map(GuestDisk::file)
                .map(|(_, sha256)| sha256.to_owned())
                .collect(),
            transcript_sha256: self.transcript.sha256(),
            death: self.death,
            console: BASE64_STANDARD.encode(&self.transcript.console),
            agent: BASE64_STANDARD.encode(&self.transcript.agent),
        };
        store.write_record(&key.record(), &file)
    }

    /// Forgets it.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub(super) fn remove(store: &Store, key: &BootKey) -> Result<(), FileError> {
        store.remove_record(&key.record())
    }
}
