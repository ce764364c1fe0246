//! The documents name tests; every test they name exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Names of functions in the Rust and Python files under a folder.
fn functions(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, names);
        } else if matches!(path.extension().and_then(|e| e.to_str()), Some("rs" | "py")) {
            let text = fs::read_to_string(&path).unwrap();
            let rust = text.split("fn ").skip(1);
            let python = text.split("def ").skip(1);
            names.extend(rust.chain(python).map(|rest| {
                let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
                rest.chars().take_while(|c| is_part(*c)).collect::<String>()
            }));
        }
    }
}

#[test]
fn every_test_that_a_document_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut known = BTreeSet::new();
    for folder in ["src", "tests"] {
        functions(&root.join(folder), &mut known);
    }
    let mut missing = Vec::new();
    for document in ["compatibility.md", "status-codes.md", "security.md"] {
        let text = fs::read_to_string(root.join("docs").join(document)).unwrap();
        // The last column of a table.
        for row in text.lines().filter(|line| line.starts_with("| ")) {
            let tests = row.trim_end_matches('|').rsplit('|').next().unwrap();
            for name in tests.split('`').skip(1).step_by(2) {
                // Three words at least: shorter ones are attributes and options.
                if name.matches('_').count() >= 2
                    && !name.contains(['/', '.', ' '])
                    && !known.contains(name)
                {
                    missing.push(format!("{document}: {name}"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
