//! Format inspection against images made by the tool that everybody makes them with, `qemu-img`.
//!
//! Where it is not installed, or was built without a format, the rows concerned print a line with SKIPPED.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that goes wrong"
)]

#[path = "formats/mutants.rs"]
mod mutants;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use oriel::format::{Check, Findings, Format, Inspection, Refusal, Rules, judge};
use tempfile::TempDir;

const STRICT: Rules = Rules::STRICT;
const SECRET: [&str; 2] = ["--object", "secret,id=key,data=not-a-secret"];

/// A directory for images, and the tool to make them.
struct Workshop {
    directory: TempDir,
}

impl Workshop {
    /// None, loudly, without `qemu-img`.
    fn open() -> Option<Workshop> {
        if let Err(error) = Command::new("qemu-img").arg("--version").output() {
            eprintln!("SKIPPED: no test with real images, qemu-img does not start: {error}");
            return None;
        }
        Some(Workshop {
            directory: TempDir::new().unwrap(),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new("qemu-img")
            .args(arguments)
            .current_dir(self.directory.path())
            .output()
            .unwrap()
    }

    /// Makes an image of 64 MiB; none, loudly, when this `qemu-img` cannot.
    fn create(&self, name: &str, options: &[&str]) -> Option<PathBuf> {
        self.make("create", &[options, &[name, "64M"]].concat(), name)
    }

    /// Makes an image with content from a raw disk of 8 MiB.
    fn convert(&self, name: &str, options: &[&str]) -> Option<PathBuf> {
        let disk: Vec<u8> = (0..8u32 << 20)
            .map(|n| if n < 3 << 20 { (n % 251 + 1) as u8 } else { 0 })
            .collect();
        std::fs::write(self.path("disk.raw"), disk).unwrap();
        self.make(
            "convert",
            &[&["-f", "raw"], options, &["disk.raw", name]].concat(),
            name,
        )
    }

    fn make(&self, command: &str, arguments: &[&str], name: &str) -> Option<PathBuf> {
        let output = self.run(&[&[command, "-q"], arguments].concat());
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr);
            eprintln!(
                "SKIPPED: qemu-img {command} {}: {}",
                arguments.join(" "),
                reason.trim()
            );
            return None;
        }
        Some(self.path(name))
    }

    /// What the tool takes the size of the disk for, bytes.
    fn virtual_size(&self, image: &Path) -> u64 {
        let output = self.run(&["info", "--output=json", image.to_str().unwrap()]);
        let info: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        info["virtual-size"].as_u64().unwrap()
    }
}

fn inspect(image: &Path) -> Findings {
    let mut file = File::open(image).unwrap();
    let mut inspection = Inspection::new();
    let mut buffer = vec![0; 60_000];
    loop {
        match file.read(&mut buffer).unwrap() {
            0 => return inspection.finish(),
            length => inspection.feed(&buffer[..length]),
        }
    }
}

#[track_caller]
fn expect_safe(workshop: &Workshop, image: Option<PathBuf>, format: Format) {
    let Some(image) = image else { return };
    let findings = inspect(&image);
    let name = image.display();
    assert_eq!(findings.formats(), [format], "{name}");
    assert_eq!(
        judge(&findings, format.as_str(), &STRICT),
        Ok(Some(workshop.virtual_size(&image))),
        "{name}"
    );
    let bytes = image.metadata().unwrap().len();
    assert_eq!(judge(&findings, "raw", &STRICT), Ok(Some(bytes)), "{name}");
    for claimed in [
        "ami",
        "ploop",
        if format == Format::Iso {
            "qcow2"
        } else {
            "iso"
        },
    ] {
        let mismatch = Refusal::Mismatch {
            claimed: claimed.to_owned(),
            detected: format,
        };
        assert_eq!(judge(&findings, claimed, &STRICT), Err(mismatch), "{name}");
    }
}

#[track_caller]
fn expect_unsafe(image: Option<PathBuf>, format: Format, check: Check) {
    let Some(image) = image else { return };
    let findings = inspect(&image);
    for claimed in [format.as_str(), "raw"] {
        let verdict = judge(&findings, claimed, &STRICT);
        assert_eq!(
            verdict,
            Err(Refusal::Unsafe { format, check }),
            "{} as {claimed}",
            image.display()
        );
    }
}

#[track_caller]
fn expect_raw(image: Option<PathBuf>) {
    let Some(image) = image else { return };
    let bytes = image.metadata().unwrap().len();
    assert_eq!(
        judge(&inspect(&image), "raw", &STRICT),
        Ok(Some(bytes)),
        "{}",
        image.display()
    );
}

#[test]
fn qcow2_that_is_whole_is_accepted() {
    let Some(w) = Workshop::open() else { return };
    let encrypted = "encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10";
    for (name, options) in [
        ("v2", &["-f", "qcow2", "-o", "compat=0.10"][..]),
        ("v3", &["-f", "qcow2", "-o", "compat=1.1"]),
        ("zlib", &["-f", "qcow2", "-o", "compression_type=zlib"]),
        ("zstd", &["-f", "qcow2", "-o", "compression_type=zstd"]),
        (
            "lazy",
            &[
                "-f",
                "qcow2",
                "-o",
                "lazy_refcounts=on,cluster_size=4k,preallocation=metadata",
            ],
        ),
        (
            "encrypted",
            &[SECRET[0], SECRET[1], "-f", "qcow2", "-o", encrypted],
        ),
    ] {
        expect_safe(&w, w.create(name, options), Format::Qcow2);
    }
    expect_safe(
        &w,
        w.convert("compressed", &["-c", "-O", "qcow2"]),
        Format::Qcow2,
    );
}

#[test]
fn qcow2_that_leads_elsewhere_is_refused() {
    let Some(w) = Workshop::open() else { return };
    w.create("base", &["-f", "qcow2"]);
    for compat in ["0.10", "1.1"] {
        let options = format!("compat={compat}");
        let child = w.create(
            "child",
            &["-f", "qcow2", "-o", &options, "-b", "base", "-F", "qcow2"],
        );
        expect_unsafe(child, Format::Qcow2, Check::BackingFile);
    }
    let data_file = w.create("data-file", &["-f", "qcow2", "-o", "data_file=data.raw"]);
    expect_unsafe(data_file, Format::Qcow2, Check::DataFile);
    let extended = w.create("extended", &["-f", "qcow2", "-o", "extended_l2=on"]);
    if let Some(extended) = &extended {
        let allowing = Rules {
            allow_extended_l2: true,
            ..STRICT
        };
        assert!(judge(&inspect(extended), "qcow2", &allowing).is_ok());
    }
    expect_unsafe(extended, Format::Qcow2, Check::ExtendedL2);
}

#[test]
fn old_qemu_formats_are_refused() {
    let Some(w) = Workshop::open() else { return };
    expect_unsafe(
        w.create("old.qcow", &["-f", "qcow"]),
        Format::Qcow2,
        Check::UnknownFeatures,
    );
    expect_unsafe(
        w.create("old.qed", &["-f", "qed"]),
        Format::Qed,
        Check::Banned,
    );
}

#[test]
fn vmdk_of_a_single_file_is_accepted() {
    let Some(w) = Workshop::open() else { return };
    for (name, options) in [
        ("sparse", "subformat=monolithicSparse"),
        ("zeroed", "subformat=monolithicSparse,zeroed_grain=on"),
        (
            "scsi",
            "subformat=monolithicSparse,adapter_type=lsilogic,hwversion=6",
        ),
        ("stream", "subformat=streamOptimized"),
    ] {
        expect_safe(
            &w,
            w.create(name, &["-f", "vmdk", "-o", options]),
            Format::Vmdk,
        );
        let filled = format!("{name}-filled");
        expect_safe(
            &w,
            w.convert(&filled, &["-O", "vmdk", "-o", options]),
            Format::Vmdk,
        );
    }
}

#[test]
fn vmdk_of_several_files_is_refused() {
    let Some(w) = Workshop::open() else { return };
    for kind in [
        "monolithicFlat",
        "twoGbMaxExtentSparse",
        "twoGbMaxExtentFlat",
    ] {
        let subformat = format!("subformat={kind}");
        let descriptor = w.create(&format!("{kind}.vmdk"), &["-f", "vmdk", "-o", &subformat]);
        expect_unsafe(descriptor, Format::Vmdk, Check::Descriptor);
    }
    let extent = w.path("twoGbMaxExtentSparse-s001.vmdk");
    expect_unsafe(
        extent.exists().then_some(extent),
        Format::Vmdk,
        Check::Descriptor,
    );
    // The flat extent of a disk is the disk.
    let extent = w.path("monolithicFlat-flat.vmdk");
    expect_raw(extent.exists().then_some(extent));
}

#[test]
fn vmdk_with_a_parent_is_refused() {
    let Some(w) = Workshop::open() else { return };
    w.create("base.vmdk", &["-f", "vmdk"]);
    let child = w.create(
        "child.vmdk",
        &["-f", "vmdk", "-b", "base.vmdk", "-F", "vmdk"],
    );
    expect_unsafe(child, Format::Vmdk, Check::Parent);
}

#[test]
fn disks_of_other_makers_are_accepted() {
    let Some(w) = Workshop::open() else { return };
    for (name, options, format) in [
        ("dynamic.vhdx", &["-f", "vhdx"][..], Format::Vhdx),
        (
            "fixed.vhdx",
            &["-f", "vhdx", "-o", "subformat=fixed"],
            Format::Vhdx,
        ),
        ("dynamic.vhd", &["-f", "vpc"], Format::Vhd),
        ("dynamic.vdi", &["-f", "vdi"], Format::Vdi),
        ("static.vdi", &["-f", "vdi", "-o", "static=on"], Format::Vdi),
    ] {
        expect_safe(&w, w.create(name, options), format);
    }
    for (name, format, target) in [
        ("a.vhdx", Format::Vhdx, "vhdx"),
        ("a.vhd", Format::Vhd, "vpc"),
        ("a.vdi", Format::Vdi, "vdi"),
    ] {
        expect_safe(&w, w.convert(name, &["-O", target]), format);
    }
}

#[test]
fn luks_is_accepted_in_version_1() {
    let Some(w) = Workshop::open() else { return };
    let options = [
        SECRET[0],
        SECRET[1],
        "-f",
        "luks",
        "-o",
        "key-secret=key,iter-time=10",
    ];
    expect_safe(&w, w.create("disk.luks", &options), Format::Luks);
}

#[test]
fn what_cannot_be_told_is_raw() {
    let Some(w) = Workshop::open() else { return };
    expect_raw(w.create("disk.raw", &["-f", "raw"]));
    expect_raw(w.create("fixed.vhd", &["-f", "vpc", "-o", "subformat=fixed"]));
    expect_raw(w.create("disk.parallels", &["-f", "parallels"]));
}
