use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::kernel::fixtures::bzimage as empty_bzimage;

/// An ELF file's beginning, large enough for several lz4 blocks and compressors' buffers.
fn kernel() -> Vec<u8> {
    let mut bytes = b"\x7fELF".to_vec();
    bytes.extend((0..300_000_u32).flat_map(|i| (i / 7).to_le_bytes()));
    bytes
}

const ALL: [Packer; 6] = [Packer::Gzip, Packer::Bzip2, Packer::Lzma, Packer::Xz, Packer::Lz4, Packer::Zstd];

/// Packed as by the kernel's build: the stream, then its size unless the stream has it.
fn pack(how: Packer, bytes: &[u8]) -> Vec<u8> {
    let size = (bytes.len() as u32).to_le_bytes();
    let mut packed = match how {
        Packer::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            return encoder.finish().unwrap();
        }
        Packer::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Packer::Lzma => {
            let options = liblzma::stream::LzmaOptions::new_preset(0).unwrap();
            let stream = Stream::new_lzma_encoder(&options).unwrap();
            let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Packer::Xz => liblzma::encode_all(bytes, 0).unwrap(),
        Packer::Zstd => zstd::encode_all(bytes, 1).unwrap(),
        Packer::Lz4 => {
            let blocks = bytes.chunks(8 << 20).flat_map(|block| {
                let packed = lz4_flex::block::compress(block);
                [&(packed.len() as u32).to_le_bytes()[..], &packed].concat()
            });
            [0x02, 0x21, 0x4c, 0x18].into_iter().chain(blocks).collect()
        }
    };
    packed.extend(size);
    packed
}

/// A bzImage with this kernel inside.
pub(in crate::kernel) fn bzimage_with(kernel: &[u8]) -> Vec<u8> {
    bzimage(&pack(Packer::Zstd, kernel))
}

/// A bzImage with this payload.
fn bzimage(payload: &[u8]) -> Vec<u8> {
    let mut image = empty_bzimage("6.1.0-test");
    let at = image.len();
    image.extend(payload);
    image.resize(image.len().next_multiple_of(16), 0);
    let setup = 512 * 3;
    let paragraphs = ((image.len() - setup) / 16) as u32;
    image[0x1f4..0x1f8].copy_from_slice(&paragraphs.to_le_bytes());
    image[0x248..0x24c].copy_from_slice(&((at - setup) as u32).to_le_bytes());
    image[0x24c..0x250].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    image
}

#[test]
fn vmlinux_is_extracted_for_every_compressor() {
    let kernel = kernel();
    for how in ALL {
        let image = bzimage(&pack(how, &kernel));
        assert_eq!(vmlinux(&image).unwrap(), kernel, "{how:?}");
        // A signature is appended to the image.
        assert_eq!(vmlinux(&[&image[..], &[7; 1000]].concat()).unwrap(), kernel, "{how:?}");
    }
    assert_eq!(vmlinux(&bzimage(&kernel)).unwrap(), kernel);
}

#[test]
fn packed_vmlinux_is_extracted_and_other_files_are_named() {
    let kernel = kernel();
    let mut gzip = pack(Packer::Gzip, &kernel);
    assert_eq!(vmlinux(&gzip).unwrap(), kernel);
    gzip.truncate(1000);
    assert!(matches!(vmlinux(&gzip), Err(NoVmlinux::Broken { how: "gzip", .. })));
    // An image packed twice, and one for another processor (arm64's `Image.gz`).
    let twice = pack(Packer::Gzip, &bzimage(&pack(Packer::Xz, &kernel)));
    assert_eq!(vmlinux(&twice).unwrap(), kernel);
    let arm64 = pack(Packer::Gzip, &[&[0; 0x38][..], b"ARM\x64", &[0; 100]].concat());
    let other = vmlinux(&arm64).map(|_| ()).map_err(|error| error.to_string());
    assert_eq!(other, Err("expected an x86-64 kernel image, found a kernel for arm64".to_owned()));
    let other = vmlinux(&pack(Packer::Gzip, b"something else")).map(|_| ()).map_err(|error| error.to_string());
    assert!(other.as_ref().is_err_and(|told| told.contains("a gzip file")), "{other:?}");
}

#[test]
fn payload_unlike_its_header_is_rejected() {
    let kernel = kernel();
    let changed = |at: usize, bytes: &[u8]| {
        let mut image = bzimage(&pack(Packer::Gzip, &kernel));
        image[at..at + bytes.len()].copy_from_slice(bytes);
        vmlinux(&image).map(|_| ()).unwrap_err()
    };
    assert!(matches!(changed(0x206, &[7, 2]), NoVmlinux::OldProtocol(0x0207)));
    assert!(matches!(changed(0x248, &[0xff; 4]), NoVmlinux::Outside { .. }));
    assert!(matches!(changed(0x24c, &[0xff; 4]), NoVmlinux::Outside { .. }));
    let payload = empty_bzimage("").len();
    assert!(matches!(changed(payload, b"\x89LZO"), NoVmlinux::Unsupported("lzo")));
    assert!(matches!(changed(payload, b"abcd"), NoVmlinux::UnknownFormat(_)));
    assert!(matches!(changed(payload + 2, &[9]), NoVmlinux::Broken { how: "gzip", .. }));

    for how in ALL {
        // Promised sizes: too small, too large, and larger than any kernel.
        let packed = pack(how, &kernel);
        let end = packed.len() - 4;
        let promising = |size: u32| bzimage(&[&packed[..end], &size.to_le_bytes()].concat());
        for size in [kernel.len() as u32 - 1, kernel.len() as u32 + 1] {
            assert!(vmlinux(&promising(size)).is_err(), "{how:?} {size}");
        }
        assert!(matches!(vmlinux(&promising(u32::MAX)), Err(NoVmlinux::TooLarge(_))), "{how:?}");
        // It ends early.
        let cut = [&packed[..end / 2], &packed[end..]].concat();
        assert!(vmlinux(&bzimage(&cut)).is_err(), "{how:?}");
    }
    assert!(matches!(vmlinux(&bzimage(&pack(Packer::Xz, b"not a kernel"))), Err(NoVmlinux::NotElf)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_payload_makes_the_reader_panic(which in 0..ALL.len(), keep in 0..40_usize, bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut packed = pack(ALL[which], b"\x7fELF and more");
        packed.truncate(keep);
        packed.extend(&bytes);
        // The promised size is small, so a larger claim is detected.
        packed.extend([200, 0, 0, 0]);
        let _ = vmlinux(&bzimage(&packed));
        let _ = vmlinux(&packed);
    }
}
