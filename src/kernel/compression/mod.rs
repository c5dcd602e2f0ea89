//! Decompresses packages and modules, up to the reader's limit.

mod xz;

use std::error::Error;
use std::io::{self, Read};

use liblzma::stream::{CONCATENATED, Stream};

/// The compression of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Xz,
    /// The format before xz, as `xz --format=lzma` writes it.
    Lzma,
    Gzip,
    Bzip2,
    Zstd,
}

impl Compression {
    /// The compression of a file, by its first bytes; none if it isn't compressed, or by an unknown compressor.
    pub(crate) fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            [b'B', b'Z', b'h', ..] => Some(Self::Bzip2),
            _ => None,
        }
    }
}

/// Memory that an xz stream may need: `xz -9` needs 65 MiB, and kernels are not compressed with more.
pub(super) const XZ_MEMORY: u64 = 192 << 20;
/// Larger files (packages, but not modules) are unpacked by all processors.
const MANY_THREADS: u64 = 32 << 20;
/// The largest zstd window, as a power of two: the window of `zstd --ultra -22`.
const ZSTD_WINDOW_LOG: u32 = 27;

/// The content exceeds the limit.
#[derive(Debug, thiserror::Error)]
#[error("it unpacks to more than {0} bytes")]
struct Bomb(u64);

/// The limit for the content of `compressed` bytes of a package. Kernel packages unpack to 3 to 6 times their size, but
/// xz and zstd reach several thousand times with zeros.
pub(super) fn bound(compressed: u64) -> u64 {
    compressed.saturating_mul(50).saturating_add(64 << 20).min(8 << 30)
}

/// Decompresses `input`; reading more than `limit` bytes is an error for which [`is_bomb`] holds.
pub(crate) fn reader<'a>(how: Compression, input: impl Read + 'a, limit: u64) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match how {
        Compression::None => Box::new(Bounded { inner: input, left: limit, limit }),
        // Starting threads takes longer than unpacking a small file.
        Compression::Xz if limit > MANY_THREADS => {
            Box::new(Bounded { inner: xz::Streams::new(input)?, left: limit, limit })
        }
        Compression::Xz | Compression::Lzma => {
            let stream = match how {
                Compression::Xz => Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED)?,
                _ => Stream::new_lzma_decoder(XZ_MEMORY)?,
            };
            let inner = liblzma::read::XzDecoder::new_stream(input, stream);
            Box::new(Bounded { inner, left: limit, limit })
        }
        Compression::Gzip => Box::new(Bounded { inner: flate2::read::MultiGzDecoder::new(input), left: limit, limit }),
        Compression::Bzip2 => Box::new(Bounded { inner: bzip2::read::MultiBzDecoder::new(input), left: limit, limit }),
        Compression::Zstd => {
            let mut inner = zstd::Decoder::new(input)?;
            inner.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(Bounded { inner, left: limit, limit })
        }
    })
}

/// Decompresses all of `input`, at most `limit` bytes.
pub(super) fn decompress(how: Compression, input: &[u8], limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader(how, input, limit)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether the error, or one of its causes, is an exceeded limit.
pub(super) fn is_bomb(error: &io::Error) -> bool {
    let mut cause = error.get_ref().map(|e| e as &(dyn Error + 'static));
    while let Some(error) = cause {
        if error.is::<Bomb>() {
            return true;
        }
        // An io::Error's own source skips the error that it holds.
        cause = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    false
}

struct Bounded<R> {
    inner: R,
    left: u64,
    limit: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| io::Error::other(Bomb(self.limit)))?;
        Ok(read)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use liblzma::stream::{LzmaOptions, Stream};
    use proptest::prelude::*;

    use super::*;

    /// The same bytes, compressed.
    pub fn compress(how: Compression, bytes: &[u8]) -> Vec<u8> {
        match how {
            Compression::None => bytes.to_vec(),
            Compression::Xz => liblzma::encode_all(bytes, 1).unwrap(),
            Compression::Lzma => {
                let stream = Stream::new_lzma_encoder(&LzmaOptions::new_preset(1).unwrap()).unwrap();
                let mut packed = Vec::new();
                liblzma::read::XzEncoder::new_stream(bytes, stream).read_to_end(&mut packed).unwrap();
                packed
            }
            Compression::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Zstd => zstd::encode_all(bytes, 1).unwrap(),
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    const ALL: [Compression; 6] = [
        Compression::None,
        Compression::Xz,
        Compression::Lzma,
        Compression::Gzip,
        Compression::Bzip2,
        Compression::Zstd,
    ];

    #[test]
    fn decompression_round_trips_and_stops_at_the_limit() {
        let bytes = vec![7; 100_000];
        for how in ALL {
            let packed = compress(how, &bytes);
            assert_eq!(decompress(how, &packed, 100_000).unwrap(), bytes, "{how:?}");
            // The old format starts with its parameters and has no magic number.
            let told = Some(how).filter(|how| !matches!(how, Compression::None | Compression::Lzma));
            assert_eq!(Compression::of(&packed), told, "{how:?}");
            let error = decompress(how, &packed, 99_999).unwrap_err();
            assert!(is_bomb(&error), "{how:?}: {error}");
        }
    }

    #[test]
    fn truncated_stream_is_an_error_at_every_length() {
        let bytes: Vec<u8> = (0..=255).cycle().take(2000).collect();
        for how in ALL.into_iter().filter(|how| *how != Compression::None) {
            let packed = compress(how, &bytes);
            // Some read no bytes as an empty stream; packages and modules are never empty.
            for length in 1..packed.len() {
                let result = decompress(how, &packed[..length], 1 << 20);
                assert!(result.is_err(), "{how:?} cut to {length} of {}", packed.len());
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_decompressor_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), which in 0..6usize) {
            let mut input = compress(ALL[which], b"head");
            input.truncate(12);
            input.extend(bytes);
            let _ = decompress(ALL[which], &input, 1 << 20);
        }
    }
}
