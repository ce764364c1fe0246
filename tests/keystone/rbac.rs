//! The matrix of contract 5.4 with tokens of the real Keystone.

use crate::cloud::cloud;
use crate::site::{project, user};
use crate::support::client::Client;
use crate::support::rbac::{Callers, try_every_cell};

#[tokio::test]
async fn every_cell_of_the_matrix_holds_for_users_of_keystone() {
    let Some(cloud) = cloud().await else { return };
    let app = cloud.app("[images]\nshow_multiple_locations = true").await;
    let (own, guests, others) = (
        project(cloud).await,
        project(cloud).await,
        project(cloud).await,
    );
    let as_ = async |project: &str, role: &str| -> Client {
        let user = user(cloud, project, role).await;
        app.client.with_token(&user.token(cloud).await)
    };
    let callers = Callers {
        admin: as_(&others, "admin").await,
        member: as_(&own, "member").await,
        reader: as_(&own, "reader").await,
        guest: as_(&guests, "member").await,
        guest_reader: as_(&guests, "reader").await,
        other: as_(&others, "member").await,
        other_reader: as_(&others, "reader").await,
        service: as_(&others, "service").await,
        roleless: as_(&own, "auditor").await,
        own,
        guests,
    };
    match try_every_cell(&callers).await {
        Ok(cells) => assert!(cells > 500, "{cells} cells"),
        Err(wrong) => panic!("{wrong}"),
    }
    app.finish().await;
}
