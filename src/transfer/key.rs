//! The keys of our objects, `{prefix}{image id}/{attempt id}`: made here, and read back.

use crate::image::{AttemptId, ImageId};

/// The key of what an attempt stores.
pub(super) fn key_of(prefix: &str, image: &ImageId, attempt: &AttemptId) -> String {
    format!("{prefix}{image}/{attempt}")
}

/// Image and attempt of a key; `None` for one that is not of our making.
pub(crate) fn ids_of_key(key: &str, prefix: &str) -> Option<(ImageId, AttemptId)> {
    let (image, attempt) = key.strip_prefix(prefix)?.split_once('/')?;
    let is_attempt = attempt.len() == 32 && attempt.bytes().all(|b| b.is_ascii_hexdigit());
    let image = image.parse().ok()?;
    is_attempt.then(|| (image, attempt.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_of_our_making_name_an_attempt() {
        let image = "0a1b2c3d-0000-4000-8000-00000000abcd";
        let attempt = "00112233445566778899aabbccddeeff";
        let ids = (image.parse().unwrap(), attempt.into());
        let key = key_of("p/", &ids.0, &ids.1);
        assert_eq!(ids_of_key(&key, "p/"), Some(ids));
        for foreign in [
            format!("{image}/{attempt}"),
            format!("p/{image}"),
            format!("p/x/{attempt}"),
            format!("p/{image}/backup.tar"),
        ] {
            assert_eq!(ids_of_key(&foreign, "p/"), None, "{foreign}");
        }
    }
}
