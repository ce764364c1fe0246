//! Downloads of an image that two stores hold: which one is read, and what happens when it fails.

use http::StatusCode;

use crate::support::content;
use crate::support::copies::Copies;
use crate::support::proxy::Fault;
use crate::support::upload::MIB;

const AWAY: Fault = Fault::Answer(StatusCode::SERVICE_UNAVAILABLE, "SlowDown");

#[tokio::test]
async fn heaviest_store_is_read_unless_another_is_preferred() {
    let copies = Copies::new().await;
    let client = &copies.app.client;
    for (query, asked) in [("", 1), ("?prefer=other", 1), ("?prefer=main,other", 2)] {
        let answer = client.get(&format!("{}{query}", copies.path)).await;
        assert_eq!(answer.body, content::bytes(4 * MIB), "{query:?}");
        assert_eq!(copies.asked_first(), asked, "{query:?}");
    }
    copies.finish().await;
}

#[tokio::test]
async fn store_that_is_away_or_has_lost_the_object_is_passed_over() {
    let copies = Copies::new().await;
    for fault in [AWAY, Fault::Answer(StatusCode::NOT_FOUND, "NoSuchKey")] {
        copies.app.proxy().fail_operation("get", fault, 0, 1);
        let answer = copies.app.client.get(&copies.path).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.body, content::bytes(4 * MIB));
    }
    assert_eq!(copies.asked_first(), 2);
    copies.finish().await;
}

#[tokio::test]
async fn lost_in_one_store_and_the_other_away_is_503_not_404() {
    let copies = Copies::new().await;
    copies.app.proxy().fail_operation("get", AWAY, 0, 1);
    let s3 = &copies.second.s3;
    let key = copies.second.keys().await.pop_first().unwrap();
    let delete = s3.delete_object().bucket(&copies.second.name).key(&key);
    delete.send().await.unwrap();
    let answer = copies.app.client.get(&copies.path).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    copies.finish().await;
}

#[tokio::test]
async fn object_lost_in_the_middle_is_read_on_from_the_other_store() {
    let copies = Copies::new().await;
    let proxy = copies.app.proxy();
    proxy.fail_operation("get", Fault::ResetAfter(MIB), 0, 1);
    let lost = Fault::Answer(StatusCode::NOT_FOUND, "NoSuchKey");
    proxy.fail_operation("get", lost, 0, usize::MAX);
    let answer = copies.app.client.get(&copies.path).await;
    assert_eq!(answer.body, content::bytes(4 * MIB));
    assert_eq!(copies.asked_first(), 2);
    copies.finish().await;
}

#[tokio::test]
async fn store_that_stays_away_in_the_middle_is_given_up_for_the_other() {
    let copies = Copies::new().await;
    let proxy = copies.app.proxy();
    proxy.fail_operation("get", Fault::ResetAfter(MIB), 0, 1);
    proxy.fail_operation("get", AWAY, 0, usize::MAX);
    let answer = copies.app.client.get(&copies.path).await;
    assert_eq!(answer.body, content::bytes(4 * MIB));
    copies.finish().await;
}
