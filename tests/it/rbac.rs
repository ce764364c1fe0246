//! The matrix of contract 5.4 with the tokens of a file.

use crate::support::app::Options;
use crate::support::rbac::{Callers, try_every_cell};
use crate::support::tokens::{Tokens, entry};

#[tokio::test]
async fn every_cell_of_the_matrix_of_rules_and_callers_holds() {
    let tokens = Tokens::new();
    let callers = [
        ("admin-token", "site", "admin"),
        ("member", "own", "member"),
        ("reader", "own", "reader"),
        ("guest", "guest", "member"),
        ("guest-reader", "guest", "reader"),
        ("other", "other", "member"),
        ("other-reader", "other", "reader"),
        ("service", "service", "service"),
        ("roleless", "own", "auditor"),
    ];
    let text: String = callers
        .iter()
        .map(|(token, project, role)| entry(token, Some(project), &format!("{role:?}")))
        .collect();
    tokens.write(&text);
    let app = tokens
        .start(Options {
            tables: "[images]\nshow_multiple_locations = true\n".into(),
            ..Options::default()
        })
        .await;
    let client = |token| app.client.with_token(token);
    let callers = Callers {
        admin: client("admin-token"),
        member: client("member"),
        reader: client("reader"),
        guest: client("guest"),
        guest_reader: client("guest-reader"),
        other: client("other"),
        other_reader: client("other-reader"),
        service: client("service"),
        roleless: client("roleless"),
        own: "own".into(),
        guests: "guest".into(),
    };
    match try_every_cell(&callers).await {
        Ok(cells) => assert!(cells > 500, "{cells} cells"),
        Err(wrong) => panic!("{wrong}"),
    }
    app.finish().await;
}
