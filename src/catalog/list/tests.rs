//! Every way to a page gives the page that a plain reading of the rules gives: random lists against a reference in memory.

use std::cmp::Ordering;
use std::sync::Arc;

use super::*;
use crate::catalog::testing::catalogs;
use crate::catalog::{Limits, db};
use crate::image::{CreateRequest, ImageId, Status};

const IMAGES: usize = 240;
const LISTS: usize = 500;
const PROJECTS: [&str; 3] = ["own", "other", "third"];

/// An image, and what each project has answered where it is shared.
struct Known {
    image: Image,
    shared: Vec<(ProjectId, MemberStatus)>,
}

fn pick<'a, T>(rng: &mut fastrand::Rng, from: &'a [T]) -> &'a T {
    &from[rng.usize(..from.len())]
}

/// Values of properties; some differ only behind the part that the index holds, or end where it does.
fn value(n: u8) -> String {
    match n {
        0..3 => format!("{}{n}", "v".repeat(70)),
        3 => "v".repeat(64),
        4 => "v".repeat(63),
        // Behind a NUL, and what stands before it.
        5 => "v\0w".into(),
        6 => "v\0".into(),
        7 => "v".into(),
        _ => "\0".into(),
    }
}

/// How many of the values above there are: not every database has texts with a NUL.
fn values_of(catalog: &Catalog) -> u8 {
    if catalog.db.is_exclusive() { 9 } else { 5 }
}

async fn fill(rng: &mut fastrand::Rng, catalog: &Catalog) -> Vec<Known> {
    let mut known = Vec::new();
    let values = values_of(catalog);
    for n in 0..IMAGES {
        let second = 1_000_000 * rng.i64(1000..1040);
        let mut image =
            CreateRequest::default().into_image(ImageId::random(), None, second + rng.i64(0..3));
        image.owner = pick(rng, &[Some("own"), Some("own"), Some("other"), None]).map(Into::into);
        image.visibility = *pick(rng, &Visibility::ALL);
        image.name =
            pick(rng, &[Some("a"), Some("b"), Some("B"), Some("é"), None]).map(str::to_owned);
        image.disk_format = pick(rng, &[Some("raw"), Some("qcow2"), None]).map(str::to_owned);
        image.os_hidden = rng.u8(..10) == 0;
        image.protected = rng.u8(..5) == 0;
        image.min_ram = rng.i64(0..3);
        for tag in ["x", "y", "z"] {
            if rng.u8(..3) == 0 {
                image.tags.insert(tag.into());
            }
        }
        for name in ["os", "hw"] {
            if rng.bool() {
                image
                    .properties
                    .insert(name.into(), Some(value(rng.u8(..values))));
            }
        }
        catalog
            .create_image(image.clone(), Limits::default())
            .await
            .unwrap();
        image.status = *pick(rng, &[Status::Queued, Status::Active, Status::Deactivated]);
        image.size = rng.bool().then(|| rng.u64(1..6));
        image.updated_at = 1_000_000 * rng.i64(1000..1010);
        image.checksum = (n % 7 == 0).then(|| format!("c{}", n % 3));
        let mut tx = catalog.db.write().await.unwrap();
        db::query("UPDATE images SET status = $1, size = $2, updated_at = $3, checksum = $4 WHERE id = $5")
            .bind(image.status.as_str())
            .bind(image.size.map(rows::signed))
            .bind(image.updated_at)
            .bind(&image.checksum)
            .bind(image.id.as_str())
            .execute(&mut tx)
            .await
            .unwrap();
        let mut shared = Vec::new();
        for project in PROJECTS {
            if rng.u8(..3) == 0 {
                let status = *pick(rng, &MemberStatus::ALL);
                db::query("INSERT INTO image_members VALUES ($1, $2, $3, 1, 1, $4)")
                    .bind(image.id.as_str())
                    .bind(project)
                    .bind(status.as_str())
                    .bind(image.created_at)
                    .execute(&mut tx)
                    .await
                    .unwrap();
                shared.push((project.into(), status));
            }
        }
        tx.commit().await.unwrap();
        known.push(Known { image, shared });
    }
    // One that is gone, and in no list.
    let gone = CreateRequest::default().into_image(ImageId::random(), None, 5);
    catalog
        .create_image(gone.clone(), Limits::default())
        .await
        .unwrap();
    let anybody = Box::new(|_: &Image| Ok(()));
    catalog.delete_image(&gone.id, anybody).await.unwrap();
    known
}

/// A time that a filter names, with a fraction or without one.
fn moment(rng: &mut fastrand::Rng, seconds: std::ops::Range<i64>) -> Micros {
    1_000_000 * rng.i64(seconds) + *pick(rng, &[0, 0, 1, 500_000])
}

/// A time as clients see it.
fn shown(at: Micros) -> Micros {
    at.div_euclid(1_000_000) * 1_000_000
}

fn random_filter(rng: &mut fastrand::Rng, known: &[Known], values: u8) -> Filter {
    let text = |column, values: &[&str]| {
        Filter::Text(column, values.iter().map(|v| (*v).to_owned()).collect())
    };
    let comparisons = [
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::AtMost,
        Comparison::Greater,
        Comparison::AtLeast,
    ];
    let comparison = *pick(rng, &comparisons);
    match rng.u8(..13) {
        0 => text(TextColumn::Name, &[*pick(rng, &["a", "B", "nobody"])]),
        1 => text(TextColumn::Name, &["a", "b"]),
        2 => text(TextColumn::Status, &[*pick(rng, &["active", "queued"])]),
        3 => text(TextColumn::DiskFormat, &["raw"]),
        4 => text(TextColumn::Owner, &[*pick(rng, &PROJECTS)]),
        5 => text(TextColumn::Checksum, &["c1"]),
        6 => text(TextColumn::Id, &[pick(rng, known).image.id.as_str()]),
        7 => Filter::Tag((*pick(rng, &["x", "y", "none"])).into()),
        8 => Filter::Property((*pick(rng, &["os", "hw"])).into(), value(rng.u8(..values))),
        9 => Filter::Protected(rng.bool()),
        10 => Filter::Number(NumberColumn::Size, comparison, rng.i64(0..7)),
        11 => Filter::Number(NumberColumn::CreatedAt, comparison, moment(rng, 999..1041)),
        _ => match rng.bool() {
            true => Filter::Number(NumberColumn::UpdatedAt, comparison, moment(rng, 999..1011)),
            false => Filter::Number(NumberColumn::MinRam, comparison, rng.i64(0..3)),
        },
    }
}

fn holds(filter: &Filter, image: &Image) -> bool {
    let compare = |own: Option<i64>, comparison: &Comparison, value: &i64| {
        own.is_some_and(|own| match comparison {
            Comparison::Equal => own == *value,
            Comparison::NotEqual => own != *value,
            Comparison::Less => own < *value,
            Comparison::AtMost => own <= *value,
            Comparison::Greater => own > *value,
            Comparison::AtLeast => own >= *value,
        })
    };
    match filter {
        Filter::Text(column, values) => {
            let own = match column {
                TextColumn::Id => Some(image.id.as_str()),
                TextColumn::Name => image.name.as_deref(),
                TextColumn::Status => Some(image.status.as_str()),
                TextColumn::DiskFormat => image.disk_format.as_deref(),
                TextColumn::Owner => image.owner.as_ref().map(ProjectId::as_str),
                TextColumn::Checksum => image.checksum.as_deref(),
                other => panic!("{other:?} is not tried"),
            };
            own.is_some_and(|own| values.iter().any(|value| value == own))
        }
        Filter::Number(column, comparison, value) => {
            let own = match column {
                NumberColumn::Size => image.size.map(rows::signed),
                NumberColumn::MinRam => Some(image.min_ram),
                NumberColumn::CreatedAt => Some(shown(image.created_at)),
                NumberColumn::UpdatedAt => Some(shown(image.updated_at)),
                other => panic!("{other:?} is not tried"),
            };
            compare(own, comparison, value)
        }
        Filter::Protected(is_protected) => image.protected == *is_protected,
        Filter::Tag(tag) => image.tags.contains(tag),
        Filter::Property(name, value) => image.properties.get(name) == Some(&Some(value.clone())),
    }
}

/// Contract 4.8 and 4.9 as they read.
fn is_listed(scope: &Scope, known: &Known) -> bool {
    let image = &known.image;
    let is_own = image.owner.is_some() && image.owner == scope.project;
    let is_shared = scope.project.as_ref().is_some_and(|project| {
        image.visibility == Visibility::Shared
            && known.shared.iter().any(|(member, status)| {
                member == project && scope.member_status.is_none_or(|wanted| wanted == *status)
            })
    });
    if let Audience::Only(visibility) = scope.audience
        && image.visibility != visibility
    {
        return false;
    }
    // An administrator without a project is at home with what has no owner.
    let is_home = scope.is_admin && image.owner == scope.project;
    match (image.visibility, scope.audience) {
        _ if is_own || is_home => true,
        (Visibility::Community, Audience::Default) => false,
        _ if scope.is_admin => true,
        (Visibility::Public | Visibility::Community, _) => true,
        _ => is_shared,
    }
}

fn order(a: &Image, b: &Image, sort: &[(SortKey, Direction)]) -> Ordering {
    let compare = |key: SortKey| match (key.value(a), key.value(b)) {
        (SortValue::Text(a), SortValue::Text(b)) => a.cmp(&b),
        (SortValue::Number(a), SortValue::Number(b)) => a.cmp(&b),
        _ => panic!("one key has one type"),
    };
    sort.iter()
        .map(|(key, direction)| match direction {
            Direction::Ascending => compare(*key),
            Direction::Descending => compare(*key).reverse(),
        })
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn random_page(rng: &mut fastrand::Rng, known: &[Known], values: u8) -> Page {
    const KEYS: [SortKey; 8] = [
        SortKey::Name,
        SortKey::Status,
        SortKey::ContainerFormat,
        SortKey::DiskFormat,
        SortKey::Size,
        SortKey::Id,
        SortKey::CreatedAt,
        SortKey::UpdatedAt,
    ];
    let direction =
        |rng: &mut fastrand::Rng| *pick(rng, &[Direction::Ascending, Direction::Descending]);
    let mut sort = Vec::new();
    let is_uniform = rng.u8(..4) > 0;
    let common = direction(rng);
    for _ in 0..rng.usize(..3) {
        let key = *pick(rng, &KEYS);
        if sort.iter().all(|(present, _)| *present != key) {
            sort.push((key, if is_uniform { common } else { direction(rng) }));
        }
    }
    for key in [SortKey::CreatedAt, SortKey::Id] {
        if sort.iter().all(|(present, _)| *present != key) {
            sort.push((key, common));
        }
    }
    let audiences = [
        Audience::Default,
        Audience::All,
        Audience::Only(*pick(rng, &Visibility::ALL)),
    ];
    Page {
        scope: Scope {
            project: pick(rng, &[Some("own"), Some("other"), Some("nobody"), None]).map(Into::into),
            is_admin: rng.u8(..4) == 0,
            audience: *pick(rng, &audiences),
            member_status: match rng.bool() {
                true => Some(*pick(rng, &MemberStatus::ALL)),
                false => None,
            },
        },
        is_hidden: rng.u8(..6) == 0,
        filters: (0..rng.usize(..4))
            .map(|_| random_filter(rng, known, values))
            .collect(),
        sort,
        after: rng.bool().then(|| Arc::new(pick(rng, known).image.clone())),
        limit: rng.u32(1..30),
    }
}

#[tokio::test]
async fn every_way_gives_the_page_that_the_rules_give() {
    for (catalog, _dir) in catalogs().await {
        compare(catalog).await;
    }
}

async fn compare(catalog: Catalog) {
    let mut rng = fastrand::Rng::with_seed(2_026);
    let known = fill(&mut rng, &catalog).await;
    let mut listed = 0;
    for n in 0..LISTS {
        let page = random_page(&mut rng, &known, values_of(&catalog));
        let mut expected: Vec<&Image> = known
            .iter()
            .filter(|known| {
                known.image.os_hidden == page.is_hidden
                    && is_listed(&page.scope, known)
                    && page
                        .filters
                        .iter()
                        .all(|filter| holds(filter, &known.image))
            })
            .map(|known| &known.image)
            .filter(|image| {
                page.after
                    .as_ref()
                    .is_none_or(|after| order(image, after, &page.sort).is_gt())
            })
            .collect();
        expected.sort_by(|a, b| order(a, b, &page.sort));
        expected.truncate(page.limit as usize);
        let expected: Vec<&ImageId> = expected.into_iter().map(|image| &image.id).collect();
        listed += expected.len();
        // Nothing counts as few, everything does, and in between: walking, driving, and both.
        for few in [0, 20, 1_000_000] {
            let found = catalog
                .list_images_driven_by(page.clone(), few)
                .await
                .unwrap();
            let found: Vec<&ImageId> = found.images.iter().map(|image| &image.id).collect();
            assert_eq!(found, expected, "list {n}, few is {few}: {page:#?}");
        }
    }
    assert!(
        listed > 2 * LISTS,
        "most lists have images in them: {listed}"
    );
    catalog.close().await;
}

/// The statement of a page grows by the same text and the same number of values with every filter and every sort key.
#[test]
fn the_statement_grows_linearly() {
    let keys = [
        SortKey::Name,
        SortKey::Status,
        SortKey::ContainerFormat,
        SortKey::DiskFormat,
        SortKey::Size,
        SortKey::UpdatedAt,
        SortKey::CreatedAt,
        SortKey::Id,
    ];
    let mut after = CreateRequest::default().into_image(ImageId::random(), None, 0);
    // Nothing is null: each key is compared in the same words.
    (after.name, after.size) = (Some("n".into()), Some(1));
    (after.container_format, after.disk_format) = (Some("bare".into()), Some("raw".into()));
    let words = db::Words::of_sqlite();
    let length = |filters: usize, values: usize, sort_keys: usize| {
        let sort: Vec<_> = keys[..sort_keys]
            .iter()
            .enumerate()
            .map(|(place, key)| match place % 2 {
                0 => (*key, Direction::Ascending),
                _ => (*key, Direction::Descending),
            })
            .collect();
        let mut conditions = vec![Condition::Filter(Filter::Tag("t".into())); filters];
        let names = vec!["n".to_owned(); values];
        conditions.push(Condition::Filter(Filter::Text(TextColumn::Name, names)));
        let parts: Vec<Part> = segments(&sort, Some(&after))
            .into_iter()
            .map(|segment| Part {
                conditions: conditions.clone(),
                path: plan::AccessPath::OrderedScan("images_by_created_at"),
                segment,
            })
            .collect();
        query::build(&parts, &sort, 100, words).text().len()
    };
    let filters = length(100, 2, 2) - length(50, 2, 2);
    assert!(filters.abs_diff(length(50, 2, 2) - length(1, 2, 2)) < filters / 10);
    let values = length(1, 500, 2) - length(1, 250, 2);
    assert!(values.abs_diff(length(1, 250, 2) - length(1, 2, 2)) < values / 10);
    // From four keys to eight as from two to four, twice.
    let few = length(1, 2, 4) - length(1, 2, 2);
    let many = length(1, 2, 8) - length(1, 2, 4);
    assert!(many < 3 * few, "{few}, then {many}");
}
