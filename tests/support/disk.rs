//! Real disk images: made by `qemu-img` from a disk with a partition and a file system on it, and checked by it after
//! their journey.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use http::StatusCode;
use tempfile::TempDir;

use super::app::TestApp;
use super::client::full;
use super::skipped;

/// Size of the disk inside every image, bytes.
const DISK: u64 = 64 * 1024 * 1024;
/// Where its partition begins, bytes.
const PARTITION: u64 = 1024 * 1024;
/// Data that no format can compress or leave out: enough for several parts.
const CONTENT: usize = 18 * 1024 * 1024;

/// What `qemu-img check` exits with for formats that have nothing to be checked.
const NO_CHECK: i32 = 63;

/// A way to write a disk into a file.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// `disk_format` of the Image API.
    pub disk_format: &'static str,
    /// The tool's name of the format.
    pub driver: &'static str,
    /// Its `-o`.
    pub options: &'static str,
}

/// Every kind that an image may have.
pub const KINDS: [Kind; 7] = [
    kind("raw", "raw", ""),
    kind("qcow2", "qcow2", ""),
    kind("vmdk", "vmdk", "subformat=monolithicSparse"),
    kind("vmdk", "vmdk", "subformat=streamOptimized"),
    kind("vhdx", "vhdx", ""),
    kind("vhd", "vpc", "subformat=dynamic"),
    kind("vdi", "vdi", ""),
];

pub const QCOW2: Kind = KINDS[1];

const fn kind(disk_format: &'static str, driver: &'static str, options: &'static str) -> Kind {
    Kind {
        disk_format,
        driver,
        options,
    }
}

/// A folder with a disk in it, and the tool that makes images of it.
pub struct Workshop {
    dir: TempDir,
}

impl Workshop {
    /// None, loudly, without `qemu-img`.
    pub fn open() -> Option<Self> {
        if let Err(e) = Command::new("qemu-img").arg("--version").output() {
            skipped("disk images", &format!("qemu-img does not start: {e}"));
            return None;
        }
        let this = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        this.make_disk();
        Some(this)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn disk(&self) -> PathBuf {
        self.path("disk.raw")
    }

    /// A sparse disk with a master boot record and one partition with an ext4 file system; without mke2fs the
    /// partition holds bare bytes.
    fn make_disk(&self) {
        let files = self.path("files");
        std::fs::create_dir(&files).unwrap();
        std::fs::write(files.join("random"), noise(CONTENT)).unwrap();
        std::fs::write(files.join("hostname"), "oriel\n").unwrap();

        let mut start = vec![0; usize::try_from(PARTITION).unwrap()];
        let mut entry = [0; 16];
        entry[4] = 0x83;
        entry[8..12].copy_from_slice(&u32::to_le_bytes((PARTITION / 512) as u32));
        entry[12..].copy_from_slice(&u32::to_le_bytes(((DISK - PARTITION) / 512) as u32));
        start[446..462].copy_from_slice(&entry);
        start[510..512].copy_from_slice(&[0x55, 0xaa]);
        std::fs::write(self.disk(), &start).unwrap();
        let disk = std::fs::File::options().write(true).open(self.disk());
        let disk = disk.unwrap();
        disk.set_len(DISK).unwrap();

        let made = Command::new("mke2fs")
            .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
            .args(["-q", "-F", "-t", "ext4", "-d"])
            .arg(&files)
            .args(["-E", &format!("offset={PARTITION}")])
            .arg(self.disk())
            .arg(format!("{}k", (DISK - PARTITION) / 1024))
            .output();
        match made {
            Ok(made) => assert!(made.status.success(), "{made:?}"),
            Err(e) => {
                skipped("file system in disk images", &format!("no mke2fs: {e}"));
                std::os::unix::fs::FileExt::write_all_at(&disk, &noise(CONTENT), PARTITION)
                    .unwrap();
            }
        }
    }

    /// The disk as an image of that kind; none, loudly, when this `qemu-img` cannot.
    pub fn make(&self, kind: Kind) -> Option<PathBuf> {
        let image = self.path(&format!("{}-{}", kind.driver, kind.options));
        let mut convert = Command::new("qemu-img");
        convert.args(["convert", "-f", "raw", "-O", kind.driver]);
        if !kind.options.is_empty() {
            convert.args(["-o", kind.options]);
        }
        let made = convert.arg(self.disk()).arg(&image).output().unwrap();
        if made.status.success() {
            return Some(image);
        }
        let reason = String::from_utf8_lossy(&made.stderr);
        skipped(&format!("disk image {}", kind.driver), reason.trim());
        None
    }

    /// Checks an image that has come back: sound in itself, and the disk it was made of.
    pub fn assert_is_the_disk(&self, image: &Path, kind: Kind) {
        let check = qemu_img(&["check", "-f", kind.driver], &[image]);
        let code = check.status.code();
        let expected = match kind.driver {
            "raw" | "vpc" => NO_CHECK,
            _ => 0,
        };
        assert_eq!(code, Some(expected), "{check:?}");
        let compare = qemu_img(
            &["compare", "-f", kind.driver, "-F", "raw"],
            &[image, &self.disk()],
        );
        assert!(compare.status.success(), "{compare:?}");
    }
}

fn qemu_img(arguments: &[&str], images: &[&Path]) -> Output {
    let mut command = Command::new("qemu-img");
    command.args(arguments).args(images).output().unwrap()
}

/// Size of the disk inside, bytes, as the tool sees it.
fn virtual_size(image: &Path, kind: Kind) -> u64 {
    let info = qemu_img(&["info", "--output=json", "-f", kind.driver], &[image]);
    let info: serde_json::Value = serde_json::from_slice(&info.stdout).unwrap();
    info["virtual-size"].as_u64().unwrap()
}

/// Uploads the file as an image of that format; gives the image's id and the status of the answer.
pub async fn upload(app: &TestApp, file: &Path, disk_format: &str) -> (String, StatusCode) {
    upload_in("bare", app, file, disk_format).await
}

/// The same with another `container_format`.
pub async fn upload_in(
    container: &str,
    app: &TestApp,
    file: &Path,
    disk_format: &str,
) -> (String, StatusCode) {
    let record = serde_json::json!({
        "name": "disk", "disk_format": disk_format, "container_format": container,
    });
    let id = app.client.create(&record).await;
    let body = full(std::fs::read(file).unwrap());
    let answer = app.client.put_file(&id, &[], body).await;
    (id, answer.status)
}

/// Downloads the image into a file beside `file`, after a look at its record; the bytes must be those of `file`.
pub async fn download(app: &TestApp, id: &str, file: &Path) -> PathBuf {
    let sent = std::fs::read(file).unwrap();
    let digest = ring::digest::digest(&ring::digest::SHA512, &sent);
    let hex: String = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let image = app.client.image(id).await;
    assert_eq!(image["status"], "active", "{image}");
    assert_eq!(image["size"], sent.len(), "{image}");
    assert_eq!(image["os_hash_value"], hex, "{image}");
    let answer = app.client.get(&format!("/v2/images/{id}/file")).await;
    assert_eq!(answer.status, StatusCode::OK);
    let back = file.with_extension("back");
    std::fs::write(&back, &answer.body).unwrap();
    let digest_back = ring::digest::digest(&ring::digest::SHA512, &answer.body);
    assert_eq!(digest.as_ref(), digest_back.as_ref());
    back
}

/// A whole journey: up, the record, down, and the tool's verdict.
pub async fn travel(app: &TestApp, workshop: &Workshop, kind: Kind) {
    let Some(file) = workshop.make(kind) else {
        return;
    };
    let (id, status) = upload(app, &file, kind.disk_format).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{kind:?}");
    let back = download(app, &id, &file).await;
    workshop.assert_is_the_disk(&back, kind);
    let stated = app.client.image(&id).await["virtual_size"].clone();
    assert_eq!(stated, virtual_size(&file, kind), "{kind:?}");
}

/// Bytes without a pattern, always the same.
fn noise(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    bytes
}
