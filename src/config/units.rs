//! Values that carry their unit: sizes, times, limits, secrets.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A text that is no valid value of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid value")]
pub struct Invalid;

const SIZE_UNITS: [(&str, u32); 4] = [("K", 10), ("M", 20), ("G", 30), ("T", 40)];

/// A number of bytes, written `"8MiB"` or as a plain number.
///
/// `KB`, `MB`, `GB` and `TB` are multiples of 1024 like `KiB` to `TiB`, because Glance counts them so. Letters may be
/// in any case and one space may stand before the unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// A size of so many mebibytes.
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    /// A size of so many gibibytes.
    pub const fn gib(count: u64) -> Self {
        Self(count << 30)
    }

    /// A size of so many tebibytes.
    pub const fn tib(count: u64) -> Self {
        Self(count << 40)
    }

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (number, unit) = split_number(text)?;
        let shift = if unit.is_empty() || unit.eq_ignore_ascii_case("B") {
            0
        } else {
            SIZE_UNITS
                .iter()
                .find(|(letter, _)| {
                    unit.eq_ignore_ascii_case(&format!("{letter}iB"))
                        || unit.eq_ignore_ascii_case(&format!("{letter}B"))
                })
                .map(|(_, shift)| *shift)
                .ok_or(Invalid)?
        };
        number.checked_mul(1 << shift).map(Self).ok_or(Invalid)
    }
}

impl fmt::Display for ByteSize {
    /// Writes the size in the largest unit that divides it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = SIZE_UNITS
            .iter()
            .rev()
            .find(|(_, shift)| self.0 != 0 && self.0.is_multiple_of(1 << shift));
        match unit {
            Some((letter, shift)) => write!(f, "{}{letter}iB", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

/// A length of time, written `"500ms"`, `"30s"`, `"5m"` or `"2h"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// A span of so many seconds.
    pub const fn seconds(count: u64) -> Self {
        Self(Duration::from_secs(count))
    }

    /// The span as the standard library has it.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// Whether the span has no length.
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        span.0
    }
}

impl FromStr for Span {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (number, unit) = split_number(text)?;
        let seconds_each = match unit {
            "ms" => return Ok(Self(Duration::from_millis(number))),
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return Err(Invalid),
        };
        let seconds = number.checked_mul(seconds_each).ok_or(Invalid)?;
        Ok(Self(Duration::from_secs(seconds)))
    }
}

impl fmt::Display for Span {
    /// Writes the span in the largest unit that divides it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let (each, unit) = [(3_600_000, "h"), (60_000, "m"), (1000, "s")]
            .into_iter()
            .find(|(each, _)| millis != 0 && millis.is_multiple_of(*each))
            .unwrap_or((1, "ms"));
        write!(f, "{}{unit}", millis / each)
    }
}

/// How many things there may be; written as a number, `-1` for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Any number.
    Unlimited,
    /// No more than this.
    AtMost(u32),
}

impl Limit {
    /// Whether `count` things are within the limit.
    pub fn allows(self, count: usize) -> bool {
        match self {
            Self::Unlimited => true,
            Self::AtMost(most) => u32::try_from(count).is_ok_and(|count| count <= most),
        }
    }
}

impl TryFrom<i64> for Limit {
    type Error = Invalid;

    fn try_from(number: i64) -> Result<Self, Invalid> {
        match number {
            -1 => Ok(Self::Unlimited),
            _ => u32::try_from(number).map(Self::AtMost).map_err(|_| Invalid),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.write_str("-1"),
            Self::AtMost(most) => write!(f, "{most}"),
        }
    }
}

/// A text that is never shown: it prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text into keeping.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Splits `"30 s"` into 30 and `"s"`.
fn split_number(text: &str) -> Result<(u64, &str), Invalid> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let number = digits.parse().map_err(|_| Invalid)?;
    Ok((number, unit.strip_prefix(' ').unwrap_or(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_count_in_1024_whichever_way_the_unit_is_written() {
        for (text, bytes) in [
            ("0", 0),
            ("17", 17),
            ("17B", 17),
            ("8MiB", 8 << 20),
            ("8 mib", 8 << 20),
            ("10KB", 10 << 10),
            ("10GB", 10 << 30),
            ("1TiB", 1 << 40),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
    }

    #[test]
    fn sizes_refuse_what_has_no_clear_meaning() {
        for text in [
            "",
            "MiB",
            "8M",
            "8Mb ",
            "1.5GiB",
            "-1",
            "8  MiB",
            "8 PiB",
            "16777216TiB",
        ] {
            assert_eq!(text.parse::<ByteSize>(), Err(Invalid), "{text}");
        }
    }

    #[test]
    fn spans_need_a_unit() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("0s", 0),
        ] {
            assert_eq!(
                text.parse(),
                Ok(Span(Duration::from_millis(millis))),
                "{text}"
            );
        }
        for text in [
            "",
            "30",
            "s",
            "1.5s",
            "-3s",
            "3d",
            "30 seconds",
            "18446744073709551615h",
        ] {
            assert_eq!(text.parse::<Span>(), Err(Invalid), "{text}");
        }
    }

    #[test]
    fn sizes_and_spans_print_as_they_are_written() {
        for text in ["0", "1023", "8MiB", "1TiB", "1025KiB"] {
            assert_eq!(text.parse::<ByteSize>().unwrap().to_string(), text);
        }
        for text in ["0ms", "1500ms", "90s", "5m", "2h"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn limit_of_minus_one_allows_everything() {
        assert!(Limit::try_from(-1).unwrap().allows(usize::MAX));
        let two = Limit::try_from(2).unwrap();
        assert!(two.allows(2));
        assert!(!two.allows(3));
        assert!(!Limit::try_from(0).unwrap().allows(1));
        assert_eq!(Limit::try_from(-2), Err(Invalid));
    }

    #[test]
    fn secrets_do_not_print() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert_eq!(secret.expose(), "hunter2");
    }
}
