//! Reads spans of time in the notation of Go's `time.ParseDuration`, such as `1h30m`.

use std::time::Duration;

/// A span of time with its sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GoDuration {
    pub(crate) is_negative: bool,
    pub(crate) length: Duration,
}

/// Reads a span of time. The error is the message of Go.
pub(crate) fn parse(text: &str) -> Result<GoDuration, String> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_negative = text.starts_with('-');
    if unsigned == "0" {
        return Ok(GoDuration { is_negative, length: Duration::ZERO });
    }
    let invalid = || format!("time: invalid duration {text:?}");
    let mut rest = unsigned;
    let mut length = Duration::ZERO;
    if rest.is_empty() {
        return Err(invalid());
    }
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
        let amount: f64 = number.parse().map_err(|_| invalid())?;
        let (unit, after) = split(after, |c| !c.is_ascii_digit() && c != '.');
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        let seconds = seconds_of(unit)
            .ok_or_else(|| format!("time: unknown unit {unit:?} in duration {text:?}"))?;
        let part = Duration::try_from_secs_f64(amount * seconds).map_err(|_| invalid())?;
        length = length.checked_add(part).ok_or_else(invalid)?;
        rest = after;
    }
    // Go counts nanoseconds in 64 bits with a sign.
    if i64::try_from(length.as_nanos()).is_err() {
        return Err(invalid());
    }
    Ok(GoDuration { is_negative, length })
}

/// Splits a text before the first character that does not belong.
fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.split_at(end)
}

fn seconds_of(unit: &str) -> Option<f64> {
    match unit {
        "ns" => Some(1e-9),
        "us" | "\u{b5}s" | "\u{3bc}s" => Some(1e-6),
        "ms" => Some(1e-3),
        "s" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_go_reads_them() {
        let length = |text| parse(text).map(|span| span.length);
        assert_eq!(length("24h"), Ok(Duration::from_hours(24)));
        assert_eq!(length("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(length("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(length("0"), Ok(Duration::ZERO));
        assert!(parse("-1h").is_ok_and(|span| span.is_negative));
        let message = |text| parse(text).unwrap_err();
        assert_eq!(message("a while"), "time: invalid duration \"a while\"");
        assert_eq!(message("24"), "time: missing unit in duration \"24\"");
        assert_eq!(message("1d"), "time: unknown unit \"d\" in duration \"1d\"");
        assert_eq!(message(""), "time: invalid duration \"\"");
        assert_eq!(message("3000000h"), "time: invalid duration \"3000000h\"");
    }
}
