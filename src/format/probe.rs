//! Between the stream and one inspector: finds the regions an inspector asks for in slices of any size.

use super::findings::Detected;

/// Part of a stream that an inspector wants to see whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Region {
    /// `length` bytes (at least one) from offset `at`, which lies at or after the end of the region before.
    Span { at: u64, length: usize },
    /// The last so many bytes of the stream, of those that follow the region before. Handed to
    /// [`Inspector::end`], and shorter if the stream is.
    Last(usize),
}

/// What an inspector makes of a region.
#[derive(Debug)]
pub(super) enum Step {
    /// It has to see this one too.
    Read(Region),
    /// It has decided; none means that the stream is not of its format.
    Done(Option<Detected>),
}

/// Knows one format. Sees its regions one after the other, and nothing else of the stream.
pub(super) trait Inspector: Send {
    /// The first region to read.
    fn begin(&self) -> Region;

    /// Reads the region asked for, complete.
    fn read(&mut self, region: &[u8]) -> Step;

    /// The stream ended, after so many bytes and with this much of the region. A magic is the format at any length:
    /// who reads the file later may fill it up with zeros.
    fn end(&mut self, partial: &[u8], stream_bytes: u64) -> Option<Detected>;
}

/// One inspector at work on a stream.
pub(super) struct Probe {
    inspector: Box<dyn Inspector>,
    region: Region,
    /// What has been seen of the region.
    seen: Vec<u8>,
}

impl Probe {
    pub(super) fn new(inspector: impl Inspector + 'static) -> Self {
        let region = inspector.begin();
        Probe {
            inspector: Box::new(inspector),
            region,
            seen: Vec::new(),
        }
    }

    /// Takes the bytes at `position` of the stream; `Some` when the inspector has decided.
    pub(super) fn feed(&mut self, mut position: u64, mut bytes: &[u8]) -> Option<Option<Detected>> {
        loop {
            let (at, length) = match self.region {
                Region::Last(length) => {
                    self.keep_last(length, bytes);
                    return None;
                }
                Region::Span { at, length } => (at, length),
            };
            let next = at.saturating_add(self.seen.len() as u64);
            let skipped = usize::try_from(next - position)
                .ok()
                .filter(|&skipped| skipped < bytes.len())?;
            let wanted = &bytes[skipped..];
            let missing = length - self.seen.len();
            if wanted.len() < missing {
                self.keep(length, wanted);
                return None;
            }

            let (last, rest) = wanted.split_at(missing);
            let step = if self.seen.is_empty() {
                self.inspector.read(last)
            } else {
                self.keep(length, last);
                self.inspector.read(&self.seen)
            };
            self.seen = Vec::new();
            position = next + missing as u64;
            bytes = rest;
            match step {
                Step::Done(decided) => return Some(decided),
                // Behind us: a header that leads there is malformed, and waiting would never end.
                Step::Read(Region::Span { at, .. }) if at < position => {
                    return Some(self.inspector.end(&[], position));
                }
                Step::Read(region) => self.region = region,
            }
        }
    }

    /// The stream has ended.
    pub(super) fn finish(mut self, stream_bytes: u64) -> Option<Detected> {
        self.inspector.end(&self.seen, stream_bytes)
    }

    /// Appends to the region. Grows as the bytes come, since headers may claim regions that never do, and never past
    /// the region's length, so that the memory bound holds to the byte.
    fn keep(&mut self, length: usize, bytes: &[u8]) {
        let needed = self.seen.len() + bytes.len();
        if needed > self.seen.capacity() {
            let capacity = needed.max(self.seen.capacity() * 2).min(length);
            self.seen.reserve_exact(capacity - self.seen.len());
        }
        self.seen.extend_from_slice(bytes);
    }

    fn keep_last(&mut self, length: usize, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(length)..];
        let excess = (self.seen.len() + bytes.len()).saturating_sub(length);
        self.seen.drain(..excess);
        self.keep(length, bytes);
    }

    /// Bytes of buffer held.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.seen.capacity()
    }
}
