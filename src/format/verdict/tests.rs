//! Each row of the contract's outcomes, and the edges between them.

use super::*;
use crate::format::Inspection;
use crate::format::samples::{self, DISK_BYTES, SAMPLE_BYTES, Sample};

mod vmdk;

const STRICT: Rules<'_> = Rules {
    require_match: true,
    gpt_safety_checks_nonfatal: &[],
};
const LENIENT: Rules<'_> = Rules {
    require_match: false,
    gpt_safety_checks_nonfatal: &[],
};
type Entries = [(usize, samples::Entry)];
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
fn expect(sample: &Sample, rules: &Rules<'_>, claimed: &str, answer: Answer) {
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
        (
            samples::qcow2_with_features(0b1_0000),
            Check::UnknownFeatures,
        ),
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
fn what_ends_before_its_header_does_is_not_recognised() {
    for (sample, length) in [
        (samples::qcow2(3), 511),
        (samples::qed(), 511),
        (samples::vmdk("monolithicSparse"), 511),
        (samples::vdi(), 511),
        (samples::mbr(&[(0, samples::linux())]), 511),
        (samples::luks(1), 591),
        (samples::iso(), (34 << 10) - 1),
        (samples::vhdx(), samples::METADATA_AT + (64 << 10) + 7),
        (samples::vhd(), 7),
    ] {
        let short = Sample(sample.0[..length].to_vec());
        expect_all(
            &short,
            &[("qcow2", Mismatch("raw")), ("raw", Size(length as u64))],
        );
    }
}

#[test]
fn vhd_is_known_by_its_cookie_and_refused_without_the_rest() {
    expect_all(
        &samples::vhd(),
        &[
            ("vhd", Size(DISK_BYTES)),
            ("raw", RAW_SIZE),
            ("vhdx", Mismatch("vhd")),
        ],
    );
    for length in [8, 511] {
        let short = Sample(samples::vhd().0[..length].to_vec());
        expect_all(
            &short,
            &[
                ("vhd", Unsafe(Check::Truncated)),
                ("raw", Unsafe(Check::Truncated)),
            ],
        );
    }
}

#[test]
fn fixed_vhd_looks_raw() {
    let fixed = Sample::zeros(SAMPLE_BYTES).with(SAMPLE_BYTES - 512, b"conectix");
    expect_all(&fixed, &[("raw", RAW_SIZE), ("vhd", Mismatch("raw"))]);
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
fn vhdx_with_malformed_tables_is_raw() {
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
        expect(&broken, &STRICT, "vhdx", Mismatch("raw"));
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
fn luks_is_accepted_in_version_1() {
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
        &samples::luks(2),
        &[
            ("raw", Unsafe(Check::Version)),
            ("luks", Unsafe(Check::Version)),
        ],
    );
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
fn partitioned_disks_are_accepted() {
    for sample in [
        samples::mbr(&[(0, samples::protective())]),
        samples::mbr(&[(0, samples::linux())]),
        samples::mbr(&[(3, samples::linux())]),
    ] {
        expect_all(
            &sample,
            &[
                ("raw", RAW_SIZE),
                ("gpt", RAW_SIZE),
                ("vhd", Mismatch("gpt")),
            ],
        );
    }
}

#[test]
fn impossible_partition_tables_are_refused() {
    let flag = samples::partition(0x01, [32, 33, 0], 0x83, 2048);
    let (block, chs) = (
        samples::partition(0, [0, 2, 0], 0xee, 2),
        samples::partition(0, [0, 1, 0], 0xee, 1),
    );
    let cases: [(&Entries, Check); 8] = [
        (&[], Check::Mbr),
        (&[(0, flag)], Check::Mbr),
        (
            &[
                (0, samples::linux()),
                (2, samples::partition(7, [0; 3], 0, 0)),
            ],
            Check::Mbr,
        ),
        (
            &[(0, samples::protective()), (1, samples::linux())],
            Check::GptMbr,
        ),
        (&[(1, samples::protective())], Check::GptMbr),
        (
            &[(0, samples::protective()), (1, samples::protective())],
            Check::GptMbr,
        ),
        (&[(0, block)], Check::GptMbr),
        (&[(0, chs)], Check::GptMbr),
    ];
    for (entries, check) in cases {
        let sample = samples::mbr(entries);
        expect_all(&sample, &[("raw", Unsafe(check)), ("gpt", Unsafe(check))]);

        let waive_all = Rules {
            gpt_safety_checks_nonfatal: &[GptCheck::Mbr],
            ..STRICT
        };
        expect_all_with(&sample, &waive_all, RAW_SIZE);
        let waive_protective = Rules {
            gpt_safety_checks_nonfatal: &[GptCheck::GptMbr],
            ..STRICT
        };
        expect_all_with(
            &sample,
            &waive_protective,
            if check == Check::GptMbr {
                RAW_SIZE
            } else {
                Unsafe(check)
            },
        );
    }
}

#[track_caller]
fn expect_all_with(sample: &Sample, rules: &Rules<'_>, answer: Answer) {
    for claimed in ["raw", "gpt"] {
        expect(sample, rules, claimed, answer);
    }
}

#[test]
fn waived_checks_of_partitions_waive_nothing_else() {
    let rules = Rules {
        gpt_safety_checks_nonfatal: &[GptCheck::Mbr, GptCheck::GptMbr],
        ..STRICT
    };
    expect(&samples::qed(), &rules, "raw", Unsafe(Check::Banned));
}

#[test]
fn fat_boot_sector_is_raw() {
    expect_all(
        &samples::fat(),
        &[("raw", RAW_SIZE), ("gpt", Mismatch("raw"))],
    );
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

#[test]
fn waivable_checks_round_trip() {
    for check in [GptCheck::Mbr, GptCheck::GptMbr] {
        assert_eq!(check.as_str().parse(), Ok(check));
    }
    assert_eq!("banned".parse::<GptCheck>(), Err(UnknownGptCheck));
}
