//! The text inside a VMDK that says what the disk is made of.
//!
//! Readers look for words rather than lines, some with regard to case and some without. So a word that would decide
//! something has to be harmless wherever it stands, and not only where it should.

use crate::format::findings::Check;

/// Kinds of disk that are a single file.
const SINGLE_FILE_KINDS: [&str; 2] = ["monolithicsparse", "streamoptimized"];
const ACCESS_MODES: [&str; 3] = ["rw", "rdonly", "noaccess"];

/// The checks that a descriptor, padded with zeros to its sectors, fails.
pub(super) fn failures(region: &[u8]) -> Vec<Check> {
    // Readers go on until a zero byte, wherever the header says that the descriptor ends.
    let text = region
        .iter()
        .position(|&byte| byte == 0)
        .and_then(|end| std::str::from_utf8(&region[..end]).ok())
        .filter(|text| text.is_ascii());
    let Some(text) = text else {
        return vec![Check::Descriptor];
    };
    let text = text.to_ascii_lowercase();
    let is_single_file = names_single_file_kind(&text) && has_sound_lines(&text);
    let mut failures = Vec::new();
    if !is_single_file {
        failures.push(Check::Descriptor);
    }
    if names_parent(&text) {
        failures.push(Check::Parent);
    }
    failures
}

/// Every `createType`, and there is one, is of a kind that is a single file.
fn names_single_file_kind(text: &str) -> bool {
    let mut kinds = text.split("createtype").skip(1).peekable();
    kinds.peek().is_some()
        && kinds.all(|rest| {
            SINGLE_FILE_KINDS
                .iter()
                .any(|kind| is_quoted_value(rest, kind))
        })
}

/// A `parentFileNameHint` makes readers open that file below this one (OSSA 2015-014).
fn names_parent(text: &str) -> bool {
    text.split("parentfilenamehint")
        .skip(1)
        .any(|rest| !is_quoted_value(rest, ""))
}

fn is_quoted_value(rest: &str, value: &str) -> bool {
    rest.strip_prefix("=\"")
        .and_then(|rest| rest.strip_prefix(value))
        .is_some_and(|rest| rest.starts_with('"'))
}

/// Each line is one of the few that are understood; at least one extent, and none outside this directory.
fn has_sound_lines(text: &str) -> bool {
    let mut extents = 0;
    for line in text.split('\n').map(str::trim) {
        if line.is_empty()
            || line.starts_with('#')
            || line.starts_with("ddb")
            || is_assignment(line)
        {
            continue;
        }
        let is_extent = line
            .split_whitespace()
            .next()
            .is_some_and(|word| ACCESS_MODES.contains(&word));
        if !is_extent || line.contains('/') {
            return false;
        }
        extents += 1;
    }
    extents > 0
}

fn is_assignment(line: &str) -> bool {
    line.split_once('=')
        .is_some_and(|(key, _)| !key.contains(char::is_whitespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# Disk DescriptorFile\nversion=1\nCID=5d42a5d9\nparentCID=ffffffff\n\
        createType=\"monolithicSparse\"\n\n# Extent description\nRW 131072 SPARSE \"disk.vmdk\"\n\n\
        # The Disk Data Base\n#DDB\n\nddb.virtualHWVersion = \"4\"\nddb.adapterType = \"ide\"\n";

    fn failures_of(text: &str) -> Vec<Check> {
        failures(format!("{text}\0").as_bytes())
    }

    #[test]
    fn descriptor_without_an_end_fails() {
        assert_eq!(failures(GOOD.as_bytes()), [Check::Descriptor]);
    }

    #[test]
    fn descriptor_of_a_single_file_passes() {
        let cases = [
            GOOD.to_owned(),
            GOOD.replace('\n', "\r\n"),
            GOOD.to_uppercase(),
            GOOD.replace("monolithicSparse", "streamOptimized"),
            GOOD.replace("RW 1", "RDONLY 1"),
            GOOD.replace("RW 1", "NOACCESS 1"),
            GOOD.replace("disk.vmdk", "a=b.vmdk"),
            GOOD.replace("CID=5", "parentFileNameHint=\"\"\nCID=5"),
            GOOD.to_owned() + "\0\0\0 /etc/passwd \u{e9}",
        ];
        for case in cases {
            assert_eq!(failures_of(&case), [], "{case}");
        }
    }

    #[test]
    fn descriptor_that_leads_elsewhere_fails() {
        let cases = [
            String::new(),
            "\0".repeat(512),
            GOOD.replace("monolithicSparse", "monolithicFlat"),
            GOOD.replace("monolithicSparse", "monolithicSparseOrSo"),
            GOOD.replace("\"monolithicSparse\"", "monolithicSparse"),
            GOOD.replace("createType", "kind"),
            // The first word that fits, in one reader; the first of that spelling, in another.
            GOOD.replace("CID=5", "createType=\"monolithicFlat\"\nCID=5"),
            GOOD.replace("version=1", "# createtype=\"monolithicFlat\"\nversion=1"),
            GOOD.replace("disk.vmdk", "/etc/passwd"),
            GOOD.replace(
                "RW 131072 SPARSE \"disk.vmdk\"",
                "RW\t1\tFLAT\t\"/etc/pass=wd\"",
            ),
            GOOD.replace("RW 131072", "WR 131072"),
            GOOD.replace("RW 131072 SPARSE \"disk.vmdk\"", ""),
            GOOD.replace("version=1", "version 1"),
            GOOD.replace("Disk D", "Disk \u{e9} D"),
        ];
        for case in cases {
            assert_eq!(failures_of(&case), [Check::Descriptor], "{case}");
        }
    }

    #[test]
    fn descriptor_with_a_parent_fails() {
        let hint = GOOD.replace("CID=5", "parentFileNameHint=\"base.vmdk\"\nCID=5");
        assert_eq!(failures_of(&hint), [Check::Parent]);
        let comment = GOOD.replace("# Extent", "# parentFileNameHint=\"base.vmdk\"\n# Extent");
        assert_eq!(failures_of(&comment), [Check::Parent]);
    }
}
