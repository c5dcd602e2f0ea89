//! Pages, checksums and keys for several tests of the archive.

use pgp::composed::{DetachedSignature, KeyType, SecretKeyParamsBuilder, SignedSecretKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::ser::Serialize as _;
use pgp::types::{Password, SigningKey, Tag, Timestamp};

/// A page with this body.
pub(super) fn page(body: &str) -> Vec<u8> {
    format!("<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 3.2 Final//EN\">\n<html>\n<body>\n{body}\n</body></html>\n")
        .into_bytes()
}

/// An index as Apache writes it, with these links.
pub(super) fn listing(links: &[&str]) -> Vec<u8> {
    let row = |link: &&str| {
        format!(
            "<tr><td valign=\"top\"><img src=\"/icons/unknown.gif\" alt=\"[   ]\"></td><td><a href=\"{link}\">{link}</a></td>\
             <td align=\"right\">2019-07-03 15:01  </td><td align=\"right\">473 </td><td>&nbsp;</td></tr>\n"
        )
    };
    let rows: String = links.iter().map(row).collect();
    page(&format!("<h1>Index of /mainline</h1>\n<table>\n{rows}</table>"))
}

/// The checksums of a folder with these files and sha256.
pub(super) fn checksums(files: &[(&str, &str)]) -> String {
    let section = |digits: usize| -> String {
        files.iter().map(|(name, sha256)| format!("{}  {name}\n", &sha256[..digits])).collect()
    };
    let head = "# Checksums for v4.19.57, check with the command below:\n#     shasum -c CHECKSUMS\n#\n";
    format!("{head}# Checksums-Sha1:\n{}\n#\n# Checksums-Sha256:\n{}", section(40), section(64))
}

/// A key that may sign, made at this time in seconds since 1970.
pub(super) fn signing_key(made: u32) -> SignedSecretKey {
    let made = Timestamp::from_secs(made);
    let mut params = SecretKeyParamsBuilder::default();
    params.key_type(KeyType::Ed25519Legacy).can_certify(true).can_sign(true).created_at(made);
    params.primary_user_id("Builder <builder@example.test>".into());
    signed_at(made, params.build().unwrap().generate(rand::thread_rng()).unwrap())
}

/// The key with all its own signatures made again at this time. The library dates them by the host's clock, but a test
/// must not depend on the day.
pub(super) fn signed_at(made: Timestamp, mut key: SignedSecretKey) -> SignedSecretKey {
    let (primary, password) = (&key.primary_key, Password::empty());
    let public = primary.public_key();
    for user in &mut key.details.users {
        for signature in &mut user.signatures {
            let config = config_at(made, signature);
            *signature = config.sign_certification(primary, public, &password, Tag::UserId, &user.id).unwrap();
        }
    }
    for subkey in &mut key.secret_subkeys {
        let own = subkey.key.public_key();
        for signature in &mut subkey.signatures {
            let mut config = config_at(made, signature);
            for packet in &mut config.hashed_subpackets {
                if let SubpacketData::EmbeddedSignature(back) = &packet.data {
                    let back = config_at(made, back);
                    let back = back.sign_primary_key_binding(&subkey.key, own, &password, public).unwrap();
                    *packet = Subpacket::regular(SubpacketData::EmbeddedSignature(Box::new(back))).unwrap();
                }
            }
            *signature = config.sign_subkey_binding(primary, public, &password, own).unwrap();
        }
    }
    key
}

fn config_at(made: Timestamp, signature: &Signature) -> SignatureConfig {
    let mut config = signature.config().unwrap().clone();
    for packet in &mut config.hashed_subpackets {
        if let SubpacketData::SignatureCreationTime(time) = &mut packet.data {
            *time = made;
        }
    }
    config
}

/// The key's signature over a text, made at this time in seconds since 1970.
pub(super) fn sign(key: &SignedSecretKey, text: &[u8], made: u64, hash: HashAlgorithm) -> Vec<u8> {
    sign_with(&key.primary_key, text, made, hash)
}

/// The same, with a subkey.
pub(super) fn sign_with(key: &impl SigningKey, text: &[u8], made: u64, hash: HashAlgorithm) -> Vec<u8> {
    let made = Timestamp::from_secs(u32::try_from(made).unwrap());
    let data = [SubpacketData::SignatureCreationTime(made), SubpacketData::IssuerFingerprint(key.fingerprint())];
    let mut config = SignatureConfig::v4(SignatureType::Binary, key.algorithm(), hash);
    config.hashed_subpackets = data.map(|data| Subpacket::regular(data).unwrap()).to_vec();
    DetachedSignature::new(config.sign(key, &Password::empty(), text).unwrap()).to_bytes().unwrap()
}
