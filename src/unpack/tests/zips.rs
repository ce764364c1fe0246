//! Archives that are not one file, or do not say the same in all places.

use super::super::Error;
use super::{small, unpack};

const PLAIN: &[u8] = include_bytes!("../fixtures/zip.zip");
const STORED: &[u8] = include_bytes!("../fixtures/zip-stored.zip");
const DESCRIPTOR: &[u8] = include_bytes!("../fixtures/zip-descriptor.zip");
const ZIP64: &[u8] = include_bytes!("../fixtures/zip-zip64.zip");

const HEADER: &[u8] = b"PK\x03\x04";
const AFTER: &[u8] = b"PK\x07\x08";
const ENTRY: &[u8] = b"PK\x01\x02";
const END64: &[u8] = b"PK\x06\x06";
const LOCATOR: &[u8] = b"PK\x06\x07";
const END: &[u8] = b"PK\x05\x06";

fn find(archive: &[u8], signature: &[u8]) -> usize {
    let mut windows = archive.windows(signature.len());
    windows.position(|it| it == signature).unwrap()
}

/// An archive with other bytes at a place of a record.
fn with(archive: &[u8], signature: &[u8], offset: usize, bytes: &[u8]) -> Vec<u8> {
    let at = find(archive, signature) + offset;
    let mut archive = archive.to_vec();
    archive[at..at + bytes.len()].copy_from_slice(bytes);
    archive
}

/// An archive with other bytes where a record begins: in front of it, or instead of so many bytes.
fn spliced(archive: &[u8], signature: &[u8], instead_of: usize, bytes: &[u8]) -> Vec<u8> {
    let at = find(archive, signature);
    [&archive[..at], bytes, &archive[at + instead_of..]].concat()
}

fn message(archive: &[u8]) -> String {
    unpack(archive).unwrap_err().to_string()
}

#[test]
fn an_archive_of_two_files_is_refused() {
    for archive in [
        &include_bytes!("../fixtures/zip-two.zip")[..],
        include_bytes!("../fixtures/zip-two-descriptor.zip"),
    ] {
        let refusal = unpack(archive).unwrap_err();
        assert!(matches!(refusal, Error::MoreThanOneFile), "{refusal}");
    }
    // One that is named twice.
    let entry = &PLAIN[find(PLAIN, ENTRY)..find(PLAIN, END)];
    let refusal = unpack(&spliced(PLAIN, END, 0, entry)).unwrap_err();
    assert!(matches!(refusal, Error::MoreThanOneFile), "{refusal}");
}

#[test]
fn an_archive_with_a_password_is_refused() {
    let refusal = unpack(include_bytes!("../fixtures/zip-encrypted.zip")).unwrap_err();
    assert!(matches!(refusal, Error::Encrypted), "{refusal}");
    for flags in [[1, 0], [0x40, 0], [0, 0x20]] {
        let refusal = unpack(&with(PLAIN, HEADER, 6, &flags)).unwrap_err();
        assert!(matches!(refusal, Error::Encrypted), "{refusal}");
    }
    let refusal = unpack(&with(PLAIN, ENTRY, 8, &[1, 0])).unwrap_err();
    assert!(matches!(refusal, Error::Encrypted), "{refusal}");
}

#[test]
fn what_is_not_unpacked_here_is_refused() {
    for (archive, why) in [
        (
            include_bytes!("../fixtures/zip-stored-descriptor.zip").to_vec(),
            "its file is stored, and its length unknown",
        ),
        (
            with(PLAIN, HEADER, 6, &[0x20, 0]),
            "it is a patch to another file",
        ),
        (
            with(PLAIN, HEADER, 8, &[12, 0]),
            "its file is neither deflated nor stored",
        ),
        (with(PLAIN, HEADER, 34, b"/"), "it holds a directory"),
    ] {
        assert_eq!(
            message(&archive),
            format!("the zip data cannot be unpacked: {why}")
        );
    }
}

#[test]
fn records_that_say_something_else_than_the_data_are_errors() {
    let crc = "the checksum of its file is another";
    let length = "its file has another length than its header says";
    let longer = "its file is longer than its header says";
    let two_lengths = "its file is stored with two lengths";
    let descriptor = "the checksum or the length of its file is another, or nothing tells them";
    let entry = "its directory says something else than the file";
    let end = "its directory is not as its end says";
    let between = "there is something between its records";
    for (archive, why) in [
        (with(PLAIN, HEADER, 14, b"crc!"), crc),
        (with(STORED, HEADER, 14, b"crc!"), crc),
        // Packed lengths of one more and one less, and one unpacked.
        (with(PLAIN, HEADER, 18, &[0xdc]), length),
        (with(PLAIN, HEADER, 18, &[0xda]), longer),
        (with(PLAIN, HEADER, 22, &[0x71]), length),
        (with(STORED, HEADER, 22, &[0xbd]), two_lengths),
        (with(DESCRIPTOR, AFTER, 4, b"crc!"), descriptor),
        (with(DESCRIPTOR, AFTER, 8, b"long"), descriptor),
        (with(DESCRIPTOR, AFTER, 12, b"long"), descriptor),
        (with(PLAIN, ENTRY, 10, &[0, 0]), entry),
        (with(PLAIN, ENTRY, 16, b"crc!"), entry),
        (with(PLAIN, ENTRY, 20, b"long"), entry),
        (with(PLAIN, ENTRY, 24, b"long"), entry),
        (with(PLAIN, ENTRY, 42, b"away"), entry),
        (with(PLAIN, ENTRY, 46, b"another"), entry),
        (with(PLAIN, END, 4, &[1]), end),
        (with(PLAIN, END, 8, &[2]), end),
        (with(PLAIN, END, 10, &[0xff, 0xff]), end),
        (with(PLAIN, END, 12, b"long"), end),
        (with(PLAIN, END, 16, b"away"), end),
        (with(ZIP64, END64, 24, &[2]), end),
        (with(ZIP64, END64, 32, &[2]), end),
        (with(ZIP64, END64, 40, b"long"), end),
        (with(ZIP64, END64, 48, b"away"), end),
        (
            with(ZIP64, LOCATOR, 8, b"away"),
            "its directory ends elsewhere than it says",
        ),
        (
            spliced(ZIP64, LOCATOR, 20, b""),
            "the end of its directory is said nowhere",
        ),
        (spliced(PLAIN, ENTRY, 0, b"a few bytes"), between),
        (spliced(PLAIN, END, 0, b"a few bytes"), between),
        (spliced(PLAIN, ENTRY, 46 + 5, b""), between),
        (spliced(ZIP64, END64, 56, b""), between),
        (spliced(DESCRIPTOR, AFTER, 16, b""), descriptor),
    ] {
        assert_eq!(message(&archive), format!("the zip data is damaged: {why}"));
    }
}

#[test]
fn a_descriptor_may_be_without_its_signature() {
    let short = spliced(DESCRIPTOR, AFTER, 4, b"");
    let offset = u32::try_from(find(&short, ENTRY)).unwrap().to_le_bytes();
    let whole = with(&short, END, 16, &offset);
    assert_eq!(unpack(&whole).unwrap().len(), 6000);
}

#[test]
fn the_directory_may_have_what_says_nothing_about_the_data() {
    // Who made it, when, and how it looked on a disk.
    let archive = with(STORED, ENTRY, 4, b"\x17");
    let archive = with(&archive, ENTRY, 12, b"time");
    let archive = with(&archive, ENTRY, 36, b"access");
    assert_eq!(unpack(&archive).unwrap(), small());
}
