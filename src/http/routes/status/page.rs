//! The status page as HTML.

use std::{collections::BTreeMap, time::Duration};

use humantime::format_duration;
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Status, Waiting, chart::chart};
use crate::{
    http::error::Error,
    outcome::{Outcome, RecordedOutcome},
    session::jwks::Algorithms,
    store::{StoreError, failure::Failure},
    telemetry::metrics::last_hour::MINUTES,
};

/// The style sheet of the page.
pub(super) const STYLE: &str =
    concat!(include_str!("../../../page.css"), include_str!("status.css"));
/// The number of seconds until the browser reloads the page.
const REFRESH: u8 = 10;
/// The columns of the table of failures.
const COLUMNS: [&str; 7] = ["Time", "Outcome", "Reason", "GoTrue", "Route", "Scope", "Request id"];
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

pub(super) fn page(status: &Status) -> Markup {
    let ready = status.missing.is_empty();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="refresh" content=(REFRESH);
                title { (if ready { "Ready" } else { "Not ready" }) " \u{b7} logout-gateway" }
                link rel="icon" href=(icon(ready));
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p class="product" { "logout-gateway " (env!("CARGO_PKG_VERSION")) }
                    (readiness(status))
                    p class="quiet" {
                        "Running for " (duration(status.uptime)) ". As of " (time(status.now))
                        ", again every " (REFRESH) " seconds."
                    }
                }
                main {
                    section aria-labelledby="logouts" {
                        div class="title" {
                            h2 id="logouts" { "Logouts" }
                            p class="quiet" { (period(status)) }
                        }
                        (chart(&status.minutes))
                    }
                    div class="beside" {
                        section aria-labelledby="keys" { h2 id="keys" { "Key set" } (key_set(status)) }
                        section aria-labelledby="queue" { h2 id="queue" { "Queue" } (queue(&status.waiting)) }
                    }
                    section aria-labelledby="failures" {
                        h2 id="failures" { "Last failures" }
                        (failures(&status.failures))
                    }
                }
                nav aria-label="For machines" {
                    @for path in ["queue", "failures", "metrics", "readyz"] { a href=(path) { "/" (path) } }
                }
            }
        }
    }
}

fn readiness(status: &Status) -> Markup {
    html! {
        @if status.missing.is_empty() {
            h1 { span class="dot good" {} "Ready" }
        } @else {
            h1 { span class="dot bad" {} "Not ready" }
            ul class="missing" {
                @for missing in &status.missing {
                    li {
                        (Error::NotReady(missing.part).message()) " Since " (time(missing.since)) ", "
                        (duration(missing.lasts(status.now))) " ago."
                    }
                }
            }
        }
    }
}

/// The time that the chart covers.
fn period(status: &Status) -> Markup {
    html! {
        @if status.minutes.len() < MINUTES {
            "since the start, " (duration(status.uptime)) " ago"
        } @else {
            "in the last hour"
        }
    }
}

fn key_set(status: &Status) -> Markup {
    html! {
        @match &status.algorithms {
            None => p class="trouble" { "No key may be used: none was fetched for " (duration(status.keys_age)) "." },
            Some(algorithms) => {
                p class="figure" { (list_algorithms(algorithms)) }
                p class="quiet" { "Fetched " (duration(status.keys_age)) " ago." }
            }
        }
    }
}

fn list_algorithms(algorithms: &Algorithms) -> String {
    if algorithms.is_empty() {
        return "No keys: the project signs with HS256".to_owned();
    }
    let counted = algorithms.iter().map(|(name, keys)| format!("{name} \u{d7}{keys}"));
    counted.collect::<Vec<_>>().join(", ")
}

fn queue(waiting: &Result<Option<Waiting>, StoreError>) -> Markup {
    html! {
        @match waiting {
            Err(_) => (unreadable()),
            Ok(None) => p { "None: with " code { "GATEWAY_STORE=memory" } " no logout is queued." },
            Ok(Some(Waiting { entries: 0, .. })) => p class="figure" { "No logout is queued" },
            Ok(Some(Waiting { entries, oldest, reasons })) => {
                p class="figure" { (entries) (if *entries == 1 { " logout waits" } else { " logouts wait" }) }
                p class="quiet" { "The oldest has waited for " (duration(*oldest)) "." }
                (reasons_table(*entries, reasons))
            }
        }
    }
}

fn reasons_table(entries: usize, reasons: &BTreeMap<String, usize>) -> Markup {
    let read: usize = reasons.values().sum();
    html! {
        table class="reasons" {
            caption {
                @if read < entries { "Why the next " (read) " wait" } @else { "Why they wait" }
            }
            tbody {
                @for (reason, count) in reasons { tr { th scope="row" { code { (reason) } } td { (count) } } }
            }
        }
    }
}

fn failures(failures: &Result<Vec<Failure>, StoreError>) -> Markup {
    html! {
        @match failures {
            Err(_) => (unreadable()),
            Ok(failures) if failures.is_empty() => p { "None." },
            Ok(failures) => table class="failures" {
                thead { tr { @for name in COLUMNS { th scope="col" { (name) } } } }
                tbody { @for failure in failures { (row(failure)) } }
            }
        }
    }
}

fn row(failure: &Failure) -> Markup {
    let kind = failure.outcome.known().map_or("neutral", badge);
    let status = failure.upstream_status.map_or("none".to_owned(), |status| status.to_string());
    let cells = [
        time(failure.time),
        html! { span class={ "badge " (kind) } { (failure.outcome.as_str()) } },
        html! { code { (failure.reason.as_str()) } },
        html! { (status) },
        html! { code { (failure.route.as_str()) } },
        html! { (failure.scope.as_str()) },
        html! { code { (failure.request_id) } },
    ];
    html! {
        // On a narrow screen the style sheet shows each row as a list, with the column's name before each
        // cell.
        tr { @for (name, cell) in COLUMNS.iter().zip(cells) { td data-name=(name) { (cell) } } }
    }
}

/// The CSS class of an outcome's badge.
fn badge(outcome: RecordedOutcome) -> &'static str {
    match outcome {
        RecordedOutcome::Of(Outcome::Failed) | RecordedOutcome::GaveUp => "bad",
        RecordedOutcome::Of(Outcome::Queued) => "warning",
        RecordedOutcome::Of(Outcome::Revoked | Outcome::AlreadyEnded | Outcome::Refused)
        | RecordedOutcome::Dropped => "neutral",
    }
}

fn unreadable() -> Markup {
    html! { p class="trouble" { "The store cannot be read now; the log says why." } }
}

fn time(time: Timestamp) -> Markup {
    html! { time datetime=(time) { (time) } }
}

/// A duration as text: in whole minutes from an hour on, and in whole hours from a day on.
fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let unit = match seconds {
        ..HOUR => 1,
        HOUR..DAY => MINUTE,
        DAY.. => HOUR,
    };
    format_duration(Duration::from_secs(seconds / unit * unit)).to_string()
}

/// The page's icon: a green or red dot, so that a browser tab shows the state.
fn icon(ready: bool) -> String {
    let colour = if ready { "1d8a4c" } else { "c8342c" };
    format!(
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E\
         %3Ccircle cx='4' cy='4' r='4' fill='%23{colour}'/%3E%3C/svg%3E"
    )
}
