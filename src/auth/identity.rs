//! Who a caller is.

/// The roles that stand for others, greatest first: each implies those after it.
const CHAIN: [&str; 3] = ["admin", "member", "reader"];

/// A caller that has been recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user, for the log.
    pub user_id: String,
    /// The project the caller acts for; none for a token without a project.
    pub project_id: Option<String>,
    /// The roles as they were given, without those they imply.
    pub roles: Vec<String>,
}

impl Identity {
    /// Whether the caller administers the whole service.
    pub fn is_admin(&self) -> bool {
        self.has_role("admin")
    }

    /// Whether the caller may change what its project owns.
    pub fn is_member(&self) -> bool {
        self.has_role("member")
    }

    /// Whether the caller may see what its project owns.
    pub fn is_reader(&self) -> bool {
        self.has_role("reader")
    }

    /// Whether the caller has the role or one that implies it: admin implies member, member implies reader. Letters
    /// count the same in either case.
    pub fn has_role(&self, role: &str) -> bool {
        let rank = |name: &str| {
            CHAIN
                .iter()
                .position(|known| known.eq_ignore_ascii_case(name))
        };
        self.roles.iter().any(|own| match (rank(own), rank(role)) {
            (Some(own), Some(wanted)) => own <= wanted,
            _ => own.eq_ignore_ascii_case(role),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(roles: &[&str]) -> Identity {
        Identity {
            user_id: "u".to_owned(),
            project_id: None,
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
        }
    }

    #[test]
    fn greater_roles_imply_lesser_ones_only() {
        for (own, role, has) in [
            ("admin", "admin", true),
            ("admin", "member", true),
            ("admin", "reader", true),
            ("member", "admin", false),
            ("member", "reader", true),
            ("reader", "member", false),
            ("admin", "service", false),
            ("service", "service", true),
            ("service", "reader", false),
            ("Admin", "mEmber", true),
            ("Service", "service", true),
        ] {
            assert_eq!(with(&[own]).has_role(role), has, "{own} {role}");
        }
        assert!(!with(&[]).has_role("reader"));
        assert!(with(&["reader", "admin"]).is_admin());
        let member = with(&["member"]);
        assert!(!member.is_admin() && member.is_member() && member.is_reader());
        let reader = with(&["reader"]);
        assert!(!reader.is_member() && reader.is_reader());
        assert!(!with(&["service"]).is_reader());
    }
}
