//! What encoders pack comes out as it went in.

use std::io::Write;

use proptest::prelude::*;
use zstd_safe::CompressionLevel;

use super::super::UnpackBounds;
use super::{CAP, unpack_in};

pub(super) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn bzip2(data: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn xz(data: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zstd(data: &[u8]) -> Vec<u8> {
    let mut packed = vec![0; zstd_safe::compress_bound(data.len())];
    let length = zstd_safe::compress(&mut packed[..], data, CompressionLevel::default());
    packed.truncate(length.unwrap());
    packed
}

/// Runs of one byte, and bytes that repeat nothing.
fn data() -> impl Strategy<Value = Vec<u8>> {
    let run = (any::<u8>(), 0..40_000_usize).prop_map(|(byte, length)| vec![byte; length]);
    let noise = prop::collection::vec(any::<u8>(), 0..2000);
    prop::collection::vec(prop_oneof![run, noise], 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn data_comes_out_as_it_went_in(
        first in data(),
        second in data(),
        fed in 1..3000_usize,
        given in 1..9000_usize,
    ) {
        let both = [first.clone(), second.clone()].concat();
        for pack in [gzip, xz, zstd, bzip2] {
            let packed = [pack(&first), pack(&second)].concat();
            let unpacked = unpack_in(&packed, fed, given, UnpackBounds::within(CAP)).unwrap();
            prop_assert!(unpacked == both);
        }
    }
}

proptest! {
    #[test]
    fn whatever_follows_a_beginning_ends(
        start in prop::sample::select(vec![
            &b"\x1f\x8b\x08"[..],
            b"\xfd7zXZ\0",
            b"\x28\xb5\x2f\xfd",
            b"BZh9\x31\x41\x59\x26\x53\x59",
            b"PK\x03\x04",
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..3000),
        fed in 1..500_usize,
    ) {
        // Whatever comes of it, nothing breaks and it comes to an end.
        let _ = unpack_in(&[start, &rest].concat(), fed, 100, UnpackBounds::within(1 << 20));
    }
}
