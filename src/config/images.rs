//! `[images]`: what images may be.

use std::path::PathBuf;

use toml::Value;

use super::choice::choice;
use super::read::Section;
use super::setting::Setting;
use super::units::{ByteSize, Limit};

const DISK_FORMATS: [&str; 11] = [
    "ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop",
];
const CONTAINER_FORMATS: [&str; 8] = [
    "ami",
    "ari",
    "aki",
    "bare",
    "ovf",
    "ova",
    "docker",
    "compressed",
];

choice! {
    /// The digest of an image's data that is shown as `os_hash_value`.
    HashAlgorithm {
        /// SHA-512, what the reference service uses.
        Sha512 = "sha512",
        /// SHA-256.
        Sha256 = "sha256",
    }
}

choice! {
    /// What the values of a file of property protections are.
    ProtectionFormat {
        /// Roles, one of which is enough.
        Roles = "roles",
        /// The name of one rule of the policy.
        Policies = "policies",
    }
}

choice! {
    /// A check of the boot record of a partitioned disk.
    GptCheck {
        /// All that is checked of one, a protective one included.
        Mbr = "mbr",
        /// What one that protects a GUID partition table has to be.
        GptMbr = "gptmbr",
    }
}

choice! {
    /// Which images are inspected before they become active.
    InspectedContainers {
        /// All; those that are not `bare` for what leads to other files only.
        All = "all",
        /// Those of `container_format` `bare`, as the reference service does.
        Bare = "bare",
    }
}

/// A list of checks, perhaps an empty one; commas part them in a variable.
impl Setting for Vec<GptCheck> {
    const RULE: &'static str = "must be a list of: mbr gptmbr";

    fn from_text(text: &str) -> Option<Self> {
        let words = text.split(',').map(str::trim);
        words
            .filter(|word| !word.is_empty())
            .map(GptCheck::from_text)
            .collect()
    }

    fn from_toml(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(GptCheck::from_toml).collect()
    }
}

/// Limits and choices for images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// The largest image in bytes. Default `"1TiB"`. A larger one is refused, or cut off when its size was not
    /// declared.
    pub size_cap: ByteSize,
    /// How many bytes the images of one project may take together. Default `"0"`: no limit.
    pub user_storage_quota: ByteSize,
    /// The digest shown as `os_hash_algo` and `os_hash_value`. Default `"sha512"`. It applies to new uploads; existing
    /// images keep theirs.
    pub hashing_algorithm: HashAlgorithm,
    /// The values allowed for `disk_format`. Default: those of the reference service. Shorten it to what your
    /// hypervisors boot.
    pub disk_formats: Vec<String>,
    /// The values allowed for `container_format`. Default: those of the reference service.
    pub container_formats: Vec<String>,
    /// Whether data of another format than the record claims is refused. Default true. Without it such data is kept
    /// with an unknown virtual size; unsafe content is refused all the same.
    pub require_format_match: bool,
    /// Checks of the boot records of partitioned disks that do not refuse an image. Default: none. For disks that loose
    /// tools have made.
    pub gpt_safety_checks_nonfatal: Vec<GptCheck>,
    /// Whether a qcow2 with extended L2 entries is kept. Default false. For sites where all that reads images is QEMU
    /// 5.2 or newer.
    pub allow_extended_l2: bool,
    /// Which images are inspected. Default `"all"`: what leads to other files is refused in every container.
    pub inspected_containers: InspectedContainers,
    /// How many properties of its own one image may have. Default 128; -1 for no limit.
    pub property_quota: Limit,
    /// How many bytes the properties of one image may take together, names and values. Default `"256KiB"`: real images have
    /// a few KiB, and every list and every answer about an image carries them. An image that has more already, from before
    /// this bound or a larger one, is served and may be changed, but not grow.
    pub properties_size: ByteSize,
    /// How many tags one image may have. Default 128; -1 for no limit.
    pub tag_quota: Limit,
    /// How many projects one image may be shared with. Default 128; -1 for no limit.
    pub member_quota: Limit,
    /// A file that says which roles may create, read, update and delete which extra properties. Default: none, everybody
    /// who may change an image may.
    pub property_protection_file: Option<PathBuf>,
    /// Whether that file names roles or rules of the policy. Default `"roles"`.
    pub property_protection_rule_format: ProtectionFormat,
    /// Whether a record shows `direct_url`, where its data is in the store. Default false. Only for clients that read
    /// the store themselves; it tells them bucket and key.
    pub show_direct_url: bool,
    /// Whether a record shows `locations`, and lets them be changed by PATCH. Default false (OSSN-0065).
    pub show_multiple_locations: bool,
    /// Images on a page when the caller names no `limit`. Default 25.
    pub limit_default: u32,
    /// Images on a page at most; a larger `limit` is lowered to it. Default 1000.
    pub limit_max: u32,
}

impl Default for Images {
    fn default() -> Self {
        Self {
            size_cap: ByteSize::tib(1),
            user_storage_quota: ByteSize(0),
            hashing_algorithm: HashAlgorithm::Sha512,
            disk_formats: DISK_FORMATS.map(str::to_owned).to_vec(),
            container_formats: CONTAINER_FORMATS.map(str::to_owned).to_vec(),
            require_format_match: true,
            gpt_safety_checks_nonfatal: Vec::new(),
            allow_extended_l2: false,
            inspected_containers: InspectedContainers::All,
            property_quota: Limit::AtMost(128),
            properties_size: ByteSize(256 * 1024),
            tag_quota: Limit::AtMost(128),
            member_quota: Limit::AtMost(128),
            property_protection_file: None,
            property_protection_rule_format: ProtectionFormat::Roles,
            show_direct_url: false,
            show_multiple_locations: false,
            limit_default: 25,
            limit_max: 1000,
        }
    }
}

impl Images {
    /// Bytes that the images of one project may take together; none for any number.
    pub fn storage_quota(&self) -> Option<u64> {
        let quota = self.user_storage_quota.bytes();
        (quota > 0).then_some(quota)
    }

    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let images = Self {
            size_cap: section.take("size_cap", default.size_cap),
            user_storage_quota: section.take("user_storage_quota", default.user_storage_quota),
            hashing_algorithm: section.take("hashing_algorithm", default.hashing_algorithm),
            disk_formats: section.take("disk_formats", default.disk_formats),
            container_formats: section.take("container_formats", default.container_formats),
            require_format_match: section
                .take("require_format_match", default.require_format_match),
            gpt_safety_checks_nonfatal: section.take(
                "gpt_safety_checks_nonfatal",
                default.gpt_safety_checks_nonfatal,
            ),
            allow_extended_l2: section.take("allow_extended_l2", default.allow_extended_l2),
            inspected_containers: section
                .take("inspected_containers", default.inspected_containers),
            property_quota: section.take("property_quota", default.property_quota),
            properties_size: section.take("properties_size", default.properties_size),
            tag_quota: section.take("tag_quota", default.tag_quota),
            member_quota: section.take("member_quota", default.member_quota),
            property_protection_file: section.take_optional("property_protection_file"),
            property_protection_rule_format: section.take(
                "property_protection_rule_format",
                default.property_protection_rule_format,
            ),
            show_direct_url: section.take("show_direct_url", default.show_direct_url),
            show_multiple_locations: section
                .take("show_multiple_locations", default.show_multiple_locations),
            limit_default: section.take("limit_default", default.limit_default),
            limit_max: section.take("limit_max", default.limit_max),
        };
        section.require(
            images.size_cap.bytes() > 0,
            "size_cap",
            "must be more than 0",
            images.size_cap,
        );
        section.require(
            images.limit_max > 0,
            "limit_max",
            "must be at least 1",
            images.limit_max,
        );
        section.require(
            (1..=images.limit_max.max(1)).contains(&images.limit_default),
            "limit_default",
            format!("must be from 1 to limit_max, {}", images.limit_max),
            images.limit_default,
        );
        images
    }
}
