//! The content of a file of tokens: who holds which token.
//!
//! Only the SHA-256 of a token is kept, so that the file gives no access to who reads it. A plain hash is enough, and
//! the lookup need not take constant time: tokens are long and random, not passwords, so neither the hash can be
//! reversed by guessing nor does the time of a lookup by hash lead to a token.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use toml::Value;

use crate::config::Faults;
use crate::config::read::{Section, parse};
use crate::config::setting::Setting;

use super::Identity;
use super::identity::with_implied;

/// The hex SHA-256 of a token, as it stands in the file.
pub fn hash(token: &str) -> String {
    Digest::of(token).to_hex()
}

/// The tokens of a file.
#[derive(Debug, Default)]
pub(crate) struct TokenSet(HashMap<Digest, Entry>);

#[derive(Debug)]
struct Entry {
    identity: Identity,
    expires: Option<Expiry>,
}

impl TokenSet {
    /// Reads the text of a file of tokens.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, Faults> {
        parse(text, |root| {
            let mut names = BTreeMap::new();
            let mut set = Self::default();
            for (index, (name, digest, entry)) in
                root.list("token", read_entry).into_iter().enumerate()
            {
                let key = format!("token[{index}]");
                // Without a name or a digest the entry has a fault already.
                if let Some(earlier) = name.and_then(|name| names.insert(name, index)) {
                    root.fault(&key, format!("has the name of token[{earlier}]"));
                }
                if let Some(digest) = digest
                    && set.0.insert(digest, entry).is_some()
                {
                    root.fault(&key, "has the sha256 of an earlier token");
                }
            }
            set
        })
    }

    /// Who holds the token, unless it has expired.
    pub(crate) fn find(&self, token: &str, now: OffsetDateTime) -> Option<&Identity> {
        let entry = self.0.get(&Digest::of(token))?;
        let expired = entry.expires.is_some_and(|Expiry(end)| end <= now);
        (!expired).then_some(&entry.identity)
    }
}

/// Its name, its digest and what they stand for; an entry with faults is read on so that all of them come out.
fn read_entry(section: &mut Section<'_>) -> (Option<String>, Option<Digest>, Entry) {
    let name = section.take_present("name");
    let digest = section.take_present("sha256");
    let identity = Identity {
        user_id: section.take_required("user_id", "unnamed".to_owned()),
        project_id: section.take_optional("project_id"),
        roles: with_implied(section.take_present("roles").unwrap_or_default()),
        ..Identity::default()
    };
    let expires = section.take_optional("expires");
    (name, digest, Entry { identity, expires })
}

/// The SHA-256 of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Digest([u8; SHA256_OUTPUT_LEN]);

impl Digest {
    pub(super) fn of(token: &str) -> Self {
        let mut bytes = [0; SHA256_OUTPUT_LEN];
        bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(bytes)
    }

    /// Which of so many the token belongs to: the same number at each time, all about as likely.
    pub(super) fn choice(self, of: usize) -> usize {
        usize::from(self.0[0]) % of
    }

    fn to_hex(self) -> String {
        self.0.iter().fold(String::new(), |mut hex, byte| {
            // Writing to a String does not fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

impl Setting for Digest {
    const RULE: &'static str = "must be the SHA-256 of the token as 64 hex digits";
    // Whoever mistakes the key for that of the token itself must not find it in the log.
    const SHOWN: bool = false;

    fn from_text(text: &str) -> Option<Self> {
        if text.len() != 2 * SHA256_OUTPUT_LEN || !text.bytes().all(|byte| byte.is_ascii_hexdigit())
        {
            return None;
        }
        let mut bytes = [0; SHA256_OUTPUT_LEN];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

/// The moment from which a token is no longer good.
#[derive(Debug, Clone, Copy)]
struct Expiry(OffsetDateTime);

impl Setting for Expiry {
    const RULE: &'static str =
        "must be a time with its offset from UTC, such as \"2030-01-31T12:00:00Z\"";

    fn from_text(text: &str) -> Option<Self> {
        OffsetDateTime::parse(text, &Rfc3339).ok().map(Self)
    }

    fn from_toml(value: &Value) -> Option<Self> {
        match value {
            Value::Datetime(time) => Self::from_text(&time.to_string()),
            value => value.as_str().and_then(Self::from_text),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The text of an entry, with further lines.
    pub(in crate::auth) fn entry(name: &str, token: &str, more: &str) -> String {
        let sha256 = hash(token);
        format!(
            "[[token]]\nname = {name:?}\nsha256 = {sha256:?}\nuser_id = \"user-of-{name}\"\nproject_id = \"p\"\n\
             roles = [\"member\"]\n{more}\n"
        )
    }

    fn at(text: &str) -> OffsetDateTime {
        OffsetDateTime::parse(text, &Rfc3339).unwrap()
    }

    #[test]
    fn hash_is_sha256_in_hex() {
        assert_eq!(
            hash("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn tokens_are_found_by_themselves_and_not_by_their_hash() {
        let set = TokenSet::parse(&(entry("a", "alpha", "") + &entry("b", "beta", ""))).unwrap();
        let now = at("2026-01-01T00:00:00Z");
        assert_eq!(set.0.len(), 2);
        assert_eq!(set.find("beta", now).unwrap().user_id, "user-of-b");
        assert_eq!(set.find(&hash("beta"), now), None);
        assert_eq!(set.find("", now), None);
    }

    #[test]
    fn tokens_end_at_their_expiry() {
        for expires in [
            "expires = \"2026-01-01T01:00:00+01:00\"",
            "expires = 2026-01-01T00:00:00Z",
        ] {
            let set = TokenSet::parse(&entry("a", "alpha", expires)).unwrap();
            assert!(
                set.find("alpha", at("2025-12-31T23:59:59Z")).is_some(),
                "{expires}"
            );
            assert!(
                set.find("alpha", at("2026-01-01T00:00:00Z")).is_none(),
                "{expires}"
            );
        }
    }

    #[test]
    fn empty_file_has_no_tokens() {
        assert!(TokenSet::parse("").unwrap().0.is_empty());
    }

    #[test]
    fn every_fault_is_reported_and_no_token_is_shown() {
        let text = entry("a", "alpha", "expires = 2026-01-01T00:00:00")
            + &entry("a", "alpha", "rolls = []")
            + "[[token]]\nsha256 = \"plain-token\"\n[[token]]\nname = \"d\"\nuser_id = \"\"\n";
        let text = TokenSet::parse(&text).unwrap_err().to_string();
        let keys: Vec<&str> = text
            .lines()
            .map(|line| line.split(": ").next().unwrap())
            .collect();
        let mut expected = vec![
            "token[0].expires",
            "token[1].rolls",
            "token[1]",
            "token[1]",
            "token[2].name",
            "token[2].sha256",
            "token[2].user_id",
            "token[3].sha256",
            "token[3].user_id",
            "token[2].roles",
            "token[3].roles",
        ];
        let mut found = keys.clone();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{text}");
        assert!(text.contains("did you mean roles?"), "{text}");
        assert!(!text.contains("plain-token"), "{text}");
    }
}
