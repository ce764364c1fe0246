//! The directory of the store: its lock, its paths, and the few ways in which files are written and removed.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use uuid::Uuid;

use super::Error;

/// What the file `format` holds. Raise it when an older version could misread the directory.
const FORMAT: &str = "1";

/// The open directory.
pub(super) struct Layout {
    root: PathBuf,
    lock: Arc<Lock>,
    locks: TaskTracker,
}

/// Keeps others from serving the directory. Shared by all that may yet write or remove files in it: work that was begun
/// runs to its end although the connection or the server that asked for it is gone.
pub(super) struct Lock {
    // Released in this order: who was told that nobody holds the lock can take it.
    _file: File,
    _token: TaskTrackerToken,
}

impl Layout {
    /// Opens the directory, making it (mode 0700) if need be, locks it, and sweeps what a crash left in `tmp`.
    pub(super) fn open(root: &Path) -> Result<Self, Error> {
        let at = |path: &Path, source| Error::Io {
            path: path.to_owned(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .map_err(|e| at(root, e))?;

        let lock_path = root.join("lock");
        let lock = private()
            .truncate(false)
            .open(&lock_path)
            .map_err(|e| at(&lock_path, e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::InUse(root.to_owned())),
            Err(TryLockError::Error(e)) => return Err(at(&lock_path, e)),
        }

        let locks = TaskTracker::new();
        let layout = Self {
            root: root.to_owned(),
            lock: Arc::new(Lock {
                _file: lock,
                _token: locks.token(),
            }),
            locks,
        };
        let tmp = layout.root.join("tmp");
        remove_tree(&tmp).map_err(|e| at(&tmp, e))?;
        for dir in [&tmp, &layout.buckets()] {
            DirBuilder::new()
                .recursive(true)
                .create(dir)
                .map_err(|e| at(dir, e))?;
        }

        let format = layout.root.join("format");
        match fs::read_to_string(&format) {
            Ok(found) if found.trim() == FORMAT => {}
            Ok(found) => {
                let found = found.trim().to_owned();
                return Err(Error::Layout {
                    path: layout.root,
                    found,
                    known: FORMAT,
                });
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                layout
                    .write(&format, FORMAT.as_bytes())
                    .map_err(|e| at(&format, e))?;
            }
            Err(e) => return Err(at(&format, e)),
        }
        Ok(layout)
    }

    pub(super) fn credentials(&self) -> PathBuf {
        self.root.join("credentials.json")
    }

    pub(super) fn buckets(&self) -> PathBuf {
        self.root.join("buckets")
    }

    /// For those who write or remove files apart from the layout.
    pub(super) fn lock(&self) -> Arc<Lock> {
        Arc::clone(&self.lock)
    }

    /// Tells, once closed, when nobody holds the lock any more.
    pub(super) fn locks(&self) -> TaskTracker {
        self.locks.clone()
    }

    /// A path in `tmp` that nobody else uses.
    pub(super) fn temporary(&self) -> PathBuf {
        self.root
            .join("tmp")
            .join(Uuid::new_v4().simple().to_string())
    }

    /// Writes a record as JSON so that, whatever happens, either the old file or the whole new one is there.
    pub(super) fn write_record(&self, target: &Path, record: &impl Serialize) -> io::Result<()> {
        self.write(target, &serde_json::to_vec(record)?)
    }

    /// Writes a record to a temporary file, synced and ready to be renamed: what can fail for lack of space is past.
    pub(super) fn prepare_record(&self, record: &impl Serialize) -> io::Result<TempFile> {
        self.prepare(&serde_json::to_vec(record)?)
    }

    fn prepare(&self, bytes: &[u8]) -> io::Result<TempFile> {
        let mut file = TempFile::create(self)?;
        file.get_mut().write_all(bytes)?;
        file.get_mut().sync_all()?;
        Ok(file)
    }

    fn write(&self, target: &Path, bytes: &[u8]) -> io::Result<()> {
        self.prepare(bytes)?.rename(target)?;
        sync_parent(target)
    }
}

/// A file in `tmp`, removed when dropped unless it was published.
pub(super) struct TempFile {
    path: Option<PathBuf>,
    file: File,
    lock: Arc<Lock>,
}

impl TempFile {
    pub(super) fn create(layout: &Layout) -> io::Result<Self> {
        let path = layout.temporary();
        let file = private().create_new(true).open(&path)?;
        Ok(Self {
            path: Some(path),
            file,
            lock: layout.lock(),
        })
    }

    pub(super) fn get_mut(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives the file its name, replacing what bore it. To be durable, the contents must have been synced before, and
    /// the directory must be synced after.
    pub(super) fn rename(mut self, target: &Path) -> io::Result<()> {
        if let Some(path) = &self.path {
            fs::rename(path, target)?;
            self.path = None;
        }
        Ok(())
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            in_background(Arc::clone(&self.lock), move || fs::remove_file(path));
        }
    }
}

/// A directory of data, kept by everyone who may still read or write in it. When the last of them is gone it is
/// removed, unless a record on disk has come to refer to it.
pub(super) struct DataDir {
    path: PathBuf,
    kept: AtomicBool,
    lock: Arc<Lock>,
}

impl DataDir {
    /// Makes the directory. It goes again unless [`keep`](Self::keep) is called.
    pub(super) fn create(path: PathBuf, lock: Arc<Lock>) -> io::Result<Self> {
        fs::create_dir(&path)?;
        let dir = Self {
            path,
            kept: AtomicBool::new(false),
            lock,
        };
        sync_parent(&dir.path)?;
        Ok(dir)
    }

    /// A directory that a record already refers to.
    pub(super) fn existing(path: PathBuf, lock: Arc<Lock>) -> Self {
        Self {
            path,
            kept: AtomicBool::new(true),
            lock,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn keep(&self) {
        self.kept.store(true, Ordering::Release);
    }

    /// No record refers to the directory any more.
    pub(super) fn doom(&self) {
        self.kept.store(false, Ordering::Release);
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        if !*self.kept.get_mut() {
            let path = std::mem::take(&mut self.path);
            in_background(Arc::clone(&self.lock), move || remove_tree(&path));
        }
    }
}

/// Removes a directory and all in it; one that is not there is fine.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Removes a file; one that is not there is fine.
pub(super) fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Makes what happened to the names in the directory of `path` durable.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Options for files that only their owner may read: secrets and other people's images.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

/// Removes files from a `drop`, which may run on a worker of the runtime. Should it not come to it, because the
/// process ends, the next start removes them.
fn in_background(lock: Arc<Lock>, remove: impl FnOnce() -> io::Result<()> + Send + 'static) {
    let remove = move || {
        let _lock = lock;
        if let Err(error) = remove() {
            tracing::warn!(%error, "embedded store: files without an owner stay until the next start");
        }
    };
    match Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(remove)),
        Err(_) => remove(),
    }
}
