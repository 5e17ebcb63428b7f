//! Compression of a record's value by its producer, beside Kafka's own of a batch: gzip, zstd and
//! snappy, told by the bytes that each begins with.
//!
//! What a value may grow to has a limit, because a few kilobytes can hold gigabytes.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;

use super::DecodeError;
use crate::dead_letter::ReasonKind;

/// The most that a value may be when it is decompressed.
const MOST: usize = 16 * 1024 * 1024;
/// Room beyond this is given back: large messages are seldom.
const KEPT: usize = 1024 * 1024;
/// zstd's window, as a power of two: what its specification recommends that every reader can hold.
const WINDOW: u32 = 23;

const GZIP: &[u8] = &[0x1F, 0x8B];
const ZSTD: &[u8] = &[0x28, 0xB5, 0x2F, 0xFD];
/// The framing format's stream identifier.
const FRAMED: &[u8] = b"\xFF\x06\x00\x00sNaPpY";
/// Of xerial's snappy-java: magic, its version, and the oldest version that reads it.
const XERIAL: &[u8] = b"\x82SNAPPY\x00";
const XERIAL_HEADER: usize = 16;

/// Where a value is decompressed to. Used again from record to record.
#[derive(Debug)]
pub struct Decompressed {
    plain: Vec<u8>,
    most: usize,
}

impl Default for Decompressed {
    fn default() -> Self {
        Self { plain: Vec::new(), most: MOST }
    }
}

impl Decompressed {
    /// The value as it was before it was compressed; as it is, if it doesn't begin like any of the formats.
    ///
    /// # Errors
    /// When it begins so and is broken, or has more than 16 MiB.
    pub fn open<'a>(&'a mut self, payload: &'a [u8]) -> Result<&'a [u8], DecodeError> {
        // No text begins so.
        if !matches!(payload.first(), Some(0x1F | 0x28 | 0x82 | 0xFF)) {
            return Ok(payload);
        }
        self.begin();
        if payload.starts_with(GZIP) {
            self.fill("gzip", MultiGzDecoder::new(payload))?;
        } else if payload.starts_with(ZSTD) {
            let decoder = zstd::Decoder::new(payload).and_then(|mut decoder| {
                decoder.window_log_max(WINDOW)?;
                Ok(decoder)
            });
            self.fill("zstd", decoder.map_err(|error| broken("zstd", &error))?)?;
        } else if payload.starts_with(FRAMED) {
            self.fill("snappy", snap::read::FrameDecoder::new(payload))?;
        } else if payload.starts_with(XERIAL) && payload.len() >= XERIAL_HEADER {
            self.xerial(&payload[XERIAL_HEADER..])?;
        } else {
            return Ok(payload);
        }
        Ok(&self.plain)
    }

    fn begin(&mut self) {
        self.plain.clear();
        self.plain.shrink_to(KEPT);
    }

    fn fill(&mut self, what: &str, from: impl Read) -> Result<(), DecodeError> {
        let read = from.take(self.most as u64 + 1).read_to_end(&mut self.plain);
        let length = read.map_err(|error| broken(what, &error))?;
        if length > self.most { Err(self.too_large()) } else { Ok(()) }
    }

    /// Blocks, each with its length in front.
    fn xerial(&mut self, mut rest: &[u8]) -> Result<(), DecodeError> {
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            let (block, after) = after.split_at_checked(length).ok_or_else(cut_off)?;
            rest = after;
            let (start, plain) = (self.plain.len(), snap::raw::decompress_len(block));
            let plain = plain.map_err(|error| broken("snappy", &error))?;
            if start + plain > self.most {
                return Err(self.too_large());
            }
            self.plain.resize(start + plain, 0);
            let decompressed =
                snap::raw::Decoder::new().decompress(block, &mut self.plain[start..]);
            decompressed.map_err(|error| broken("snappy", &error))?;
        }
        if rest.is_empty() { Ok(()) } else { Err(cut_off()) }
    }

    fn too_large(&self) -> DecodeError {
        let most = self.most >> 20;
        DecodeError::new(format!("the value has more than {most} MiB when it is decompressed"))
            .of_kind(ReasonKind::TooLarge)
    }
}

/// A value that is one whole block of snappy, which has no bytes of its own to begin with. `None` when it
/// can't be one.
pub(super) fn snappy_block(payload: &[u8]) -> Option<Vec<u8>> {
    let length = snap::raw::decompress_len(payload).ok().filter(|length| *length <= MOST)?;
    let mut plain = vec![0; length];
    let written = snap::raw::Decoder::new().decompress(payload, &mut plain).ok()?;
    (written == length).then_some(plain)
}

fn broken(what: &str, error: &dyn std::fmt::Display) -> DecodeError {
    DecodeError::new(format!("the value begins as {what} and can't be decompressed: {error}"))
}

fn cut_off() -> DecodeError {
    broken("snappy", &"a block is cut off")
}

#[cfg(test)]
#[path = "compression_tests.rs"]
mod tests;
