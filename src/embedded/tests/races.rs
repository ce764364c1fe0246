//! Requests that meet: on one key, on one bucket, and with the end of the server.

use futures_util::future::join_all;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_one_version_whole_whatever_the_writers_do() {
    const SIZE: usize = 700_000;
    let f = Fixture::new().await;
    let writers = (0..4u8).map(|writer| {
        let f = &f;
        async move {
            for round in 0..8 {
                f.put("a", vec![writer; SIZE]).await;
                if round % 3 == 2 {
                    let delete = f.client.delete_object().bucket(BUCKET).key("a");
                    delete.send().await.unwrap();
                }
            }
        }
    });
    let readers = (0..4).map(|_| async {
        let mut whole = 0;
        for _ in 0..24 {
            match f.client.get_object().bucket(BUCKET).key("a").send().await {
                Ok(got) => {
                    let etag = got.e_tag().unwrap().to_owned();
                    let body = got.body.collect().await.unwrap().to_vec();
                    assert_eq!(body.len(), SIZE);
                    assert!(body.iter().all(|byte| *byte == body[0]));
                    assert_eq!(etag, format!("\"{}\"", objects::md5_hex(&body)));
                    whole += 1;
                }
                Err(error) => assert_eq!(refusal(&error), (404, "NoSuchKey".to_owned())),
            }
        }
        whole
    });
    let (_, whole) = tokio::join!(join_all(writers), join_all(readers));
    assert!(whole.iter().sum::<i32>() > 0, "no read ever met an object");

    let last = f.put("a", vec![9; SIZE]).await;
    eventually("only one version is left", || f.data_files().len() == 1).await;
    let f = f.restart_after(|_| {}).await;
    assert_eq!(f.get("a").await, vec![9; SIZE]);
    let head = f.client.head_object().bucket(BUCKET).key("a").send().await;
    assert_eq!(head.unwrap().e_tag(), Some(&*last));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_completions_all_tell_the_same() {
    let f = Fixture::new().await;
    for _ in 0..10 {
        let id = f.create_upload("a").await;
        let part = f.upload_part("a", &id, 1, content(100)).await;
        let all = join_all((0..8).map(|_| f.complete("a", &id, vec![part.clone()]))).await;
        let first = all[0].clone().unwrap();
        assert!(
            all.iter().all(|done| done.as_ref() == Ok(&first)),
            "{all:?}"
        );
        assert_eq!(f.get("a").await, content(100));
        eventually("only one version is left", || f.data_files().len() == 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_and_a_completion_do_not_both_win() {
    let f = Fixture::new().await;
    for _ in 0..16 {
        let id = f.create_upload("a").await;
        let part = f.upload_part("a", &id, 1, content(100)).await;
        let abort = f.client.abort_multipart_upload().bucket(BUCKET).key("a");
        let (completed, aborted) = tokio::join!(
            f.complete("a", &id, vec![part]),
            abort.upload_id(&id).send()
        );
        match (completed, aborted) {
            (Ok(_), Err(error)) => {
                assert_eq!(refusal(&error), (404, "NoSuchUpload".to_owned()));
                assert_eq!(f.get("a").await, content(100));
                let delete = f.client.delete_object().bucket(BUCKET).key("a");
                delete.send().await.unwrap();
            }
            (Err(refused), Ok(_)) => {
                assert_eq!(refused, (404, "NoSuchUpload".to_owned()));
                let head = f.client.head_object().bucket(BUCKET).key("a");
                assert_refused(head.send().await, 404, "NotFound");
            }
            both => panic!("{both:?}"),
        }
        eventually("no files", || f.data_files().is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_removed_under_its_writers_fails_for_no_other_reason() {
    let f = Fixture::new().await;
    let no_retries = aws_sdk_s3::config::retry::RetryConfig::disabled();
    let client = Client::from_conf(config(&f.store).retry_config(no_retries).build());
    for round in 0..40 {
        let bucket = format!("bucket-{round}");
        client.create_bucket().bucket(&bucket).send().await.unwrap();
        let puts = (0..6).map(|n| {
            let put = client.put_object().bucket(&bucket).key(format!("{n}"));
            put.body(content(1000).into()).send()
        });
        let delete = client.delete_bucket().bucket(&bucket).send();
        let (puts, deleted) = tokio::join!(join_all(puts), delete);
        for refused in puts.into_iter().filter_map(Result::err) {
            assert_eq!(refusal(&refused), (404, "NoSuchBucket".to_owned()));
        }
        if let Err(refused) = deleted {
            assert_eq!(refusal(&refused), (409, "BucketNotEmpty".to_owned()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_stop_the_directory_is_free_though_a_client_left_in_the_middle() {
    let mut f = Fixture::new().await;
    for _ in 0..40 {
        let put = f.client.put_object().bucket(BUCKET).key("a");
        let request = put.presigned(presigning()).await.unwrap();
        let body = content(1000);
        let mut raw = RawPut::begin(&request, body.len()).await;
        raw.send(&body).await;
        // Somewhere between the first byte and the commit.
        let begun = || !f.data_files().is_empty();
        eventually("the object is being written", begun).await;
        drop(raw);
        f = f.restart_after(|_| {}).await;
        let delete = f.client.delete_object().bucket(BUCKET).key("a");
        delete.send().await.unwrap();
        eventually("no files", || f.data_files().is_empty()).await;
    }
}
