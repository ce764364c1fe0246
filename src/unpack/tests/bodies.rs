//! The body around it all.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::stream;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use tokio::sync::mpsc;

use super::super::worker::PIECE;
use super::super::{Error, MIB, Packing, UnpackBounds, Unpacked};
use super::{CAP, image};

type Frames = Vec<io::Result<Frame<Bytes>>>;
type TestBody = Pin<Box<dyn Body<Data = Bytes, Error = io::Error> + Send>>;

const GZIP: &[u8] = include_bytes!("../fixtures/gzip.gz");

fn body(pieces: impl IntoIterator<Item = Bytes>) -> TestBody {
    let frames: Frames = pieces.into_iter().map(|it| Ok(Frame::data(it))).collect();
    Box::pin(StreamBody::new(stream::iter(frames)))
}

fn unpacked(body: TestBody) -> Unpacked<TestBody> {
    Unpacked::new(body, UnpackBounds::within(CAP))
}

async fn next(body: &mut Unpacked<TestBody>) -> Option<Result<Bytes, Error>> {
    let frame = body.frame().await?;
    Some(frame.map(|frame| frame.into_data().unwrap()))
}

async fn all(body: &mut Unpacked<TestBody>) -> Result<Vec<u8>, Error> {
    let mut all = Vec::new();
    while let Some(bytes) = next(body).await {
        let bytes = bytes?;
        assert!(!bytes.is_empty() && bytes.len() <= PIECE);
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

#[tokio::test]
async fn a_packed_body_is_given_out_unpacked_and_says_so() {
    for size in [1, 7, 1000] {
        let pieces = GZIP.chunks(size).map(Bytes::from_static);
        let mut body = unpacked(body(pieces));
        assert_eq!(body.packing(), None);
        let first = next(&mut body).await.unwrap().unwrap();
        assert_eq!(body.packing(), Some(Packing::Gzip));
        let rest = all(&mut body).await.unwrap();
        assert!([&first[..], &rest].concat() == image());
        assert!(next(&mut body).await.is_none());
    }
}

#[tokio::test]
async fn any_other_body_is_given_out_as_it_comes() {
    for pieces in [
        vec![],
        vec![&b"short"[..]],
        vec![b"a", b"b", b"what is not packed", b"c"],
        vec![b"\x1f", b"\x8b\x09 is another method, and so no gzip"],
    ] {
        let mut body = unpacked(body(pieces.iter().map(|it| Bytes::from_static(it))));
        for piece in &pieces {
            assert_eq!(next(&mut body).await.unwrap().unwrap(), piece);
        }
        assert!(next(&mut body).await.is_none());
        assert_eq!(body.packing(), None);
    }
}

#[tokio::test]
async fn what_is_wrong_ends_the_body() {
    let damaged = [&GZIP[..GZIP.len() - 1], b"x"].concat();
    for (packed, is_truncated) in [(damaged, false), (GZIP[..GZIP.len() - 1].to_vec(), true)] {
        let mut body = unpacked(body([Bytes::from(packed)]));
        let e = all(&mut body).await.unwrap_err();
        assert_eq!(matches!(e, Error::Truncated(_)), is_truncated, "{e}");
        assert!(next(&mut body).await.is_none());
    }
}

#[tokio::test]
async fn an_error_of_the_body_itself_is_passed_on() {
    for packed in [&GZIP[..100], b"not packed, and long enough to tell", b"s"] {
        let frames: Frames = vec![
            Ok(Frame::data(Bytes::copy_from_slice(packed))),
            Err(io::Error::other("the line is dead")),
        ];
        let mut body = unpacked(Box::pin(StreamBody::new(stream::iter(frames))));
        let Error::Body(e) = all(&mut body).await.unwrap_err() else {
            panic!("it is not the body's");
        };
        assert!(e.downcast::<io::Error>().is_ok());
        assert!(next(&mut body).await.is_none());
    }
}

#[tokio::test]
async fn what_can_be_unpacked_does_not_wait_for_more() {
    let noise: Vec<u8> = (0..300_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let packed = super::round_trips::gzip(&noise);
    let (sender, mut receiver) = mpsc::channel::<Bytes>(1);
    let pieces = stream::poll_fn(move |cx| receiver.poll_recv(cx));
    let frames = futures_util::StreamExt::map(pieces, |it| Ok(Frame::data(it)));
    let mut body = unpacked(Box::pin(StreamBody::new(frames)));
    let (half, rest) = packed.split_at(packed.len() / 2);
    sender.send(Bytes::copy_from_slice(half)).await.unwrap();
    let mut seen = Vec::new();
    // What is still in the decoder's hands of the half is less than a block of it.
    while seen.len() < noise.len() / 3 {
        seen.extend_from_slice(&next(&mut body).await.unwrap().unwrap());
    }
    sender.send(Bytes::copy_from_slice(rest)).await.unwrap();
    drop(sender);
    seen.extend(all(&mut body).await.unwrap());
    assert!(seen == noise);
}

#[tokio::test]
async fn a_reader_that_waits_makes_the_body_wait() {
    let zeros = super::round_trips::gzip(&vec![0; 64 * MIB as usize]);
    let noise: Vec<u8> = (0..8 * MIB as u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let packed = Bytes::from([zeros, super::round_trips::gzip(&noise)].concat());
    let came = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&came);
    let frames = (0..packed.len()).step_by(16 * 1024).map(move |at| {
        let piece = packed.slice(at..packed.len().min(at + 16 * 1024));
        counter.fetch_add(piece.len(), Ordering::Relaxed);
        Ok(Frame::data(piece))
    });
    let mut body = unpacked(Box::pin(StreamBody::new(stream::iter(frames))));
    let mut given = 0;
    while let Some(bytes) = next(&mut body).await {
        given += bytes.unwrap().len();
        if given <= 60 * MIB as usize {
            // The worker has its input, as much is ahead, and a frame over.
            let most = given / 900 + 2 * (256 + 16) * 1024;
            assert!(came.load(Ordering::Relaxed) <= most);
        }
    }
    assert_eq!(given, 72 * MIB as usize);
}
