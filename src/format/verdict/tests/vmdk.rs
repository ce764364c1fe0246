//! VMDK: what is one file, and what leads to others.

use super::*;

#[test]
fn vmdk_of_a_single_file_is_accepted() {
    for sample in [
        samples::vmdk("monolithicSparse"),
        samples::vmdk("streamOptimized"),
        samples::vmdk_with_footer(),
    ] {
        for version in 1..=3u32 {
            let footer_at = SAMPLE_BYTES - 1024;
            let mut sample = Sample(sample.0.clone()).with(4, &version.to_le_bytes());
            if sample.0[footer_at] != 0 {
                sample = sample.with(footer_at + 4, &version.to_le_bytes());
            }
            expect_all(
                &sample,
                &[
                    ("vmdk", Size(DISK_BYTES)),
                    ("raw", RAW_SIZE),
                    ("qcow2", Mismatch("vmdk")),
                ],
            );
        }
    }
}

#[test]
fn vmdk_that_leads_elsewhere_is_refused() {
    let good = || samples::vmdk("monolithicSparse");
    let text = |kind: &str| Sample(samples::vmdk_descriptor(kind).into_bytes());
    let spelt = |with: &str| {
        let text = samples::vmdk_descriptor("monolithicFlat");
        Sample(
            text.replace("createType=\"monolithicFlat\"", with)
                .into_bytes(),
        )
    };
    let padded = Sample::zeros(2 << 20)
        .with(0, b"# ")
        .with(2, &[b'x'; 8000])
        .with(8002, b"\ncreatetype=\"vmfs\"");
    for sample in [
        samples::vmdk("monolithicFlat"),
        samples::vmdk("twoGbMaxExtentSparse"),
        // The extent of a split disk: no descriptor inside.
        good().with(512, &[0; 1024]),
        good().with(28, &[0; 16]),
        good().with(36, &[0; 8]),
        good().with(36, &[0xff; 8]),
        good().with(28, &2u64.to_le_bytes()),
        good().with(4, &[0; 4]),
        // Readers take everything from the descriptor then.
        good().with(12, &[0; 8]),
        // No end within the sectors that hold it.
        good()
            .with(36, &1u64.to_le_bytes())
            .with(900, &[b'#'; 124])
            .with(
                512 + samples::vmdk_descriptor("monolithicSparse").len(),
                &[b'#'; 400],
            ),
        good().with(4, &4u32.to_le_bytes()),
        Sample(good().0[..2000].to_vec()),
        text("monolithicFlat"),
        text("twoGbMaxExtentSparse"),
        text("monolithicSparse"),
        spelt("createType \"monolithicFlat\""),
        spelt("createType:\"monolithicFlat\""),
        spelt("createTypexxmonolithicFlat\""),
        Sample(b"version=1\n".to_vec()),
        Sample(b"#\n# a\n   \nversion=2\r\nRW 1 FLAT \"a\" 0\n".to_vec()),
        Sample(text("vmfs").0.repeat(2)).with(4096, &[0]),
        padded,
    ] {
        expect_all(
            &sample,
            &[
                ("vmdk", Unsafe(Check::Descriptor)),
                ("raw", Unsafe(Check::Descriptor)),
            ],
        );
    }
}

#[test]
fn vmdk_keyword_counts_before_the_first_zero_only() {
    let hidden = Sample::zeros(SAMPLE_BYTES)
        .with(0, b"text")
        .with(5, b"createType=\"monolithicFlat\"");
    expect(&hidden, &STRICT, "raw", RAW_SIZE);
    let distant =
        Sample(vec![b' '; (1 << 20) - 1]).with((1 << 20) - 1, b"createType=\"monolithicFlat\"");
    expect(&distant, &STRICT, "vmdk", Mismatch("raw"));
    let last =
        Sample(vec![b' '; (1 << 20) - 12]).with((1 << 20) - 12, b"CREATETYPE=\"monolithicFlat\"");
    expect(&last, &STRICT, "raw", Unsafe(Check::Descriptor));
}

#[test]
fn vmdk_footer_has_to_repeat_the_header() {
    let footer = SAMPLE_BYTES - 1536;
    // The last bytes are as they should be, and readers that count whole sectors see others.
    let whole = samples::vmdk_with_footer();
    let mut unaligned = Sample(whole.0[..footer].to_vec()).with(footer, &[0; 100]);
    unaligned.0.extend_from_slice(&whole.0[footer..]);
    for sample in [
        samples::vmdk_with_footer().with(footer + 8, &[1]),
        samples::vmdk_with_footer().with(footer + 12, &[2]),
        samples::vmdk_with_footer().with(footer + 511, &[1]),
        samples::vmdk_with_footer().with(footer + 512, b"COWD"),
        samples::vmdk_with_footer().with(footer + 516, &[2]),
        samples::vmdk_with_footer().with(footer + 524, &(2 * DISK_BYTES / 512).to_le_bytes()),
        unaligned,
        samples::vmdk_with_footer().with(footer + 540, &[7]),
        samples::vmdk_with_footer().with(footer + 548, &[7]),
        samples::vmdk_with_footer().with(footer + 568, &[0xff; 8]),
        samples::vmdk_with_footer().with(footer + 1024, &[1]),
        samples::vmdk_with_footer().with(footer + 1535, &[1]),
        samples::vmdk_with_footer().with(SAMPLE_BYTES, &[0]),
        Sample(samples::vmdk_with_footer().0[..512 + 20 * 512 + 1535].to_vec()),
    ] {
        expect_all(
            &sample,
            &[
                ("vmdk", Unsafe(Check::Footer)),
                ("raw", Unsafe(Check::Footer)),
            ],
        );
    }
}
