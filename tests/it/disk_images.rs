//! Images as people have them: made by `qemu-img`, and discs from a distribution's packages (contract 2.8).

use std::path::{Path, PathBuf};

use http::StatusCode;
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::client::full;
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

/// A monolithic sparse VMDK whose header says that it has no capacity: readers then look for the descriptor behind the
/// sectors that the header gives it.
fn vmdk_with_a_hidden_extent(target: &str) -> Vec<u8> {
    let mut file = vec![0; 512];
    file[..4].copy_from_slice(b"KDMV");
    file[4..8].copy_from_slice(&1_u32.to_le_bytes());
    file[8..12].copy_from_slice(&3_u32.to_le_bytes());
    for (at, value) in [(20, 128_u64), (28, 1), (36, 1), (56, 0x15), (64, 128)] {
        file[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    file[44..48].copy_from_slice(&512_u32.to_le_bytes());
    file[73..77].copy_from_slice(b"\n \r\n");
    let seen = "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\nCREATETYPE=\"monolithicSparse\"\n\
                rw 1 SPARSE \"x.vmdk\"\n#";
    file.extend(format!("{seen:.<512}").bytes());
    file.extend(format!("\ncreateType=\"monolithicFlat\"\nRW 2048 FLAT \"{target}\" 0\n").bytes());
    file.resize(64 << 10, 0);
    file
}

fn text_vmdk(sign: &str, target: &str) -> Vec<u8> {
    let text = format!(
        "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType{sign}monolithicFlat\"\n\
         RW 2048 FLAT \"{target}\" 0\n"
    );
    let mut file = text.into_bytes();
    file.resize(1024, b'\n');
    file
}

/// A header of QCOW, shorter than a sector, with its backing file's name behind it.
fn short_qcow(version: u32, header: usize, target: &str) -> Vec<u8> {
    let mut file = vec![0; header];
    file[..4].copy_from_slice(b"QFI\xfb");
    file[4..8].copy_from_slice(&version.to_be_bytes());
    file[8..16].copy_from_slice(&(header as u64).to_be_bytes());
    let length = u32::try_from(target.len()).unwrap();
    file[16..20].copy_from_slice(&length.to_be_bytes());
    file.extend(target.bytes());
    file
}

#[tokio::test]
async fn what_leads_to_another_file_is_415_whatever_the_record_says() {
    let app = TestApp::start().await;
    let target = "/etc/hostname";
    let files = [
        ("vmdk", vmdk_with_a_hidden_extent(target)),
        ("raw", text_vmdk(" \"", target)),
        ("raw", text_vmdk(":\"", target)),
        ("raw", text_vmdk("xx", target)),
        ("raw", short_qcow(1, 48, target)),
        ("ami", short_qcow(2, 72, target)),
        ("raw", short_qcow(3, 104, target)),
    ];
    for (number, (claimed, file)) in files.into_iter().enumerate() {
        // An image of a container is opened by those who probe it all the same.
        for container in ["bare", "ovf"] {
            let container = if claimed == "ami" { "ami" } else { container };
            let record = json!({"disk_format": claimed, "container_format": container});
            let id = app.client.create(&record).await;
            let answer = app.client.put_file(&id, &[], full(file.clone())).await;
            let name = format!("file {number} as {claimed} in {container}");
            assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{name}");
            assert_eq!(app.client.status(&id).await, "queued", "{name}");
        }
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
