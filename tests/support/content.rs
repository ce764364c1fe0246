//! Image data that is computed, not stored: byte N is a function of N, so any range can be checked.

use bytes::Bytes;

/// Byte `n` of every test image. Never a boot signature or a magic number at the places inspectors look.
fn byte(n: u64) -> u8 {
    b'a' + u8::try_from((n ^ (n >> 8) ^ (n >> 16) ^ (n >> 24)) % 26).unwrap_or_default()
}

/// Bytes `from` to `from + length` of the endless image.
pub fn slice(from: u64, length: u64) -> Bytes {
    (from..from + length).map(byte).collect()
}

/// The first `length` bytes.
pub fn bytes(length: u64) -> Bytes {
    slice(0, length)
}
