//! What was measured, as Markdown. It prints figures and compares them with the limits; it concludes nothing.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};

use crate::stats::Summary;

/// A limit that a figure is compared with.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Limit {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "≤ {limit}"),
            Self::AtLeast(limit) => write!(f, "≥ {limit}"),
        }
    }
}

/// A figure that was measured, or why it was not.
type Reached = Result<Summary, String>;

#[derive(Debug)]
struct Figure {
    name: String,
    unit: &'static str,
    reached: Reached,
}

#[derive(Debug)]
struct Target {
    figure: Figure,
    limit: Limit,
}

/// The figures of one measurement.
#[derive(Debug)]
pub struct Section {
    title: String,
    notes: Vec<String>,
    figures: Vec<Figure>,
    targets: Vec<Target>,
}

impl Section {
    /// A section without figures.
    pub fn new(title: String) -> Self {
        Self {
            title,
            notes: Vec::new(),
            figures: Vec::new(),
            targets: Vec::new(),
        }
    }

    /// Adds a paragraph that says how it was measured.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Adds a figure.
    pub fn figure(&mut self, name: impl Into<String>, unit: &'static str, values: &[f64]) {
        self.figures.push(Figure {
            name: name.into(),
            unit,
            reached: reached(Summary::of(values.iter().copied())),
        });
    }

    /// Adds a figure that has a limit.
    pub fn target(
        &mut self,
        name: impl Into<String>,
        unit: &'static str,
        limit: Limit,
        values: &[f64],
    ) {
        self.add_target(
            name.into(),
            unit,
            limit,
            reached(Summary::of(values.iter().copied())),
        );
    }

    /// Adds a target on what `compare` makes of the two measurements of each round.
    pub fn paired_target(
        &mut self,
        name: String,
        unit: &'static str,
        limit: Limit,
        (left, right): (&[f64], &[f64]),
        compare: impl Fn(f64, f64) -> f64,
    ) {
        let summary = Summary::of_pairs(left, right, compare);
        self.add_target(name, unit, limit, reached(summary));
    }

    /// Adds a target that could not be measured.
    pub fn skipped_target(&mut self, name: String, unit: &'static str, limit: Limit, why: &str) {
        self.add_target(name, unit, limit, Err(why.to_owned()));
    }

    fn add_target(&mut self, name: String, unit: &'static str, limit: Limit, reached: Reached) {
        let figure = Figure {
            name,
            unit,
            reached,
        };
        self.targets.push(Target { figure, limit });
    }
}

fn reached(summary: Option<Summary>) -> Reached {
    summary.ok_or_else(|| "nothing was measured".to_owned())
}

/// All that one run measured.
#[derive(Debug, Default)]
pub struct Report {
    /// What the figures depend on, a line each.
    pub facts: Vec<String>,
    /// What is missing or not as it should be, a line each. It stands before everything else.
    pub warnings: Vec<String>,
    pub sections: Vec<Section>,
}

impl Report {
    /// Renders the report as Markdown.
    pub fn to_markdown(&self) -> String {
        let mut out = String::from(
            "# Performance\n\nMeasured by `make bench`; see `benches/README.md` for how.\n",
        );
        for warning in &self.warnings {
            let warning = warning.replace('\n', "\n> ");
            out += &format!("\n> **Warning:** {warning}\n");
        }
        out += "\n## Machine\n\n";
        for fact in &self.facts {
            out += &format!("- {fact}\n");
        }
        out += "\n## Targets\n\n\
            A comparison is made within each round; min, median and max are over the rounds.\n\n\
            | target | limit | unit | min | median | max | n | met |\n\
            | --- | --- | --- | --- | --- | --- | --- | --- |\n";
        for target in self.sections.iter().flat_map(|section| &section.targets) {
            let Target { figure, limit } = target;
            let met = match &figure.reached {
                Ok(summary) if limit.is_met(summary.median) => "yes",
                Ok(_) => "**no**",
                Err(_) => "**not measured**",
            };
            let (name, unit, cells) = (&figure.name, figure.unit, cells(&figure.reached));
            out += &format!("| {name} | {limit} | {unit} | {cells} | {met} |\n");
        }
        for section in &self.sections {
            write_section(&mut out, section);
        }
        out
    }
}

fn write_section(out: &mut String, section: &Section) {
    *out += &format!("\n## {}\n", section.title);
    for note in &section.notes {
        *out += &format!("\n{note}\n");
    }
    if section.figures.is_empty() {
        return;
    }
    *out += "\n| figure | unit | min | median | max | n |\n| --- | --- | --- | --- | --- | --- |\n";
    for figure in &section.figures {
        let (name, unit, cells) = (&figure.name, figure.unit, cells(&figure.reached));
        // Writing to a string cannot fail.
        let _ = writeln!(out, "| {name} | {unit} | {cells} |");
    }
}

/// Minimum, median, maximum and count as four cells of a table.
fn cells(reached: &Reached) -> String {
    match reached {
        Ok(summary) => format!(
            "{} | {} | {} | {}",
            number(summary.min),
            number(summary.median),
            number(summary.max),
            summary.count
        ),
        Err(why) => format!("skipped: {why} | – | – | 0"),
    }
}

/// Three digits that say something, and no more.
fn number(value: f64) -> String {
    if value.abs() >= 100.0 {
        format!("{value:.0}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// Tells who waits what is being done.
pub fn progress(line: &str) {
    // Whoever closed it does not want to know.
    let _ = writeln!(io::stderr(), "bench: {line}");
}
