//! All inspectors side by side on one stream.

use super::findings::{Detected, Findings};
use super::probe::Probe;
use super::vmdk::{SparseVmdk, TextVmdk};
use super::{
    gpt::Gpt, iso::Iso, luks::Luks, qcow2::Qcow2, qed::Qed, vdi::Vdi, vhd::Vhd, vhdx::Vhdx,
};

/// Most bytes of the stream that one inspection holds at any time. Almost all of it is the largest descriptor a VMDK
/// may have, next to the tables of a VHDX; other streams take about 8 KiB.
pub const MEMORY_BOUND_BYTES: usize = (1 << 20) + (80 << 10);

/// Watches one stream, from its first byte to its last (contract 2.9).
///
/// Feed it every slice in order, in sizes as they come. Once [`Inspection::is_settled`] only the byte count still
/// matters, and feeding costs next to nothing anyway.
pub struct Inspection {
    /// Bytes that have passed.
    position: u64,
    /// Inspectors that still read.
    probes: Vec<Probe>,
    detected: Vec<Detected>,
}

impl Inspection {
    /// An inspection at the beginning of a stream.
    pub fn new() -> Self {
        let probes = vec![
            Probe::new(Qcow2),
            Probe::new(Qed),
            Probe::new(Vhd),
            Probe::new(Vhdx::default()),
            Probe::new(SparseVmdk::default()),
            Probe::new(TextVmdk::default()),
            Probe::new(Vdi),
            Probe::new(Iso),
            Probe::new(Gpt),
            Probe::new(Luks),
        ];
        Inspection {
            position: 0,
            probes,
            detected: Vec::new(),
        }
    }

    /// Looks at the next bytes of the stream.
    pub fn feed(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let (position, detected) = (self.position, &mut self.detected);
        self.probes
            .retain_mut(|probe| match probe.feed(position, bytes) {
                Some(decided) => {
                    detected.extend(decided);
                    false
                }
                None => true,
            });
        self.position = self.position.saturating_add(bytes.len() as u64);
    }

    /// True when no further byte can change what is known of the format; the rest may then be [skipped](Self::skip).
    pub fn is_settled(&self) -> bool {
        self.probes.is_empty()
    }

    /// Counts so many bytes without looking at them.
    ///
    /// Meant for a settled inspection. Inspectors that still wait for something take the gap for the end of the
    /// stream: what they have recognised already but not seen in full counts as unsafe.
    pub fn skip(&mut self, bytes: u64) {
        if bytes > 0 {
            self.settle();
            self.position = self.position.saturating_add(bytes);
        }
    }

    /// The stream has ended.
    pub fn finish(mut self) -> Findings {
        self.settle();
        Findings::new(self.position, self.detected)
    }

    fn settle(&mut self) {
        self.detected
            .extend(self.probes.drain(..).filter_map(Probe::finish));
    }

    /// Bytes of buffer held.
    #[cfg(test)]
    fn held_bytes(&self) -> usize {
        self.probes.iter().map(Probe::held_bytes).sum()
    }
}

impl Default for Inspection {
    fn default() -> Self {
        Inspection::new()
    }
}

#[cfg(test)]
mod tests;
