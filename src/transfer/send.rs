//! The stage that sends parts to the store. Nothing is visible yet when it ends; `publish` makes it so.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::Result;
use super::attempt::Attempt;
use super::publish::metadata;
use super::read::Part;
use crate::store::{MultipartUpload, UploadedPart};

/// What the store holds when the stream has ended: nothing visible yet.
pub(super) enum Sent {
    /// The whole body fits one part and is still here; one PutObject will publish it.
    Whole(Arc<Part>),
    /// Parts of an open multipart upload.
    Parts(MultipartUpload, Vec<UploadedPart>),
}

/// Sends parts as they come, a window of them at once. A failed part is tried again from memory by the SDK.
pub(super) async fn send_parts(
    mut parts: mpsc::Receiver<Arc<Part>>,
    attempt: &Arc<Attempt>,
    tasks: &TaskTracker,
) -> Result<Sent> {
    let Some(first) = parts.recv().await else {
        // The reader failed before its first part; its error is the one to report.
        return std::future::pending().await;
    };
    if first.is_last {
        return Ok(Sent::Whole(first));
    }
    let multipart = tasks.spawn(open_upload(Arc::clone(attempt))).await??;
    let store = attempt.store();

    let rest = stream::unfold(parts, async |mut parts| {
        parts.recv().await.map(|part| (part, parts))
    });
    let sent = stream::once(std::future::ready(first))
        .chain(rest)
        .zip(stream::iter(1_i32..))
        .map(async |(part, number)| {
            store
                .upload_part(&multipart, number, part.bytes.clone())
                .await
        })
        .buffer_unordered(store.parts_in_flight())
        .try_collect::<Vec<_>>()
        .await?;
    Ok(Sent::Parts(multipart, sent))
}

/// Opens the multipart upload and records it. Runs to its end also when the client has left: a request that is dropped
/// half-way may still be carried out by the store, and then nobody would know of the upload.
pub(super) async fn open_upload(attempt: Arc<Attempt>) -> Result<MultipartUpload> {
    let (store, upload) = (attempt.store(), attempt.upload());
    let multipart = store
        .create_upload(&upload.key, metadata(&upload.image, &upload.attempt))
        .await?;
    if let Err(e) = attempt.note_multipart(&multipart).await {
        // The attempt was rolled back meanwhile, so this is the last chance to close what was opened.
        if let Err(e) = store.abort_upload(&multipart).await {
            tracing::warn!(
                store.id = store.name(),
                object.key = upload.key,
                error = &e as &dyn std::error::Error,
                "multipart upload left open, the reaper will find it"
            );
        }
        return Err(e);
    }
    Ok(multipart)
}
