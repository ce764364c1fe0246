//! How the site inspects the formats of uploads.

use crate::config::{self, InspectedContainers};
use crate::format::{self, Findings, GptCheck, Inspection, Refusal, Rules};
use crate::image::Image;

/// The only `container_format` that claims the stream to be the disk itself; others wrap it in something of their own.
const BARE: &str = "bare";

/// What the section `[images]` says of formats.
#[derive(Debug, Clone)]
pub(crate) struct FormatRules {
    rules: Rules,
    containers: InspectedContainers,
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
}

fn is_bare(image: &Image) -> bool {
    image.container_format.as_deref() == Some(BARE)
}
