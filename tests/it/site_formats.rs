//! What a site decides about formats, set by its configuration: each image is refused with the one value and taken with the
//! other.

use std::os::unix::fs::FileExt;
use std::path::Path;

use http::StatusCode;

use crate::support::app::{Options, TestApp};
use crate::support::disk::{KINDS, Kind, QCOW2, Workshop, download, travel, upload, upload_in};

const RAW: Kind = KINDS[0];

const fn qcow2(options: &'static str) -> Kind {
    Kind { options, ..QCOW2 }
}

/// A service with these keys of `[images]`.
async fn site(keys: &str) -> TestApp {
    TestApp::with(Options {
        tables: format!("[images]\n{keys}"),
        ..Options::default()
    })
    .await
}

/// The file is refused as that format in that container, and leaves nothing.
async fn assert_refused(container: &str, app: &TestApp, file: &Path, disk_format: &str) {
    let (id, status) = upload_in(container, app, file, disk_format).await;
    let name = file.display();
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{name}");
    assert_eq!(app.client.status(&id).await, "queued", "{name}");
}

/// The file is taken; its bytes come back, and the record states this virtual size.
async fn assert_taken(
    container: &str,
    app: &TestApp,
    file: &Path,
    disk_format: &str,
    virtual_size: Option<u64>,
) {
    let (id, status) = upload_in(container, app, file, disk_format).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{}", file.display());
    download(app, &id, file).await;
    let image = app.client.image(&id).await;
    assert_eq!(image["virtual_size"].as_u64(), virtual_size, "{image}");
}

#[tokio::test]
async fn data_of_another_format_is_taken_where_formats_need_not_match() {
    let Some(workshop) = Workshop::open() else {
        return;
    };
    let Some(sound) = workshop.make(QCOW2) else {
        return;
    };
    let overlay = workshop.make(qcow2("backing_file=disk.raw,backing_fmt=raw"));
    let overlay = overlay.expect("it makes qcow2");

    let strict = site("require_format_match = true").await;
    assert_refused("bare", &strict, &sound, "vmdk").await;
    strict.finish().await;

    let lenient = site("require_format_match = false").await;
    assert_taken("bare", &lenient, &sound, "vmdk", None).await;
    // What is unsafe is so under every claim.
    for claimed in ["vmdk", "qcow2", "raw"] {
        assert_refused("bare", &lenient, &overlay, claimed).await;
    }
    lenient.finish().await;
}

#[tokio::test]
async fn loosely_made_boot_records_are_taken_where_their_checks_are_waived() {
    let Some(workshop) = Workshop::open() else {
        return;
    };
    let mut files = Vec::new();
    // The first entry of the table: its boot flag, and its type.
    for (at, value) in [(446, 0x01_u8), (450, 0xee)] {
        let disk = workshop.make(RAW).expect("it makes raw");
        let file = disk.with_file_name(format!("{at}.raw"));
        std::fs::rename(&disk, &file).unwrap();
        let open = std::fs::File::options().write(true).open(&file).unwrap();
        open.write_all_at(&[value], at).unwrap();
        files.push(file);
    }
    let [bad_flag, badly_protective] = files.try_into().unwrap();
    for (waived, takes_bad_flag, takes_badly_protective) in [
        ("[]", false, false),
        ("[\"gptmbr\"]", false, true),
        ("[\"mbr\"]", true, true),
    ] {
        let app = site(&format!("gpt_safety_checks_nonfatal = {waived}")).await;
        for (file, is_taken) in [
            (&bad_flag, takes_bad_flag),
            (&badly_protective, takes_badly_protective),
        ] {
            if is_taken {
                let bytes = file.metadata().unwrap().len();
                assert_taken("bare", &app, file, "raw", Some(bytes)).await;
            } else {
                assert_refused("bare", &app, file, "raw").await;
            }
        }
        app.finish().await;
    }
}

#[tokio::test]
async fn extended_l2_entries_are_taken_where_every_reader_knows_them() {
    let Some(workshop) = Workshop::open() else {
        return;
    };
    let kind = qcow2("extended_l2=on");
    let Some(file) = workshop.make(kind) else {
        return;
    };
    let strict = site("allow_extended_l2 = false").await;
    assert_refused("bare", &strict, &file, "qcow2").await;
    strict.finish().await;

    let lenient = site("allow_extended_l2 = true").await;
    travel(&lenient, &workshop, kind).await;
    let overlay = workshop.make(qcow2(
        "extended_l2=on,backing_file=disk.raw,backing_fmt=raw",
    ));
    assert_refused("bare", &lenient, &overlay.unwrap(), "qcow2").await;
    lenient.finish().await;
}

#[tokio::test]
async fn containers_are_let_be_where_only_bare_images_are_inspected() {
    let Some(workshop) = Workshop::open() else {
        return;
    };
    let overlay = workshop.make(qcow2("backing_file=disk.raw,backing_fmt=raw"));
    let Some(overlay) = overlay else {
        return;
    };
    for (inspected, takes_containers) in [("all", false), ("bare", true)] {
        let app = site(&format!("inspected_containers = \"{inspected}\"")).await;
        assert_refused("bare", &app, &overlay, "qcow2").await;
        for container in ["ovf", "docker"] {
            if takes_containers {
                assert_taken(container, &app, &overlay, "qcow2", None).await;
            } else {
                assert_refused(container, &app, &overlay, "qcow2").await;
            }
        }
        let (_, status) = upload(&app, &workshop.make(QCOW2).unwrap(), "qcow2").await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        app.finish().await;
    }
}
