//! The last hour as a picture: a bar for each minute, a colour for each outcome.

use maud::{Markup, html};

use crate::telemetry::metrics::last_hour::{MINUTES, OUTCOMES, Tally};

/// Width of a minute, of which its bar takes most.
const MINUTE: usize = 10;
const BAR: usize = 8;
/// Height of the busiest minute.
const HEIGHT: u64 = 1000;
/// What happened must be seen, even once among thousands; at worst a bar is a little higher for it.
const LEAST: u64 = 20;

/// The picture with its axes, its legend and the totals.
pub(super) fn picture(minutes: &[Tally]) -> Markup {
    let busiest = minutes.iter().map(|minute| minute.iter().sum()).max().unwrap_or(0);
    let totals = OUTCOMES.map(|outcome| total(minutes, outcome));
    html! {
        figure {
            figcaption { "Per minute" }
            div class="chart" {
                p class="scale" aria-hidden="true" { span { (busiest.max(1)) } span { "0" } }
                (bars(minutes, busiest, &totals))
                p class="times" aria-hidden="true" {
                    span { "an hour ago" } span { "30 minutes ago" } span { "now" }
                }
            }
            ul class="legend" aria-label="Totals" {
                @for (outcome, total) in OUTCOMES.iter().zip(totals) {
                    li { span class={ "swatch " (outcome) } {} (outcome) " " strong { (total) } }
                }
            }
        }
    }
}

fn total(minutes: &[Tally], wanted: &str) -> u64 {
    let of_it = minutes.iter().flat_map(|minute| OUTCOMES.iter().zip(minute));
    of_it.filter(|(outcome, _)| **outcome == wanted).map(|(_, count)| count).sum()
}

fn bars(minutes: &[Tally], busiest: u64, totals: &Tally) -> Markup {
    let width = MINUTES * MINUTE;
    let unknown = MINUTES.saturating_sub(minutes.len()) * MINUTE;
    let text = format!("Logouts by minute: {}. The busiest minute had {busiest}.", told(totals));
    html! {
        svg viewBox=(format!("0 -{HEIGHT} {width} {HEIGHT}")) preserveAspectRatio="none" role="img" aria-label=(text) {
            g transform="scale(1 -1)" {
                rect class="unknown" width=(unknown) height=(HEIGHT) { title { "before the start" } }
                @for (ago, minute) in minutes.iter().rev().enumerate().take(MINUTES) {
                    @if minute.iter().any(|count| *count > 0) {
                        g {
                            title { (when(ago)) ": " (told(minute)) }
                            (bar((MINUTES - 1 - ago) * MINUTE, minute, busiest))
                        }
                    }
                }
            }
        }
    }
}

/// One minute, its outcomes upon each other.
fn bar(x: usize, minute: &Tally, busiest: u64) -> Markup {
    let happened = OUTCOMES.iter().zip(minute).filter(|(_, count)| **count > 0);
    let parts = happened.scan(0, |top, (outcome, count)| {
        let (y, height) = (*top, (count * HEIGHT / busiest).max(LEAST));
        *top += height;
        Some((outcome, y, height))
    });
    html! {
        @for (outcome, y, height) in parts {
            rect class=(outcome) x=(x) y=(y) width=(BAR) height=(height) {}
        }
    }
}

fn when(minutes_ago: usize) -> String {
    match minutes_ago {
        0 => "this minute".to_owned(),
        1 => "a minute ago".to_owned(),
        _ => format!("{minutes_ago} minutes ago"),
    }
}

/// `3 revoked, 1 failed`, or that there was none.
fn told(tally: &Tally) -> String {
    let counted = OUTCOMES.iter().zip(tally).filter(|(_, count)| **count > 0);
    let counted: Vec<_> = counted.map(|(outcome, count)| format!("{count} {outcome}")).collect();
    if counted.is_empty() { "none".to_owned() } else { counted.join(", ") }
}
