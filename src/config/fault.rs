//! What is wrong with a configuration: all of it, not the first thing only.

use std::fmt;
use std::io;
use std::path::Path;

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The full path of the key, such as `server.listen`, or the name of the file.
    pub key: String,
    /// The environment variable that gave the value, when one did.
    pub variable: Option<String>,
    /// The rule that is broken.
    pub rule: String,
    /// The value that was found, unless it is secret or absent.
    pub got: Option<String>,
}

impl Fault {
    /// A file that cannot be read.
    pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self {
            key: path.display().to_string(),
            variable: None,
            rule: format!("cannot be read: {error}"),
            got: None,
        }
    }
}

impl Faults {
    /// The same faults, with the file that they are in.
    pub(crate) fn within(mut self, file: &str) -> Self {
        for fault in &mut self.0 {
            fault.key = format!("{file}: {}", fault.key);
        }
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if let Some(variable) = &self.variable {
            write!(f, " ({variable})")?;
        }
        write!(f, ": {}", self.rule)?;
        match &self.got {
            Some(got) => write!(f, " (got {got})"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with the configuration; never empty. Prints as one line a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
