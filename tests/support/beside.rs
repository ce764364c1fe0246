//! A service with two stores in buckets of one S3 server, which can copy from each other.

use super::app::{Options, TestApp};
use super::eventually;
use super::proxy::FaultProxy;
use super::store::{Bucket, Embedded, Endpoint};

/// The stores are `main`, the default, and `second`; one proxy stands before both.
pub struct Beside {
    pub app: TestApp,
    /// Both looked at past the proxy.
    pub main: Bucket,
    pub second: Bucket,
    pub proxy: FaultProxy,
    _embedded: Option<Embedded>,
}

impl Beside {
    /// On an embedded store.
    pub async fn start() -> Self {
        Self::with("", None).await
    }

    /// The same with more keys of both stores, on this server if there is one.
    pub async fn with(store: &str, server: Option<&Endpoint>) -> Self {
        let embedded = match server {
            Some(_) => None,
            None => Some(Embedded::start().await),
        };
        let direct = server.cloned();
        let direct = direct.unwrap_or_else(|| embedded.as_ref().unwrap().endpoint());
        let proxy = FaultProxy::start(&direct.url).await;
        let endpoint = Endpoint {
            url: proxy.url(),
            ..direct.clone()
        };
        let [first, second] = [(), ()].map(|()| format!("oriel-{}", uuid::Uuid::new_v4().simple()));
        let store = format!("retries = 0\n{store}");
        let app = TestApp::with(Options {
            top: "auth = \"none\"\ndefault_store = \"main\"".into(),
            server: "drain_grace = \"0s\"".into(),
            tables: format!(
                "[transfer]\nlease = \"3s\"\n[store.second]\nendpoint = {:?}\nbucket = {second:?}\nprofile = {:?}\n\
                 create_bucket = true\naccess_key = {:?}\nsecret_key = {:?}\nregion = {:?}\n{store}\n",
                endpoint.url,
                endpoint.profile,
                endpoint.access_key,
                endpoint.secret_key,
                endpoint.region,
            ),
            store,
            bucket: first.clone(),
            endpoint: Some(endpoint),
            ..Options::default()
        })
        .await;
        let second = Bucket::new(&direct, &second);
        eventually("the second bucket is there", async || {
            let look = second.s3.head_bucket().bucket(&second.name);
            look.send().await.ok().map(drop)
        })
        .await;
        Self {
            app,
            main: Bucket::new(&direct, &first),
            second,
            proxy,
            _embedded: embedded,
        }
    }

    /// How many requests of each of these operations have come so far.
    pub fn counts<const N: usize>(&self, operations: [&str; N]) -> [usize; N] {
        operations.map(|operation| self.proxy.count(operation))
    }

    /// Waits until neither bucket has anything of an image.
    pub async fn until_nothing_is_left(&self, id: &str) {
        eventually("nothing of the image is in a store", async || {
            let mut keys = Vec::new();
            for bucket in [&self.main, &self.second] {
                keys.extend(bucket.keys().await);
                keys.extend(bucket.open_uploads().await);
            }
            keys.iter().all(|key| !key.contains(id)).then_some(())
        })
        .await;
    }
}
