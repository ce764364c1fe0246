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

/// The beginning of a qcow2 of a disk of 64 MiB whose backing file's name stands at `backing`; 0 is no backing file.
pub fn qcow2(backing: u64) -> Bytes {
    let mut image = vec![0; 64 * 1024];
    image[..4].copy_from_slice(b"QFI\xfb");
    image[4..8].copy_from_slice(&3_u32.to_be_bytes());
    image[8..16].copy_from_slice(&backing.to_be_bytes());
    image[24..32].copy_from_slice(&(64_u64 << 20).to_be_bytes());
    image.into()
}
