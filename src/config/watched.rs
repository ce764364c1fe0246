//! A file that is read again when it changes.
//!
//! Whoever asks for its content looks at the file's time and size, at most once a second over all callers; nothing runs
//! in the background. So what is taken out of the file is gone a second later. A file that has become unreadable or
//! wrong leaves the content as it was, which is logged once for each change. A request that finds nothing to do takes no
//! lock: the content is exchanged as a whole, and the next look is due at a moment that one caller moves on.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::{Fault, Faults};

/// How long a look at the file is good for, milliseconds.
const CHECK_EVERY_MS: u64 = 1000;

/// The content of a file, kept up with it.
#[derive(Debug)]
pub struct Watched<T> {
    path: PathBuf,
    /// What it is, for the log: "the file of tokens".
    what: &'static str,
    parse: fn(&str) -> Result<T, Faults>,
    content: ArcSwap<T>,
    opened: Instant,
    /// When the file is to be looked at next, in milliseconds since `opened`.
    next_check: AtomicU64,
    /// What the content, or the last failure to read it, came from. Only whoever looks at the file takes it.
    seen: Mutex<Stamp>,
}

/// Tells one content of the file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stamp {
    Unreadable,
    Of {
        modified: Option<SystemTime>,
        length: u64,
    },
}

impl<T> Watched<T> {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn open(
        path: &Path,
        what: &'static str,
        parse: fn(&str) -> Result<T, Faults>,
    ) -> Result<Self, Faults> {
        // Before the content: a change between the two is then seen at the next look.
        let seen = Stamp::from(std::fs::metadata(path));
        let content = read(path, std::fs::read_to_string(path), parse)?;
        Ok(Self {
            path: path.to_owned(),
            what,
            parse,
            content: ArcSwap::from_pointee(content),
            opened: Instant::now(),
            next_check: AtomicU64::new(0),
            seen: Mutex::new(seen),
        })
    }

    /// The content, at most a second old.
    pub async fn current(&self) -> Arc<T> {
        if self.claim_check() {
            self.check().await;
        }
        self.content.load_full()
    }

    /// Whether the file should be looked at, which the caller who is told so then does alone.
    fn claim_check(&self) -> bool {
        let now = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        let due = self.next_check.load(Ordering::Relaxed);
        let next = now.saturating_add(CHECK_EVERY_MS);
        now >= due
            && (self.next_check)
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Looks at the file and reads it if it has changed. A caller that goes away meanwhile leaves the change to be
    /// found by the next look.
    async fn check(&self) {
        let mut now = Stamp::from(tokio::fs::metadata(&self.path).await);
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // An unreadable file is tried each time: a change of its permissions shows in neither time nor size.
        if now == seen && now != Stamp::Unreadable {
            return;
        }
        let text = tokio::fs::read_to_string(&self.path).await;
        if text.is_err() {
            now = Stamp::Unreadable;
        }
        match read(&self.path, text, self.parse) {
            Ok(content) => {
                tracing::info!(what = self.what, "a file has changed and was read again");
                self.content.store(Arc::new(content));
            }
            Err(faults) if now != seen => {
                tracing::error!(what = self.what, %faults, "a file has changed and is wrong; what it said before holds");
            }
            Err(_) => {}
        }
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

fn read<T>(
    path: &Path,
    text: std::io::Result<String>,
    parse: fn(&str) -> Result<T, Faults>,
) -> Result<T, Faults> {
    match text {
        Ok(text) => parse(&text).map_err(|faults| faults.within(&path.display().to_string())),
        Err(error) => Err(Faults(vec![Fault::unreadable(path, &error)])),
    }
}

impl From<std::io::Result<Metadata>> for Stamp {
    fn from(metadata: std::io::Result<Metadata>) -> Self {
        metadata.map_or(Self::Unreadable, |metadata| Self::Of {
            modified: metadata.modified().ok(),
            length: metadata.len(),
        })
    }
}
