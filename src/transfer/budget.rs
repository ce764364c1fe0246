//! The byte budget: how much image data all uploads together may hold in memory.
//!
//! A part takes memory as its bytes come, so that who sends little holds little: a page, then all that it needs where there is
//! plenty, else as much again as it has. When pages are short, it waits
//! for all that it still needs at once, behind those whose project holds less. A *reserve* as large as the largest part
//! is kept for parts that have waited: it serves several small ones or a large one, and is whole again when they are sent.
//!
//! There is no deadlock: a part that got what it needs asks for nothing more, and when all such parts are gone the reserve
//! serves whoever waits first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Error, Result};
use crate::telemetry::metrics::Metrics;

/// What is dealt out at a time, bytes: about what a client sends at once.
const PAGE: u64 = 64 * 1024;

/// A part takes all it needs at once when that is at most one part in this many of what is free.
const PLENTY: u64 = 4;

/// The memory of all uploads.
pub(super) struct Budget {
    pages: Mutex<Pages>,
    /// How long a part waits for memory, and may stay unfilled while others wait.
    patience: Duration,
    metrics: Arc<Metrics>,
}

/// All counts are in pages.
struct Pages {
    common: u64,
    reserve: u64,
    waiting: Vec<Waiting>,
    /// Waiting ones ever, which numbers them.
    arrived: u64,
    held: HashMap<Arc<str>, u64>,
}

struct Waiting {
    number: u64,
    project: Arc<str>,
    needed: u64,
    granted: oneshot::Sender<Grant>,
}

/// Pages of each kind; they go back to where they came from.
#[derive(Debug, Clone, Copy, Default)]
struct Grant {
    common: u64,
    reserve: u64,
}

/// The right of one part to hold some bytes; given back when dropped.
pub(super) struct Claim {
    budget: Arc<Budget>,
    project: Arc<str>,
    /// What the part will need in all, pages.
    needed: u64,
    grant: Grant,
}

impl Budget {
    /// A budget of so many bytes, for parts of at most `largest` bytes.
    pub(super) fn new(
        bytes: u64,
        largest: u64,
        patience: Duration,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        metrics.set_memory_budget(bytes);
        let total = (bytes / PAGE).max(1);
        let reserve = largest.div_ceil(PAGE).min(total);
        Arc::new(Self {
            pages: Mutex::new(Pages {
                common: total - reserve,
                reserve,
                waiting: Vec::new(),
                arrived: 0,
                held: HashMap::new(),
            }),
            patience,
            metrics,
        })
    }

    /// How long a part waits for memory, and may stay unfilled while others wait.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// Whether somebody waits for memory.
    pub(super) fn is_short(&self) -> bool {
        !self.lock().waiting.is_empty()
    }

    /// The claim of a part that will have `size` bytes; it holds none yet.
    pub(super) fn claim(self: &Arc<Self>, project: &Arc<str>, size: u64) -> Claim {
        Claim {
            budget: Arc::clone(self),
            project: Arc::clone(project),
            needed: size.div_ceil(PAGE),
            grant: Grant::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, project: &Arc<str>, grant: Grant) {
        let pages = &mut *self.lock();
        pages.take_back(project, grant);
        self.serve(pages);
    }

    /// Serves those who wait, as far as it goes.
    fn serve(&self, pages: &mut Pages) {
        while let Some(next) = pages.next() {
            let Some(grant) = pages.take_all(next.needed) else {
                return;
            };
            let waiting = pages.remove(next.number).expect("it waits");
            pages.hold(&waiting.project, grant);
            self.metrics.add_memory_in_use(grant.bytes());
            if waiting.granted.send(grant).is_err() {
                self.metrics.remove_memory_in_use(grant.bytes());
                pages.take_back(&waiting.project, grant);
            }
        }
    }
}

/// Who is next, and what it needs.
struct Next {
    number: u64,
    needed: u64,
}

impl Pages {
    /// The one whose project holds least; among those the one that waits longest.
    fn next(&self) -> Option<Next> {
        let held = |project: &Arc<str>| self.held.get(project).copied().unwrap_or(0);
        let next = self
            .waiting
            .iter()
            .min_by_key(|waiting| (held(&waiting.project), waiting.number))?;
        Some(Next {
            number: next.number,
            needed: next.needed,
        })
    }

    fn remove(&mut self, number: u64) -> Option<Waiting> {
        let place = self.waiting.iter().position(|one| one.number == number)?;
        Some(self.waiting.swap_remove(place))
    }

    /// So many pages, the reserve's first, if there are as many.
    fn take_all(&mut self, needed: u64) -> Option<Grant> {
        let reserve = self.reserve.min(needed);
        let common = needed - reserve;
        if common > self.common {
            return None;
        }
        self.reserve -= reserve;
        self.common -= common;
        Some(Grant { common, reserve })
    }

    fn hold(&mut self, project: &Arc<str>, grant: Grant) {
        *self.held.entry(Arc::clone(project)).or_default() += grant.pages();
    }

    fn take_back(&mut self, project: &Arc<str>, grant: Grant) {
        self.common += grant.common;
        self.reserve += grant.reserve;
        if let Some(held) = self.held.get_mut(project) {
            *held -= grant.pages();
            if *held == 0 {
                self.held.remove(project);
            }
        }
    }
}

impl Grant {
    fn pages(self) -> u64 {
        self.common + self.reserve
    }

    fn bytes(self) -> u64 {
        self.pages() * PAGE
    }

    fn add(&mut self, more: Grant) {
        self.common += more.common;
        self.reserve += more.reserve;
    }
}

impl Claim {
    /// Bytes that may be held now.
    pub(super) fn bytes(&self) -> u64 {
        self.grant.bytes()
    }

    /// Takes more, if nobody waits and there is some.
    pub(super) fn try_grow(&mut self) -> bool {
        let mut pages = self.budget.lock();
        if !pages.waiting.is_empty() || pages.common == 0 {
            return false;
        }
        let held = self.grant.pages();
        let missing = self.needed.saturating_sub(held).max(1);
        let wanted = match held {
            0 => 1,
            _ if missing * PLENTY <= pages.common => missing,
            _ => held.min(missing),
        };
        let more = Grant {
            common: wanted.min(pages.common),
            reserve: 0,
        };
        pages.common -= more.common;
        pages.hold(&self.project, more);
        drop(pages);
        self.budget.metrics.add_memory_in_use(more.bytes());
        self.grant.add(more);
        true
    }

    /// Waits until the part has all it needs.
    ///
    /// # Errors
    /// [`Error::NoMemory`] after the budget's patience.
    pub(super) async fn complete(&mut self) -> Result<()> {
        let needed = self.needed.saturating_sub(self.grant.pages()).max(1);
        let mut place = Place::take(&self.budget, &self.project, needed);
        let granted = tokio::time::timeout(self.budget.patience, &mut place.granted).await;
        match granted {
            Ok(Ok(grant)) => {
                place.is_over = true;
                self.grant.add(grant);
                Ok(())
            }
            _ => Err(Error::NoMemory(self.budget.patience)),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.grant.pages() > 0 {
            self.budget.metrics.remove_memory_in_use(self.grant.bytes());
            self.budget.give_back(&self.project, self.grant);
        }
    }
}

/// A place among those who wait. Whoever gives it up takes nothing along, granted or not.
struct Place<'a> {
    budget: &'a Budget,
    project: &'a Arc<str>,
    number: u64,
    granted: oneshot::Receiver<Grant>,
    is_over: bool,
}

impl<'a> Place<'a> {
    fn take(budget: &'a Budget, project: &'a Arc<str>, needed: u64) -> Self {
        let (sender, granted) = oneshot::channel();
        let pages = &mut *budget.lock();
        pages.arrived += 1;
        let number = pages.arrived;
        pages.waiting.push(Waiting {
            number,
            project: Arc::clone(project),
            needed,
            granted: sender,
        });
        budget.serve(pages);
        Self {
            budget,
            project,
            number,
            granted,
            is_over: false,
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let pages = &mut *self.budget.lock();
        if pages.remove(self.number).is_none()
            && let Ok(grant) = self.granted.try_recv()
        {
            self.budget.metrics.remove_memory_in_use(grant.bytes());
            pages.take_back(self.project, grant);
        }
        // Who stood behind may be served with less.
        self.budget.serve(pages);
    }
}

#[cfg(test)]
mod tests;
