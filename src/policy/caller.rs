//! What rules may know of the caller.

use super::Value;
use crate::image::ProjectId;

/// What the caller's token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Scope {
    /// A project, or nothing in particular.
    #[default]
    Project,
    /// The whole deployment.
    System,
}

/// The caller as rules see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The user.
    pub user_id: String,
    /// The project acted for; none for a token without one.
    pub project_id: Option<ProjectId>,
    /// Roles, complete: a role that another implies is listed too.
    pub roles: Vec<String>,
    /// What the token is for.
    pub scope: Scope,
    /// The domain the token is for, when it is for one.
    pub domain_id: Option<String>,
    /// The domain of the user.
    pub user_domain_id: Option<String>,
    /// The domain of the project.
    pub project_domain_id: Option<String>,
}

impl Caller {
    /// Whether the caller has the role; letters count the same in either case.
    pub(crate) fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own.eq_ignore_ascii_case(role))
    }

    /// An attribute under the name that rules use, old names included.
    pub(super) fn attribute(&self, name: &str) -> Value<'_> {
        match name {
            "user_id" | "user" => Value::Text(&self.user_id),
            "project_id" | "tenant" | "tenant_id" => {
                Value::text_or_null(self.project_id.as_ref().map(ProjectId::as_str))
            }
            "domain_id" | "domain" => Value::text_or_null(self.domain_id.as_deref()),
            "user_domain_id" | "user_domain" => Value::text_or_null(self.user_domain_id.as_deref()),
            "project_domain_id" | "project_domain" => {
                Value::text_or_null(self.project_domain_id.as_deref())
            }
            "system_scope" => match self.scope {
                Scope::System => Value::Text("all"),
                Scope::Project => Value::Missing,
            },
            _ => Value::Missing,
        }
    }
}
