//! CRC-64/Jones (reflected, no initial value, no final xor), the checksum of RDB files and DUMP payloads.

use std::sync::LazyLock;

use crc_fast::{CrcParams, Digest};

// Making the parameters derives the folding keys of the polynomial, so it is done once.
static JONES: LazyLock<CrcParams> =
    LazyLock::new(|| CrcParams::new("CRC-64/REDIS", 64, 0xad93_d235_94c9_35a9, 0, true, 0, 0xe9c6_d914_c4b8_d9ca));

/// A running checksum. Best fed in pieces of some kilobytes: a call has a fixed cost.
#[derive(Clone)]
pub struct Crc64(Digest);

impl Crc64 {
    /// The checksum of nothing, which is 0.
    pub fn new() -> Self {
        Crc64(Digest::new_with_params(*JONES))
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all bytes so far.
    pub fn value(&self) -> u64 {
        self.0.finalize()
    }
}

impl Default for Crc64 {
    fn default() -> Self {
        Self::new()
    }
}

/// The checksum of `bytes`.
pub fn checksum(bytes: &[u8]) -> u64 {
    let mut crc = Crc64::new();
    crc.update(bytes);
    crc.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_the_nine_digits_is_the_published_check_value() {
        assert_eq!(checksum(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    }

    #[test]
    fn a_text_in_pieces_has_the_checksum_of_the_whole() {
        let text: Vec<u8> = (0..5000u32).map(|i| (i * 7 % 251) as u8).collect();
        // Bit by bit, as the definition says.
        let by_definition = text.iter().fold(0u64, |crc, byte| {
            (0..8).fold(crc ^ u64::from(*byte), |crc, _| {
                (crc >> 1) ^ if crc & 1 == 1 { 0xad93_d235_94c9_35a9_u64.reverse_bits() } else { 0 }
            })
        });
        for cut in [0, 1, 7, 127, 128, 129, 256, 4999, 5000] {
            let mut crc = Crc64::new();
            crc.update(&text[..cut]);
            crc.update(&text[cut..]);
            assert_eq!(crc.value(), by_definition, "cut at {cut}");
        }
    }
}
