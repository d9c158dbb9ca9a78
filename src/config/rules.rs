//! The rules that several settings share. A rule is a function that takes the text and returns the value, or
//! the rule that the text breaks.

use std::{cell::Cell, ops::RangeInclusive, time::Duration};

use secrecy::SecretString;
use url::Url;

use super::error::Rule;

/// The largest value of a time limit.
pub(super) const AN_HOUR: Duration = Duration::from_hours(1);

pub(super) const A_DAY: Duration = Duration::from_hours(24);

/// The shortest duration above zero, the lower bound of durations that must not be zero.
pub(super) const MORE_THAN_ZERO: Duration = Duration::from_nanos(1);

/// Makes the parser of an optional setting from `rule`, which parses and checks the text of one setting. The
/// result is `Some` value; a caller uses `None` if the setting is not set.
pub(super) fn optional<T>(
    rule: impl Fn(&str) -> Result<T, Rule>,
) -> impl Fn(&str) -> Result<Option<T>, Rule> {
    move |text| rule(text).map(Some)
}

/// A whole number within `range`, in decimal digits without a sign.
pub(super) fn whole_number(range: RangeInclusive<usize>) -> impl Fn(&str) -> Result<usize, Rule> {
    move |text| {
        // Check the digits, because `parse` would accept a leading `+`.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| digits && range.contains(number));
        number.ok_or_else(|| {
            format!("must be a whole number from {} to {}", range.start(), range.end()).into()
        })
    }
}

/// A time limit: a duration of more than zero and at most one hour.
pub(super) fn deadline(text: &str) -> Result<Duration, Rule> {
    let rule = "must be a duration such as `5s` or `500ms`, more than zero and at most one hour";
    duration(MORE_THAN_ZERO..=AN_HOUR, rule)(text)
}

/// A duration within `range`, in humantime's format: `500ms`, `5s`, `1h 30m`, `7d`.
pub(super) fn duration(
    range: RangeInclusive<Duration>,
    rule: &'static str,
) -> impl Fn(&str) -> Result<Duration, Rule> {
    move |text| {
        let duration = humantime::parse_duration(text).ok();
        duration.filter(|duration| range.contains(duration)).ok_or(Rule::Borrowed(rule))
    }
}

pub(super) const MEBIBYTE: u64 = 1 << 20;
pub(super) const GIBIBYTE: u64 = 1 << 30;

/// A number of bytes within `range`: digits, alone or followed by `B`, `KiB`, `MiB` or `GiB`.
pub(super) fn byte_size(
    range: RangeInclusive<u64>,
    rule: &'static str,
) -> impl Fn(&str) -> Result<u64, Rule> {
    move |text| {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let factor = match unit {
            "" | "B" => Some(1),
            "KiB" => Some(1 << 10),
            "MiB" => Some(MEBIBYTE),
            "GiB" => Some(GIBIBYTE),
            _ => None,
        };
        let bytes = number.parse().ok().zip(factor);
        let bytes = bytes.and_then(|(number, factor): (u64, u64)| number.checked_mul(factor));
        bytes.filter(|bytes| range.contains(bytes)).ok_or(Rule::Borrowed(rule))
    }
}

/// A secret of 32 bytes or more. A shorter key would weaken HMAC-SHA256 (RFC 2104, section 3).
pub(super) fn secret(text: &str) -> Result<SecretString, Rule> {
    if text.len() < 32 {
        return Err("must be 32 bytes or more".into());
    }
    Ok(SecretString::from(text))
}

/// A comma-separated list of one or more entries. Duplicates are removed.
pub(super) fn list<T: PartialEq>(
    entry: impl Fn(&str) -> Result<T, Rule>,
) -> impl Fn(&str) -> Result<Vec<T>, Rule> {
    move |text| {
        let mut entries = Vec::new();
        for word in text.split(',').map(str::trim) {
            if word.is_empty() {
                return Err("must be a comma-separated list without an empty entry".into());
            }
            let value = entry(word)?;
            if !entries.contains(&value) {
                entries.push(value);
            }
        }
        Ok(entries)
    }
}

/// A host name, in lower case.
pub(super) fn host_name(name: &str) -> Result<String, Rule> {
    let valid = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > 253 || !name.split('.').all(valid) {
        return Err(
            "must be host names: labels of letters, digits and hyphens, with dots between \
                    them, an international name in its xn-- form"
                .into(),
        );
    }
    Ok(name.to_ascii_lowercase())
}

/// Parses a URL, relative to `base` if that is given. Returns `None` also for the syntax errors that the URL
/// standard repairs (`http:host`, backslashes, surrounding white space), because other programs read such a
/// URL differently.
pub(super) fn parse_strictly(text: &str, base: Option<&Url>) -> Option<Url> {
    let violated = Cell::new(false);
    let on_violation = |_| violated.set(true);
    let options = Url::options().base_url(base).syntax_violation_callback(Some(&on_violation));
    options.parse(text).ok().filter(|_| !violated.get())
}

/// An absolute http or https URL to which the gateway appends paths. Trailing slashes are removed. Repairable
/// syntax errors are refused, because the default issuer is made from the text and compared with the `iss` of
/// tokens.
pub(super) fn base_url(text: &str) -> Result<Url, Rule> {
    const RULE: Rule = Rule::Borrowed(
        "must be an absolute http or https URL without credentials, query or fragment",
    );
    let mut url = parse_strictly(text, None).ok_or(RULE)?;
    let http = matches!(url.scheme(), "http" | "https");
    let credentials = !url.username().is_empty() || url.password().is_some();
    let suffixed = url.query().is_some() || url.fragment().is_some();
    if !http || !url.has_host() || credentials || suffixed {
        return Err(RULE);
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("https://abc.supabase.co", "https://abc.supabase.co/")]
    #[case("https://abc.supabase.co/", "https://abc.supabase.co/")]
    #[case("http://127.0.0.1:54321", "http://127.0.0.1:54321/")]
    #[case("http://[::1]:54321/auth/v1//", "http://[::1]:54321/auth/v1")]
    fn a_base_url_loses_its_trailing_slashes(#[case] text: &str, #[case] url: &str) {
        assert_eq!(base_url(text).unwrap().as_str(), url);
    }

    #[rstest]
    #[case::empty("")]
    #[case::relative("/auth/v1")]
    #[case::no_scheme("abc.supabase.co")]
    #[case::other_scheme("ftp://abc.supabase.co")]
    #[case::no_host("http://")]
    #[case::no_slashes("http:abc.supabase.co")]
    #[case::many_slashes("http:////abc.supabase.co")]
    #[case::backslashes(r"http:\\abc.supabase.co")]
    #[case::blank_before(" http://abc.supabase.co")]
    #[case::newline_after("http://abc.supabase.co\n")]
    #[case::user("http://user@abc.supabase.co")]
    #[case::no_user("http://@abc.supabase.co")]
    #[case::password("http://user:password@abc.supabase.co")]
    #[case::query("http://abc.supabase.co?a=b")]
    #[case::empty_query("http://abc.supabase.co/?")]
    #[case::fragment("http://abc.supabase.co/#a")]
    #[case::port("http://abc.supabase.co:65536")]
    fn a_bad_base_url_is_refused(#[case] text: &str) {
        assert!(base_url(text).is_err());
    }

    #[rstest]
    #[case("a", &["a"])]
    #[case(" a , b ,a", &["a", "b"])]
    fn a_list_is_trimmed_and_without_duplicates(#[case] text: &str, #[case] entries: &[&str]) {
        assert_eq!(list(|entry| Ok(entry.to_owned()))(text).unwrap(), entries);
    }

    #[rstest]
    #[case("a,,b")]
    #[case(",")]
    #[case("a, ")]
    fn an_empty_entry_is_refused(#[case] text: &str) {
        assert!(list(|entry| Ok(entry.to_owned()))(text).is_err());
    }

    #[rstest]
    #[case("1", Some(1))]
    #[case("0010", Some(10))]
    #[case("0", None)]
    #[case("11", None)]
    #[case("+5", None)]
    #[case("-5", None)]
    #[case(" 5", None)]
    #[case("5.0", None)]
    #[case("", None)]
    #[case("99999999999999999999999999", None)]
    fn a_whole_number_is_digits_in_its_range(#[case] text: &str, #[case] number: Option<usize>) {
        assert_eq!(whole_number(1..=10)(text).ok(), number);
    }

    #[rstest]
    #[case("500ms", Some(Duration::from_millis(500)))]
    #[case("1h", Some(AN_HOUR))]
    #[case("1h 1ns", None)]
    #[case("0s", None)]
    #[case("5", None)]
    #[case("-5s", None)]
    #[case("", None)]
    #[case("99999999999999999999years", None)]
    fn a_deadline_is_a_duration_in_its_range(
        #[case] text: &str,
        #[case] expected: Option<Duration>,
    ) {
        assert_eq!(deadline(text).ok(), expected);
    }

    #[rstest]
    #[case("1048576", Some(MEBIBYTE))]
    #[case("1024KiB", Some(MEBIBYTE))]
    #[case("256MiB", Some(256 * MEBIBYTE))]
    #[case("1GiB", Some(GIBIBYTE))]
    #[case("2GiB", None)]
    #[case("1B", None)]
    #[case("1MB", None)]
    #[case("MiB", None)]
    #[case("-1MiB", None)]
    #[case("1.5MiB", None)]
    #[case("18446744073709551616", None)]
    #[case("18446744073709551615GiB", None)]
    fn a_size_is_a_number_and_a_unit(#[case] text: &str, #[case] bytes: Option<u64>) {
        assert_eq!(byte_size(MEBIBYTE..=GIBIBYTE, "rule")(text).ok(), bytes);
    }

    #[test]
    fn a_secret_has_32_bytes_or_more() {
        assert!(secret(&"s".repeat(31)).is_err());
        assert!(secret(&"s".repeat(32)).is_ok());
        assert!(secret(&"é".repeat(16)).is_ok(), "bytes, not characters");
    }
}
