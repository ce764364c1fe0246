//! Images as people have them: made by `qemu-img`, and discs from a distribution's packages (contract 2.8).

use std::path::{Path, PathBuf};

use http::StatusCode;

use crate::support::app::TestApp;
use crate::support::disk::{KINDS, Workshop, download, travel, upload};
use crate::support::skipped;

/// Where Debian packages put disc images, and where `tests/isos.sh` puts them on machines without these packages.
const ISOS: [&str; 4] = [
    "/usr/lib/ipxe/ipxe.iso",
    "/usr/lib/grub-rescue/grub-rescue-cdrom.iso",
    concat!(env!("CARGO_MANIFEST_DIR"), "/var/isos/ipxe.iso"),
    concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/var/isos/grub-rescue-cdrom.iso"
    ),
];

#[tokio::test]
async fn disk_of_every_format_comes_back_sound() {
    let Some(workshop) = Workshop::open() else {
        return;
    };
    let app = TestApp::start().await;
    for kind in KINDS {
        travel(&app, &workshop, kind).await;
    }
    app.finish().await;
}

#[tokio::test]
async fn disk_of_another_format_than_the_record_is_refused_and_gone() {
    let Some(workshop) = Workshop::open() else {
        return;
    };
    let app = TestApp::start().await;
    for kind in KINDS {
        let Some(file) = workshop.make(kind) else {
            continue;
        };
        let claims = ["qcow2", "vmdk", "vhdx", "vhd", "vdi", "iso"];
        let claims = claims.iter().filter(|claim| **claim != kind.disk_format);
        for claimed in claims.take(2) {
            assert_refused(&app, &file, claimed).await;
        }
    }
    app.finish().await;
}

async fn assert_refused(app: &TestApp, file: &Path, claimed: &str) {
    let (id, status) = upload(app, file, claimed).await;
    let name = file.display();
    assert_eq!(
        status,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "{name} as {claimed}"
    );
    let image = app.client.image(&id).await;
    assert_eq!(image["status"], "queued", "{name} as {claimed}");
    assert!(image["virtual_size"].is_null() && image["size"].is_null());
}

#[tokio::test]
async fn discs_from_packages_come_back_whole() {
    let isos: Vec<PathBuf> = ISOS
        .iter()
        .map(PathBuf::from)
        .filter(|path| path.exists())
        .collect();
    if isos.is_empty() {
        skipped("disc images", "none is here; tests/isos.sh fetches some");
        return;
    }
    let app = TestApp::start().await;
    let dir = tempfile::tempdir().unwrap();
    for iso in isos {
        let file = dir.path().join(iso.file_name().unwrap());
        std::fs::copy(&iso, &file).unwrap();
        let (id, status) = upload(&app, &file, "iso").await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{}", iso.display());
        download(&app, &id, &file).await;
        let image = app.client.image(&id).await;
        assert_eq!(image["virtual_size"], volume_size(&file), "{image}");
        assert_refused(&app, &file, "qcow2").await;
    }
    app.finish().await;
}

/// Blocks times block size of the primary volume descriptor (ECMA-119, 8.4).
fn volume_size(iso: &Path) -> u64 {
    let bytes = std::fs::read(iso).unwrap();
    let descriptor = &bytes[32 << 10..34 << 10];
    assert_eq!(&descriptor[..6], b"\x01CD001");
    let blocks = u32::from_le_bytes(descriptor[80..84].try_into().unwrap());
    let block = u16::from_le_bytes(descriptor[128..130].try_into().unwrap());
    u64::from(blocks) * u64::from(block)
}
