use super::*;
use crate::api::paging::pairs;

fn parse(text: &str) -> Result<Query, Error> {
    Query::parse(&pairs(text)?)
}

fn filters(text: &str) -> Vec<Filter> {
    parse(text).unwrap().filters
}

#[test]
fn text_filters_know_two_operators_and_keep_other_colons() {
    let name = |values: &[&str]| {
        vec![Filter::Text(
            TextColumn::Name,
            values.iter().map(|v| v.to_string()).collect(),
        )]
    };
    assert_eq!(filters("name=a%20b"), name(&["a b"]));
    assert_eq!(filters("name=eq:foo:bar"), name(&["foo:bar"]));
    assert_eq!(filters("name=foo:bar"), name(&["foo:bar"]));
    assert_eq!(filters("name=in:a,%22b,c%22,d"), name(&["a", "b,c", "d"]));
    for bad in ["name=in:%22a", "name=in:%22a%22b"] {
        assert!(matches!(parse(bad), Err(Error::BadRequest(_))), "{bad}");
    }
}

#[test]
fn times_have_operators_dates_and_offsets() {
    for (text, comparison, seconds) in [
        ("2026-01-01", Comparison::Equal, 1_767_225_600),
        (
            "gt:2026-01-01T00:00:00Z",
            Comparison::Greater,
            1_767_225_600,
        ),
        (
            "gte:2026-01-01T02:00:00%2B02:00",
            Comparison::AtLeast,
            1_767_225_600,
        ),
        (
            "neq:2026-01-01T00:00:01",
            Comparison::NotEqual,
            1_767_225_601,
        ),
    ] {
        let micros = seconds * 1_000_000;
        let expected = vec![Filter::Number(NumberColumn::CreatedAt, comparison, micros)];
        assert_eq!(filters(&format!("created_at={text}")), expected, "{text}");
    }
    assert!(parse("updated_at=yesterday").is_err());
}

#[test]
fn number_columns_have_bounds_and_others_are_properties() {
    assert_eq!(
        filters("size_min=5"),
        [Filter::Number(NumberColumn::Size, Comparison::AtLeast, 5)]
    );
    assert_eq!(
        filters("hw_min=3"),
        [Filter::Property("hw_min".into(), "3".into())]
    );
    assert!(parse("size=big").unwrap().matches_nothing);
    assert!(parse("size_max=big").is_err());
}

#[test]
fn the_order_is_total_and_ties_follow_the_one_direction() {
    use Direction::{Ascending, Descending};
    use SortKey::{CreatedAt, Id, Name, Size};
    for (text, expected) in [
        ("", vec![(CreatedAt, Descending), (Id, Descending)]),
        (
            "sort_key=name&sort_dir=asc",
            vec![(Name, Ascending), (CreatedAt, Ascending), (Id, Ascending)],
        ),
        (
            "sort=size:asc,name",
            vec![
                (Size, Ascending),
                (Name, Descending),
                (CreatedAt, Descending),
                (Id, Descending),
            ],
        ),
        (
            "sort=name:asc",
            vec![(Name, Ascending), (CreatedAt, Ascending), (Id, Ascending)],
        ),
        (
            "sort=name:asc,id,name:desc,name,id:asc",
            vec![(Name, Ascending), (Id, Descending), (CreatedAt, Descending)],
        ),
        (
            "sort_key=name&sort_key=name&sort_dir=asc&sort_dir=desc",
            vec![(Name, Ascending), (CreatedAt, Descending), (Id, Descending)],
        ),
        (
            "sort_key=name&sort_key=id&sort_dir=asc&sort_dir=desc",
            vec![(Name, Ascending), (Id, Descending), (CreatedAt, Descending)],
        ),
    ] {
        assert_eq!(parse(text).unwrap().sort, expected, "{text}");
    }
    for bad in [
        "sort_key=color",
        "sort_dir=up",
        "sort=name&sort_key=id",
        "sort=",
        "sort=name,,id",
        "sort_key=name&sort_dir=asc&sort_dir=asc",
    ] {
        assert!(matches!(parse(bad), Err(Error::BadRequest(_))), "{bad}");
    }
}

#[test]
fn everything_that_can_be_repeated_is_bounded() {
    let sort = |keys| format!("sort={}", vec!["id"; keys].join(","));
    let keys = |keys| vec!["sort_key=id"; keys].join("&");
    let values = |values| format!("name=in:{}", vec!["a"; values].join(","));
    let split = |first, second| format!("{}&id=in:{}", values(first), vec!["b"; second].join(","));
    let same = |count, pair: &str| vec![pair; count].join("&");
    for (at_the_bound, over_it, parameter, bound) in [
        (sort(8), sort(9), "'sort'", "8"),
        (keys(8), keys(9), "'sort_key'", "8"),
        (values(500), values(501), "'name'", "500"),
        (split(250, 250), split(250, 251), "'id'", "500"),
        (same(100, "tag=x"), same(101, "tag=x"), "'tag'", "100"),
        (same(100, "hw=x"), same(101, "hw=x"), "'hw'", "100"),
        (
            same(100, "size_min=1"),
            same(101, "size_min=1"),
            "'size_min'",
            "100",
        ),
    ] {
        parse(&at_the_bound).unwrap();
        let Err(Error::BadRequest(refusal)) = parse(&over_it) else {
            panic!("{parameter} over its bound is accepted");
        };
        assert!(
            refusal.contains(parameter) && refusal.contains(bound),
            "{refusal}"
        );
    }
}

#[test]
fn odd_values_are_refused_or_match_nothing() {
    for bad in [
        "limit=",
        "limit=-1",
        "limit=x",
        "limit=1&limit=2",
        "marker=a&marker=b",
        "name=%ff",
        "visibility=some",
        "member_status=x",
        "os_hidden=maybe",
        "protected=True",
        "changes-since=x",
    ] {
        assert!(matches!(parse(bad), Err(Error::BadRequest(_))), "{bad}");
    }
    for nothing in [
        "status=deleted",
        "status=nonsense",
        "visibility=",
        "properties=x",
    ] {
        assert!(parse(nothing).unwrap().matches_nothing, "{nothing}");
    }
    for huge in ["99999999999", "99999999999999999999999999"] {
        let limit = parse(&format!("limit={huge}")).unwrap().limit;
        assert_eq!(limit, Some(u32::MAX), "{huge}");
    }
    assert!(parse("os_hidden=TRUE").unwrap().is_hidden);
}
