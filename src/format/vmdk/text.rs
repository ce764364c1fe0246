//! A VMDK descriptor that is the whole file. The disk is elsewhere, so it is never safe; it is recognised because a
//! reader that probes would follow it.

use super::{MAX_DESCRIPTOR_BYTES, OLD_SIGNATURE, SIGNATURE};
use crate::format::Format;
use crate::format::findings::{Check, Detected, VirtualSize};
use crate::format::probe::{Inspector, Region, Step};

/// The word that makes a text a descriptor; lower case, as it is looked for without regard to case. Readers skip what
/// two characters follow it, so they are not looked at.
const KEYWORD: &[u8] = b"createtype";
const WINDOW_BYTES: usize = 4096;

/// Looks for the keyword in what stands before the first zero byte, window by window.
#[derive(Default)]
pub(in crate::format) struct TextVmdk {
    /// Bytes of the stream looked at.
    read: usize,
    /// The end of the window before, in lower case: shorter than the keyword.
    carry: Vec<u8>,
}

impl TextVmdk {
    fn window(&self) -> Region {
        let length = WINDOW_BYTES.min(MAX_DESCRIPTOR_BYTES - self.read);
        Region::Span {
            at: self.read as u64,
            length,
        }
    }

    fn has_keyword(&mut self, text: &[u8]) -> bool {
        self.carry.extend(text.iter().map(u8::to_ascii_lowercase));
        let found = self
            .carry
            .windows(KEYWORD.len())
            .any(|word| word == KEYWORD);
        self.carry
            .drain(..self.carry.len().saturating_sub(KEYWORD.len() - 1));
        found
    }
}

impl Inspector for TextVmdk {
    fn begin(&self) -> Region {
        self.window()
    }

    fn read(&mut self, window: &[u8]) -> Step {
        if let Some(detected) = self.end(window, 0) {
            return Step::Done(Some(detected));
        }
        self.read += window.len();
        let is_over = window.contains(&0) || self.read == MAX_DESCRIPTOR_BYTES;
        if is_over {
            Step::Done(None)
        } else {
            Step::Read(self.window())
        }
    }

    fn end(&mut self, window: &[u8], _: u64) -> Option<Detected> {
        // Sparse extents are looked at next door.
        let is_first = self.read == 0;
        if is_first && (window.starts_with(SIGNATURE) || window.starts_with(OLD_SIGNATURE)) {
            return None;
        }
        let text = window.split(|&byte| byte == 0).next().unwrap_or_default();
        let is_descriptor = is_first && begins_with_version(text);
        (is_descriptor || self.has_keyword(text))
            .then(|| Detected::new(Format::Vmdk, VirtualSize::Unknown).failing(Check::Descriptor))
    }
}

/// What QEMU's probe takes for a descriptor whatever follows: after comments and blank lines, `version=` and a digit.
fn begins_with_version(text: &[u8]) -> bool {
    text.split(|&byte| byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .find(|line| !line.is_empty() && !line.starts_with(b"#"))
        .and_then(|line| line.strip_prefix(b"version="))
        .is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_counts_on_the_first_line_that_says_something() {
        for text in [
            "version=1\n",
            "# a\n#\n  \nversion=2\r\n",
            " \r\nversion=3\n# createtype",
            "version=9",
        ] {
            assert!(begins_with_version(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "#version=1\n",
            "a\nversion=1\n",
            "version=x\n",
            "version",
        ] {
            assert!(!begins_with_version(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn keyword_is_found_across_windows() {
        for at in WINDOW_BYTES - KEYWORD.len()..=WINDOW_BYTES {
            let mut text = vec![b'-'; 2 * WINDOW_BYTES];
            text[at..at + KEYWORD.len()].copy_from_slice(b"createType");
            let mut inspector = TextVmdk::default();
            let found = text
                .chunks(WINDOW_BYTES)
                .any(|window| matches!(inspector.read(window), Step::Done(Some(_))));
            assert!(found, "at {at}");
        }
    }

    #[test]
    fn little_is_carried_between_windows() {
        let mut inspector = TextVmdk::default();
        for _ in 0..3 {
            assert!(matches!(
                inspector.read(&[b'-'; WINDOW_BYTES]),
                Step::Read(_)
            ));
            assert!(inspector.carry.len() < KEYWORD.len());
        }
    }
}
