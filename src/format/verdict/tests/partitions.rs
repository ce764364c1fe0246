//! Boot sectors: what is a disk with partitions, what is a file system, what can be neither.

use super::*;

type Entries = [(usize, samples::Entry)];

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
            gpt_safety_checks_nonfatal: vec![GptCheck::Mbr],
            ..STRICT
        };
        expect_all_with(&sample, &waive_all, RAW_SIZE);
        let waive_protective = Rules {
            gpt_safety_checks_nonfatal: vec![GptCheck::GptMbr],
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
fn expect_all_with(sample: &Sample, rules: &Rules, answer: Answer) {
    for claimed in ["raw", "gpt"] {
        expect(sample, rules, claimed, answer);
    }
}

#[test]
fn waived_checks_of_partitions_waive_nothing_else() {
    let rules = Rules {
        gpt_safety_checks_nonfatal: vec![GptCheck::Mbr, GptCheck::GptMbr],
        ..STRICT
    };
    expect(&samples::qed(), &rules, "raw", Unsafe(Check::Banned));
}

#[test]
fn boot_sectors_of_file_systems_are_raw() {
    let parameters: &[u8] = &[0, 2, 1, 1, 0, 2, 224, 0, 64, 11, 0xf0, 9, 0];
    let large: &[u8] = &[0, 2, 8, 32, 0, 1, 0, 0, 0, 0, 0xf8, 0, 0];
    for sample in [
        samples::fat(),
        samples::boot_sector(&[(3, b"NTFS    ")]),
        samples::boot_sector(&[(3, b"EXFAT   ")]),
        samples::boot_sector(&[(3, b"OS2 20.0"), (54, b"HPFS    ")]),
        samples::boot_sector(&[(3, b"MSDOS5.0"), (11, parameters)]),
        samples::boot_sector(&[(0, &[0xe9, 0, 0]), (11, parameters)]),
        samples::boot_sector(&[(11, large), (32, &[0, 0, 1, 0]), (82, b"FAT32   ")]),
    ] {
        expect_all(&sample, &[("raw", RAW_SIZE), ("gpt", Mismatch("raw"))]);
    }
    for sample in [
        samples::boot_sector(&[]),
        samples::boot_sector(&[(0, b"FAT"), (3, b"NTFS    ")]),
        samples::boot_sector(&[(11, parameters), (11, &[1])]),
        samples::boot_sector(&[(11, parameters), (19, &[0, 0])]),
        samples::boot_sector(&[(11, parameters), (21, &[0xf1])]),
    ] {
        expect(&sample, &STRICT, "raw", Unsafe(Check::Mbr));
    }
}
