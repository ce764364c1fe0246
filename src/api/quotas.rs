//! What a project may hold: the site's quota, and the limits that the identity service keeps for it.

use std::sync::Arc;

use super::error::Error;
use crate::auth::{Authenticator, ProjectLimits};
use crate::catalog::Limits;
use crate::config;
use crate::image::ProjectId;

/// Where the limits of projects come from; clones share it.
#[derive(Clone)]
pub(super) struct Quotas {
    authenticator: Arc<Authenticator>,
    /// Bytes; none where the site has no quota.
    storage_quota: Option<u64>,
}

impl Quotas {
    pub(super) fn new(authenticator: Arc<Authenticator>, images: &config::Images) -> Self {
        Self {
            authenticator,
            storage_quota: images.storage_quota(),
        }
    }

    /// What the identity service lets a project hold; `None` where it is not asked.
    pub(super) async fn find_limits(
        &self,
        project: &ProjectId,
    ) -> Result<Option<ProjectLimits>, Error> {
        let limits = self.authenticator.limits(project.as_str()).await;
        limits.map_err(|e| Error::Unavailable(e.into()))
    }

    /// What the owner of an image may hold in all.
    pub(super) async fn limits_of(&self, owner: Option<&ProjectId>) -> Result<Limits, Error> {
        let own = match owner {
            Some(owner) => self.find_limits(owner).await?.unwrap_or_default(),
            None => ProjectLimits::default(),
        };
        Ok(Limits {
            storage_quota: self.storage_quota,
            size_total: own.size_total,
            images: own.count_total,
            uploading: own.count_uploading,
            staged: own.stage_total,
        })
    }
}
