//! Images that are nearly right, made from real ones by a few changes, with `qemu-img info` as the judge of those that
//! inspection accepts: whatever it opens as, it leads to no other file.
//!
//! `ORIEL_MUTANTS` is how many are made of each image, `ORIEL_MUTANTS_SEED` begins another row of them.

use std::path::Path;
use std::process::Command;

use oriel::format::{Inspection, Rules, judge};
use serde_json::Value;

use super::Workshop;

/// The name that leads elsewhere. The file is there, lest `qemu-img` stop for want of it.
const ELSEWHERE: &str = "elsewhere.raw";

/// How many mutants each image has by default: enough to find anew what was found by thousands, in half a minute.
const MUTANTS: u64 = 40;

/// Where formats have their headers, tables and descriptors, bytes. What lies behind is the disk.
const HEAD: u64 = 128 * 1024;

/// Numbers that formats stumble over.
const NUMBERS: [u64; 10] = [
    0,
    1,
    2,
    3,
    20,
    512,
    0x1_0000,
    0x7fff_ffff,
    0xffff_ffff,
    u64::MAX,
];

/// Words of descriptors, and magics.
const WORDS: [&[u8]; 24] = [
    b"\0",
    b" ",
    b"\n",
    b"\r\n",
    b"\t",
    b"\"",
    b"=",
    b":",
    b"# Disk DescriptorFile\n",
    b"version=1\n",
    b"createType=\"monolithicFlat\"\n",
    b"createType \"monolithicFlat\"\n",
    b"parentFileNameHint=\"elsewhere.raw\"\n",
    b"parentCID=12345678\n",
    b"RW 8 FLAT \"elsewhere.raw\" 0\n",
    b"RW 8 SPARSE \"elsewhere.raw\"\n",
    b"elsewhere.raw",
    b"QFI\xfb\0\0\0\x02",
    b"QED\0",
    b"KDMV\x01\0\0\0",
    b"COWD\x01\0\0\0",
    b"vhdxfile",
    b"conectix",
    b"LUKS\xba\xbe\0\x01",
];

/// Names and the arguments of `qemu-img create` that make what mutants are made from.
const IMAGES: [(&str, &[&str]); 15] = [
    ("v2.qcow2", &["-f", "qcow2", "-o", "compat=0.10"]),
    ("v3.qcow2", &["-f", "qcow2"]),
    (
        "backed.qcow2",
        &["-f", "qcow2", "-F", "raw", "-b", ELSEWHERE],
    ),
    (
        "data.qcow2",
        &["-f", "qcow2", "-o", "data_file=data-elsewhere.raw"],
    ),
    ("backed.qcow", &["-f", "qcow", "-F", "raw", "-b", ELSEWHERE]),
    ("backed.qed", &["-f", "qed", "-F", "raw", "-b", ELSEWHERE]),
    ("sparse.vmdk", &["-f", "vmdk"]),
    (
        "stream.vmdk",
        &["-f", "vmdk", "-o", "subformat=streamOptimized"],
    ),
    (
        "flat.vmdk",
        &["-f", "vmdk", "-o", "subformat=monolithicFlat"],
    ),
    (
        "split.vmdk",
        &["-f", "vmdk", "-o", "subformat=twoGbMaxExtentSparse"],
    ),
    ("disk.vhdx", &["-f", "vhdx"]),
    ("dynamic.vhd", &["-f", "vpc"]),
    (
        "fixed.vhd",
        &["-f", "vpc", "-o", "subformat=fixed,force_size=on"],
    ),
    ("disk.vdi", &["-f", "vdi"]),
    ("disk.parallels", &["-f", "parallels"]),
];

/// Xorshift: the same row of numbers on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.roll() % (bound.max(1) as u64)).unwrap()
    }

    /// A place in the image, most often at its beginning, where the headers are.
    fn place(&mut self, length: usize) -> usize {
        let head = [64, 1024, 4096, usize::try_from(HEAD).unwrap()][self.below(4)];
        self.below(length.min(head))
    }
}

fn mutant(dice: &mut Dice, images: &[Vec<u8>], of: usize) -> Vec<u8> {
    let mut image = images[of].clone();
    for _ in 0..=dice.below(3) {
        change(dice, images, &mut image);
    }
    image
}

fn change(dice: &mut Dice, images: &[Vec<u8>], image: &mut Vec<u8>) {
    let at = dice.place(image.len());
    match dice.below(8) {
        0 => {
            if let Some(byte) = image.get_mut(at) {
                *byte ^= 1 << dice.below(8);
            }
        }
        // A field of a header.
        1 | 2 => {
            let number = NUMBERS[dice.below(NUMBERS.len())];
            let field = match dice.below(4) {
                0 => u32::try_from(number & 0xffff_ffff)
                    .unwrap()
                    .to_be_bytes()
                    .to_vec(),
                1 => u32::try_from(number & 0xffff_ffff)
                    .unwrap()
                    .to_le_bytes()
                    .to_vec(),
                2 => number.to_be_bytes().to_vec(),
                _ => number.to_le_bytes().to_vec(),
            };
            overwrite(image, at / 4 * 4, &field);
        }
        3 => overwrite(image, at, WORDS[dice.below(WORDS.len())]),
        4 => {
            let word = WORDS[dice.below(WORDS.len())];
            image.splice(at..at, word.iter().copied());
        }
        // A magic at the beginning of something else.
        5 => overwrite(image, 0, WORDS[dice.below(WORDS.len())]),
        6 => {
            let other = &images[dice.below(images.len())];
            let length = [512, 1024, 4096][dice.below(3)].min(other.len());
            overwrite(image, 0, &other[..length]);
        }
        _ => image.truncate(dice.place(image.len())),
    }
}

fn overwrite(image: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    image[at..end].copy_from_slice(bytes);
}

/// The names under which inspection takes the bytes.
fn accepted_as(image: &[u8]) -> Vec<&'static str> {
    let mut inspection = Inspection::new();
    for piece in image.chunks(10_000) {
        inspection.feed(piece);
    }
    let findings = inspection.finish();
    let claims = [
        "raw", "qcow2", "vmdk", "vhd", "vhdx", "vdi", "iso", "ami", "aki", "ari", "ploop",
    ];
    claims
        .into_iter()
        .filter(|claim| judge(&findings, claim, &Rules::STRICT).is_ok())
        .collect()
}

/// Where the image leads, as `qemu-img` opens it; none if nowhere.
fn leads_to(workshop: &Workshop, image: &Path) -> Option<String> {
    let output = Command::new("qemu-img")
        .args(["info", "--output=json"])
        .arg(image)
        .current_dir(workshop.directory.path())
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    if complaint.contains("elsewhere") || complaint.contains("-flat") || complaint.contains("-s00")
    {
        return Some(complaint.into_owned());
    }
    let info: Value = serde_json::from_slice(&output.stdout).ok()?;
    other_files(&info, image.to_str().unwrap())
}

fn other_files(info: &Value, own: &str) -> Option<String> {
    match info {
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            let names_a_file = matches!(
                name.as_str(),
                "backing-filename" | "full-backing-filename" | "data-file"
            ) || (name == "filename"
                && value.as_str().is_some_and(|file| file != own));
            if names_a_file {
                return Some(format!("{name}: {value}"));
            }
            other_files(value, own)
        }),
        Value::Array(items) => items.iter().find_map(|item| other_files(item, own)),
        _ => None,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long to look is the caller's choice"
)]
fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().unwrap())
}

#[test]
fn nothing_that_is_accepted_leads_elsewhere() {
    let Some(workshop) = Workshop::open() else {
        return;
    };
    std::fs::write(workshop.path(ELSEWHERE), vec![7; 1 << 20]).unwrap();
    let images: Vec<Vec<u8>> = IMAGES
        .iter()
        .filter_map(|(name, options)| workshop.create(name, options))
        .map(|path| {
            let mut image = std::fs::read(path).unwrap();
            image.truncate(1 << 21);
            image
        })
        .collect();
    let each = number("ORIEL_MUTANTS", MUTANTS);
    let seed = number("ORIEL_MUTANTS_SEED", 1);
    let mut asked = 0;
    for of in 0..images.len() {
        for turn in 0..each {
            let row = (seed << 40) + ((of as u64) << 32) + turn;
            let mut dice = Dice(row.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
            let image = mutant(&mut dice, &images, of);
            let claims = accepted_as(&image);
            if claims.is_empty() {
                continue;
            }
            asked += 1;
            let path = workshop.path("mutant");
            std::fs::write(&path, &image).unwrap();
            if let Some(file) = leads_to(&workshop, &path) {
                let kept = std::env::temp_dir().join(format!("oriel-mutant-{seed}-{of}-{turn}"));
                std::fs::copy(&path, &kept).unwrap();
                panic!(
                    "{} is accepted as {claims:?} and leads to {file}",
                    kept.display()
                );
            }
        }
    }
    assert!(asked > 0, "nothing was accepted, so nothing was judged");
}
