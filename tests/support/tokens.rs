//! A site whose callers show tokens. The token of a caller is its name.

use oriel::hash_of_token;
use tempfile::TempDir;

use super::app::{Options, TestApp};

/// Name, project (`None` is no project) and roles of every caller.
const CALLERS: [(&str, Option<&str>, &str); 6] = [
    ("admin-token", Some("site"), "\"admin\""),
    ("member-token", Some("own"), "\"member\""),
    ("reader-token", Some("own"), "\"reader\""),
    ("stranger-token", Some("other"), "\"member\""),
    ("stranger-reader-token", Some("other"), "\"reader\""),
    ("roleless-token", Some("own"), "\"auditor\""),
];

/// The file of tokens; it goes when this is dropped.
pub struct Tokens(TempDir);

impl Tokens {
    /// Every caller, and `expired-token`.
    pub fn new() -> Self {
        let tokens = Self(tempfile::tempdir().unwrap());
        let mut text: String = CALLERS
            .iter()
            .map(|(token, project, roles)| entry(token, *project, roles))
            .collect();
        text += &entry("expired-token", Some("own"), "\"member\"");
        text += "expires = 2020-01-01T00:00:00Z\n";
        tokens.write(&text);
        tokens
    }

    /// Replaces the file as an operator does: written aside, then renamed.
    pub fn write(&self, text: &str) {
        let aside = self.0.path().join("new");
        std::fs::write(&aside, text).unwrap();
        std::fs::rename(aside, self.0.path().join("tokens.toml")).unwrap();
    }

    /// The table of the configuration.
    pub fn table(&self) -> String {
        format!(
            "[tokens]\nfile = {:?}\n",
            self.0.path().join("tokens.toml").display().to_string()
        )
    }

    /// The service with these callers; its own client is the administrator's.
    pub async fn start(&self, options: Options) -> TestApp {
        let mut app = TestApp::with(Options {
            top: "auth = \"tokens\"".into(),
            tables: self.table() + &options.tables,
            ..options
        })
        .await;
        app.client = app.client.with_token("admin-token");
        app
    }
}

/// An entry of the file. `roles` is the inside of a TOML array.
pub fn entry(token: &str, project: Option<&str>, roles: &str) -> String {
    let project = project.map_or_else(String::new, |id| format!("project_id = {id:?}\n"));
    format!(
        "[[token]]\nname = \"of {token}\"\nsha256 = {:?}\nuser_id = \"user\"\nroles = [{roles}]\n{project}",
        hash_of_token(token)
    )
}
