use super::*;

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

#[test]
fn only_strong_etags_count() {
    for (etag, counts) in [
        ("\"a\"", true),
        ("W/\"a\"", false),
        ("a", false),
        ("\"", false),
        ("\"\"", false),
        ("", false),
    ] {
        let headers = headers(&[("etag", etag)]);
        assert_eq!(strong_etag(&headers).is_some(), counts, "{etag}");
    }
    assert!(strong_etag(&headers(&[("etag", "\"a\""), ("etag", "\"b\"")])).is_none());
    let mut long = HeaderMap::new();
    let etag = format!("\"{}\"", "a".repeat(LONGEST_ETAG));
    long.insert(header::ETAG, etag.parse().unwrap());
    assert!(strong_etag(&long).is_none());
}

#[test]
fn data_comes_as_it_is_and_has_an_end() {
    let ok = |lines: &[(&'static str, &'static str)], length| {
        let described = describe(StatusCode::OK, &headers(lines), length);
        described.map(|it| it.length).map_err(|e| e.to_string())
    };
    let told = |error: Error| Err(error.to_string());
    assert_eq!(ok(&[], Some(5)), Ok(Some(5)));
    assert_eq!(ok(&[("content-encoding", "")], Some(5)), Ok(Some(5)));
    assert_eq!(
        ok(&[("content-encoding", "Identity, identity")], Some(5)),
        Ok(Some(5))
    );
    assert_eq!(ok(&[("transfer-encoding", "Chunked")], None), Ok(None));
    assert_eq!(ok(&[], None), told(Error::NoEnd));
    for coded in ["gzip", "identity, gzip", "br", "aws-chunked"] {
        assert_eq!(
            ok(&[("content-encoding", coded)], Some(5)),
            told(Error::Coded)
        );
    }
    let twice = [
        ("content-encoding", "identity"),
        ("content-encoding", "gzip"),
    ];
    assert_eq!(ok(&twice, Some(5)), told(Error::Coded));
    for coded in ["gzip, chunked", "gzip", "chunked, chunked", "identity"] {
        let found = ok(&[("transfer-encoding", coded)], None);
        assert_eq!(found, told(Error::Coded), "{coded}");
    }
    let both = [("transfer-encoding", "chunked"), ("content-length", "5")];
    assert!(ok(&both, None).is_err());
}

#[test]
fn only_the_data_itself_is_an_answer() {
    for status in [201, 202, 204, 206, 300, 304, 404, 416, 500] {
        let status = StatusCode::try_from(status).unwrap();
        let found = describe(status, &HeaderMap::new(), Some(5));
        assert!(matches!(found, Err(Error::Status(code)) if code == status.as_u16()));
    }
}

#[test]
fn some_statuses_lead_elsewhere_if_they_say_where() {
    let there = headers(&[("location", "/x")]);
    for code in 200..600 {
        let status = StatusCode::try_from(code).unwrap();
        let leads = matches!(code, 301 | 302 | 303 | 307 | 308);
        assert_eq!(redirect(status, &there).is_some(), leads, "{code}");
        assert!(redirect(status, &HeaderMap::new()).is_none());
    }
}

#[test]
fn only_the_rest_of_the_same_data_will_do() {
    const RANGE: &str = "bytes 100-499/500";
    let etag = HeaderValue::from_static("\"a\"");
    for (status, range, its_etag, length, expected) in [
        (206, RANGE, "\"a\"", Some(400), ""),
        (206, "BYTES 100-499/500", "\"a\"", Some(400), ""),
        (206, RANGE, "\"b\"", Some(400), "changed"),
        (206, RANGE, "W/\"a\"", Some(400), "changed"),
        (206, RANGE, "", Some(400), "changed"),
        (206, RANGE, "\"a\"", Some(399), "changed"),
        (206, RANGE, "\"a\"", None, "neither the length"),
        (206, "bytes 99-498/500", "\"a\"", Some(400), "changed"),
        (206, "bytes 100-498/500", "\"a\"", Some(399), "changed"),
        (206, "bytes 100-499/501", "\"a\"", Some(400), "changed"),
        (206, "bytes 100-499/*", "\"a\"", Some(400), "changed"),
        (206, "bytes */500", "\"a\"", Some(400), "changed"),
        (206, "", "\"a\"", Some(400), "changed"),
        (200, RANGE, "\"a\"", Some(500), "no ranges"),
        (200, RANGE, "\"b\"", Some(500), "changed"),
        (200, RANGE, "\"a\"", Some(501), "changed"),
        (200, RANGE, "\"a\"", None, "changed"),
        (404, RANGE, "\"a\"", Some(400), "answered 404"),
        (416, RANGE, "\"a\"", Some(400), "answered 416"),
    ] {
        let status = StatusCode::try_from(status).unwrap();
        let headers = headers(&[("content-range", range), ("etag", its_etag)]);
        let found = check_rest(status, &headers, length, (100, 500), &etag);
        let told = found.err().map(|e| e.to_string()).unwrap_or_default();
        let is_expected = told.contains(expected) && told.is_empty() == expected.is_empty();
        assert!(is_expected, "{status} {range} {its_etag}: {told}");
    }
}
