//! Who a caller is.

/// The roles that stand for others, greatest first: each implies those after it.
const CHAIN: [&str; 3] = ["admin", "member", "reader"];

/// A caller that has been recognised.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The user.
    pub user_id: String,
    /// The project the caller acts for; none for a token without a project.
    pub project_id: Option<String>,
    /// The roles, complete: those that others imply are listed too.
    pub roles: Vec<String>,
    /// The domain the token is for, when it is for one.
    pub domain_id: Option<String>,
    /// The domain of the user.
    pub user_domain_id: Option<String>,
    /// The domain of the project.
    pub project_domain_id: Option<String>,
    /// Whether the token is for the whole deployment.
    pub is_system_scoped: bool,
}

/// Adds the roles that others imply, as an identity service does: admin implies member, member implies reader. Letters
/// count the same in either case.
pub(super) fn with_implied(mut roles: Vec<String>) -> Vec<String> {
    let has = |roles: &[String], name: &str| roles.iter().any(|own| own.eq_ignore_ascii_case(name));
    let highest = CHAIN.iter().position(|name| has(&roles, name));
    for name in CHAIN.iter().skip(highest.unwrap_or(CHAIN.len())) {
        if !has(&roles, name) {
            roles.push((*name).to_owned());
        }
    }
    roles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greater_roles_imply_lesser_ones_only() {
        for (own, complete) in [
            (vec!["admin"], vec!["admin", "member", "reader"]),
            (vec!["member"], vec!["member", "reader"]),
            (vec!["reader"], vec!["reader"]),
            (vec!["service"], vec!["service"]),
            (vec!["Admin", "READER"], vec!["Admin", "READER", "member"]),
            (vec![], vec![]),
        ] {
            let own = own.into_iter().map(str::to_owned).collect();
            assert_eq!(with_implied(own), complete);
        }
    }
}
