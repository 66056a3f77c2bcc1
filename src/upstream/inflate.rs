//! Decompresses an answer piece by piece.
//!
//! We ask for `identity`, but a few upstreams compress anyway. Pieces are bounded, so that a small answer that inflates
//! to gigabytes is met by the reader's own limits long before it fills the memory.

use std::io::{self, Write};

use bytes::{Buf, Bytes};
use flate2::write::{MultiGzDecoder, ZlibDecoder};

/// Compressed bytes that are taken in one step. Deflate grows data at most 1032 times, so a piece stays near 1 MiB.
const STEP: usize = 1024;

/// A decoder and what it has not yet decoded.
pub(super) struct Inflate {
    decoder: Decoder,
    pending: Bytes,
}

enum Decoder {
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Deflate(Box<ZlibDecoder<Vec<u8>>>),
}

impl Inflate {
    pub(super) fn gzip() -> Self {
        Self { decoder: Decoder::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))), pending: Bytes::new() }
    }

    /// HTTP's `deflate` is the zlib format. Source: RFC 9110 section 8.4.1.2.
    pub(super) fn deflate() -> Self {
        Self { decoder: Decoder::Deflate(Box::new(ZlibDecoder::new(Vec::new()))), pending: Bytes::new() }
    }

    /// Takes compressed bytes; call it only when [`next_piece`](Self::next_piece) had none left.
    pub(super) fn push(&mut self, compressed: Bytes) {
        self.pending = compressed;
    }

    /// The next decompressed piece of what was pushed. Nothing is held back: the decoder is flushed at each step, so
    /// that an event of a stream comes out as soon as it went in.
    pub(super) fn next_piece(&mut self) -> io::Result<Option<Bytes>> {
        while self.pending.has_remaining() {
            let step = self.pending.split_to(self.pending.len().min(STEP));
            let piece = match &mut self.decoder {
                Decoder::Gzip(decoder) => {
                    decoder.write_all(&step)?;
                    decoder.flush()?;
                    std::mem::take(decoder.get_mut())
                }
                Decoder::Deflate(decoder) => {
                    decoder.write_all(&step)?;
                    decoder.flush()?;
                    std::mem::take(decoder.get_mut())
                }
            };
            if !piece.is_empty() {
                return Ok(Some(piece.into()));
            }
        }
        Ok(None)
    }

    /// Checks that the compressed data was complete.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        match &mut self.decoder {
            Decoder::Gzip(decoder) => decoder.try_finish(),
            Decoder::Deflate(decoder) => decoder.try_finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_comes_out_in_pieces_of_bounded_size() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let zeros = vec![0; 1 << 20];
        for _ in 0..64 {
            encoder.write_all(&zeros).unwrap();
        }
        let compressed: Bytes = encoder.finish().unwrap().into();
        let mut inflate = Inflate::gzip();
        let mut total = 0;
        for chunk in compressed.chunks(8192) {
            inflate.push(Bytes::copy_from_slice(chunk));
            while let Some(piece) = inflate.next_piece().unwrap() {
                assert!(piece.len() <= 2 << 20, "{}", piece.len());
                total += piece.len();
            }
        }
        inflate.finish().unwrap();
        assert_eq!(total, 64 << 20);
    }

    #[test]
    fn an_answer_that_breaks_off_is_noticed() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"data: hello\n\n").unwrap();
        let compressed = encoder.finish().unwrap();
        let mut inflate = Inflate::gzip();
        inflate.push(Bytes::copy_from_slice(&compressed[..compressed.len() - 9]));
        while inflate.next_piece().unwrap().is_some() {}
        assert!(inflate.finish().is_err());
    }
}
