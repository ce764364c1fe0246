//! Which images a caller's list holds, as kinds that exclude each other (contract 4.8, 4.9).

use super::condition::Condition;
use super::{Audience, Scope};
use crate::image::{MemberStatus, Visibility};

/// The kinds, each by the conditions that make it.
pub(super) fn kinds(scope: &Scope) -> Vec<Vec<Condition>> {
    let only = match scope.audience {
        Audience::Only(visibility) => vec![Condition::Visible(visibility)],
        Audience::Default | Audience::All => Vec::new(),
    };
    if scope.is_admin {
        return vec![match scope.audience {
            Audience::Default => vec![Condition::NoForeignCommunity(scope.project.clone())],
            Audience::All | Audience::Only(_) => only,
        }];
    }
    let mut kinds = Vec::new();
    let mut add = |condition: Condition, more: &[Condition]| {
        kinds.push([&[condition], more].concat());
    };
    if let Some(project) = &scope.project {
        add(Condition::OwnedBy(project.clone()), &only);
    }
    // Among the foreign ones are those without an owner: public ones are everybody's, others nobody's.
    let foreign: Vec<Condition> = scope
        .project
        .clone()
        .map(Condition::Foreign)
        .into_iter()
        .collect();
    for visibility in Visibility::ALL {
        let is_asked_for = match scope.audience {
            Audience::Default => visibility != Visibility::Community,
            Audience::All => true,
            Audience::Only(only) => visibility == only,
        };
        match (visibility, &scope.project) {
            _ if !is_asked_for => {}
            (Visibility::Public | Visibility::Community, _) => {
                add(Condition::Visible(visibility), &foreign);
            }
            (Visibility::Shared, Some(project)) => {
                let wanted = scope.member_status.as_ref();
                for status in wanted.map_or(&MemberStatus::ALL[..], std::slice::from_ref) {
                    let shared = Condition::SharedWith(project.clone(), *status);
                    add(shared, &[&[Condition::IsShared], &foreign[..]].concat());
                }
            }
            (Visibility::Shared, None) | (Visibility::Private, _) => {}
        }
    }
    kinds
}
