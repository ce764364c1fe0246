//! Who calls, and what he may do: the identity of a request together with the rules of that moment.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::error::Error;
use crate::auth::Identity;
use crate::catalog::Judge;
use crate::image::{Denial, Image, ProjectId, Viewer};
use crate::policy::{
    self, Access, Fields, ImageTarget, Policy, Protections, Rule, Scope, Target, Value,
};

/// The authenticated caller, with the rules as they were when the request came; put into the request by the
/// authentication layer.
#[derive(Debug, Clone)]
pub(super) struct Caller(Arc<Known>);

/// What is known of a caller; each who asks for it gets the same.
#[derive(Debug)]
pub(super) struct Known {
    /// Visibility context: which records the caller may know of.
    pub(super) viewer: Viewer,
    who: policy::Caller,
    policy: Arc<Policy>,
}

impl Deref for Caller {
    type Target = Known;

    fn deref(&self) -> &Known {
        &self.0
    }
}

impl Caller {
    pub(super) fn new(identity: Identity, policy: Arc<Policy>) -> Self {
        let who = policy::Caller {
            user_id: identity.user_id,
            project_id: identity.project_id.as_deref().map(Into::into),
            roles: identity.roles,
            scope: if identity.is_system_scoped {
                Scope::System
            } else {
                Scope::Project
            },
            domain_id: identity.domain_id,
            user_domain_id: identity.user_domain_id,
            project_domain_id: identity.project_domain_id,
        };
        Self(Arc::new(Known {
            viewer: Viewer {
                project: who.project_id.clone(),
                is_admin: policy.is_admin(&who),
            },
            who,
            policy,
        }))
    }

    /// The caller of a request that the authentication layer has let in.
    ///
    /// # Errors
    /// A route outside of the layer is a mistake of ours and must fail closed.
    pub(super) fn of(parts: &Parts) -> Result<&Self, Error> {
        let caller = parts.extensions.get();
        caller.ok_or_else(|| Error::Internal("route without authentication".into()))
    }

    /// The caller's project.
    pub(super) fn project(&self) -> Option<&ProjectId> {
        self.viewer.project.as_ref()
    }

    /// The caller's user.
    pub(super) fn user_id(&self) -> &str {
        &self.who.user_id
    }

    /// Whether the caller has a role.
    pub(super) fn has_role(&self, role: &str) -> bool {
        self.who.has_role(role)
    }

    /// By whom limits of rate and concurrency count; `None` for a service, which acts for everybody.
    pub(super) fn limited_as(&self) -> Option<&str> {
        (!self.who.has_role("service")).then_some(self.name())
    }

    /// Whose what is used up counts as: the project's, or the user's where there is none.
    pub(super) fn name(&self) -> &str {
        let project = self.project().map(ProjectId::as_str);
        project.unwrap_or(&self.who.user_id)
    }

    /// Asks a rule about something.
    pub(super) fn may(&self, rule: Rule, target: &dyn Target) -> bool {
        self.policy.allows(rule, &self.who, target)
    }

    /// Asks a rule about an image.
    pub(super) fn may_image(&self, rule: Rule, image: &Image) -> bool {
        self.may(rule, &ImageTarget::new(image, &self.viewer))
    }

    /// Asks rules about an image that is written: hidden when the caller may not even read it.
    pub(super) fn check_image(&self, rules: &[Rule], image: &Image) -> Result<(), Denial> {
        if !self.viewer.sees(image) {
            return Err(Denial::Hidden);
        }
        match rules.iter().find(|rule| !self.may_image(**rule, image)) {
            None => Ok(()),
            Some(rule) if self.may_image(Rule::GetImage, image) => Err(Denial::Rule(rule.as_str())),
            Some(_) => Err(Denial::Hidden),
        }
    }

    /// The same for the transaction of the write.
    pub(super) fn judge(&self, rules: &'static [Rule]) -> Judge {
        let caller = self.clone();
        Box::new(move |image| caller.check_image(rules, image))
    }

    /// Asks what property protection says.
    pub(super) fn may_access(
        &self,
        protections: &Protections,
        access: Access,
        property: &str,
    ) -> bool {
        protections.allow(access, property, &self.who, &self.policy)
    }

    /// Asks a rule about a visible image.
    ///
    /// # Errors
    /// 403 when it says no but the caller may read the record, else 404.
    pub(super) fn enforce_image(&self, rule: Rule, image: &Image) -> Result<(), Error> {
        if self.may_image(rule, image) {
            return Ok(());
        }
        if self.may_image(Rule::GetImage, image) {
            Err(Error::not_allowed(rule))
        } else {
            Err(Error::image_not_found(image.id.as_str()))
        }
    }

    /// Asks a rule that is about the caller's project and nothing in it.
    ///
    /// # Errors
    /// 403 that names the rule.
    pub(super) fn enforce_own(&self, rule: Rule) -> Result<(), Error> {
        let project = Value::text_or_null(self.project().map(ProjectId::as_str));
        let target = [("project_id", project.clone()), ("owner", project)];
        if self.may(rule, &Fields(&target)) {
            Ok(())
        } else {
            Err(Error::not_allowed(rule))
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Self::of(parts).cloned()
    }
}
