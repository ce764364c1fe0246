//! Commands that tell a line for each thing they find.

use std::path::Path;

use serde_json::Value;

use super::child::oriel;
use super::eventually;

/// What the command said.
#[derive(Debug)]
pub struct Told {
    pub code: i32,
    pub lines: Vec<Value>,
    pub errors: String,
}

/// Runs a command with `--json` on the site of this configuration.
pub async fn told(config: &Path, command: &str, more: &[&str]) -> Told {
    let mut arguments = vec![command, "--config", config.to_str().unwrap(), "--json"];
    arguments.extend_from_slice(more);
    // A child that another test is just starting holds every lock of this process until it has become its program.
    eventually("the catalog is free", async || {
        let output = oriel(&arguments).await;
        if output.stderr.contains("in use by another process") {
            return None;
        }
        let lines = output.stdout.lines();
        Some(Told {
            code: output.status.code().unwrap(),
            lines: lines
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
            errors: output.stderr,
        })
    })
    .await
}

impl Told {
    pub fn of_type(&self, kind: &str) -> Vec<&Value> {
        let lines = self.lines.iter();
        lines.filter(|line| line["type"] == kind).collect()
    }

    /// The one finding there is.
    pub fn finding(&self, kind: &str) -> &Value {
        let findings = self.of_type("finding");
        let [finding] = findings[..] else {
            panic!("{self:?}");
        };
        assert_eq!(finding["kind"], kind, "{self:?}");
        finding
    }

    /// Why things were left alone.
    pub fn left(&self) -> Vec<&str> {
        let left = self.of_type("left").into_iter();
        left.map(|line| line["reason"].as_str().unwrap()).collect()
    }

    pub fn summary(&self) -> &Value {
        let last = self.lines.last().unwrap();
        assert_eq!(last["type"], "summary", "{self:?}");
        last
    }

    pub fn assert_sound(&self) {
        assert!(self.of_type("finding").is_empty(), "{self:?}");
        assert_eq!((self.code, self.errors.as_str()), (0, ""), "{self:?}");
        assert_eq!(self.summary()["found"], 0);
    }
}
