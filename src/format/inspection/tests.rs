//! Slicing, memory and hostile bytes.

use proptest::prelude::*;

use super::*;
use crate::format::samples::{self, Sample};
use crate::format::{Rules, judge};

fn inspect(bytes: &[u8]) -> Findings {
    let mut inspection = Inspection::new();
    inspection.feed(bytes);
    inspection.finish()
}

/// One of each kind, and a few that ask for most.
fn corpus() -> Vec<Sample> {
    let huge_descriptor = samples::vmdk("streamOptimized").with(36, &u64::MAX.to_le_bytes());
    let endless_text = Sample(vec![b'#'; (1 << 20) + 5000]);
    vec![
        Sample::zeros(40_000),
        samples::qcow2(3),
        samples::qed(),
        samples::vhd(),
        samples::vhdx(),
        samples::vmdk("monolithicSparse"),
        samples::vmdk_with_footer(),
        huge_descriptor.with(2 << 20, &[1]),
        endless_text.with((1 << 20) - 20, b"createType="),
        Sample(samples::vmdk_descriptor("monolithicFlat").into_bytes()),
        samples::vdi(),
        samples::iso(),
        samples::mbr(&[(0, samples::protective())]),
        samples::iso().with(0, &samples::mbr(&[(0, samples::linux())]).0[..512]),
        samples::fat(),
        samples::luks(1),
        samples::qcow2(3).with(32 << 10, b"\x01CD001"),
    ]
}

/// Feeds in slices of these sizes, over and over, and holds the memory bound at each.
fn inspect_sliced(bytes: &[u8], sizes: &[usize]) -> Findings {
    let mut inspection = Inspection::new();
    let mut rest = bytes;
    for &size in sizes.iter().cycle() {
        let (slice, after) = rest.split_at(size.min(rest.len()));
        inspection.feed(slice);
        let held = inspection.held_bytes();
        assert!(held <= MEMORY_BOUND_BYTES, "{held} bytes held");
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    inspection.finish()
}

#[test]
fn headers_pass_and_only_the_end_is_kept() {
    for sample in [
        samples::qcow2(3),
        Sample::zeros(40_000),
        samples::iso(),
        samples::vmdk("monolithicSparse"),
    ] {
        let mut inspection = Inspection::new();
        inspection.feed(&sample.0);
        assert_eq!(inspection.held_bytes(), 512);
        inspection.feed(&[0; 24]);
        assert_eq!(inspection.held_bytes(), 512);
        let findings = inspection.finish();
        assert_eq!(findings.bytes(), sample.0.len() as u64 + 24);
        assert_eq!(findings.detected(), inspect(&sample.0).detected());
    }
}

#[test]
fn slices_of_one_byte_change_nothing() {
    for sample in corpus() {
        assert_eq!(inspect_sliced(&sample.0, &[1]), inspect(&sample.0));
    }
}

#[test]
fn the_largest_descriptor_stays_within_the_bound() {
    let sample = samples::vmdk("monolithicSparse")
        .with(36, &u64::MAX.to_le_bytes())
        .with(2 << 20, &[1]);
    let mut inspection = Inspection::new();
    let mut most = 0;
    for slice in sample.0.chunks(999) {
        inspection.feed(slice);
        most = most.max(inspection.held_bytes());
    }
    assert!(
        ((1 << 20) - 1..=MEMORY_BOUND_BYTES).contains(&most),
        "{most} bytes"
    );
    assert_eq!(inspection.finish().detected()[0].failures(), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn findings_do_not_depend_on_slicing(
        which in 0..corpus().len(),
        cut in 0.0..=1.0f64,
        sizes in prop::collection::vec(prop_oneof![0..40usize, 0..1200usize, 0..70_000usize], 1..12),
    ) {
        prop_assume!(sizes.iter().sum::<usize>() > 0);
        let sample = &corpus()[which].0;
        let bytes = &sample[..(sample.len() as f64 * cut) as usize];
        prop_assert_eq!(inspect_sliced(bytes, &sizes), inspect(bytes));
    }

    #[test]
    fn mutated_images_neither_panic_nor_exceed_the_bound(
        which in 0..corpus().len(),
        patches in prop::collection::vec((prop_oneof![0..80usize, 0..1024usize, 190_000..200_000usize,
            (1usize << 20)..(1usize << 20) + 200], prop::collection::vec(any::<u8>(), 1..9)), 0..12),
        sizes in prop::collection::vec(1..70_000usize, 1..6),
    ) {
        let sample = corpus().swap_remove(which);
        let length = sample.0.len();
        let mut bytes = patches.iter().fold(sample, |sample, (at, patch)| sample.with(*at, patch)).0;
        bytes.truncate(length);
        let findings = inspect_sliced(&bytes, &sizes);
        prop_assert_eq!(&findings, &inspect(&bytes));
        let strict = Rules::STRICT;
        let lenient = Rules { require_match: false, ..Rules::STRICT };
        for claimed in ["raw", "qcow2", "vmdk", "vhdx", "ami"] {
            // What passes strictly passes leniently, with the same size.
            if let Ok(size) = judge(&findings, claimed, &strict) {
                prop_assert_eq!(judge(&findings, claimed, &lenient), Ok(size));
            }
        }
    }

    #[test]
    fn random_bytes_neither_panic_nor_depend_on_slicing(
        magic in prop::sample::select(vec![
            &b""[..], b"QFI\xfb\0\0\0\x03", b"QED\0", b"conectix", b"vhdxfile", b"KDMV\x01\0\0\0", b"LUKS\xba\xbe\0\x01",
            b"# Disk DescriptorFile\n",
        ]),
        noise in prop::collection::vec(any::<u8>(), 0..4096),
        sizes in prop::collection::vec(1..700usize, 1..6),
    ) {
        let bytes = [magic, &noise].concat();
        prop_assert_eq!(inspect_sliced(&bytes, &sizes), inspect(&bytes));
    }
}
