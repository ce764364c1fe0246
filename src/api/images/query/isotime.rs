//! Times in queries: what the reference service reads, `parse_isotime` of oslo.utils, neither more nor less.

use regex_lite::Regex;
use time::{Date, Duration, Month, PrimitiveDateTime, Time};

use crate::image::Micros;

/// A year, a month or a day, and perhaps a time: to the hour, the minute, the second or its fraction, with or without
/// separators, and with or without an offset. The order of the optional groups decides what digits mean.
const FORM: &str = "^(?P<year>[0-9]{4})\
    (?:(?:-(?P<month_dash>[0-9]{1,2})|(?P<month>[0-9]{2}))\
    (?:(?:-(?P<day_dash>[0-9]{1,2})|(?P<day>[0-9]{2}))\
    (?:[ T](?P<hour>[0-9]{2})(?::?(?P<minute>[0-9]{2}))?\
    (?::?(?P<second>[0-9]{1,2})(?:[.,](?P<fraction>[0-9]+))?)?\
    (?P<zone>Z|(?P<sign>[-+])(?P<zone_hours>[0-9]{2}):?(?P<zone_minutes>[0-9]{2})?)?)?)?)?$";

/// Microseconds since the Unix epoch; without an offset the time is UTC, and digits behind the sixth of a fraction are
/// dropped. `None` when the text is no such time.
pub(super) fn parse(text: &str) -> Option<Micros> {
    let found = Regex::new(FORM).ok()?.captures(text)?;
    let number = |names: &[&str], absent: u32| {
        let given = names.iter().find_map(|name| found.name(name));
        given.map_or(Some(absent), |digits| digits.as_str().parse().ok())
    };
    // `YYYYMM` could be a date without its century.
    if found.name("month").is_some()
        && found.name("day").is_none()
        && found.name("day_dash").is_none()
    {
        return None;
    }
    let small = |value: Option<u32>| value.and_then(|value| u8::try_from(value).ok());
    let year = i32::try_from(number(&["year"], 0)?)
        .ok()
        .filter(|year| *year > 0)?;
    let month = Month::try_from(small(number(&["month", "month_dash"], 1))?).ok()?;
    let day = small(number(&["day", "day_dash"], 1))?;
    let fraction = found.name("fraction").map_or("", |digits| digits.as_str());
    let micros: u32 = format!("{fraction:0<6.6}").parse().ok()?;
    let time = Time::from_hms_micro(
        small(number(&["hour"], 0))?,
        small(number(&["minute"], 0))?,
        small(number(&["second"], 0))?,
        micros,
    );
    let at = PrimitiveDateTime::new(Date::from_calendar_date(year, month, day).ok()?, time.ok()?);
    let offset = Duration::hours(number(&["zone_hours"], 0)?.into())
        + Duration::minutes(number(&["zone_minutes"], 0)?.into());
    if offset >= Duration::DAY {
        return None;
    }
    let is_behind = found.name("sign").is_some_and(|sign| sign.as_str() == "-");
    let nanos = at.assume_utc().unix_timestamp_nanos()
        - if is_behind { -offset } else { offset }.whole_nanoseconds();
    Micros::try_from(nanos / 1000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Taken from `oslo_utils.timeutils.parse_isotime` 10.2.0.
    #[test]
    fn reads_what_the_reference_reads_and_nothing_else() {
        for (text, expected) in [
            ("2020", Some(1577836800000000)),
            ("2020-01", Some(1577836800000000)),
            ("202001", None),
            ("2020-1", Some(1577836800000000)),
            ("2020-1-2", Some(1577923200000000)),
            ("20200102", Some(1577923200000000)),
            ("2020-0102", Some(1577923200000000)),
            ("202001-02", Some(1577923200000000)),
            ("2020-01-01 00:00:00", Some(1577836800000000)),
            ("2020-01-01 00:00:00+00:00", Some(1577836800000000)),
            ("2020-01-01T00", Some(1577836800000000)),
            ("2020-01-01T0030", Some(1577838600000000)),
            ("2020-01-01T00:30", Some(1577838600000000)),
            ("2020-01-01T00:5", Some(1577836805000000)),
            ("2020-01-01T1012.5", Some(1577872812500000)),
            ("2020-01-01T00:00:00.5Z", Some(1577836800500000)),
            ("2020-01-01T00:00:00,1234567", Some(1577836800123456)),
            ("2020-01-01T00:00:00+0200", Some(1577829600000000)),
            ("2020-01-01T00:00:00+02", Some(1577829600000000)),
            ("2020-01-01T00:00:00-02:30", Some(1577845800000000)),
            ("2020-01-01T00:00:00+02:", Some(1577829600000000)),
            ("2020-01-01T10Z", Some(1577872800000000)),
            ("2020-01-01Z", None),
            ("2020-01-01T", None),
            ("2020-13-01", None),
            ("2020-02-30", None),
            ("2019-02-29", None),
            ("2020-01-01T24:00:00", None),
            ("2020-01-01T00:00:60", None),
            ("2020-01-01T00:00:00+24:00", None),
            ("2020-01-01T00:00:00+23:59", Some(1577750460000000)),
            ("2020-01-01T00:00:00 00:00", None),
            ("2020-01-01t00:00:00", None),
            ("0000-01-01", None),
            ("0001-01-01T00:00:00", Some(-62135596800000000)),
            ("9999-12-31T23:59:59.999999Z", Some(253402300799999999)),
            ("2020-W01-1", None),
            ("2020-001", None),
            ("yesterday", None),
            ("", None),
            (" 2020-01-01", None),
            ("2020-01-01T00:00:00z", None),
            ("2020-01-01T00:00:00.Z", None),
            ("２０２０-01-01", None),
            ("2020-01-01T00:00:00+2:00", None),
        ] {
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }
}
