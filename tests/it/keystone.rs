//! Keystone in trouble, and the token of the service's own. The identity service here is a script; `tests/keystone.rs` has the
//! real one.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use time::Duration;

use crate::support::child::{Server, oriel};
use crate::support::client::{Client, full};
use crate::support::identity::{IdentityServer, Mood, PASSWORD, SECRET_OF_ANSWERS};
use crate::support::store::Embedded;

const LIST: &str = "/v2/images";

/// Fast enough for tests, slow enough for a loaded machine.
const QUICK: &str = "retries = 1\nrequest_timeout = \"2s\"";

async fn status(client: &Client) -> StatusCode {
    client.get(LIST).await.status
}

/// Whatever the trouble, the client is told to come back, and nothing of what Keystone said.
async fn assert_unavailable(client: &Client) {
    let answer = client.get(LIST).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer.header("www-authenticate"), None);
    assert!(!answer.text().contains(SECRET_OF_ANSWERS));
}

#[tokio::test]
async fn keystone_in_any_trouble_is_503_and_cached_tokens_go_on() {
    let identity = IdentityServer::start().await;
    let app = identity.app(QUICK).await;
    let (known, new) = (
        app.client.with_token("good-known"),
        app.client.with_token("good-new"),
    );
    assert_eq!(status(&known).await, StatusCode::OK);
    assert_eq!(status(&app.client).await, StatusCode::OK);
    let garbage = |text: &str| Mood::Garbage(Bytes::copy_from_slice(text.as_bytes()));
    for mood in [
        Mood::Status(500),
        Mood::Status(503),
        Mood::Status(429),
        Mood::Status(403),
        Mood::Status(400),
        Mood::Status(302),
        Mood::Cut,
        Mood::Hang,
        garbage(""),
        garbage("<html>sesame</html>"),
        garbage("{\"token\": {}}"),
        garbage("[]"),
        Mood::Garbage(Bytes::from(vec![b' '; 3 << 20])),
    ] {
        identity.script(|script| script.validation = mood.clone());
        let begun = tokio::time::Instant::now();
        assert_unavailable(&new).await;
        assert!(begun.elapsed().as_secs() < 10, "{mood:?}");
        assert_eq!(status(&known).await, StatusCode::OK, "{mood:?}");
    }
    identity.all(&Mood::Well);
    assert_eq!(status(&new).await, StatusCode::OK);
    assert_eq!(identity.asked("good-known"), 1);
    app.finish().await;
}

#[tokio::test]
async fn service_that_starts_before_keystone_waits_for_it() {
    let identity = IdentityServer::start().await;
    identity.all(&Mood::Cut);
    let app = identity.app(QUICK).await;
    assert_unavailable(&app.client).await;
    assert_eq!(app.client.get("/healthcheck").await.status, StatusCode::OK);
    identity.all(&Mood::Well);
    assert_eq!(status(&app.client).await, StatusCode::OK);
    app.finish().await;
}

#[tokio::test]
async fn passing_failures_are_retried_and_refusals_are_not() {
    let identity = IdentityServer::start().await;
    let app = identity.app("retries = 2").await;
    assert_eq!(status(&app.client).await, StatusCode::OK);
    for mood in [Mood::Status(500), Mood::Status(503), Mood::Cut] {
        identity.script(|script| {
            script.validation = mood.clone();
            script.faults = 2;
            script.validations.clear();
        });
        let token = format!("good-{mood:?}").replace(['(', ')'], "-");
        assert_eq!(
            status(&app.client.with_token(&token)).await,
            200,
            "{mood:?}"
        );
        assert!(identity.asked(&token) >= 3, "{mood:?}");
    }
    identity.script(|script| script.validation = Mood::Well);
    assert_eq!(status(&app.client.with_token("bad")).await, 401);
    assert_eq!(identity.asked("bad"), 1);
    app.finish().await;
}

#[tokio::test]
async fn stale_token_goes_on_while_keystone_is_away_and_a_refused_one_never() {
    let identity = IdentityServer::start().await;
    // Every answer is out of date at once.
    let options =
        "token_cache_time = \"0s\"\nstale_while_unavailable = \"1h\"\n".to_owned() + QUICK;
    let app = identity.app(&options).await;
    let client = app.client.with_token("good");
    for token in ["good", "admin"] {
        assert_eq!(status(&app.client.with_token(token)).await, StatusCode::OK);
    }
    identity.all(&Mood::Status(500));
    assert_eq!(status(&client).await, StatusCode::OK);
    let asked = identity.asked("good");
    assert_eq!(status(&client).await, StatusCode::OK);
    assert_eq!(identity.asked("good"), asked, "asked in vain");
    assert_unavailable(&app.client.with_token("good-new")).await;
    assert!(
        app.metric("oriel_token_lookups_total{result=\"stale\"}")
            .await
            >= 2.0
    );

    identity.all(&Mood::Well);
    identity.script(|script| script.revoked.insert("good".into()));
    // A question that is answered ends the time of trouble.
    assert_eq!(status(&app.client.with_token("good-new")).await, 200);
    assert_eq!(status(&client).await, 401);
    identity.all(&Mood::Status(500));
    assert_unavailable(&client).await;
    identity.all(&Mood::Well);
    app.finish().await;
}

#[tokio::test]
async fn without_stale_time_an_old_answer_is_no_answer() {
    let identity = IdentityServer::start().await;
    let app = identity
        .app(&format!("token_cache_time = \"0s\"\n{QUICK}"))
        .await;
    assert_eq!(status(&app.client).await, StatusCode::OK);
    identity.all(&Mood::Status(500));
    assert_unavailable(&app.client).await;
    identity.all(&Mood::Well);
    app.finish().await;
}

#[tokio::test]
async fn token_of_the_service_is_renewed_before_it_ends() {
    let identity = IdentityServer::start().await;
    let app = identity.app("").await;
    // Its last minute has begun.
    identity.script(|script| script.own_life = (Duration::HOUR, Duration::seconds(30)));
    assert_eq!(status(&app.client.with_token("good-1")).await, 200);
    assert_eq!(status(&app.client.with_token("good-2")).await, 200);
    identity.script(|script| script.own_life = (Duration::ZERO, Duration::HOUR));
    assert_eq!(status(&app.client.with_token("good-3")).await, 200);
    assert_eq!(status(&app.client.with_token("good-4")).await, 200);
    let own: Vec<String> = identity.validations().into_iter().map(|v| v.own).collect();
    assert_eq!(
        own,
        ["own-token-1", "own-token-2", "own-token-3", "own-token-3"]
    );
    app.finish().await;
}

#[tokio::test]
async fn renewal_that_fails_leaves_a_token_that_is_still_good() {
    let identity = IdentityServer::start().await;
    let app = identity.app(QUICK).await;
    identity.script(|script| script.own_life = (Duration::HOUR, Duration::seconds(50)));
    assert_eq!(status(&app.client).await, StatusCode::OK);
    identity.script(|script| script.login = Mood::Status(500));
    assert_eq!(status(&app.client.with_token("good")).await, 200);
    assert_eq!(identity.validations()[1].own, "own-token-1");
    app.finish().await;
}

#[tokio::test]
async fn token_of_the_service_that_is_refused_is_replaced_once() {
    let identity = IdentityServer::start().await;
    let app = identity.app(QUICK).await;
    assert_eq!(status(&app.client).await, StatusCode::OK);
    identity.script(|script| script.revoked.insert("own-token-1".into()));
    assert_eq!(status(&app.client.with_token("good-1")).await, 200);
    assert_eq!(identity.script(|script| script.logins), 2);

    // Refused for good: no loop of logins.
    identity.script(|script| script.validation = Mood::Status(401));
    assert_unavailable(&app.client.with_token("good-2")).await;
    assert_eq!(identity.script(|script| script.logins), 3);
    identity.script(|script| script.validation = Mood::Well);
    assert_eq!(status(&app.client.with_token("good-2")).await, 200);
    app.finish().await;
}

#[tokio::test]
async fn credentials_that_are_refused_are_not_tried_in_a_loop() {
    let identity = IdentityServer::start().await;
    identity.script(|script| script.login = Mood::Status(401));
    let mut app = identity.app(QUICK).await;
    for number in 0..5 {
        assert_unavailable(&app.client.with_token(&format!("good-{number}"))).await;
    }
    assert_eq!(identity.script(|script| script.logins), 1);
    app.shut_down().await;
}

#[tokio::test]
async fn tokens_are_validated_where_the_catalog_says() {
    let (login, here, there) = (
        IdentityServer::start().await,
        IdentityServer::start().await,
        IdentityServer::start().await,
    );
    for (server, region) in [(&here, "here"), (&there, "there")] {
        login.script(|script| script.endpoint = Some((server.url() + "/v3", region.into())));
        let app = login.app(&format!("region = \"{region}\"")).await;
        assert_eq!(status(&app.client).await, StatusCode::OK);
        assert_eq!(server.asked("admin"), 1);
        app.finish().await;
    }
    assert!(login.validations().is_empty());
    // No endpoint in the region: the URL of the login.
    let app = login.app("region = \"nowhere\"").await;
    assert_eq!(status(&app.client).await, StatusCode::OK);
    assert_eq!(login.asked("admin"), 1);
    app.finish().await;
}

#[tokio::test]
async fn keystone_behind_tls_is_trusted_by_its_authority_alone() {
    let issue = || rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (trusted, other) = (issue(), issue());
    let key = PrivateKeyDer::try_from(trusted.signing_key.serialize_der()).unwrap();
    let provider = rustls::crypto::ring::default_provider();
    let tls = ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![trusted.cert.der().clone()], key)
        .unwrap();
    let identity = IdentityServer::start_tls(Arc::new(tls).into()).await;
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("ca.pem");
    let options = format!("ca_bundle = {:?}\n{QUICK}", bundle.to_str().unwrap());
    // A bundle may hold several.
    std::fs::write(&bundle, other.cert.pem() + &trusted.cert.pem()).unwrap();
    let app = identity.app(&options).await;
    assert_eq!(status(&app.client).await, StatusCode::OK);
    app.finish().await;

    std::fs::write(&bundle, other.cert.pem()).unwrap();
    let mut app = identity.app(&options).await;
    assert_unavailable(&app.client).await;
    app.shut_down().await;
}

#[tokio::test]
async fn question_says_that_access_rules_are_understood_and_expiry_counts() {
    let identity = IdentityServer::start().await;
    let app = identity.app("").await;
    assert_eq!(status(&app.client).await, StatusCode::OK);
    let seen = &identity.validations()[0];
    assert_eq!(seen.access_rules.as_deref(), Some("1"));
    assert_eq!(seen.query, None);
    app.finish().await;
}

#[tokio::test]
async fn token_that_keystone_calls_good_after_its_end_is_refused() {
    let identity = IdentityServer::start().await;
    let app = identity.app("").await;
    identity.script(|script| script.expires_in = -Duration::SECOND);
    assert_eq!(status(&app.client.with_token("good")).await, 401);
    identity.script(|script| script.expires_in = Duration::HOUR);
    app.finish().await;
}

#[tokio::test]
async fn trouble_with_keystone_tells_no_secret_to_anybody() {
    let identity = IdentityServer::start().await;
    let embedded = Embedded::start().await;
    let endpoint = embedded.endpoint();
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("oriel.toml");
    let text = format!(
        "auth = \"keystone\"\n{}\n[log]\nlevel = \"trace\"\n[server]\nlisten = \"127.0.0.1:0\"\n[metrics]\nlisten = \"off\"\n\
         [catalog]\npath = {:?}\n[store.main]\nendpoint = {:?}\nbucket = \"images\"\naccess_key = {:?}\nsecret_key = {:?}\n\
         profile = \"embedded\"\ncreate_bucket = true\n",
        identity.table(QUICK),
        dir.path().join("catalog.sqlite"),
        endpoint.url,
        endpoint.access_key,
        endpoint.secret_key
    );
    std::fs::write(&config, text).unwrap();
    let server = Server::start(&config).await;
    for (number, mood) in [
        Mood::Well,
        Mood::Status(500),
        Mood::Status(403),
        Mood::Status(401),
        Mood::Cut,
        Mood::Hang,
        Mood::Garbage(Bytes::from(SECRET_OF_ANSWERS)),
    ]
    .into_iter()
    .enumerate()
    {
        identity.script(|script| script.validation = mood);
        for token in ["good-secret", "bad-secret"] {
            let client = server.client.with_token(&format!("{token}-{number}"));
            let answer = client
                .get_with(LIST, &[("x-service-token", "service-secret")])
                .await;
            for secret in [token, SECRET_OF_ANSWERS, PASSWORD] {
                assert!(!answer.text().contains(secret));
            }
        }
    }
    identity.all(&Mood::Status(401));
    let client = server.client.with_token("good-last-secret");
    assert_eq!(client.put_file("x", &[], full("")).await.status, 503);
    server.terminate().await;
    let (ended, log) = server.ended().await;
    assert!(ended.success());
    assert!(log.contains("Keystone"), "{log}");
    for secret in ["-secret", "own-token", PASSWORD, SECRET_OF_ANSWERS] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
    embedded.server.stop().await;
}

#[tokio::test]
async fn check_names_what_is_wrong_with_keystone() {
    let identity = IdentityServer::start().await;
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("oriel.toml");
    let check = async |table: String| {
        let text = format!(
            "auth = \"keystone\"\n{table}[catalog]\npath = {:?}\n[embedded]\ndata_dir = {:?}\n\
             [store.main]\nendpoint = \"embedded\"\n",
            dir.path().join("catalog.sqlite"),
            dir.path().join("store"),
        );
        std::fs::write(&config, text).unwrap();
        oriel(&["check", "--config", config.to_str().unwrap()]).await
    };
    let sound = check(identity.table(QUICK)).await;
    assert!(sound.status.success(), "{}", sound.stdout);
    let line = format!("Keystone validates tokens at {}/v3", identity.url());
    assert!(sound.stdout.contains(&line), "{}", sound.stdout);
    assert!(
        sound.stdout.contains("roles are service"),
        "{}",
        sound.stdout
    );

    let wrong = identity.table(QUICK).replace(PASSWORD, "a-wrong-password");
    let refused = check(wrong).await;
    assert!(!refused.status.success());
    let fault = "FAULT identity: a token of the service's own: ";
    assert!(refused.stdout.contains(fault), "{}", refused.stdout);
    assert!(refused.stdout.contains("credentials"), "{}", refused.stdout);
    assert!(!refused.stdout.contains("a-wrong-password"));

    identity.all(&Mood::Cut);
    let away = check(identity.table(QUICK)).await;
    assert!(away.stdout.contains("cannot be reached"), "{}", away.stdout);

    let unset = check("[keystone]\nusername = \"u\"\n".into()).await;
    for key in [
        "keystone.auth_url",
        "keystone.password",
        "keystone.project_name",
    ] {
        assert!(unset.stdout.contains(key), "{}", unset.stdout);
    }
}
