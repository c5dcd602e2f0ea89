//! A detached OpenPGP signature (RFC 9580) over a folder's checksums, by the key and fingerprint that the user
//! configured.
//!
//! The library checks the numbers; this file decides which keys may sign, until when, and how. If in doubt, it rejects
//! the signature, with the reason.

use pgp::composed::{Deserializable, DetachedSignature, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails, Tag};

use crate::kernel::quoted::Quoted;
use crate::matrix::Fingerprint;

/// The largest signature file, in bytes. An armored one by a key of 2048 bits has 473.
pub(super) const LARGEST: u64 = 64 << 10;

/// The largest key file, in bytes. Files with the signatures of hundreds of people have less.
pub(super) const LARGEST_KEY: u64 = 1 << 20;

/// The most signatures of one file, and keys of one file, that are checked.
const MOST: usize = 32;

/// Seconds by which the signer's clock may be ahead of ours.
const AHEAD: u64 = 24 * 60 * 60;

/// 2020-01-01, in seconds since 1970. Until then, chosen-prefix collisions of SHA-1 were not practical (Leurent and
/// Peyrin, "SHA-1 is a Shambles", January 2020), and the archive's builder used GnuPG 1.4, which signs with SHA-1 by
/// default. The time is signed, and the library also detects texts made to collide (`sha1-checked`).
const SHA1_UNTIL: u64 = 1_577_836_800;

/// Why a key is rejected. Reads well after "the key … ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Another kind of file.
    #[error("is not an OpenPGP public key: {0}")]
    NotAKey(Quoted),
    /// It has another fingerprint, or none of the required kind.
    #[error("has the fingerprint {found}, expected {expected}; one of the two is wrong")]
    OtherFingerprint {
        /// The fingerprint of the file's first key.
        found: String,
        /// The user's fingerprint.
        expected: String,
    },
    /// Its owner revoked it.
    #[error("was revoked; the archive must have a newer one")]
    Revoked,
    /// It has expired.
    #[error("expired on {0}; fetch it again: its owner may have extended it")]
    Expired(String),
    /// Its owner did not sign its purpose.
    #[error("has no valid self-signature; export it again")]
    NotSelfSigned,
}

/// Why a signature is rejected. Reads well after "the signature … ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// Another kind of file.
    #[error("is not a detached OpenPGP signature: {0}")]
    NotASignature(Quoted),
    /// Another key made it.
    #[error("was not made by the configured key, but by {0}")]
    ByOther(String),
    /// The text or the signature was changed.
    #[error("does not match its file: one of the two was changed")]
    Wrong,
    /// Its kind proves too little.
    #[error("is too weak: {0}")]
    Weak(String),
    /// The key may not sign this, or could not at that time.
    #[error("was made by a key that may not sign: {0}")]
    NotAllowed(String),
}

/// A key that may sign, or why it may not.
enum Signer {
    Primary,
    Subkey(Box<SignedPublicSubKey>),
}

/// The user's key, with all its self-signatures checked.
pub(super) struct TrustedKey {
    certificate: SignedPublicKey,
    /// Each key of the certificate, and whether it may sign.
    signers: Vec<(Signer, Result<(), String>)>,
}

impl TrustedKey {
    /// Reads a key's file, armored or not. `now` is in seconds since 1970.
    pub(super) fn read(file: &[u8], fingerprint: &Fingerprint, now: u64) -> Result<Self, BadKey> {
        let not = |error: pgp::errors::Error| BadKey::NotAKey(Quoted::of(error.to_string().as_bytes()));
        let (certificates, _) = SignedPublicKey::from_reader_many(file).map_err(not)?;
        let mut found = None;
        for certificate in certificates.take(MOST) {
            let certificate = certificate.map_err(not)?;
            let own = certificate.fingerprint().to_string().to_uppercase();
            if own == fingerprint.as_str() {
                return Self::of(certificate, now);
            }
            found.get_or_insert(own);
        }
        let expected = fingerprint.to_string();
        match found {
            Some(found) => Err(BadKey::OtherFingerprint { found, expected }),
            None => Err(BadKey::NotAKey(Quoted::of(b"it holds none"))),
        }
    }

    fn of(certificate: SignedPublicKey, now: u64) -> Result<Self, BadKey> {
        // A revocation may be the owner's or an authorised person's; nobody else adds one to the user's file.
        if !certificate.details.revocation_signatures.is_empty() {
            return Err(BadKey::Revoked);
        }
        let own = newest(own_signatures(&certificate), now).ok_or(BadKey::NotSelfSigned)?;
        let created = seconds(certificate.created_at());
        if let Some(end) = end(created, own).filter(|end| *end <= now) {
            return Err(BadKey::Expired(date(end)));
        }
        // Old keys have no flags, and may do everything.
        let flags = own.key_flags();
        let silent = !(flags.sign() || flags.certify() || flags.encrypt_comms() || flags.authentication());
        let primary = if flags.sign() || silent { Ok(()) } else { Err("it is only for certifying".to_owned()) };
        let subkeys = certificate.public_subkeys.iter().map(|subkey| {
            let may = may_sign(subkey, &certificate, now);
            (Signer::Subkey(Box::new(subkey.clone())), may)
        });
        let signers = std::iter::once((Signer::Primary, primary)).chain(subkeys).collect();
        Ok(Self { certificate, signers })
    }

    /// Whether one of these signatures, armored or not, is the key's over this text.
    pub(super) fn verify(&self, text: &[u8], file: &[u8], now: u64) -> Result<(), BadSignature> {
        let not = |error: pgp::errors::Error| BadSignature::NotASignature(Quoted::of(error.to_string().as_bytes()));
        let (signatures, _) = DetachedSignature::from_reader_many(file).map_err(not)?;
        let mut why = None;
        for signature in signatures.take(MOST) {
            match self.judge(&signature.map_err(not)?.signature, text, now) {
                Ok(()) => return Ok(()),
                // The problem with the key's own signature says more than other signatures.
                Err(BadSignature::ByOther(_)) if why.is_some() => {}
                Err(error) => why = Some(error),
            }
        }
        Err(why.unwrap_or_else(|| BadSignature::NotASignature(Quoted::of(b"it holds none"))))
    }

    fn judge(&self, signature: &Signature, text: &[u8], now: u64) -> Result<(), BadSignature> {
        let weak = |why: String| Err(BadSignature::Weak(why));
        let maker = self.signers.iter().find(|(signer, _)| self.made(signer, signature));
        let Some((signer, may)) = maker else {
            let ids = signature.issuer_fingerprint().iter().map(ToString::to_string).next();
            let ids = ids.or_else(|| signature.issuer_key_id().first().map(ToString::to_string));
            return Err(BadSignature::ByOther(ids.map_or_else(|| "an unnamed key".to_owned(), |id| id.to_uppercase())));
        };
        let Some(made) = signature.created().map(seconds) else {
            return weak("it does not say when it was made".to_owned());
        };
        if signature.typ() != Some(SignatureType::Binary) {
            return weak("it does not cover a file's bytes".to_owned());
        }
        match signature.hash_alg() {
            Some(HashAlgorithm::Sha256 | HashAlgorithm::Sha384 | HashAlgorithm::Sha512) => {}
            Some(HashAlgorithm::Sha3_256 | HashAlgorithm::Sha3_512) => {}
            Some(HashAlgorithm::Sha1) if made < SHA1_UNTIL => {}
            Some(hash) => return weak(format!("it uses {hash}, and was made on {}", date(made))),
            None => return weak("it names no hash algorithm".to_owned()),
        }
        if made > now.saturating_add(AHEAD) {
            return weak(format!("it was made on {}, in the future; check this host's clock", date(made)));
        }
        if let Some(end) = signature_end(made, signature).filter(|end| *end <= now) {
            return weak(format!("it expired on {}", date(end)));
        }
        let created = match signer {
            Signer::Primary => self.certificate.created_at(),
            Signer::Subkey(subkey) => subkey.key.created_at(),
        };
        if made < seconds(created) {
            return Err(BadSignature::NotAllowed(format!("the key was made on {}, after it", date(seconds(created)))));
        }
        may.clone().map_err(BadSignature::NotAllowed)?;
        let checked = match signer {
            Signer::Primary => signature.verify(&self.certificate.primary_key, text),
            Signer::Subkey(subkey) => signature.verify(&subkey.key, text),
        };
        checked.map_err(|_| BadSignature::Wrong)
    }

    /// Whether the signature names this key. If it names none, it may be the primary key's.
    fn made(&self, signer: &Signer, signature: &Signature) -> bool {
        let (fingerprint, id) = match signer {
            Signer::Primary => (self.certificate.fingerprint(), self.certificate.legacy_key_id()),
            Signer::Subkey(subkey) => (subkey.key.fingerprint(), subkey.key.legacy_key_id()),
        };
        let (fingerprints, ids) = (signature.issuer_fingerprint(), signature.issuer_key_id());
        let silent = fingerprints.is_empty() && ids.is_empty() && matches!(signer, Signer::Primary);
        silent || fingerprints.contains(&&fingerprint) || ids.contains(&&id)
    }
}

/// The valid self-signatures about a key's purpose: over the key itself, and over each name that was not revoked.
fn own_signatures(certificate: &SignedPublicKey) -> impl Iterator<Item = &Signature> {
    let key = &certificate.primary_key;
    let direct = certificate.details.direct_signatures.iter();
    let direct = direct.filter(|s| s.typ() == Some(SignatureType::Key) && s.verify_key(key).is_ok());
    let named = certificate.details.users.iter().flat_map(move |user| {
        let good = user.signatures.iter().filter(|s| s.verify_certification(key, Tag::UserId, &user.id).is_ok());
        let good: Vec<&Signature> = good.collect();
        let revoked = good.iter().any(|s| s.typ() == Some(SignatureType::CertRevocation));
        if revoked { Vec::new() } else { good }
    });
    direct.chain(named)
}

/// Whether a subkey may sign: the key must have bound it for signing, and it must have signed the key in turn.
fn may_sign(subkey: &SignedPublicSubKey, certificate: &SignedPublicKey, now: u64) -> Result<(), String> {
    let primary = &certificate.primary_key;
    if subkey.signatures.iter().any(|s| s.typ() == Some(SignatureType::SubkeyRevocation)) {
        return Err("the subkey was revoked".to_owned());
    }
    let bindings = subkey.signatures.iter();
    let bindings = bindings.filter(|s| {
        s.typ() == Some(SignatureType::SubkeyBinding) && s.verify_subkey_binding(primary, &subkey.key).is_ok()
    });
    let binding = newest(bindings, now).ok_or("no valid signature binds the subkey to it")?;
    if !binding.key_flags().sign() {
        return Err("the subkey is not for signing".to_owned());
    }
    let back =
        binding.embedded_signature().filter(|back| back.verify_primary_key_binding(&subkey.key, primary).is_ok());
    if back.is_none() {
        return Err("the subkey does not confirm that it belongs to this key".to_owned());
    }
    match end(seconds(subkey.key.created_at()), binding).filter(|end| *end <= now) {
        Some(end) => Err(format!("the subkey expired on {}", date(end))),
        None => Ok(()),
    }
}

/// The newest of these signatures that is valid now, because the owner's last one counts.
fn newest<'s>(signatures: impl Iterator<Item = &'s Signature>, now: u64) -> Option<&'s Signature> {
    let counts = |signature: &&Signature| {
        let Some(made) = signature.created().map(seconds) else { return false };
        made <= now.saturating_add(AHEAD) && signature_end(made, signature).is_none_or(|end| end > now)
    };
    signatures.filter(counts).max_by_key(|signature| signature.created())
}

/// When the key of this signature expires, if it does.
fn end(created: u64, own: &Signature) -> Option<u64> {
    let valid = own.key_expiration_time().map(|time| u64::from(time.as_secs())).filter(|time| *time > 0)?;
    Some(created.saturating_add(valid))
}

/// When the signature itself expires, if it does.
fn signature_end(made: u64, signature: &Signature) -> Option<u64> {
    let valid = signature.signature_expiration_time().map(|time| u64::from(time.as_secs())).filter(|time| *time > 0)?;
    Some(made.saturating_add(valid))
}

fn seconds(time: pgp::types::Timestamp) -> u64 {
    u64::from(time.as_secs())
}

/// A date, for people.
fn date(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| "a day that no calendar has".to_owned(), |time| time.strftime("%Y-%m-%d").to_string())
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
