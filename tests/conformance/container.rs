//! LocalStack the way most people start it, in a container that belongs to the test. `localstack/README.md` tells where
//! the image comes from.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use testcontainers::bollard::models::{HostConfig, PortBinding};
use testcontainers::core::client::ClientError;
use testcontainers::core::error::TestcontainersError;
use testcontainers::core::{AccessMode, Mount, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, ContainerRequest, GenericImage, ImageExt};

use crate::stores::{Subject, run_on};
use crate::support::skipped;
use crate::support::store::{Bucket, Endpoint};

/// The image to run, `NAME:TAG`.
const IMAGE: &str = "LOCALSTACK_IMAGE";
const REQUIREMENTS: &str = include_str!("../../localstack/requirements.txt");
const INIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/localstack/init/ready.d");
const PORT: u16 = 4566;
/// A loaded machine takes most of a minute.
const STARTUP: Duration = Duration::from_secs(120);

/// The image of the environment, else the one that `localstack/image/build.sh` makes.
#[expect(clippy::disallowed_methods, reason = "as the starters take it")]
fn image() -> String {
    std::env::var(IMAGE).unwrap_or_else(|_| {
        let version = REQUIREMENTS
            .lines()
            .find_map(|line| line.strip_prefix("localstack-core=="));
        format!("oriel/localstack:{}", version.unwrap())
    })
}

/// The container with the bucket script that everybody gets, on a port that only this machine sees.
fn request(image: &str) -> ContainerRequest<GenericImage> {
    let (name, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
    let init = Mount::bind_mount(INIT, "/etc/localstack/init/ready.d");
    GenericImage::new(name, tag)
        .with_wait_for(WaitFor::message_on_stdout("Ready."))
        .with_startup_timeout(STARTUP)
        .with_env_var("SERVICES", "s3")
        .with_env_var("ORIEL_BUCKETS", "images")
        .with_mount(init.with_access_mode(AccessMode::ReadOnly))
        .with_host_config_modifier(|host: &mut HostConfig| {
            let binding = PortBinding {
                host_ip: Some("127.0.0.1".into()),
                host_port: None,
            };
            let bindings = [(format!("{PORT}/tcp"), Some(vec![binding]))];
            host.publish_all_ports = Some(false);
            host.port_bindings = Some(bindings.into());
        })
}

/// None, loudly, where there is no engine or no such image. A container that starts and does not work is a failure.
async fn start(image: &str) -> Option<ContainerAsync<GenericImage>> {
    match request(image).start().await {
        Ok(container) => Some(container),
        Err(TestcontainersError::Client(
            e @ (ClientError::Init(_)
            | ClientError::Configuration(_)
            | ClientError::InvalidDockerHost(_)
            | ClientError::PullImage { .. }
            | ClientError::CreateContainer(_)),
        )) => {
            skipped("localstack_in_a_container", &format!("{image}: {e}"));
            None
        }
        Err(e) => panic!("{image}: {e}"),
    }
}

#[tokio::test]
async fn localstack_in_a_container() {
    let image = image();
    let Some(container) = start(&image).await else {
        return;
    };
    let port = container.get_host_port_ipv4(PORT).await.unwrap();
    let endpoint = Endpoint {
        profile: "localstack".into(),
        url: format!("http://127.0.0.1:{port}"),
        access_key: "test".into(),
        secret_key: "test".into(),
        region: "us-east-1".into(),
    };
    // The bucket script has run: this fails where there is no such bucket.
    assert!(Bucket::new(&endpoint, "images").keys().await.is_empty());

    let subject = Subject {
        endpoint: Some(endpoint),
    };
    macro_rules! run_all {
        ($store:ident: $($area:ident::$scenario:ident,)*) => {
            // One after the other would take minutes; how many run at once is decided where they run.
            join_all([$(
                run_on(&subject, stringify!($store), stringify!($scenario), crate::$area::$scenario)
                    .boxed_local(),
            )*])
            .await
        };
    }
    crate::with_every_scenario!(run_all: container);
    container.rm().await.unwrap();
}
