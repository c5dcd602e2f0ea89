//! Packed files and archives: a sosreport or supportconfig as it is sent, or a single packed output. They are unpacked
//! in memory, file by file, and never written to disk.

use std::io::{self, Cursor, Read};

use tar::EntryType;

use super::files::is_wanted;
use crate::kernel::compression::{self, Compression};

/// The most bytes that an archive may unpack to: those of large hosts have some hundred MiB.
const MAX_UNPACKED: u64 = 4 << 30;
/// The highest ratio of unpacked to packed size, beyond a first 64 MiB. Logs shrink to a twentieth.
const MAX_RATIO: u64 = 200;
/// The most entries of an archive to list.
const MAX_ENTRIES: usize = 300_000;
/// The most files of an archive to read.
const MAX_FILES: usize = 2000;
/// The most bytes of a name.
const MAX_NAME: u64 = 8192;
/// The bytes that identify a file's type: tar's magic comes last, at 257.
const HEAD: u64 = 512;

/// The result of unpacking a file.
#[derive(Debug, PartialEq, Eq)]
pub enum UnpackedFile {
    /// Not an archive: its bytes, unpacked, and whether there were more.
    File(Vec<u8>, bool),
    /// An archive. All wanted files were passed to the callback; the skipped ones are named here.
    Archive(Vec<String>),
}

/// Takes one file of an archive: its path there, its bytes, and whether there were more.
pub type TakeEntry<'a> = &'a mut dyn FnMut(&str, Vec<u8>, bool);

/// Reads a file of this size in bytes, packed or not; passes the wanted files of an archive to `take`. At most `limit`
/// bytes of any file are kept.
///
/// # Errors
/// If it cannot be read, is damaged, or unpacks to more than the limit.
pub fn read(mut file: impl Read, size: u64, limit: u64, take: TakeEntry) -> io::Result<UnpackedFile> {
    let mut head = Vec::new();
    (&mut file).take(HEAD).read_to_end(&mut head)?;
    let how = Compression::of(&head).unwrap_or(Compression::None);
    let bound = match how {
        // The file may grow during the read.
        Compression::None => size.max(limit).saturating_add(1 << 20),
        _ => size.saturating_mul(MAX_RATIO).saturating_add(64 << 20).min(MAX_UNPACKED),
    };
    let mut unpacked = compression::reader(how, Cursor::new(head).chain(file), bound)?;
    let mut head = Vec::new();
    (&mut unpacked).take(HEAD).read_to_end(&mut head)?;
    let is_tar = head.get(257..262) == Some(b"ustar");
    let whole = Cursor::new(head).chain(unpacked);
    if is_tar {
        return entries(whole, limit, take).map(UnpackedFile::Archive);
    }
    let (bytes, is_cut) = bounded(whole, limit)?;
    Ok(UnpackedFile::File(bytes, is_cut))
}

fn bounded(file: impl Read, limit: u64) -> io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    let kept = usize::try_from(limit).unwrap_or(usize::MAX).min(bytes.len());
    let is_cut = bytes.len() > kept;
    bytes.truncate(kept);
    Ok((bytes, is_cut))
}

/// Passes on the wanted files of a tar archive (ustar, GNU or PAX). Links are skipped: their targets are in the archive
/// under their own names.
fn entries(tar: impl Read, limit: u64, take: TakeEntry) -> io::Result<Vec<String>> {
    let mut unread = Vec::new();
    let (mut long, mut taken) = (None, 0);
    let mut archive = tar::Archive::new(tar);
    // Raw, because the library would otherwise read headers of any length into memory.
    for (n, entry) in archive.entries()?.raw(true).enumerate() {
        let mut entry = entry?;
        if n >= MAX_ENTRIES || taken >= MAX_FILES {
            unread.push(format!("files beyond the first {}", if taken >= MAX_FILES { MAX_FILES } else { MAX_ENTRIES }));
            break;
        }
        match entry.header().entry_type() {
            EntryType::GNULongName => long = Some(bounded(&mut entry, MAX_NAME)?.0),
            EntryType::XHeader => {
                let (records, _) = bounded(&mut entry, MAX_NAME)?;
                let records = tar::PaxExtensions::new(&records).flatten();
                long = records.filter(|r| r.key_bytes() == b"path").map(|r| r.value_bytes().to_vec()).last().or(long);
            }
            EntryType::GNULongLink | EntryType::XGlobalHeader => {}
            kind => {
                let name = long.take().unwrap_or_else(|| entry.path_bytes().into_owned());
                let name = String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned();
                if matches!(kind, EntryType::Regular | EntryType::Continuous) && is_wanted(&name) {
                    taken += 1;
                    let (bytes, is_cut) = bounded(&mut entry, limit)?;
                    take(&name, bytes, is_cut);
                }
            }
        }
    }
    Ok(unread)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use proptest::prelude::*;

    fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, path, *bytes).expect("an entry");
        }
        builder.into_inner().expect("an archive")
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("packs");
        encoder.finish().expect("packs")
    }

    fn bzip2(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(bytes).expect("packs");
        encoder.finish().expect("packs")
    }

    type TakenEntries = Vec<(String, Vec<u8>, bool)>;

    fn unpack(bytes: &[u8], limit: u64) -> (io::Result<UnpackedFile>, TakenEntries) {
        let mut taken = TakenEntries::new();
        let mut take = |name: &str, bytes: Vec<u8>, is_cut| taken.push((name.to_owned(), bytes, is_cut));
        let result = read(bytes, bytes.len() as u64, limit, &mut take);
        (result, taken)
    }

    #[test]
    fn archives_are_unpacked_however_they_are_packed() {
        let long = format!("sosreport-{}/sos_commands/networking/ss_-tanmio", "x".repeat(150));
        let plain = tar(&[("scc_h/network.txt", b"12345"), (&long, b"a"), ("scc_h/a/b/c", b"no")]);
        let packed = [
            plain.clone(),
            gzip(&plain),
            bzip2(&plain),
            liblzma::encode_all(plain.as_slice(), 1).expect("packs"),
            zstd::encode_all(plain.as_slice(), 1).expect("packs"),
        ];
        for bytes in packed {
            let (result, taken) = unpack(&bytes, 3);
            assert_eq!(result.expect("reads"), UnpackedFile::Archive(Vec::new()));
            let expected = [("scc_h/network.txt", &b"123"[..], true), (long.as_str(), b"a", false)];
            let taken: Vec<_> =
                taken.iter().map(|(name, bytes, cut)| (name.as_str(), bytes.as_slice(), *cut)).collect();
            assert_eq!(taken, expected);
        }
    }

    #[test]
    fn packed_files_are_unpacked_and_others_are_kept() {
        for bytes in [b"a text\n".to_vec(), gzip(b"a text\n"), Vec::new()] {
            let (result, _) = unpack(&bytes, 100);
            let expected = if bytes.is_empty() { Vec::new() } else { b"a text\n".to_vec() };
            assert_eq!(result.expect("reads"), UnpackedFile::File(expected, false));
        }
        assert_eq!(unpack(b"12345", 3).0.expect("reads"), UnpackedFile::File(b"123".to_vec(), true));
    }

    #[test]
    fn bombs_and_damaged_archives_are_errors() {
        let zeros = vec![0_u8; 80 << 20];
        let bomb = zstd::encode_all(tar(&[("top/a/b/zeros", &zeros)]).as_slice(), 1).expect("packs");
        let error = unpack(&bomb, 100).0.expect_err("a bomb").to_string();
        assert!(error.contains("unpacks to more than"), "{error}");
        let whole = gzip(&tar(&[("ss.txt", b"12345")]));
        assert!(unpack(&whole[..whole.len() / 2], 100).0.is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn damaged_archive_never_panics(at in 0_usize..2000, value in any::<u8>()) {
            let mut bytes = tar(&[("ss.txt", b"12345"), ("top/b", b"6")]);
            let at = at % bytes.len();
            bytes[at] = value;
            let _ = unpack(&bytes, 10);
            let _ = unpack(&bytes[..at], 10);
            let _ = unpack(&gzip(&bytes), 10);
        }
    }
}
