//! Metadata definitions (contract 1.9), a file for each kind of record.
//!
//! The order of the checks: the body is JSON (400) and fits the schema (400, read-only attributes 403); the namespace may
//! be known to the caller (404); the rule says yes (403); the part is there (404); no name is taken (409).

pub(super) mod namespaces;
pub(super) mod objects;
pub(super) mod properties;
pub(super) mod resource_types;
pub(super) mod tags;

use axum::extract::FromRequestParts;
use http::request::Parts as RequestParts;

use super::caller::Caller;
use super::error::Error;
use super::extract::path_of;
use super::paging::{self, Pairs, bad};
use crate::catalog::{self, Catalog, Direction, Judge, PartPage, PartSortKey};
use crate::image::{Denial, ProjectId};
use crate::metadef::{Attributes, Dated, Namespace, NamespaceVisibility, Part};
use crate::policy::{Fields, Rule, Value};

/// The namespace in the path, and a part of it.
pub(super) struct PartPath {
    namespace: String,
    part: String,
}

impl<S: Sync> FromRequestParts<S> for PartPath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut RequestParts, _: &S) -> Result<Self, Error> {
        let (namespace, part) = path_of(parts).await?;
        Ok(Self { namespace, part })
    }
}

/// Asks a rule about a namespace: 403 when it says no but the caller may read the namespace, else 404.
fn enforce(caller: &Caller, rule: Rule, attributes: &Attributes) -> Result<(), Error> {
    check(caller, &[rule], attributes).map_err(|denial| denied(&attributes.name, denial))
}

fn check(caller: &Caller, rules: &[Rule], attributes: &Attributes) -> Result<(), Denial> {
    let may = |rule| may(caller, rule, attributes);
    match rules.iter().find(|rule| !may(**rule)) {
        None => Ok(()),
        Some(rule) if may(Rule::GetMetadefNamespace) => Err(Denial::Rule(rule.as_str())),
        Some(_) => Err(Denial::Hidden),
    }
}

fn denied(name: &str, denial: Denial) -> Error {
    match denial {
        Denial::Hidden => no_namespace(name),
        other => catalog::Error::from(other).into(),
    }
}

/// Asks rules about a namespace in the transaction that writes it. Under another name it is not the one that the request
/// was about.
fn judge(caller: &Caller, name: &str, rules: &'static [Rule]) -> Judge<Namespace> {
    let (caller, name) = (caller.clone(), name.to_owned());
    Box::new(move |namespace| {
        if namespace.name() != name || !namespace.is_seen_by(&caller.viewer) {
            return Err(Denial::Hidden);
        }
        check(&caller, rules, &namespace.attributes)
    })
}

fn may(caller: &Caller, rule: Rule, attributes: &Attributes) -> bool {
    let owner = Value::text_or_null(attributes.owner.as_ref().map(ProjectId::as_str));
    let target = [
        ("project_id", owner.clone()),
        ("owner", owner),
        ("visibility", Value::Text(attributes.visibility.as_str())),
    ];
    caller.may(rule, &Fields(&target))
}

/// Asks a rule that is about no namespace in particular: it is asked of a private one of the caller's project.
fn enforce_own(caller: &Caller, rule: Rule) -> Result<(), Error> {
    let own = Attributes {
        visibility: NamespaceVisibility::Private,
        owner: caller.project().cloned(),
        ..Attributes::default()
    };
    match (
        may(caller, rule, &own),
        may(caller, Rule::GetMetadefNamespace, &own),
    ) {
        (true, _) => Ok(()),
        (false, true) => Err(Error::not_allowed(rule)),
        // The reference service's answer to a caller who may read nothing here.
        (false, false) => Err(Error::NoRoute),
    }
}

fn no_namespace(name: &str) -> Error {
    Error::NotFound(format!("No namespace found with name '{name}'."))
}

fn no_part<T: Part>(namespace: &Namespace, name: &str) -> Error {
    Error::NotFound(format!(
        "No {} '{name}' found in namespace '{}'.",
        T::KIND,
        namespace.name()
    ))
}

/// Names the namespace in the catalog's refusals.
fn about(name: &str, e: catalog::Error) -> Error {
    match e {
        catalog::Error::NoNamespace => no_namespace(name),
        catalog::Error::Taken => Error::Conflict(format!("Namespace '{name}' already exists.")),
        catalog::Error::Protected => protected(name),
        other => other.into(),
    }
}

/// Names the part in the catalog's refusals.
fn about_part<T: Part>(namespace: &Namespace, name: &str, e: catalog::Error) -> Error {
    match e {
        catalog::Error::NoNamespace => no_namespace(namespace.name()),
        catalog::Error::Missing => no_part::<T>(namespace, name),
        catalog::Error::Taken => Error::Conflict(format!(
            "Namespace '{}' has a {} '{name}' already.",
            namespace.name(),
            T::KIND
        )),
        catalog::Error::Protected => protected(namespace.name()),
        other => other.into(),
    }
}

fn protected(name: &str) -> Error {
    Error::Forbidden(format!(
        "Namespace '{name}' is protected: neither it nor anything in it can be deleted."
    ))
}

/// The namespace, if the caller may know of it; else 404 with one text for absent and hidden.
async fn get_seen(catalog: &Catalog, caller: &Caller, name: &str) -> Result<Namespace, Error> {
    match catalog.find_namespace(name).await? {
        Some(namespace) if namespace.is_seen_by(&caller.viewer) => Ok(namespace),
        _ => Err(no_namespace(name)),
    }
}

/// The same, for something that a rule guards.
async fn get_namespace(
    catalog: &Catalog,
    caller: &Caller,
    name: &str,
    rule: Rule,
) -> Result<Namespace, Error> {
    let namespace = get_seen(catalog, caller, name).await?;
    enforce(caller, rule, &namespace.attributes)?;
    Ok(namespace)
}

/// A namespace that these rules let the caller write, and the same check for the transaction of the write.
async fn get_writable(
    catalog: &Catalog,
    caller: &Caller,
    name: &str,
    rules: &'static [Rule],
) -> Result<(Namespace, Judge<Namespace>), Error> {
    let namespace = get_seen(catalog, caller, name).await?;
    let checked = check(caller, rules, &namespace.attributes);
    checked.map_err(|denial| denied(name, denial))?;
    Ok((namespace, judge(caller, name, rules)))
}

async fn get_part<T: Part>(
    catalog: &Catalog,
    namespace: &Namespace,
    name: &str,
) -> Result<Dated<T>, Error> {
    let found = catalog.find_part(namespace, name).await?;
    found.ok_or_else(|| no_part::<T>(namespace, name))
}

async fn create_part<T: Part>(
    catalog: &Catalog,
    (namespace, judge): (Namespace, Judge<Namespace>),
    part: T,
) -> Result<Dated<T>, Error> {
    let name = part.name().to_owned();
    let created = catalog.create_part(&namespace, part, judge).await;
    created.map_err(|e| about_part::<T>(&namespace, &name, e))
}

async fn update_part<T: Part>(
    catalog: &Catalog,
    (namespace, judge): (Namespace, Judge<Namespace>),
    name: &str,
    part: T,
) -> Result<Dated<T>, Error> {
    let new_name = part.name().to_owned();
    let updated = catalog.update_part(&namespace, name, part, judge);
    updated.await.map_err(|e| match e {
        catalog::Error::Missing => no_part::<T>(&namespace, name),
        other => about_part::<T>(&namespace, &new_name, other),
    })
}

async fn delete_part<T: Part>(
    catalog: &Catalog,
    (namespace, judge): (Namespace, Judge<Namespace>),
    name: &str,
) -> Result<(), Error> {
    let deleted = catalog.delete_part::<T>(&namespace, name, judge).await;
    deleted.map_err(|e| about_part::<T>(&namespace, name, e))
}

async fn delete_parts<T: Part>(
    catalog: &Catalog,
    (namespace, judge): (Namespace, Judge<Namespace>),
) -> Result<(), Error> {
    let deleted = catalog.delete_parts::<T>(&namespace, judge).await;
    deleted.map_err(|e| about(namespace.name(), e))
}

/// A page of parts; none unless `rule` lets the caller see single ones.
async fn list_parts<T: Part>(
    catalog: &Catalog,
    caller: &Caller,
    (namespace, rule): (&Namespace, Rule),
    page: PartPage,
) -> Result<Vec<Dated<T>>, Error> {
    let marker = page.after.clone().unwrap_or_default();
    let found = catalog.list_parts::<T>(namespace, page).await;
    let found = found.map_err(|e| about_part::<T>(namespace, &marker, e))?;
    if may(caller, rule, &namespace.attributes) {
        Ok(found)
    } else {
        Ok(Vec::new())
    }
}

/// The page of parts that a query asks for: all of them unless it has a limit, and in this direction unless it has
/// another.
fn part_page(pairs: &Pairs, direction: Direction) -> Result<PartPage, Error> {
    let mut page = PartPage {
        sort_key: PartSortKey::CreatedAt,
        direction,
        after: None,
        limit: None,
    };
    for (key, value) in pairs {
        match key.as_str() {
            "limit" => page.limit = Some(paging::limit(key, value)?),
            "marker" => page.after = Some(value.clone()),
            "sort_dir" => page.direction = paging::direction(key, value)?,
            "sort_key" => {
                let known = PartSortKey::find(value);
                page.sort_key =
                    known.ok_or_else(|| bad(key, "must be name, created_at or updated_at"))?;
            }
            // As in the reference service, which tells no filter of its own from another word.
            _ => {}
        }
    }
    Ok(page)
}
