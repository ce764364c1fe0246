//! What was found, told line by line and counted.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use serde::Serialize;

use super::finding::{Finding, Left};
use super::repair::Repair;

/// A line of the report.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Line {
    /// Something is wrong.
    Finding {
        #[serde(flatten)]
        finding: Finding,
        /// What became of it; nothing unless asked for.
        #[serde(skip_serializing_if = "Option::is_none")]
        repair: Option<Repair>,
    },
    /// Something was left alone on purpose.
    Left(Left),
    /// A part of the work could not be done.
    Incomplete { what: String, error: String },
    /// The end.
    Summary(Summary),
}

/// The counts of a run.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    /// Objects that were listed.
    pub(super) objects: u64,
    /// Copies that records have in the stores.
    pub(super) copies: u64,
    /// Bytes that were read and compared with their digests.
    pub(super) verified_bytes: u64,
    /// Findings, repaired or not.
    pub(super) found: u64,
    /// Those of them that are no more.
    pub(super) repaired: u64,
    /// Findings by their kind.
    pub(super) kinds: BTreeMap<&'static str, u64>,
    /// What was left alone, by the reason.
    pub(super) left: BTreeMap<&'static str, u64>,
    /// Parts of the work that could not be done.
    pub(super) incomplete: u64,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing is wrong, or nothing is any more.
    Sound,
    /// Something is wrong.
    Faulty,
    /// Not everything was looked at.
    Incomplete,
}

/// Tells lines and counts them.
pub(super) struct Report<'a> {
    tell: &'a mut dyn FnMut(&Line),
    summary: Summary,
}

impl<'a> Report<'a> {
    pub(super) fn new(tell: &'a mut dyn FnMut(&Line)) -> Self {
        Self {
            tell,
            summary: Summary::default(),
        }
    }

    pub(super) fn count_object(&mut self) {
        self.summary.objects += 1;
    }

    pub(super) fn count_copy(&mut self) {
        self.summary.copies += 1;
    }

    pub(super) fn count_verified(&mut self, bytes: u64) {
        self.summary.verified_bytes += bytes;
    }

    pub(super) fn found(&mut self, finding: Finding, repair: Option<Repair>) {
        self.summary.found += 1;
        *self.summary.kinds.entry(finding.kind()).or_default() += 1;
        if let Some(Repair::Done { .. }) = repair {
            self.summary.repaired += 1;
        }
        (self.tell)(&Line::Finding { finding, repair });
    }

    pub(super) fn left(&mut self, left: Left) {
        *self.summary.left.entry(left.reason.as_str()).or_default() += 1;
        (self.tell)(&Line::Left(left));
    }

    pub(super) fn incomplete(&mut self, what: &str, error: &dyn Error) {
        self.summary.incomplete += 1;
        (self.tell)(&Line::Incomplete {
            what: what.to_owned(),
            error: chain(error),
        });
    }

    /// Tells the summary.
    pub(super) fn end(self) -> Verdict {
        let verdict = match &self.summary {
            Summary {
                incomplete: 1.., ..
            } => Verdict::Incomplete,
            Summary {
                found, repaired, ..
            } if found > repaired => Verdict::Faulty,
            Summary { .. } => Verdict::Sound,
        };
        (self.tell)(&Line::Summary(self.summary));
        verdict
    }
}

/// An error with all that lies beneath it.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let cause = error.to_string();
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
        next = error.source();
    }
    text
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Finding {
                finding,
                repair: None,
            } => write!(f, "FAULT {finding}"),
            Line::Finding {
                finding,
                repair: Some(repair),
            } => write!(f, "FAULT {finding}; {repair}"),
            Line::Left(left) => write!(f, "left  {left}"),
            Line::Incomplete { what, error } => write!(f, "ERROR {what}: {error}"),
            Line::Summary(summary) => summary.fmt(f),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} objects and {} recorded copies compared",
            self.objects, self.copies
        )?;
        if self.verified_bytes > 0 {
            write!(f, ", {} bytes read", self.verified_bytes)?;
        }
        write!(f, "; {} found, {} repaired", self.found, self.repaired)?;
        for (name, counts) in [("found", &self.kinds), ("left alone", &self.left)] {
            if !counts.is_empty() {
                let counts = counts.iter().map(|(what, count)| format!("{what} {count}"));
                write!(f, "; {name}: {}", counts.collect::<Vec<_>>().join(", "))?;
            }
        }
        if self.incomplete > 0 {
            write!(
                f,
                "; {} parts of the work could not be done",
                self.incomplete
            )?;
        }
        Ok(())
    }
}
