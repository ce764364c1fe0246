//! Crafted images for the tests: the least that each format is recognised by.

/// A stream of zeros with patches.
pub(super) struct Sample(pub(super) Vec<u8>);

impl Sample {
    pub(super) fn zeros(length: usize) -> Self {
        Sample(vec![0; length])
    }

    /// Overwrites, growing if need be.
    pub(super) fn with(mut self, at: usize, bytes: &[u8]) -> Self {
        self.0.resize(self.0.len().max(at + bytes.len()), 0);
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }
}

/// Size of the disk inside every sample that states one, bytes.
pub(super) const DISK_BYTES: u64 = 64 << 20;
/// Length of most samples, bytes.
pub(super) const SAMPLE_BYTES: usize = 48 << 10;

pub(super) fn qcow2(version: u32) -> Sample {
    Sample::zeros(SAMPLE_BYTES)
        .with(0, b"QFI\xfb")
        .with(4, &version.to_be_bytes())
        .with(24, &DISK_BYTES.to_be_bytes())
}

/// Version 3 with these incompatible features.
pub(super) fn qcow2_with_features(features: u64) -> Sample {
    qcow2(3).with(72, &features.to_be_bytes())
}

pub(super) fn qed() -> Sample {
    Sample::zeros(SAMPLE_BYTES).with(0, b"QED\0")
}

pub(super) fn vhd() -> Sample {
    Sample::zeros(SAMPLE_BYTES)
        .with(0, b"conectix")
        .with(28, b"win ")
        .with(48, &DISK_BYTES.to_be_bytes())
        .with(60, &3u32.to_be_bytes())
}

/// A disk of zeros and the footer of a fixed VHD after it.
pub(super) fn fixed_vhd() -> Sample {
    let disk_bytes = SAMPLE_BYTES as u64;
    let footer = vhd()
        .with(48, &disk_bytes.to_be_bytes())
        .with(60, &2u32.to_be_bytes());
    Sample::zeros(SAMPLE_BYTES).with(SAMPLE_BYTES, &footer.0[..512])
}

/// Offset of the metadata region in [`vhdx`].
pub(super) const METADATA_AT: usize = 1 << 20;
/// Offset of the region table in [`vhdx`].
pub(super) const REGION_TABLE_AT: usize = 192 << 10;

pub(super) fn vhdx() -> Sample {
    let metadata_region = *b"\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e";
    let virtual_disk_size = *b"\x24\x42\xa5\x2f\x1b\xcd\x76\x48\xb2\x11\x5d\xbe\xd8\x3b\xf4\xb8";
    Sample::zeros(METADATA_AT + (128 << 10))
        .with(0, b"vhdxfile")
        .with(REGION_TABLE_AT, b"regi")
        .with(REGION_TABLE_AT + 8, &2u32.to_le_bytes())
        .with(REGION_TABLE_AT + 48, &metadata_region)
        .with(REGION_TABLE_AT + 64, &(METADATA_AT as u64).to_le_bytes())
        .with(METADATA_AT, b"metadata")
        .with(METADATA_AT + 10, &3u16.to_le_bytes())
        .with(METADATA_AT + 96, &virtual_disk_size)
        .with(METADATA_AT + 112, &(64u32 << 10).to_le_bytes())
        .with(METADATA_AT + 116, &8u32.to_le_bytes())
        .with(METADATA_AT + (64 << 10), &DISK_BYTES.to_le_bytes())
}

pub(super) fn vmdk_descriptor(kind: &str) -> String {
    format!(
        "# Disk DescriptorFile\nversion=1\nCID=c0ffee00\nparentCID=ffffffff\ncreateType=\"{kind}\"\n\n\
        # Extent description\nRW 131072 SPARSE \"disk.vmdk\"\n\n# The Disk Data Base\n#DDB\n\nddb.adapterType = \"ide\"\n"
    )
}

fn vmdk_header(directory_sector: u64) -> Sample {
    Sample::zeros(512)
        .with(0, b"KDMV")
        .with(4, &1u32.to_le_bytes())
        .with(12, &(DISK_BYTES / 512).to_le_bytes())
        .with(28, &1u64.to_le_bytes())
        .with(36, &20u64.to_le_bytes())
        .with(56, &directory_sector.to_le_bytes())
}

pub(super) fn vmdk(kind: &str) -> Sample {
    Sample::zeros(SAMPLE_BYTES)
        .with(0, &vmdk_header(21).0)
        .with(512, vmdk_descriptor(kind).as_bytes())
}

/// As VMware exports disks: the grain directory and a second header at the end.
pub(super) fn vmdk_with_footer() -> Sample {
    let footer = SAMPLE_BYTES - 1536;
    vmdk("streamOptimized")
        .with(0, &vmdk_header(u64::MAX).0)
        .with(footer, &1u64.to_le_bytes())
        .with(footer + 12, &3u32.to_le_bytes())
        .with(footer + 512, &vmdk_header(21).0)
}

pub(super) fn vdi() -> Sample {
    Sample::zeros(SAMPLE_BYTES)
        .with(64, &0xbeda_107f_u32.to_le_bytes())
        .with(368, &DISK_BYTES.to_le_bytes())
}

pub(super) fn iso() -> Sample {
    Sample::zeros(SAMPLE_BYTES)
        .with(32 << 10, b"\x01CD001")
        .with((32 << 10) + 80, &((DISK_BYTES / 2048) as u32).to_le_bytes())
        .with((32 << 10) + 128, &2048u16.to_le_bytes())
}

/// An entry of a partition table.
pub(super) type Entry = [u8; 16];

/// Makes an entry from flag, first sector as CHS, type, first block.
pub(super) fn partition(flag: u8, chs: [u8; 3], kind: u8, first_block: u32) -> Entry {
    let mut entry = [0; 16];
    entry[0] = flag;
    entry[1..4].copy_from_slice(&chs);
    entry[4] = kind;
    entry[8..12].copy_from_slice(&first_block.to_le_bytes());
    entry[12..].copy_from_slice(&2048u32.to_le_bytes());
    entry
}

/// The entry that a GUID partition table is protected by.
pub(super) fn protective() -> Entry {
    partition(0, [0, 2, 0], 0xee, 1)
}

/// A master boot record with entries at these places of its four.
pub(super) fn mbr(entries: &[(usize, Entry)]) -> Sample {
    let empty = Sample::zeros(SAMPLE_BYTES).with(510, &[0x55, 0xaa]);
    entries.iter().fold(empty, |sample, (index, entry)| {
        sample.with(446 + 16 * index, entry)
    })
}

/// A partition as any tool would make it.
pub(super) fn linux() -> Entry {
    partition(0x80, [32, 33, 0], 0x83, 2048)
}

pub(super) fn fat() -> Sample {
    Sample::zeros(SAMPLE_BYTES)
        .with(16, &[2])
        .with(21, &[0xf8])
        .with(510, &[0x55, 0xaa])
}

/// A boot sector of a file system, without partitions in its last bytes: what tools write.
pub(super) fn boot_sector(parameters: &[(usize, &[u8])]) -> Sample {
    let empty = Sample::zeros(SAMPLE_BYTES)
        .with(0, &[0xeb, 0x52, 0x90])
        .with(446, b"BOOTMGR is missing")
        .with(510, &[0x55, 0xaa]);
    parameters
        .iter()
        .fold(empty, |sample, (at, bytes)| sample.with(*at, bytes))
}

/// A disc of UDF with a file system's descriptors of this many bytes each.
pub(super) fn udf(spacing: usize) -> Sample {
    let at = 32 << 10;
    Sample::zeros(SAMPLE_BYTES)
        .with(at + 1, b"BEA01")
        .with(at + spacing + 1, b"NSR03")
        .with(at + 2 * spacing + 1, b"TEA01")
}

pub(super) fn luks(version: u16) -> Sample {
    Sample::zeros(SAMPLE_BYTES)
        .with(0, b"LUKS\xba\xbe")
        .with(6, &version.to_be_bytes())
        .with(104, &8u32.to_be_bytes())
}
