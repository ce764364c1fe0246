//! Definition files: a namespace each, in the reference service's format.

use serde_json::Value;

use super::fields::Invalid;
use super::view::file_view;
use super::{Contents, Definition, Namespace};

/// What is wrong with a definition file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidFile {
    /// No JSON.
    #[error("it is not valid JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON of another kind.
    #[error("it must be a JSON object")]
    NoObject,
    /// An object that breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// Reads a definition file. A namespace without an owner belongs to nobody.
///
/// # Errors
/// [`InvalidFile`], which names the field.
pub(crate) fn parse_file(text: &str) -> Result<Definition, InvalidFile> {
    match serde_json::from_str(text)? {
        Value::Object(map) => Ok(Definition::parse(&map, None)?),
        _ => Err(InvalidFile::NoObject),
    }
}

/// The text of a definition file.
pub(crate) fn document(namespace: &Namespace, contents: &Contents) -> String {
    format!("{:#}\n", file_view(namespace, contents))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_says_what_is_wrong() {
        for (text, word) in [
            ("", "JSON"),
            ("{", "JSON"),
            ("[]", "object"),
            ("{}", "'namespace'"),
            (r#"{"namespace": "n", "tags": [{}]}"#, "'tags[0].name'"),
        ] {
            let fault = parse_file(text).unwrap_err().to_string();
            assert!(fault.contains(word), "{text}: {fault}");
        }
    }

    #[test]
    fn document_is_read_back_as_it_was() {
        let text = r#"{
            "namespace": "n", "display_name": "N", "description": "d", "visibility": "public", "protected": true,
            "owner": "p", "resource_type_associations": [{"name": "r", "prefix": "x_", "properties_target": "image"}],
            "properties": {"b": {"type": "string", "title": "B"}, "a": {"type": "integer", "title": "A", "default": 1}},
            "objects": [{"name": "o", "description": "d", "required": ["c"],
                "properties": {"c": {"title": "C", "type": "boolean"}}}],
            "tags": [{"name": "t"}]
        }"#;
        let definition = parse_file(text).unwrap();
        let namespace = Namespace {
            id: "i".into(),
            attributes: definition.attributes.clone(),
            created_at: 1,
            updated_at: 1,
        };
        let written = document(&namespace, &definition.clone().into_contents(1));
        assert_eq!(parse_file(&written).unwrap(), definition);
        assert!(written.find("\"b\"") < written.find("\"a\""), "{written}");
    }
}
