//! What Keystone has said about tokens, by the SHA-256 of the token and bounded in number and time.
//!
//! Valid tokens and refused ones are kept apart, so that somebody who sends random tokens pushes out refusals alone. Both
//! are plain lists in the order of their last use (the crate `lru`, which the SDK brings along): the bound is exact, and
//! an entry past its time has to stay for a while, for the case that Keystone is away. A concurrent cache with expiry of
//! its own gives neither.
//!
//! Every request looks its token up, which moves it to the front of its list. So that all do not wait for one lock, the
//! lists of a large cache are cut into shards by the token's hash.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;

use super::Expiry;
use super::token::Token;
use crate::auth::tokens::Digest;
use crate::config::Keystone as Options;

/// How long a refusal is good for. Short: a token of a Keystone node may be unknown to another for a moment.
const REFUSED_TIME: Duration = Duration::from_secs(10);

/// How many refusals are kept. They only spare Keystone the client that goes on asking with a token that has died.
const REFUSED_ENTRIES: usize = 1024;

/// Shards at most.
const MOST_SHARDS: usize = 16;

/// Valid tokens in a shard at least. Hashes fall evenly, but only by and large: small shards would push tokens out long
/// before the cache is full.
const LEAST_IN_SHARD: usize = 256;

/// What is known of a token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Keystone vouched for it a short while ago.
    Good(Arc<Token>),
    /// It did so too long ago: to be asked again, and good enough only while Keystone is away.
    Stale(Arc<Token>),
    /// Keystone has refused it, or it is past its end.
    Refused,
    Nothing,
}

pub(super) struct Cache {
    /// How long an answer is good for; no time keeps nothing.
    time: Duration,
    /// How much longer it is kept for the case that Keystone is away.
    stale_time: Duration,
    shards: Box<[Mutex<Entries>]>,
}

struct Entries {
    good: LruCache<Digest, Good>,
    refused: LruCache<Digest, Refused>,
}

struct Good {
    token: Arc<Token>,
    asked: Instant,
}

struct Refused {
    asked: Instant,
    /// Whether it was refused although its expiry was overlooked.
    at_any_age: bool,
}

impl Cache {
    pub(super) fn new(options: &Options) -> Self {
        let shards = (options.token_cache_entries / LEAST_IN_SHARD).clamp(1, MOST_SHARDS);
        // The first shards get what does not divide, so that the bounds are exact together.
        let part = |entries: usize, shard: usize| {
            let size = entries / shards + usize::from(shard < entries % shards);
            NonZeroUsize::new(size).unwrap_or(NonZeroUsize::MIN)
        };
        let shard = |number| {
            Mutex::new(Entries {
                good: LruCache::new(part(options.token_cache_entries, number)),
                refused: LruCache::new(part(REFUSED_ENTRIES, number)),
            })
        };
        Self {
            time: options.token_cache_time.duration(),
            stale_time: options.stale_while_unavailable.duration(),
            shards: (0..shards).map(shard).collect(),
        }
    }

    /// What is known of the token now.
    pub(super) fn find(&self, key: &Digest, expiry: Expiry) -> Found {
        let mut entries = self.entries_of(key);
        if let Some(Good { token, asked }) = entries.good.get(key) {
            let age = asked.elapsed();
            let has_expired = token.has_expired();
            return match expiry {
                Expiry::Enforced if has_expired => Found::Refused,
                _ if age < self.time => Found::Good(Arc::clone(token)),
                // Without Keystone nobody can tell how long after its end a token still counts.
                _ if age < self.time + self.stale_time && !has_expired => {
                    Found::Stale(Arc::clone(token))
                }
                _ => Found::Nothing,
            };
        }
        match entries.refused.get(key) {
            Some(refused)
                if refused.asked.elapsed() < REFUSED_TIME.min(self.time)
                    && (refused.at_any_age || expiry == Expiry::Enforced) =>
            {
                Found::Refused
            }
            _ => Found::Nothing,
        }
    }

    /// Keeps that Keystone, asked at that moment, vouched for the token.
    pub(super) fn keep(&self, key: Digest, token: &Arc<Token>, asked: Instant) {
        if self.time + self.stale_time == Duration::ZERO {
            return;
        }
        let mut entries = self.entries_of(&key);
        // A token that was refused since then has been revoked meanwhile, or has come to its end.
        let overtaken = (entries.refused.peek(&key)).is_some_and(|refused| refused.asked > asked);
        if overtaken && !token.has_expired() {
            return;
        }
        entries.refused.pop(&key);
        let token = Arc::clone(token);
        entries.good.put(key, Good { token, asked });
    }

    /// Keeps that Keystone, asked at that moment, refused the token; what it said before counts no longer.
    pub(super) fn refuse(&self, key: Digest, expiry: Expiry, asked: Instant) {
        let mut entries = self.entries_of(&key);
        entries.good.pop(&key);
        let at_any_age = expiry == Expiry::Overlooked;
        entries.refused.put(key, Refused { asked, at_any_age });
    }

    /// How many valid tokens are kept.
    pub(super) fn len(&self) -> usize {
        let shards = self.shards.iter();
        shards.map(|shard| lock(shard).good.len()).sum()
    }

    fn entries_of(&self, key: &Digest) -> MutexGuard<'_, Entries> {
        lock(&self.shards[key.choice(self.shards.len())])
    }
}

fn lock(shard: &Mutex<Entries>) -> MutexGuard<'_, Entries> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Span;

    const FIVE_MINUTES: Duration = Duration::from_secs(300);

    fn cache(entries: usize, time: u64, stale: u64) -> Cache {
        Cache::new(&Options {
            token_cache_entries: entries,
            token_cache_time: Span::seconds(time),
            stale_while_unavailable: Span::seconds(stale),
            ..Options::default()
        })
    }

    fn token(expires: &str) -> Arc<Token> {
        let body = format!(
            r#"{{"token": {{"user": {{"id": "u", "domain": {{"id": "d"}}}}, "expires_at": "{expires}"}}}}"#
        );
        Arc::new(Token::parse(body.as_bytes()).unwrap())
    }

    fn lasting() -> Arc<Token> {
        token("9000-01-01T00:00:00Z")
    }

    fn expired() -> Arc<Token> {
        token("2020-01-01T00:00:00Z")
    }

    fn refusals(cache: &Cache) -> usize {
        let shards = cache.shards.iter();
        shards.map(|shard| lock(shard).refused.len()).sum()
    }

    fn key(name: &str) -> Digest {
        Digest::of(name)
    }

    #[tokio::test(start_paused = true)]
    async fn answer_is_good_for_its_time_and_then_stale_for_another() {
        let cache = cache(10, 300, 300);
        let token = lasting();
        cache.keep(key("a"), &token, Instant::now());
        let find = || cache.find(&key("a"), Expiry::Enforced);
        assert_eq!(find(), Found::Good(token.clone()));
        tokio::time::advance(FIVE_MINUTES).await;
        assert_eq!(find(), Found::Stale(token.clone()));
        tokio::time::advance(FIVE_MINUTES).await;
        assert_eq!(find(), Found::Nothing);
        assert_eq!(cache.find(&key("b"), Expiry::Enforced), Found::Nothing);
    }

    #[tokio::test(start_paused = true)]
    async fn expiry_counts_at_each_use_and_is_overlooked_only_when_asked() {
        let cache = cache(10, 300, 300);
        let token = expired();
        cache.keep(key("a"), &token, Instant::now());
        assert_eq!(cache.find(&key("a"), Expiry::Enforced), Found::Refused);
        assert_eq!(
            cache.find(&key("a"), Expiry::Overlooked),
            Found::Good(token)
        );
        tokio::time::advance(FIVE_MINUTES).await;
        assert_eq!(cache.find(&key("a"), Expiry::Overlooked), Found::Nothing);
    }

    #[tokio::test(start_paused = true)]
    async fn refusal_ends_what_was_good_and_is_soon_forgotten() {
        let cache = cache(10, 300, 300);
        cache.keep(key("a"), &lasting(), Instant::now());
        cache.refuse(key("a"), Expiry::Enforced, Instant::now());
        assert_eq!(cache.find(&key("a"), Expiry::Enforced), Found::Refused);
        // It may have been refused for its age alone.
        assert_eq!(cache.find(&key("a"), Expiry::Overlooked), Found::Nothing);
        cache.refuse(key("a"), Expiry::Overlooked, Instant::now());
        assert_eq!(cache.find(&key("a"), Expiry::Overlooked), Found::Refused);
        tokio::time::advance(REFUSED_TIME).await;
        assert_eq!(cache.find(&key("a"), Expiry::Enforced), Found::Nothing);
        assert_eq!(cache.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn late_answer_does_not_undo_a_refusal() {
        let cache = cache(10, 300, 300);
        let asked = Instant::now();
        tokio::time::advance(Duration::from_millis(1)).await;
        cache.refuse(key("a"), Expiry::Enforced, Instant::now());
        cache.keep(key("a"), &lasting(), asked);
        assert_eq!(cache.find(&key("a"), Expiry::Enforced), Found::Refused);
        cache.keep(key("a"), &expired(), asked);
        assert_ne!(cache.find(&key("a"), Expiry::Overlooked), Found::Refused);
    }

    #[tokio::test(start_paused = true)]
    async fn refused_tokens_push_out_no_good_one_and_neither_grows_without_end() {
        let cache = cache(100, 300, 300);
        for number in 0..100 {
            cache.keep(key(&format!("good {number}")), &lasting(), Instant::now());
        }
        for number in 0..10_000 {
            let key = key(&format!("random {number}"));
            cache.refuse(key, Expiry::Enforced, Instant::now());
        }
        assert_eq!(cache.len(), 100);
        assert_eq!(refusals(&cache), REFUSED_ENTRIES);
        for number in 100..10_000 {
            cache.keep(key(&format!("good {number}")), &lasting(), Instant::now());
        }
        assert_eq!(cache.len(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn large_cache_is_in_shards_with_the_same_bounds_together() {
        let cache = cache(10_000, 300, 300);
        assert_eq!(cache.shards.len(), MOST_SHARDS);
        let token = lasting();
        for number in 0..9_000 {
            cache.keep(key(&format!("good {number}")), &token, Instant::now());
        }
        let few_are_lost = cache.len();
        assert!(few_are_lost > 8_900, "{few_are_lost}");
        for number in 0..20_000 {
            let key = key(&format!("random {number}"));
            cache.refuse(key, Expiry::Enforced, Instant::now());
        }
        assert_eq!(refusals(&cache), REFUSED_ENTRIES);
        assert_eq!(cache.len(), few_are_lost, "refusals push out no good one");
        for number in 9_000..40_000 {
            cache.keep(key(&format!("good {number}")), &token, Instant::now());
        }
        assert_eq!(cache.len(), 10_000);
    }

    #[tokio::test(start_paused = true)]
    async fn without_time_nothing_is_kept() {
        let nothing = cache(10, 0, 0);
        nothing.keep(key("a"), &lasting(), Instant::now());
        nothing.refuse(key("b"), Expiry::Overlooked, Instant::now());
        for name in ["a", "b"] {
            assert_eq!(nothing.find(&key(name), Expiry::Enforced), Found::Nothing);
        }
        let stale_only = cache(10, 0, 300);
        let token = lasting();
        stale_only.keep(key("a"), &token, Instant::now());
        assert_eq!(
            stale_only.find(&key("a"), Expiry::Enforced),
            Found::Stale(token)
        );
    }
}
