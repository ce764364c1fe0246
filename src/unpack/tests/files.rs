//! Files that real programs have packed: whole, in pieces, broken off, damaged, with something behind them.

use super::super::{Error, Packing, UnpackBounds};
use super::{CAP, image, small, unpack, unpack_in};

/// A file that is unpacked whole.
struct File {
    name: &'static str,
    packed: &'static [u8],
    packing: Packing,
    unpacked: Vec<u8>,
    /// Of the places before its end where it may break off, how many are an end as well: those between streams.
    ends: usize,
    /// Whether its format checks the data.
    is_checked: bool,
}

macro_rules! file {
    ($name:literal, $packing:ident, $unpacked:expr, $ends:expr) => {
        file!($name, $packing, $unpacked, $ends, true)
    };
    ($name:literal, $packing:ident, $unpacked:expr, $ends:expr, $is_checked:expr) => {
        File {
            name: $name,
            packed: include_bytes!(concat!("../fixtures/", $name)),
            packing: Packing::$packing,
            unpacked: $unpacked,
            ends: $ends,
            is_checked: $is_checked,
        }
    };
}

fn files() -> Vec<File> {
    let twice = [image(), image()].concat();
    let byte = |n: u32| if n % 60_000 < 200 { n as u8 } else { 0 };
    let of_pbzip2 = (0..240_000).map(byte).collect();
    vec![
        file!("gzip.gz", Gzip, image(), 0),
        // After two members, and after the third with each number of zeros but all.
        file!("gzip-members-zeros.gz", Gzip, twice.clone(), 2 + 300),
        file!("xz.xz", Xz, image(), 0),
        // After the first with three lengths of padding, and after the two others.
        file!("xz-streams-padding.xz", Xz, twice.clone(), 3 + 2),
        file!("xz-no-check.xz", Xz, image(), 0, false),
        file!("zstd.zst", Zstd, image(), 0),
        file!("zstd-frames.zst", Zstd, twice.clone(), 2, false),
        file!("zstd-pzstd.zst", Zstd, image(), 0),
        file!("bzip2.bz2", Bzip2, image(), 0),
        file!("bzip2-streams.bz2", Bzip2, twice, 2),
        file!("bzip2-pbzip2.bz2", Bzip2, of_pbzip2, 2),
        file!("zip.zip", Zip, image(), 0),
        file!("zip-stored.zip", Zip, small(), 0),
        file!("zip-stored-stream.zip", Zip, small(), 0),
        file!("zip-comment.zip", Zip, small(), 0),
        file!("zip-descriptor.zip", Zip, image(), 0),
        file!("zip-stdin.zip", Zip, image(), 0),
        file!("zip-descriptor-zip64.zip", Zip, image(), 0),
        file!("zip-zip64.zip", Zip, image(), 0),
    ]
}

#[test]
fn files_of_real_programs_are_unpacked_however_they_are_cut() {
    for file in files() {
        let name = file.name;
        assert_eq!(Packing::of(file.packed), Some(file.packing), "{name}");
        for (fed, given) in [
            (usize::MAX, 1 << 20),
            (1, 1 << 20),
            (usize::MAX, 1),
            (1, 1),
            (2, 3),
            (13, 4096),
        ] {
            let unpacked = unpack_in(file.packed, fed, given, UnpackBounds::within(CAP)).unwrap();
            assert!(unpacked == file.unpacked, "{name} in {fed} to {given}");
        }
    }
}

#[test]
fn files_are_unpacked_when_they_come_in_two_pieces_cut_anywhere() {
    for file in files() {
        for at in 1..file.packed.len() {
            let bounds = UnpackBounds::within(CAP);
            let mut worker = super::Worker::with_pieces(file.packing, bounds, 1 << 20).unwrap();
            worker.feed([file.packed[..at].to_vec().into()], false);
            let mut unpacked = worker.work().unwrap().bytes.to_vec();
            worker.feed([file.packed[at..].to_vec().into()], true);
            unpacked.extend_from_slice(&worker.work().unwrap().bytes);
            assert!(unpacked == file.unpacked, "{} at {at}", file.name);
        }
    }
}

#[test]
fn a_file_that_breaks_off_anywhere_has_no_clean_end() {
    for file in files() {
        let mut ends = 0;
        let is_told = |length: &usize| Packing::of(&file.packed[..*length]).is_some();
        for length in (1..file.packed.len()).filter(is_told) {
            match unpack(&file.packed[..length]) {
                Ok(unpacked) => {
                    assert!(file.unpacked.starts_with(&unpacked), "{}", file.name);
                    ends += 1;
                }
                Err(Error::Truncated(packing)) => assert_eq!(packing, file.packing),
                Err(e) => panic!("{} at {length}: {e}", file.name),
            }
        }
        assert_eq!(ends, file.ends, "{}", file.name);
    }
}

#[test]
fn a_bit_that_has_changed_never_gives_other_data_with_a_clean_end() {
    for file in files().iter().filter(|file| file.is_checked) {
        let mut refused = 0;
        let mut packed = file.packed.to_vec();
        for bit in 0..packed.len() * 8 {
            packed[bit / 8] ^= 1 << (bit % 8);
            if Packing::of(&packed).is_some() {
                match unpack(&packed) {
                    // Names, times and the like.
                    Ok(unpacked) => assert!(unpacked == file.unpacked, "{} {bit}", file.name),
                    Err(_) => refused += 1,
                }
            }
            packed[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(refused > file.packed.len() * 4, "{} {refused}", file.name);
    }
}

#[test]
fn what_follows_packed_data_is_an_error_but_for_zeros_where_the_tools_take_them() {
    for file in files() {
        let name = file.name;
        let followed = |by: &[u8]| unpack(&[file.packed, by].concat());
        for by in [
            &b"x"[..],
            b"something else that is long enough",
            b"\0x",
            b"\0\0\0\0x",
        ] {
            assert!(followed(by).is_err(), "{name} followed by {by:?}");
        }
        let takes_zeros = matches!(file.packing, Packing::Gzip | Packing::Bzip2);
        assert_eq!(followed(&[0; 3]).is_ok(), takes_zeros, "{name}");
        let takes_padding = takes_zeros || file.packing == Packing::Xz;
        assert_eq!(followed(&[0; 512]).is_ok(), takes_padding, "{name}");
        // Except by itself.
        let again = followed(file.packed);
        if file.packing == Packing::Zip || file.name == "gzip-members-zeros.gz" {
            assert!(matches!(again, Err(Error::Trailing(_))), "{name}");
        } else {
            assert!(again.unwrap() == [file.unpacked.clone(), file.unpacked].concat());
        }
    }
}

#[test]
fn a_window_that_is_too_large_is_refused_and_told() {
    let long: [(&[u8], _); 2] = [
        (include_bytes!("../fixtures/xz-window.xz"), Packing::Xz),
        (include_bytes!("../fixtures/zstd-long.zst"), Packing::Zstd),
    ];
    for (packed, packing) in long {
        let refusal = unpack(packed).unwrap_err();
        let most = UnpackBounds::MOST_WINDOW;
        assert!(
            matches!(refusal, Error::Window { packing: it, most_window } if it == packing && most_window == most),
            "{refusal}"
        );
        let bounds = UnpackBounds {
            most_window: 1 << 31,
            ..UnpackBounds::within(CAP)
        };
        assert!(unpack_in(packed, 100, 100, bounds).unwrap() == image());
    }
}

#[test]
fn a_window_as_large_as_may_be_is_taken() {
    // The dictionary of `xz -6` is 8 MiB, and a window of zstd is never less than 1 KiB.
    let file: [(&[u8], u64); 2] = [
        (include_bytes!("../fixtures/xz.xz"), 8 << 20),
        (include_bytes!("../fixtures/zstd.zst"), 1 << 13),
    ];
    for (packed, window) in file {
        let within = |most_window| UnpackBounds {
            most_window,
            ..UnpackBounds::within(CAP)
        };
        assert!(unpack_in(packed, 1, 1, within(window)).unwrap() == image());
        let refusal = unpack_in(packed, 1, 1, within(window / 4)).unwrap_err();
        assert!(matches!(refusal, Error::Window { .. }), "{refusal}");
    }
}

#[test]
fn what_is_not_packed_is_told_from_what_is() {
    for head in [
        &b""[..],
        b"\x1f\x8b",
        b"BZh",
        b"BZh9 is how a text may begin",
        b"BZh0\x31\x41\x59\x26\x53\x59",
        b"QFI\xfb\0\0\0\x03",
        b"PK\x05\x06\0\0\0\0",
        // A frame of LZ4 to be skipped, and one of its own.
        b"\x50\x2a\x4d\x18\x04\0\0\0abcd\x04\x22\x4d\x18",
        b"\x50\x2a\x4d\x18\xff\xff\xff\xff",
        &[0; 512],
    ] {
        assert_eq!(Packing::of(head), None, "{head:?}");
    }
    assert_eq!(Packing::of(b"BZh9\x31\x41"), Some(Packing::Bzip2));
    assert_eq!(Packing::of(b"BZh9\x17\x72\x45"), Some(Packing::Bzip2));
}

#[test]
fn what_is_packed_twice_is_unpacked_once() {
    let inner: &[u8] = include_bytes!("../fixtures/gzip.gz");
    let outer = super::round_trips::gzip(inner);
    assert!(unpack(&outer).unwrap() == inner);
}
