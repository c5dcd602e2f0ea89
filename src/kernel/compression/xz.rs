//! Decompresses xz with several threads, because this takes most of the time of unpacking a package. The packages have
//! independent blocks.

use std::io::{self, BufRead, BufReader, Read};
use std::thread;

use liblzma::bufread::XzDecoder;
use liblzma::stream::{MtStreamBuilder, Stream};

use super::XZ_MEMORY;

/// Reads concatenated streams, as `xz --decompress` does. The library's decoder reads only one.
pub(super) struct Streams<R: BufRead> {
    /// None after the last one.
    decoder: Option<XzDecoder<R>>,
}

impl<R: Read> Streams<BufReader<R>> {
    pub(super) fn new(input: R) -> io::Result<Self> {
        let input = BufReader::with_capacity(128 << 10, input);
        Ok(Self { decoder: Some(XzDecoder::new_stream(input, stream()?)) })
    }
}

/// A decoder that uses fewer threads for large blocks, to bound its memory.
fn stream() -> io::Result<Stream> {
    let threads = thread::available_parallelism().map_or(1, |n| n.get().min(16) as u32);
    Ok(MtStreamBuilder::new().threads(threads).memlimit_threading(XZ_MEMORY).memlimit_stop(XZ_MEMORY).decoder()?)
}

impl<R: BufRead> Read for Streams<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(decoder) = &mut self.decoder else { return Ok(0) };
            let read = decoder.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let rest = self.decoder.take().map(XzDecoder::into_inner);
            self.decoder = rest.map(next).transpose()?.flatten();
        }
    }
}

/// The decoder of the next stream. Zeros may separate the streams, in multiples of four (The .xz File Format, section
/// 2.2).
fn next<R: BufRead>(mut rest: R) -> io::Result<Option<XzDecoder<R>>> {
    let mut padding = 0_u64;
    loop {
        let bytes = rest.fill_buf()?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let is_end = bytes.is_empty();
        let is_all = zeros == bytes.len();
        rest.consume(zeros);
        padding += zeros as u64;
        if is_all && !is_end {
            continue;
        }
        if !padding.is_multiple_of(4) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the padding behind an xz stream is broken"));
        }
        return if is_end { Ok(None) } else { Ok(Some(XzDecoder::new_stream(rest, stream()?))) };
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// Compresses in blocks that can be decompressed in parallel.
    fn blocks(bytes: &[u8]) -> Vec<u8> {
        let stream = MtStreamBuilder::new().threads(1).preset(1).block_size(64 << 10).encoder().unwrap();
        let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        Streams::new(packed)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn noise(length: usize) -> Vec<u8> {
        (0..length as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 20) as u8).collect()
    }

    #[test]
    fn xz_keeps_the_order_of_blocks_and_streams() {
        let bytes = noise(1 << 20);
        let packed = blocks(&bytes);
        assert_eq!(unpacked(&packed).unwrap(), bytes);
        let two = [&packed[..], &[0; 8], &blocks(b"more"), &[0; 4]].concat();
        assert_eq!(unpacked(&two).unwrap(), [&bytes[..], b"more"].concat());
        let single = liblzma::encode_all(&bytes[..], 1).unwrap();
        assert_eq!(unpacked(&single).unwrap(), bytes);
    }

    #[test]
    fn xz_rejects_cut_damaged_or_trailing_data() {
        let bytes = noise(200 << 10);
        let packed = blocks(&bytes);
        for length in (1..packed.len()).step_by(997).chain([packed.len() - 1]) {
            assert!(unpacked(&packed[..length]).is_err(), "cut to {length} of {}", packed.len());
        }
        for at in (0..packed.len()).step_by(1009) {
            let mut damaged = packed.clone();
            damaged[at] ^= 0x10;
            assert!(unpacked(&damaged).map_or(true, |found| found == bytes), "byte {at} flipped");
        }
        for behind in [&b"tar"[..], &[0; 3], &[0, 0, 0, 0, 1]] {
            assert!(unpacked(&[&packed[..], behind].concat()).is_err(), "{behind:?}");
        }
    }
}
