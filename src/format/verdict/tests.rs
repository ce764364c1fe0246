//! Each row of the contract's outcomes, and the edges between them.

use super::*;
use crate::format::Inspection;
use crate::format::samples::{self, DISK_BYTES, SAMPLE_BYTES, Sample};

mod partitions;
mod vmdk;

const STRICT: Rules = Rules::STRICT;
const LENIENT: Rules = Rules {
    require_match: false,
    gpt_safety_checks_nonfatal: Vec::new(),
    allow_extended_l2: false,
};
const RAW_SIZE: Answer = Size(SAMPLE_BYTES as u64);

/// What a case expects, short enough for a table.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Answer {
    Size(u64),
    NoSize,
    Mismatch(&'static str),
    Several(&'static str),
    Unsafe(Check),
}
use Answer::{Mismatch, NoSize, Several, Size, Unsafe};

#[track_caller]
fn expect(sample: &Sample, rules: &Rules, claimed: &str, answer: Answer) {
    let mut inspection = Inspection::new();
    inspection.feed(&sample.0);
    let verdict = judge(&inspection.finish(), claimed, rules);
    let sentence = verdict.as_ref().map_err(Refusal::to_string);
    match (answer, &verdict) {
        (Size(bytes), _) => assert_eq!(sentence, Ok(&Some(bytes)), "{claimed}"),
        (NoSize, _) => assert_eq!(sentence, Ok(&None), "{claimed}"),
        (Mismatch(detected), _) => {
            let expected =
                format!("Image disk_format {claimed} does not match stream data {detected}");
            assert_eq!(sentence, Err(expected));
        }
        (Several(names), _) => assert_eq!(
            sentence,
            Err(format!("Multiple formats detected: {names}")),
            "{claimed}"
        ),
        (Unsafe(expected), Err(Refusal::Unsafe { check, .. })) => {
            assert_eq!(
                (*check, sentence),
                (expected, Err("Image failed safety checks".to_owned())),
                "{claimed}"
            );
        }
        (Unsafe(expected), _) => panic!("{claimed}: expected {expected} to fail, got {verdict:?}"),
    }
}

#[track_caller]
fn expect_all(sample: &Sample, cases: &[(&str, Answer)]) {
    for &(claimed, answer) in cases {
        expect(sample, &STRICT, claimed, answer);
    }
}

#[test]
fn qcow2_is_accepted_as_itself_and_as_raw() {
    // Bit 3 is the compression type: zstd.
    for sample in [
        samples::qcow2(2),
        samples::qcow2(3),
        samples::qcow2_with_features(0b1000),
    ] {
        expect_all(&sample, &[("qcow2", Size(DISK_BYTES)), ("raw", RAW_SIZE)]);
        expect_all(
            &sample,
            &[
                ("ami", Mismatch("qcow2")),
                ("iso", Mismatch("qcow2")),
                ("ploop", Mismatch("qcow2")),
            ],
        );
    }
}

#[test]
fn unsafe_qcow2_is_refused_as_itself_and_as_raw() {
    let cases = [
        (
            samples::qcow2(3).with(8, &4096u64.to_be_bytes()),
            Check::BackingFile,
        ),
        (
            samples::qcow2(2).with(8, &4096u64.to_be_bytes()),
            Check::BackingFile,
        ),
        (samples::qcow2_with_features(0b100), Check::DataFile),
        // Extended L2 entries.
        (samples::qcow2_with_features(0b1_0000), Check::ExtendedL2),
        (
            samples::qcow2_with_features(1 << 63),
            Check::UnknownFeatures,
        ),
        (samples::qcow2(1), Check::UnknownFeatures),
        (samples::qcow2(4), Check::UnknownFeatures),
    ];
    for (sample, check) in cases {
        expect_all(
            &sample,
            &[
                ("qcow2", Unsafe(check)),
                ("raw", Unsafe(check)),
                ("iso", Mismatch("qcow2")),
            ],
        );
    }
}

#[test]
fn qcow2_of_version_2_has_no_feature_bits() {
    let sample = samples::qcow2(2).with(72, &u64::MAX.to_be_bytes());
    expect(&sample, &STRICT, "qcow2", Size(DISK_BYTES));
}

#[test]
fn zeros_are_raw() {
    let zeros = Sample::zeros(SAMPLE_BYTES);
    expect_all(
        &zeros,
        &[
            ("raw", RAW_SIZE),
            ("ami", NoSize),
            ("ploop", NoSize),
            ("vendor-disk", NoSize),
        ],
    );
    for claimed in [
        "qcow2", "iso", "vhd", "vhdx", "vmdk", "vdi", "gpt", "luks", "qed",
    ] {
        expect(&zeros, &STRICT, claimed, Mismatch("raw"));
    }
}

#[test]
fn a_stream_without_bytes_is_kept() {
    for claimed in ["raw", "qcow2", "ami"] {
        expect(&Sample::zeros(0), &STRICT, claimed, NoSize);
    }
}

#[test]
fn extended_l2_is_kept_where_the_site_says_so() {
    let rules = Rules {
        allow_extended_l2: true,
        ..STRICT
    };
    let extended = samples::qcow2_with_features(0b1_0000);
    expect(&extended, &rules, "qcow2", Size(DISK_BYTES));
    let and_more = samples::qcow2_with_features(0b11_0000);
    expect(&and_more, &rules, "qcow2", Unsafe(Check::UnknownFeatures));
}

#[test]
fn a_magic_is_the_format_at_any_length() {
    let cases: [(Sample, usize, usize, Check); 9] = [
        (samples::qcow2(3), 4, 512, Check::Truncated),
        (samples::qcow2(1), 4, 512, Check::Truncated),
        // The magic ends in a zero, which readers add.
        (samples::qed(), 3, 512, Check::Banned),
        (samples::vhd(), 8, 512, Check::Truncated),
        (
            samples::vhdx(),
            8,
            samples::METADATA_AT + (64 << 10) + 8,
            Check::Truncated,
        ),
        (
            samples::vmdk("monolithicSparse"),
            4,
            10_752,
            Check::Descriptor,
        ),
        (Sample(b"COWD".to_vec()), 4, 5, Check::Banned),
        (samples::vdi(), 68, 512, Check::Truncated),
        (samples::luks(1), 6, 592, Check::Truncated),
    ];
    for (sample, shortest, whole, check) in cases {
        let sample = Sample::zeros(whole).with(0, &sample.0[..whole.min(sample.0.len())]);
        for length in [shortest, (shortest + whole) / 2, whole - 1] {
            let short = Sample(sample.0[..length].to_vec());
            for claimed in ["raw", "ami", "qcow2", "vmdk"] {
                expect_refused(&short, claimed);
            }
            expect(&short, &STRICT, "raw", Unsafe(check));
        }
        let shorter = Sample(sample.0[..shortest - 1].to_vec());
        expect(&shorter, &STRICT, "raw", Size(shortest as u64 - 1));
    }
}

#[track_caller]
fn expect_refused(sample: &Sample, claimed: &str) {
    let mut inspection = Inspection::new();
    inspection.feed(&sample.0);
    let verdict = judge(&inspection.finish(), claimed, &STRICT);
    assert!(verdict.is_err(), "{claimed}: {verdict:?}");
}

/// Whether tables lead behind the end or to nothing depends on where the stream ends.
#[track_caller]
fn expect_unsafe(sample: &Sample, claimed: &str, checks: &[Check]) {
    let mut inspection = Inspection::new();
    inspection.feed(&sample.0);
    match judge(&inspection.finish(), claimed, &STRICT) {
        Err(Refusal::Unsafe { check, .. }) => assert!(checks.contains(&check), "{check}"),
        verdict => panic!("{claimed}: {verdict:?}"),
    }
}

#[test]
fn what_ends_before_its_descriptors_is_raw() {
    for (sample, length) in [
        (samples::mbr(&[(0, samples::linux())]), 511),
        (samples::iso(), (34 << 10) - 1),
    ] {
        let short = Sample(sample.0[..length].to_vec());
        expect_all(
            &short,
            &[("qcow2", Mismatch("raw")), ("raw", Size(length as u64))],
        );
    }
    let sector = Sample(samples::mbr(&[(0, samples::linux())]).0[..512].to_vec());
    expect(&sector, &STRICT, "gpt", Size(512));
}

#[test]
fn vhd_is_as_large_as_it_is_now() {
    expect_all(
        &samples::vhd(),
        &[
            ("vhd", Size(DISK_BYTES)),
            ("raw", RAW_SIZE),
            ("vhdx", Mismatch("vhd")),
        ],
    );
    let expanded = samples::vhd().with(40, &(DISK_BYTES / 2).to_be_bytes());
    expect(&expanded, &STRICT, "vhd", Size(DISK_BYTES));
    // 1024 cylinders of 16 heads and 63 sectors: what counts for Virtual PC.
    let geometry = samples::vhd()
        .with(28, b"vpc ")
        .with(56, &[0x04, 0x00, 16, 63]);
    expect(&geometry, &STRICT, "vhd", Size(1024 * 16 * 63 * 512));
    let largest = geometry.with(56, &[0xff, 0xff, 16, 255]);
    expect(&largest, &STRICT, "vhd", Size(DISK_BYTES));
}

#[test]
fn differencing_disks_are_refused() {
    let vhd = samples::vhd().with(60, &4u32.to_be_bytes());
    expect(&vhd, &STRICT, "vhd", Unsafe(Check::Parent));
    let vdi = samples::vdi().with(440, &[7]);
    expect(&vdi, &STRICT, "vdi", Unsafe(Check::Parent));
    let locator = *b"\x2d\x5f\xd3\xa8\x0b\xb3\x4d\x45\xab\xf7\xd3\xd8\x48\x34\xab\x0c";
    let vhdx = samples::vhdx().with(samples::METADATA_AT + 32, &locator);
    expect(&vhdx, &STRICT, "vhdx", Unsafe(Check::Parent));
}

#[test]
fn fixed_vhd_is_what_its_record_claims() {
    let bytes = SAMPLE_BYTES as u64;
    expect_all(
        &samples::fixed_vhd(),
        &[
            ("vhd", Size(bytes)),
            ("raw", Size(bytes + 512)),
            ("vhdx", Mismatch("raw")),
        ],
    );
    let partitioned =
        samples::fixed_vhd().with(0, &samples::mbr(&[(0, samples::linux())]).0[..512]);
    expect(&partitioned, &STRICT, "vhd", Size(bytes));
    let odd = samples::fixed_vhd().with(0, &samples::mbr(&[]).0[..512]);
    expect(&odd, &STRICT, "vhd", Unsafe(Check::Mbr));
    let at = SAMPLE_BYTES;
    for other in [
        // Of another type, of more than there is, followed by a byte.
        samples::fixed_vhd().with(at + 60, &3u32.to_be_bytes()),
        samples::fixed_vhd().with(at + 48, &(bytes + 512).to_be_bytes()),
        samples::fixed_vhd().with(at + 512, &[0]),
    ] {
        expect(&other, &STRICT, "vhd", Mismatch("raw"));
    }
    let inside = samples::fixed_vhd().with(0, &samples::qcow2(3).0[..512]);
    expect(&inside, &STRICT, "vhd", Mismatch("qcow2"));
}

#[test]
fn vhdx_is_accepted_when_its_tables_lead_to_a_size() {
    let stream_bytes = samples::vhdx().0.len() as u64;
    expect_all(
        &samples::vhdx(),
        &[
            ("vhdx", Size(DISK_BYTES)),
            ("raw", Size(stream_bytes)),
            ("vhd", Mismatch("vhdx")),
        ],
    );
}

#[test]
fn vhdx_with_malformed_tables_is_refused() {
    let (regions, metadata) = (samples::REGION_TABLE_AT, samples::METADATA_AT);
    for broken in [
        samples::vhdx().with(regions, b"igeR"),
        samples::vhdx().with(regions + 8, &0u32.to_le_bytes()),
        samples::vhdx().with(regions + 8, &1u32.to_le_bytes()),
        samples::vhdx().with(regions + 8, &2048u32.to_le_bytes()),
        samples::vhdx().with(regions + 64, &0u64.to_le_bytes()),
        samples::vhdx().with(regions + 64, &u64::MAX.to_le_bytes()),
        samples::vhdx().with(metadata, b"metadatum"),
        samples::vhdx().with(metadata + 10, &2u16.to_le_bytes()),
        samples::vhdx().with(metadata + 10, &u16::MAX.to_le_bytes()),
        samples::vhdx().with(metadata + 112, &32u32.to_le_bytes()),
        samples::vhdx().with(metadata + 112, &u32::MAX.to_le_bytes()),
        // Tables that overlap others.
        samples::vhdx().with(metadata + 112, &4096u32.to_le_bytes()),
        samples::vhdx()
            .with(regions + 64, &(200u64 << 10).to_le_bytes())
            .with(200 << 10, &samples::vhdx().0[metadata..metadata + 128])
            .with(264 << 10, &DISK_BYTES.to_le_bytes()),
        samples::vhdx().with(metadata + 116, &4u32.to_le_bytes()),
    ] {
        for claimed in ["vhdx", "raw"] {
            expect_unsafe(&broken, claimed, &[Check::Malformed, Check::Truncated]);
        }
        expect(&broken, &STRICT, "ami", Mismatch("vhdx"));
    }
}

#[test]
fn vdi_is_accepted() {
    expect_all(
        &samples::vdi(),
        &[
            ("vdi", Size(DISK_BYTES)),
            ("raw", RAW_SIZE),
            ("vhd", Mismatch("vdi")),
        ],
    );
}

#[test]
fn qed_is_never_accepted() {
    expect_all(
        &samples::qed(),
        &[
            ("raw", Unsafe(Check::Banned)),
            ("qed", Unsafe(Check::Banned)),
        ],
    );
}

#[test]
fn luks_is_accepted_in_versions_1_and_2() {
    let payload = Size(SAMPLE_BYTES as u64 - 8 * 512);
    expect_all(
        &samples::luks(1),
        &[
            ("raw", RAW_SIZE),
            ("luks", payload),
            ("qcow2", Mismatch("luks")),
        ],
    );
    expect_all(
        &samples::luks(3),
        &[
            ("raw", Unsafe(Check::Version)),
            ("luks", Unsafe(Check::Version)),
        ],
    );
    expect_all(&samples::luks(2), &[("raw", RAW_SIZE), ("luks", NoSize)]);
    let beyond = samples::luks(1).with(104, &[0xff; 4]);
    expect(&beyond, &STRICT, "luks", NoSize);
}

#[test]
fn plain_iso_is_accepted_as_itself_and_as_raw() {
    expect_all(
        &samples::iso(),
        &[
            ("iso", Size(DISK_BYTES)),
            ("raw", RAW_SIZE),
            ("qcow2", Mismatch("iso")),
        ],
    );
    for udf in [b"NSR02", b"NSR03"] {
        let sample = Sample::zeros(SAMPLE_BYTES).with((32 << 10) + 1, udf);
        expect_all(&sample, &[("iso", NoSize), ("raw", RAW_SIZE)]);
    }
}

#[test]
fn hybrid_iso_is_an_iso_only() {
    for boot_record in [
        samples::mbr(&[(0, samples::linux())]),
        samples::mbr(&[(1, samples::partition(3, [0; 3], 0, 0))]),
    ] {
        let hybrid = samples::iso().with(0, &boot_record.0[..512]);
        expect_all(
            &hybrid,
            &[("iso", Size(DISK_BYTES)), ("raw", Several("iso,gpt"))],
        );
        expect_all(
            &hybrid,
            &[
                ("gpt", Mismatch("iso")),
                ("qcow2", Mismatch("iso")),
                ("ami", Mismatch("iso")),
            ],
        );
        expect(&hybrid, &LENIENT, "raw", NoSize);
    }
}

#[test]
fn kernels_are_kernels() {
    let kernel = samples::boot_sector(&[(0, b"MZ"), (0x202, b"HdrS")]);
    expect_all(&kernel, &[("aki", NoSize), ("raw", RAW_SIZE)]);
    let loader = samples::boot_sector(&[(0, b"MZ")]);
    expect(&loader, &STRICT, "aki", Mismatch("gpt"));
}

#[test]
fn udf_alone_is_a_disc_and_a_disk() {
    for spacing in [2048, 4096] {
        let udf = || samples::udf(spacing);
        expect_all(&udf(), &[("iso", NoSize), ("raw", RAW_SIZE)]);
        let with_mbr = udf().with(0, &samples::mbr(&[(0, samples::linux())]).0[..512]);
        expect_all(&with_mbr, &[("iso", NoSize), ("raw", RAW_SIZE)]);
        let other = udf().with((32 << 10) + spacing + 1, b"TEA01");
        expect(&other, &STRICT, "iso", Mismatch("raw"));
    }
}

#[test]
fn what_leads_elsewhere_is_refused_in_every_container() {
    let judged = |sample: &Sample| {
        let mut inspection = Inspection::new();
        inspection.feed(&sample.0);
        judge_wrapped(&inspection.finish(), &STRICT).is_ok()
    };
    for sample in [
        samples::qcow2(3).with(8, &[1]),
        samples::qcow2(1),
        Sample(samples::qcow2(2).0[..80].to_vec()),
        samples::qed(),
        samples::vmdk("monolithicFlat"),
        Sample(samples::vmdk_descriptor("monolithicFlat").into_bytes()),
        // Of several formats, one of which is unsafe.
        samples::qcow2(3).with(8, &[1]).with(32 << 10, b"\x01CD001"),
    ] {
        assert!(!judged(&sample));
    }
    for sample in [
        Sample::zeros(SAMPLE_BYTES),
        samples::qcow2(3),
        samples::vmdk("streamOptimized"),
        samples::iso().with(0, &samples::qcow2(3).0[..512]),
        samples::mbr(&[]),
        Sample::zeros(0),
    ] {
        assert!(judged(&sample));
    }
}

#[test]
fn polyglots_are_refused_under_any_claim() {
    let with_iso = samples::qcow2(3).with(32 << 10, b"\x01CD001");
    let with_mbr = samples::qcow2(3)
        .with(510, &[0x55, 0xaa])
        .with(446, &samples::linux());
    for claimed in ["raw", "qcow2", "iso", "gpt", "ami"] {
        expect(&with_iso, &STRICT, claimed, Several("qcow2,iso"));
        expect(&with_mbr, &STRICT, claimed, Several("qcow2,gpt"));
    }
    expect(&with_iso, &LENIENT, "qcow2", NoSize);
    expect(
        &with_iso.with(8, &[1]),
        &LENIENT,
        "qcow2",
        Unsafe(Check::BackingFile),
    );
}

#[test]
fn without_required_match_only_unsafe_content_is_refused() {
    expect(&samples::qcow2(3), &LENIENT, "qcow2", Size(DISK_BYTES));
    expect(&samples::qcow2(3), &LENIENT, "iso", NoSize);
    expect(&Sample::zeros(SAMPLE_BYTES), &LENIENT, "qcow2", NoSize);
    expect(
        &samples::qcow2(1),
        &LENIENT,
        "iso",
        Unsafe(Check::UnknownFeatures),
    );
    expect(&samples::qed(), &LENIENT, "ami", Unsafe(Check::Banned));
}

#[test]
fn sizes_nobody_can_hold_are_unknown() {
    expect(
        &samples::qcow2(3).with(24, &[0; 8]),
        &STRICT,
        "qcow2",
        NoSize,
    );
    expect(
        &samples::qcow2(3).with(24, &[0xff; 8]),
        &STRICT,
        "qcow2",
        NoSize,
    );
    expect(
        &samples::vmdk("monolithicSparse").with(12, &[0xff; 8]),
        &STRICT,
        "vmdk",
        NoSize,
    );
}
