//! Tests with GnuPG's keys and signatures (`openpgp/README.md`). The library makes the keys that GnuPG cannot.

use std::sync::LazyLock;

use pgp::composed::{EncryptionCaps, KeyType, SecretKeyParamsBuilder, SignedSecretKey, SubkeyParamsBuilder};
use pgp::packet::{SignatureConfig, Subpacket, SubpacketData};
use pgp::ser::Serialize as _;
use pgp::types::{Duration, Password, Timestamp};
use proptest::prelude::*;

use super::super::fixtures::{sign, sign_with, signed_at, signing_key};
use super::*;

/// 2026-11-26.
const NOW: u64 = 1_795_651_200;

const CHECKSUMS: &[u8] = include_bytes!("openpgp/CHECKSUMS");
const KEY: &[u8] = include_bytes!("openpgp/key.asc");
const FINGERPRINT: &str = "CFBF2BFF20DFB4D13FB8DA3574DF6715FC65E14F";

fn read_as(key: &[u8], fingerprint: &str) -> Result<TrustedKey, BadKey> {
    TrustedKey::read(key, &fingerprint.parse().unwrap(), NOW)
}

fn verify(key: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    read_as(key, FINGERPRINT).unwrap().verify(CHECKSUMS, signature, NOW)
}

#[test]
fn signatures_by_gnupg_keys_and_subkeys_verify() {
    for (name, signature) in [
        ("primary", &include_bytes!("openpgp/primary.asc")[..]),
        ("subkey", include_bytes!("openpgp/subkey.asc")),
        ("SHA-1, when nobody could make it collide", include_bytes!("openpgp/sha1-2019.asc")),
    ] {
        assert_eq!(verify(KEY, signature), Ok(()), "{name}");
        // The owner's last self-signature counts: it removed this key's expiry.
        assert_eq!(verify(include_bytes!("openpgp/key-prolonged.asc"), signature), Ok(()), "{name}");
    }
}

#[test]
fn key_needs_its_fingerprint_and_validity() {
    let read = |key: &[u8]| read_as(key, FINGERPRINT).err();
    assert_eq!(read(KEY), None);
    assert_eq!(read(include_bytes!("openpgp/key-revoked.asc")), Some(BadKey::Revoked));
    assert_eq!(read(include_bytes!("openpgp/key-expired.asc")), Some(BadKey::Expired("2020-01-01".to_owned())));
    let other = include_bytes!("openpgp/other.asc");
    assert!(matches!(read(other), Some(BadKey::OtherFingerprint { expected, .. }) if expected == FINGERPRINT));
    // In a keyring, the key is found; in a series of armored keys, only if it is the first.
    let dearmored = |key: &[u8]| SignedPublicKey::from_reader_single(key).unwrap().0.to_bytes().unwrap();
    assert_eq!(read(&[dearmored(other), dearmored(KEY)].concat()), None);
    // The subkey's own fingerprint is not the key's.
    assert!(matches!(read_as(KEY, "715B2DB959F9739372BF8DD465E54C9C7A66FFAE"), Err(BadKey::OtherFingerprint { .. })));
    let secret = signing_key(1_562_112_000).to_armored_bytes(Default::default()).unwrap();
    for garbage in [&b""[..], b"\n", b"<html>", &KEY[..KEY.len() / 2], include_bytes!("openpgp/primary.asc"), &secret] {
        assert!(matches!(read(garbage), Some(BadKey::NotAKey(_))));
    }
}

#[test]
fn foreign_or_changed_signatures_are_rejected() {
    let primary = include_bytes!("openpgp/primary.asc");
    let key = read_as(KEY, FINGERPRINT).unwrap();
    let changed = String::from_utf8_lossy(CHECKSUMS).replace("v4.19.57", "v4.19.58");
    assert_eq!(key.verify(changed.as_bytes(), primary, NOW), Err(BadSignature::Wrong));
    assert_eq!(key.verify(&[CHECKSUMS, b"\n"].concat(), primary, NOW), Err(BadSignature::Wrong));
    assert_eq!(
        key.verify(&String::from_utf8_lossy(CHECKSUMS).replace('\n', "\r\n").into_bytes(), primary, NOW),
        Err(BadSignature::Wrong)
    );
    let other = include_bytes!("openpgp/other-signature.asc");
    assert!(matches!(verify(KEY, other), Err(BadSignature::ByOther(_))));
    let sha1 = "it uses SHA1, and was made on 2026-11-25".to_owned();
    assert_eq!(verify(KEY, include_bytes!("openpgp/sha1-now.asc")), Err(BadSignature::Weak(sha1)));
    let revoked = verify(include_bytes!("openpgp/key-subkey-revoked.asc"), include_bytes!("openpgp/subkey.asc"));
    assert_eq!(revoked, Err(BadSignature::NotAllowed("the subkey was revoked".to_owned())));
    assert_eq!(verify(include_bytes!("openpgp/key-subkey-revoked.asc"), primary), Ok(()));
    let early = key.verify(CHECKSUMS, primary, 1_500_000_000);
    assert!(matches!(early, Err(BadSignature::Weak(why)) if why.contains("clock")));
    for garbage in [&b""[..], b"<html>Log in</html>", &primary[..200], KEY, CHECKSUMS] {
        assert!(matches!(verify(KEY, garbage), Err(BadSignature::NotASignature(_))), "{}", garbage.len());
    }
}

#[test]
fn changed_byte_breaks_a_signature() {
    let key = read_as(KEY, FINGERPRINT).unwrap();
    let (signature, _) = DetachedSignature::from_reader_single(&include_bytes!("openpgp/subkey.asc")[..]).unwrap();
    let bytes = signature.to_bytes().unwrap();
    assert_eq!(key.verify(CHECKSUMS, &bytes, NOW), Ok(()));
    let mut still_good = Vec::new();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        if key.verify(CHECKSUMS, &changed, NOW).is_ok() {
            still_good.push(at);
        }
    }
    // Unsigned parts: the issuer's id, which is only a hint, because the signed part has the fingerprint; and the
    // claimed bits of the signature's two numbers.
    assert_eq!(still_good, [40, 41, 42, 43, 44, 45, 46, 47, 48, 52, 86]);
}

/// A key made by the library a day before [`NOW`], with more in its self-signature.
fn key(certify_only: bool, more: Option<SubpacketData>) -> SignedSecretKey {
    let made = Timestamp::from_secs(u32::try_from(NOW - 86_400).unwrap());
    let mut subkey = SubkeyParamsBuilder::default();
    subkey.key_type(KeyType::Ed25519Legacy).can_sign(!certify_only).can_encrypt(EncryptionCaps::None).created_at(made);
    let mut params = SecretKeyParamsBuilder::default();
    params.key_type(KeyType::Ed25519Legacy).can_certify(true).can_sign(!certify_only).created_at(made);
    params.primary_user_id("A <a@example.test>".into()).subkeys(vec![subkey.build().unwrap()]);
    let mut key = signed_at(made, params.build().unwrap().generate(rand::thread_rng()).unwrap());
    if let Some(more) = more {
        let issued = SubpacketData::IssuerFingerprint(key.fingerprint());
        let data = [SubpacketData::SignatureCreationTime(made), issued, more];
        let mut config = SignatureConfig::v4(SignatureType::Key, key.primary_key.algorithm(), HashAlgorithm::Sha256);
        config.hashed_subpackets = data.map(|data| Subpacket::regular(data).unwrap()).to_vec();
        let own = config.sign_key(&key.primary_key, &Password::empty(), key.primary_key.public_key()).unwrap();
        // Its only self-signature.
        key.details.users.clear();
        key.details.direct_signatures = vec![own];
    }
    key
}

fn trusted(secret: &SignedSecretKey) -> Result<TrustedKey, BadKey> {
    let public = SignedPublicKey::from(secret.clone());
    read_as(&public.to_bytes().unwrap(), &public.fingerprint().to_string())
}

#[test]
fn key_signs_only_within_its_flags_and_lifetime() {
    let lasts = |seconds: u32| Some(SubpacketData::KeyExpirationTime(Duration::from_secs(seconds)));
    assert_eq!(trusted(&key(false, lasts(86_399))).err(), Some(BadKey::Expired("2026-11-25".to_owned())));
    assert!(trusted(&key(false, lasts(86_401))).is_ok() && trusted(&key(false, lasts(0))).is_ok());
    let brief = SubpacketData::SignatureExpirationTime(Duration::from_secs(10));
    assert_eq!(trusted(&key(false, Some(brief))).err(), Some(BadKey::NotSelfSigned));

    let good = key(false, None);
    let signature = sign(&good, CHECKSUMS, NOW - 60, HashAlgorithm::Sha256);
    assert_eq!(trusted(&good).unwrap().verify(CHECKSUMS, &signature, NOW), Ok(()));
    for hash in [HashAlgorithm::Sha384, HashAlgorithm::Sha512] {
        let signature = sign(&good, CHECKSUMS, NOW - 60, hash);
        assert_eq!(trusted(&good).unwrap().verify(CHECKSUMS, &signature, NOW), Ok(()), "{hash}");
    }
    // Made before the key, or in the future.
    for time in [NOW - 2 * 86_400, NOW + 2 * 86_400] {
        let signature = sign(&good, CHECKSUMS, time, HashAlgorithm::Sha256);
        assert!(trusted(&good).unwrap().verify(CHECKSUMS, &signature, NOW).is_err());
    }
    let certifying = key(true, None);
    let by_primary = sign(&certifying, CHECKSUMS, NOW - 60, HashAlgorithm::Sha256);
    let said = trusted(&certifying).unwrap().verify(CHECKSUMS, &by_primary, NOW);
    assert_eq!(said, Err(BadSignature::NotAllowed("it is only for certifying".to_owned())));
    // Somebody else's subkey, attached to this key without a binding signature of this key.
    let (mut mixed, other) = (good.clone(), key(false, None));
    mixed.secret_subkeys = other.secret_subkeys;
    let subkey = mixed.secret_subkeys[0].key.clone();
    let by_subkey = sign_with(&subkey, CHECKSUMS, NOW - 60, HashAlgorithm::Sha256);
    let said = trusted(&mixed).unwrap().verify(CHECKSUMS, &by_subkey, NOW);
    assert_eq!(said, Err(BadSignature::NotAllowed("no valid signature binds the subkey to it".to_owned())));
}

#[test]
fn one_matching_signature_of_several_is_enough() {
    let (ours, other) = (key(false, None), key(false, None));
    let both = [&other, &ours].map(|key| sign(key, CHECKSUMS, NOW - 60, HashAlgorithm::Sha256)).concat();
    assert_eq!(trusted(&ours).unwrap().verify(CHECKSUMS, &both, NOW), Ok(()));
    let wrong = [
        sign(&ours, b"other", NOW - 60, HashAlgorithm::Sha256),
        sign(&other, CHECKSUMS, NOW - 60, HashAlgorithm::Sha256),
    ];
    assert_eq!(trusted(&ours).unwrap().verify(CHECKSUMS, &wrong.concat(), NOW), Err(BadSignature::Wrong));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_are_a_signature(bytes in prop::collection::vec(any::<u8>(), 0..300), tag in 0x80_u8..) {
        static TRUSTED: LazyLock<TrustedKey> = LazyLock::new(|| read_as(KEY, FINGERPRINT).unwrap());
        let packet = [&[tag], &bytes[..]].concat();
        let armored = format!("-----BEGIN PGP SIGNATURE-----\n\n{}\n", String::from_utf8_lossy(&bytes));
        for garbage in [&bytes[..], &packet, armored.as_bytes()] {
            prop_assert!(TRUSTED.verify(CHECKSUMS, garbage, NOW).is_err());
            prop_assert!(read_as(garbage, FINGERPRINT).is_err());
        }
    }
}
