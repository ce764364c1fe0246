//! One operation on one image through any server, written down in the image's history with what was answered.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use md5::{Digest, Md5};
use serde_json::{Value, json};

use super::history::History;
use super::model::{Action, Answer, Record, Status};
use crate::support::client::{Body, Client, full};
use crate::support::{content, servers::SERVERS};

/// How long a client waits for an answer. What it gives up may still happen.
const PATIENCE: Duration = Duration::from_secs(12);

/// How long it waits after an answer that was none.
const BACKOFF: Duration = Duration::from_millis(150);

const OWNER: &str = "member-token";
const OTHER: &str = "stranger-token";
const OTHER_PROJECT: &str = "other";

/// An image, and what was done with it.
pub struct Tracked {
    pub id: String,
    pub history: Mutex<History>,
}

impl Tracked {
    pub fn new() -> Self {
        Self {
            id: uuid::Uuid::new_v4().to_string(),
            history: Mutex::default(),
        }
    }
}

/// What all clients share: where the servers are, and what was uploaded.
pub struct World {
    pub servers: Mutex<Vec<Client>>,
    numbers: AtomicU32,
    /// The MD5 of the data of each upload.
    uploads: Mutex<HashMap<String, u32>>,
    pub answered: AtomicU64,
    pub unanswered: AtomicU64,
    /// Uploads for which there was no room.
    pub over_quota: AtomicU64,
}

/// An answer, read whole.
struct Told {
    status: StatusCode,
    body: Bytes,
}

impl Told {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.body))
    }
}

/// Why there is none.
#[derive(Debug, PartialEq)]
enum Silence {
    /// The server was not reached.
    NotSent,
    /// It may have done it.
    Unknown,
}

impl World {
    pub fn new(servers: Vec<Client>) -> Arc<Self> {
        Arc::new(Self {
            servers: Mutex::new(servers),
            numbers: AtomicU32::new(1),
            uploads: Mutex::default(),
            answered: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            over_quota: AtomicU64::new(0),
        })
    }

    /// A number that nobody else has.
    pub fn number(&self) -> u32 {
        self.numbers.fetch_add(1, Ordering::SeqCst)
    }

    fn server(&self, token: &str) -> Client {
        let servers = self.servers.lock().unwrap();
        servers[fastrand::usize(..SERVERS)].with_token(token)
    }

    async fn ask(
        &self,
        token: &str,
        method: Method,
        path: &str,
        content_type: &str,
        body: Body,
    ) -> Result<Told, Silence> {
        let client = self.server(token);
        let asking = async {
            let headers = [("content-type", content_type)];
            let answer = client.open(method, path, &headers, body).await;
            let (head, body) = answer
                .map_err(|e| match e.is_connect() {
                    true => Silence::NotSent,
                    false => Silence::Unknown,
                })?
                .into_parts();
            #[expect(clippy::disallowed_methods, reason = "test images are small")]
            let body = body.collect().await.map_err(|_| Silence::Unknown)?;
            let body = body.to_bytes();
            match head.status {
                StatusCode::SERVICE_UNAVAILABLE => {
                    assert!(head.headers.contains_key("retry-after"));
                    Err(Silence::Unknown)
                }
                status if status.is_server_error() => panic!("{path}: {status}: {body:?}"),
                status => Ok(Told { status, body }),
            }
        };
        let told = match tokio::time::timeout(PATIENCE, asking).await {
            Ok(told) => told,
            Err(_) => Err(Silence::Unknown),
        };
        let counter = match told {
            Ok(_) => &self.answered,
            Err(_) => &self.unanswered,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if told.is_err() {
            tokio::time::sleep(BACKOFF).await;
        }
        told
    }

    /// Does one thing with one image.
    pub async fn act(&self, client: usize, image: &Tracked, name: &str, action: Action) {
        if let Action::Begin(number) = action {
            return self.upload(client, image, number).await;
        }
        let operation = image.history.lock().unwrap().begin(client, action);
        let told = self.request(image, name, action).await;
        let mut history = image.history.lock().unwrap();
        match told {
            Ok(told) => history.end(operation, self.answer(action, &told)),
            Err(Silence::Unknown) if !action.is_read() => {}
            Err(_) => history.forget(operation),
        }
    }

    async fn request(&self, image: &Tracked, name: &str, action: Action) -> Result<Told, Silence> {
        const V20: &str = "application/openstack-images-v2.0-json-patch";
        const V21: &str = "application/openstack-images-v2.1-json-patch";
        const JSON: &str = "application/json";
        let path = format!("/v2/images/{}", image.id);
        let token = match action {
            Action::ReadShared => OTHER,
            _ => OWNER,
        };
        let (method, path, kind, body) = match action {
            Action::Create => {
                let body = json!({"id": image.id, "name": name, "n": "0", "disk_format": "raw",
                    "container_format": "bare"});
                (Method::POST, "/v2/images".into(), JSON, Some(body))
            }
            Action::Write(value) => {
                let body = json!([{"op": "replace", "path": "/n", "value": value.to_string()}]);
                (Method::PATCH, path, V21, Some(body))
            }
            Action::Claim(value) => {
                let body = json!([{"add": "/claim", "value": value.to_string()}]);
                (Method::PATCH, path, V20, Some(body))
            }
            Action::Release => {
                let body = json!([{"op": "remove", "path": "/claim"}]);
                (Method::PATCH, path, V21, Some(body))
            }
            Action::Share => {
                let body = json!({"member": OTHER_PROJECT});
                (Method::POST, path + "/members", JSON, Some(body))
            }
            Action::Unshare => {
                let path = format!("{path}/members/{OTHER_PROJECT}");
                (Method::DELETE, path, JSON, None)
            }
            Action::Deactivate => (Method::POST, path + "/actions/deactivate", JSON, None),
            Action::Reactivate => (Method::POST, path + "/actions/reactivate", JSON, None),
            Action::Delete => (Method::DELETE, path, JSON, None),
            Action::Read | Action::ReadShared => (Method::GET, path, JSON, None),
            Action::Download => (Method::GET, path + "/file", JSON, None),
            Action::ListMembers => (Method::GET, path + "/members", JSON, None),
            Action::Begin(_) | Action::Finish(_) | Action::GiveUp(_) => {
                unreachable!("an upload is several operations")
            }
        };
        let body = full(body.map_or(String::new(), |body| body.to_string()));
        self.ask(token, method, &path, kind, body).await
    }

    fn answer(&self, action: Action, told: &Told) -> Answer {
        match (action, told.status.as_u16()) {
            (Action::Write(_) | Action::Claim(_) | Action::Release, 200)
            | (Action::Read | Action::ReadShared, 200) => Answer::Seen(self.record(&told.json())),
            (Action::Download, 200) => Answer::Data(Some(number_of(&told.body))),
            (Action::Download, 204) => Answer::Data(None),
            (Action::ListMembers, 200) => {
                let members = told.json()["members"].as_array().unwrap().clone();
                assert!(members.iter().all(|it| it["member_id"] == OTHER_PROJECT));
                Answer::Shared(!members.is_empty())
            }
            (Action::Create, 201) | (Action::Share, 200) => Answer::Done,
            (Action::Unshare | Action::Delete, 204)
            | (Action::Deactivate | Action::Reactivate, 204) => Answer::Done,
            (_, 403) => Answer::Forbidden,
            (_, 404) => Answer::Missing,
            (_, 409) => Answer::Conflict,
            (_, status) => panic!("{action:?}: {status}: {:?}", told.body),
        }
    }

    /// An upload, which is taken apart into what others can see of it.
    async fn upload(&self, client: usize, image: &Tracked, number: u32) {
        let data = data_of(number);
        let digest: String = Md5::digest(&data)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        self.uploads.lock().unwrap().insert(digest, number);
        let parts = [Action::Begin, Action::Finish, Action::GiveUp].map(|part| part(number));
        let [begin, finish, give_up] = {
            let mut history = image.history.lock().unwrap();
            parts.map(|part| history.begin(client, part))
        };
        let path = format!("/v2/images/{}/file", image.id);
        let kind = "application/octet-stream";
        let body = body_of(number, data);
        let told = self.ask(OWNER, Method::PUT, &path, kind, body).await;
        let mut history = image.history.lock().unwrap();
        match told.map(|told| (told.status.as_u16(), told)) {
            Ok((204, _)) => {
                history.end(begin, Answer::Done);
                history.end(finish, Answer::Done);
                history.forget(give_up);
            }
            // Deleted meanwhile.
            Ok((410, _)) => {
                history.end(begin, Answer::Done);
                history.end(finish, Answer::Missing);
                history.forget(give_up);
            }
            Ok((status @ (404 | 409), _)) => {
                let answer = if status == 404 {
                    Answer::Missing
                } else {
                    Answer::Conflict
                };
                history.end(begin, answer);
                history.forget(finish);
                history.forget(give_up);
            }
            // Refused at once, or at its end.
            Ok((413, _)) => {
                history.forget(finish);
                self.over_quota.fetch_add(1, Ordering::Relaxed);
            }
            Ok((status, told)) => panic!("upload: {status}: {:?}", told.body),
            Err(Silence::NotSent) => [begin, finish, give_up]
                .into_iter()
                .for_each(|part| history.forget(part)),
            Err(Silence::Unknown) => {}
        }
    }

    /// Lists the images of this name, which reads each of them.
    pub async fn list(&self, client: usize, images: &[Tracked], name: &str) {
        let begun: Vec<usize> = images
            .iter()
            .map(|image| image.history.lock().unwrap().begin(client, Action::Read))
            .collect();
        let path = format!("/v2/images?name={name}");
        let told = self
            .ask(OWNER, Method::GET, &path, "application/json", full(""))
            .await;
        let listed = told.map(|told| {
            assert_eq!(told.status, StatusCode::OK, "{:?}", told.body);
            told.json()["images"].as_array().unwrap().clone()
        });
        for (image, operation) in images.iter().zip(begun) {
            let mut history = image.history.lock().unwrap();
            let Ok(listed) = &listed else {
                history.forget(operation);
                continue;
            };
            let found = listed.iter().find(|it| it["id"] == image.id.as_str());
            let answer = found.map_or(Answer::Missing, |it| Answer::Seen(self.record(it)));
            history.end(operation, answer);
        }
    }

    fn record(&self, image: &Value) -> Record {
        let number = |name: &str| image[name].as_str().map(|text| text.parse().unwrap());
        let checksum = image["checksum"].as_str();
        Record {
            status: match image["status"].as_str().unwrap() {
                "queued" => Status::Queued,
                "saving" => Status::Saving,
                "active" => Status::Active,
                "deactivated" => Status::Deactivated,
                other => panic!("status {other}"),
            },
            data: checksum.map(|digest| self.uploads.lock().unwrap()[digest]),
            value: number("n").expect("it was created with one"),
            claim: number("claim"),
        }
    }
}

/// What an upload carries: its number, then what follows from it. One of eight is longer than a part.
fn data_of(number: u32) -> Bytes {
    let length = match number % 8 {
        0 => 5 * 1024 * 1024 + 10_000,
        1 | 2 => 200_000,
        _ => 3_000,
    };
    let mut data = format!("{number:10}").into_bytes();
    data.extend_from_slice(&content::slice(u64::from(number), length));
    data.into()
}

/// The upload that data is of, which is compared to the byte.
fn number_of(data: &Bytes) -> u32 {
    let number = std::str::from_utf8(&data[..10])
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert!(*data == data_of(number), "{} bytes of {number}", data.len());
    number
}

/// Some come at once, some in pieces with pauses, so that others see the image meanwhile.
fn body_of(number: u32, data: Bytes) -> Body {
    const PAUSE: Duration = Duration::from_millis(60);
    if number.is_multiple_of(2) {
        return full(data);
    }
    let piece = data.len() / 3 + 1;
    let pieces = stream::unfold(data, move |mut left| async move {
        if left.is_empty() {
            return None;
        }
        tokio::time::sleep(PAUSE).await;
        let next = left.split_to(piece.min(left.len()));
        Some((Ok(Frame::data(next)), left))
    });
    StreamBody::new(pieces).boxed_unsync()
}
