//! Little that stands for much, and much that stands for nothing.

use flate2::{Compress, Compression, FlushCompress};

use super::super::worker::{Next, PIECE, Worker};
use super::super::{Error, MIB, Packing, UnpackBounds};
use super::round_trips::bzip2;

/// Feeds a beginning and then the same again and again; the error that ends it, what came out, and what went in.
fn feed_endlessly(start: &[u8], again: &[u8], bounds: UnpackBounds) -> (Error, u64, u64) {
    let packing = Packing::of(&[start, again].concat()).unwrap();
    let mut worker = Worker::new(packing, bounds).unwrap();
    worker.feed([start.to_vec().into()], false);
    let again = bytes::Bytes::from(again.repeat(65536 / again.len() + 1));
    let (mut given, mut fed) = (0, start.len() as u64);
    loop {
        match worker.work() {
            Ok(piece) => {
                given += piece.bytes.len() as u64;
                if piece.next == Next::Input {
                    fed += again.len() as u64;
                    worker.feed([again.clone()], false);
                }
            }
            Err(e) => return (e, given, fed),
        }
    }
}

/// A MiB of zeros in deflated blocks that end on a byte, and so can stand behind each other.
fn deflated_zeros() -> Vec<u8> {
    let mut packed = Vec::with_capacity(4096);
    Compress::new(Compression::best(), false)
        .compress_vec(&vec![0; MIB as usize], &mut packed, FlushCompress::Full)
        .unwrap();
    assert!(packed.len() < 2000);
    packed
}

const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];

#[test]
fn endless_zeros_in_gzip_end_at_the_size_cap() {
    let cap = 512 * MIB;
    let bounds = UnpackBounds::within(cap);
    let (e, given, fed) = feed_endlessly(&GZIP_HEADER, &deflated_zeros(), bounds);
    assert!(
        matches!(e, Error::TooLarge { packing: Packing::Gzip, most_bytes } if most_bytes == cap),
        "{e}"
    );
    assert!(given <= cap && given > cap - MIB, "{given}");
    // A thousandth, and what was fed ahead.
    assert!(fed < cap / 900 + 2 * 65536, "{fed}");
}

#[test]
fn endless_zeros_in_zstd_end_at_the_ratio() {
    // A window of 128 KiB, and blocks of as many times the same byte, four bytes each.
    let start = b"\x28\xb5\x2f\xfd\x00\x38";
    let block = b"\x02\x00\x10\x00";
    let (e, given, fed) = feed_endlessly(start, block, UnpackBounds::within(1 << 40));
    let most = UnpackBounds::MOST_RATIO;
    assert!(
        matches!(e, Error::Ratio { packing: Packing::Zstd, most_ratio } if most_ratio == most),
        "{e}"
    );
    assert!(given <= UnpackBounds::RATIO_FROM + MIB, "{given}");
    assert!(fed < MIB, "{fed}");
}

#[test]
fn endless_zeros_in_bzip2_end_at_the_ratio() {
    let stream = bzip2(&vec![0; 4 * MIB as usize]);
    assert!(stream.len() < 100);
    let (e, given, _) = feed_endlessly(&[], &stream, UnpackBounds::within(1 << 40));
    assert!(
        matches!(
            e,
            Error::Ratio {
                packing: Packing::Bzip2,
                ..
            }
        ),
        "{e}"
    );
    assert!(given <= UnpackBounds::RATIO_FROM + MIB, "{given}");
}

#[test]
fn zeros_are_let_through_up_to_the_ratio() {
    let stream = bzip2(&vec![0; 16 * MIB as usize]);
    let unpacked = super::unpack(&stream.repeat(3)).unwrap();
    assert_eq!(unpacked.len() as u64, 48 * MIB);
}

#[test]
fn endless_data_that_stands_for_nothing_ends_at_the_size_cap() {
    let empty_member = super::round_trips::gzip(b"");
    let empty_frame = b"\x28\xb5\x2f\xfd\x00\x38\x01\x00\x00";
    let skipped_frame = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd";
    let member = super::round_trips::gzip(b"a");
    let cases: [(&[u8], &[u8]); 5] = [
        (&[], &empty_member),
        (&member, b"\0"),
        (&[], empty_frame),
        (empty_frame, skipped_frame),
        // A name without an end.
        (&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3], b"name"),
    ];
    for (start, again) in cases {
        let (e, given, fed) = feed_endlessly(start, again, UnpackBounds::within(MIB));
        assert!(matches!(e, Error::TooLarge { .. }), "{e}");
        assert!(given <= 1 && fed < 3 * MIB, "{given} {fed}");
    }
}

#[test]
fn endless_streams_of_bzip2_without_data_end_soon_and_those_of_zeros_do_not() {
    for stream in [bzip2(b""), bzip2(b"a")] {
        let (e, _, fed) = feed_endlessly(&[], &stream, UnpackBounds::within(1 << 40));
        assert!(
            matches!(
                e,
                Error::Unsupported {
                    packing: Packing::Bzip2,
                    ..
                }
            ),
            "{e}"
        );
        assert!(fed < 3 * 65536, "{fed}");
    }
    let stream = bzip2(&[0; 4096]);
    let unpacked = super::unpack(&stream.repeat(3000)).unwrap();
    assert_eq!(unpacked.len(), 3000 * 4096);
}

#[test]
fn a_turn_of_a_worker_makes_one_piece_whatever_it_was_fed() {
    let mut worker = Worker::new(Packing::Gzip, UnpackBounds::within(u64::MAX)).unwrap();
    // A GiB of zeros.
    let packed = [&GZIP_HEADER[..], &deflated_zeros().repeat(1024)].concat();
    worker.feed([packed.into()], false);
    for _ in 0..5 {
        let piece = worker.work().unwrap();
        assert_eq!(piece.bytes.len(), PIECE);
        assert_eq!(piece.next, Next::More);
    }
}
