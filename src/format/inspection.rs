//! All inspectors side by side on one stream.

use super::findings::{Detected, Findings};
use super::probe::Probe;
use super::vhd::FixedVhd;
use super::vmdk::{SparseVmdk, TextVmdk};
use super::{
    gpt::Gpt, iso::Iso, luks::Luks, qcow2::Qcow2, qed::Qed, vdi::Vdi, vhd::Vhd, vhdx::Vhdx,
};

/// Most bytes of the stream that one inspection holds at any time. Almost all of it is the largest descriptor a VMDK
/// may have, next to the tables of a VHDX; other streams take about 8 KiB.
pub const MEMORY_BOUND_BYTES: usize = (1 << 20) + (80 << 10);

/// Watches one stream, from its first byte to its last (contract 2.9).
///
/// Feed it every slice in order, in sizes as they come. Once the headers have passed, feeding costs next to nothing.
pub struct Inspection {
    /// Bytes that have passed.
    position: u64,
    /// Inspectors that still read.
    probes: Vec<Probe>,
    detected: Vec<Detected>,
    fixed_vhd: FixedVhd,
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
            Probe::new(Iso::default()),
            Probe::new(Gpt),
            Probe::new(Luks),
        ];
        Inspection {
            position: 0,
            probes,
            detected: Vec::new(),
            fixed_vhd: FixedVhd::default(),
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
        self.fixed_vhd.feed(bytes);
        self.position = self.position.saturating_add(bytes.len() as u64);
    }

    /// The stream has ended.
    pub fn finish(mut self) -> Findings {
        let position = self.position;
        let last = self.probes.into_iter();
        self.detected
            .extend(last.filter_map(|probe| probe.finish(position)));
        let fixed_vhd = self.fixed_vhd.disk_bytes(position);
        Findings::new(position, self.detected, fixed_vhd)
    }

    /// Bytes of buffer held.
    #[cfg(test)]
    fn held_bytes(&self) -> usize {
        self.fixed_vhd.held_bytes() + self.probes.iter().map(Probe::held_bytes).sum::<usize>()
    }
}

impl Default for Inspection {
    fn default() -> Self {
        Inspection::new()
    }
}

#[cfg(test)]
mod tests;
