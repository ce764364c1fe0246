//! The matrix of contract 5.4: every rule, every kind of caller, every visibility, through HTTP.
//!
//! Who the callers are is the test's choice: tokens of a file, or those of an identity service.

use std::fmt::Write;

use http::Method;
use serde_json::{Value, json};

use super::client::{Answer, Client, full, patch};

const PATCH: &str = "application/openstack-images-v2.1-json-patch";

/// A caller of each kind. The image of a row belongs to the project `own`, and is shared with `guest`.
pub struct Callers {
    /// Administrator, of some project.
    pub admin: Client,
    /// Role member in the owning project.
    pub member: Client,
    /// Role reader in the owning project.
    pub reader: Client,
    /// Role member in a project the image is shared with.
    pub guest: Client,
    /// Role reader there.
    pub guest_reader: Client,
    /// Role member elsewhere.
    pub other: Client,
    /// Role reader elsewhere.
    pub other_reader: Client,
    /// Role service, and nothing else, elsewhere.
    pub service: Client,
    /// A role in the owning project that no rule knows.
    pub roleless: Client,
    /// Id of the owning project.
    pub own: String,
    /// Id of the project that the image is shared with.
    pub guests: String,
}

impl Callers {
    /// In the order of a row's letters.
    fn in_order(&self) -> [&Client; 9] {
        [
            &self.admin,
            &self.member,
            &self.reader,
            &self.guest,
            &self.guest_reader,
            &self.other,
            &self.other_reader,
            &self.service,
            &self.roleless,
        ]
    }
}

/// What a row asks for.
#[derive(Debug, Clone, Copy)]
enum Request {
    AddImage,
    GetImages,
    GetImage,
    ModifyImage,
    DeleteImage,
    UploadImage,
    DownloadImage,
    DownloadFromStore,
    PublicizeImage,
    CommunitizeImage,
    Deactivate,
    Reactivate,
    GetImageLocation,
    SetImageLocation,
    DeleteImageLocation,
    FetchImageLocation,
    AddMember,
    DeleteMember,
    GetMembers,
    GetMember,
    ModifyMember,
    StoresInfoDetail,
    TasksApiAccess,
    ReadMetadefs,
    WriteMetadefs,
}

use Request::*;

/// A letter a caller: `y` allowed, `-` 403, `n` 404.
#[rustfmt::skip]
const ROWS: [(Request, &[(&str, &str)]); 25] = [
    (AddImage,            &[("", "yy-------")]),
    (GetImages,           &[("", "yyyyyyy--")]),
    (GetImage,            &[("private", "yyynnnnnn"), ("shared", "yyyyynnnn"), ("community", "yyyyyyynn"), ("public", "yyyyyyynn")]),
    (ModifyImage,         &[("private", "yy-nnnnnn"), ("shared", "yy---nnnn"), ("community", "yy-----nn"), ("public", "yy-----nn")]),
    (DeleteImage,         &[("private", "yy-nnnnnn"), ("shared", "yy---nnnn"), ("community", "yy-----nn"), ("public", "yy-----nn")]),
    (UploadImage,         &[("private", "yy-nnnnnn"), ("shared", "yy---nnnn"), ("community", "yy-----nn"), ("public", "yy-----nn")]),
    (DownloadImage,       &[("private", "yy-nnnnnn"), ("shared", "yy-y-nnnn"), ("community", "yy-y-y-nn"), ("public", "yy-y-y-nn")]),
    (DownloadFromStore,   &[("private", "yy-nnnnnn"), ("shared", "yy-y-nnnn"), ("community", "yy-y-y-nn"), ("public", "yy-y-y-nn")]),
    (PublicizeImage,      &[("private", "y--nnnnnn"), ("shared", "y----nnnn"), ("community", "y------nn")]),
    (CommunitizeImage,    &[("private", "yy-nnnnnn"), ("shared", "yy---nnnn"), ("public", "yy-----nn")]),
    (Deactivate,          &[("private", "yy-nnnnnn"), ("shared", "yy---nnnn"), ("community", "yy-----nn"), ("public", "yy-----nn")]),
    (Reactivate,          &[("private", "yy-nnnnnn"), ("shared", "yy---nnnn"), ("community", "yy-----nn"), ("public", "yy-----nn")]),
    (GetImageLocation,    &[("private", "yyynnnnnn"), ("shared", "yyy--nnnn"), ("community", "yyy----nn"), ("public", "yyy----nn")]),
    (SetImageLocation,    &[("private", "yy-nnnnnn"), ("shared", "yy---nnnn"), ("community", "yy-----nn"), ("public", "yy-----nn")]),
    (DeleteImageLocation, &[("private", "y--nnnnnn"), ("shared", "y----nnnn"), ("community", "y------nn"), ("public", "y------nn")]),
    (FetchImageLocation,  &[("private", "y--nnnnnn"), ("shared", "y----nnnn"), ("community", "y------yn"), ("public", "y------yn")]),
    (AddMember,           &[("private", "---nnnnn-"), ("shared", "yy---nnnn"), ("public", "---------")]),
    (DeleteMember,        &[("private", "---nnnnn-"), ("shared", "yy---nnnn"), ("public", "---------")]),
    (GetMembers,          &[("private", "---nnnnn-"), ("shared", "yyyyynnnn"), ("public", "---------")]),
    (GetMember,           &[("private", "nnnnnnnnn"), ("shared", "yyyyynnnn"), ("public", "nnnnnnnnn")]),
    (ModifyMember,        &[("private", "---nnnnn-"), ("shared", "y--y-nnnn"), ("public", "---------")]),
    (StoresInfoDetail,    &[("", "y------y-")]),
    (TasksApiAccess,      &[("", "y--------")]),
    (ReadMetadefs,        &[("private", "yyynnnnnn"), ("public", "yyyyyyynn")]),
    (WriteMetadefs,       &[("private", "y--nnnnnn"), ("public", "y------nn")]),
];

/// Tries every cell of the matrix; gives how many, or the ones that are wrong. The site shows locations.
pub async fn try_every_cell(callers: &Callers) -> Result<usize, String> {
    let (mut cells, mut wrong) = (0, String::new());
    for (request, by_visibility) in ROWS {
        for (visibility, expected) in by_visibility {
            assert_eq!(expected.len(), callers.in_order().len());
            let mut got = String::new();
            for client in callers.in_order() {
                got.push(try_cell(callers, client, request, visibility).await);
                cells += 1;
            }
            if got != *expected {
                let _ = writeln!(
                    wrong,
                    "{request:?} {visibility}: expected {expected}, got {got}"
                );
            }
        }
    }
    if wrong.is_empty() {
        Ok(cells)
    } else {
        Err(wrong)
    }
}

async fn try_cell(callers: &Callers, client: &Client, request: Request, visibility: &str) -> char {
    let admin = &callers.admin;
    if matches!(request, ReadMetadefs | WriteMetadefs) {
        return try_metadef(callers, client, request, visibility).await;
    }
    let id = if visibility.is_empty() {
        String::new()
    } else {
        image(callers, request, visibility).await
    };
    let path = format!("/v2/images/{id}");
    let members = format!("{path}/members");
    let answer = match request {
        AddImage => {
            client
                .post_json("/v2/images", &json!({"owner": callers.own}))
                .await
        }
        GetImages => client.get("/v2/images").await,
        GetImage => client.get(&path).await,
        ModifyImage => {
            patch(
                client,
                &path,
                json!([{"op": "add", "path": "/name", "value": "n"}]),
            )
            .await
        }
        DeleteImage => client.delete(&path).await,
        UploadImage => client.put_file(&id, &[], full("data")).await,
        DownloadImage => client.get(&format!("{path}/file")).await,
        DownloadFromStore => client.get(&format!("{path}/file?prefer=main")).await,
        PublicizeImage => patch(client, &path, visible("public")).await,
        CommunitizeImage => patch(client, &path, visible("community")).await,
        Deactivate | Reactivate => {
            let action = if matches!(request, Deactivate) {
                "deactivate"
            } else {
                "reactivate"
            };
            client
                .send(
                    Method::POST,
                    &format!("{path}/actions/{action}"),
                    &[],
                    full(""),
                )
                .await
        }
        GetImageLocation => {
            let answer = client.get(&path).await;
            if answer.status.is_success() && answer.json().get("locations").is_none() {
                remove(admin, &id).await;
                return '-';
            }
            answer
        }
        SetImageLocation => {
            let present = admin.image(&id).await["locations"].clone();
            patch(
                client,
                &path,
                json!([{"op": "replace", "path": "/locations", "value": present}]),
            )
            .await
        }
        DeleteImageLocation => {
            let answer = client.delete(&format!("/v2/stores/main/{id}")).await;
            // Let through, and then the image has no data that could be removed.
            if answer.status == 409 {
                remove(admin, &id).await;
                return 'y';
            }
            answer
        }
        FetchImageLocation => client.get(&format!("{path}/locations")).await,
        AddMember => {
            client
                .post_json(&members, &json!({"member": "some-project"}))
                .await
        }
        DeleteMember => {
            client
                .delete(&format!("{members}/{}", callers.guests))
                .await
        }
        GetMembers => client.get(&members).await,
        GetMember => client.get(&format!("{members}/{}", callers.guests)).await,
        ModifyMember => {
            let body = json!({"status": "accepted"}).to_string();
            client
                .send(
                    Method::PUT,
                    &format!("{members}/{}", callers.guests),
                    &[],
                    full(body),
                )
                .await
        }
        StoresInfoDetail => client.get("/v2/info/stores/detail").await,
        TasksApiAccess => client.get("/v2/tasks").await,
        ReadMetadefs | WriteMetadefs => unreachable!("tried above"),
    };
    if !id.is_empty() {
        remove(admin, &id).await;
    } else if matches!(request, AddImage) && answer.status.is_success() {
        remove(admin, answer.json()["id"].as_str().unwrap()).await;
    }
    letter(&answer, &format!("{request:?} {visibility}"))
}

/// An image of the owner that is shared with the guests before it gets its visibility, with data where a row needs it.
async fn image(callers: &Callers, request: Request, visibility: &str) -> String {
    let admin = &callers.admin;
    let body = json!({"owner": callers.own, "disk_format": "raw", "container_format": "bare"});
    let id = admin.create(&body).await;
    let path = format!("/v2/images/{id}");
    let shared = admin
        .post_json(
            &format!("{path}/members"),
            &json!({"member": callers.guests}),
        )
        .await;
    assert_eq!(shared.status, 200, "{}", shared.text());
    if !matches!(request, UploadImage | DeleteImageLocation) {
        let put = admin.put_file(&id, &[], full("data")).await;
        assert_eq!(put.status, 204, "{}", put.text());
    }
    if visibility != "shared" {
        let changed = patch(admin, &path, visible(visibility)).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
    }
    id
}

async fn try_metadef(
    callers: &Callers,
    client: &Client,
    request: Request,
    visibility: &str,
) -> char {
    let name = format!("rbac-{}", uuid::Uuid::new_v4());
    let body = json!({"namespace": name, "owner": callers.own, "visibility": visibility});
    let made = callers
        .admin
        .post_json("/v2/metadefs/namespaces", &body)
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    let path = format!("/v2/metadefs/namespaces/{name}");
    let answer = match request {
        ReadMetadefs => client.get(&path).await,
        _ => {
            client
                .post_json(&format!("{path}/objects"), &json!({"name": "o"}))
                .await
        }
    };
    callers.admin.delete(&path).await;
    letter(&answer, &format!("{request:?} {visibility}"))
}

fn letter(answer: &Answer, case: &str) -> char {
    match answer.status.as_u16() {
        200..=299 => 'y',
        403 => '-',
        404 => 'n',
        status => panic!("{case}: {status} {}", answer.text()),
    }
}

fn visible(visibility: &str) -> Value {
    json!([{"op": "replace", "path": "/visibility", "value": visibility}])
}

async fn remove(admin: &Client, id: &str) {
    admin.delete(&format!("/v2/images/{id}")).await;
}
