//! How the site inspects the formats of uploads.

use crate::config::{self, InspectedContainers};
use crate::format::{self, Findings, Format, GptCheck, Inspection, Refusal, Rules};
use crate::image::Image;

/// The only `container_format` that claims the stream to be the disk itself; others wrap it in something of their own.
pub(super) const BARE: &str = "bare";

const RAW: &str = "raw";

/// What the section `[images]` says of formats.
#[derive(Debug, Clone)]
pub(crate) struct FormatRules {
    rules: Rules,
    containers: InspectedContainers,
    disk_formats: Vec<String>,
}

/// What data is that nobody has said anything of.
pub(super) struct Identity {
    /// The `disk_format` that fits.
    pub(super) disk_format: &'static str,
    /// The image's `virtual_size`, bytes, none if unknown.
    pub(super) virtual_size: Option<u64>,
    /// Why an upload of it is refused under every format.
    pub(super) refusal: Option<Refusal>,
}

impl FormatRules {
    pub(crate) fn new(images: &config::Images) -> Self {
        let waived = images.gpt_safety_checks_nonfatal.iter();
        FormatRules {
            rules: Rules {
                require_match: images.require_format_match,
                gpt_safety_checks_nonfatal: waived
                    .map(|check| match check {
                        config::GptCheck::Mbr => GptCheck::Mbr,
                        config::GptCheck::GptMbr => GptCheck::GptMbr,
                    })
                    .collect(),
                allow_extended_l2: images.allow_extended_l2,
            },
            containers: images.inspected_containers,
            disk_formats: images.disk_formats.clone(),
        }
    }

    /// An inspection of data for this image; none where the site does not look.
    pub(super) fn inspection(&self, image: &Image) -> Option<Inspection> {
        let inspects = is_bare(image) || self.containers == InspectedContainers::All;
        inspects.then(Inspection::new)
    }

    /// The image's `virtual_size`, bytes, none if unknown.
    ///
    /// # Errors
    /// [`Refusal`] when the image must not become active (415).
    pub(super) fn judge(&self, image: &Image, findings: &Findings) -> Result<Option<u64>, Refusal> {
        if is_bare(image) {
            let claimed = image.disk_format.as_deref().unwrap_or_default();
            format::judge(findings, claimed, &self.rules)
        } else {
            format::judge_wrapped(findings, &self.rules).map(|()| None)
        }
    }

    /// Finds the format that data would be taken as; raw what is nothing else, and what would not be taken at all.
    pub(super) fn identify(&self, findings: &Findings) -> Identity {
        let rules = Rules {
            require_match: true,
            ..self.rules.clone()
        };
        let mut refusal = None;
        let names = findings.formats().into_iter().map(Format::as_str);
        let is_known = |name: &&str| self.disk_formats.iter().any(|known| known == name);
        for disk_format in names.filter(is_known).chain([RAW]) {
            match format::judge(findings, disk_format, &rules) {
                Ok(virtual_size) => {
                    return Identity {
                        disk_format,
                        virtual_size,
                        refusal: None,
                    };
                }
                // The first is of what the data is.
                Err(e) => refusal = refusal.or(Some(e)),
            }
        }
        Identity {
            disk_format: RAW,
            virtual_size: None,
            refusal,
        }
    }
}

fn is_bare(image: &Image) -> bool {
    image.container_format.as_deref() == Some(BARE)
}
