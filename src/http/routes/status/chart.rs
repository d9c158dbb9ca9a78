//! The chart of the last hour: a bar for each minute, with a colour for each outcome.

use maud::{Markup, html};

use strum::VariantArray as _;

use crate::{
    outcome::Outcome,
    telemetry::metrics::last_hour::{MINUTES, Tally},
};

/// The width of a minute in units of the SVG. The bar takes most of it.
const MINUTE: usize = 10;
const BAR: usize = 8;
/// The height of the busiest minute's bar, in units of the SVG.
const HEIGHT: u64 = 1000;
/// The least height of an outcome that occurred, so that one among thousands is visible. It may make a bar a
/// little too high.
const LEAST: u64 = 20;

/// The chart with its axes, its legend and the totals.
pub(super) fn chart(minutes: &[Tally]) -> Markup {
    let busiest = minutes.iter().map(|minute| minute.iter().sum()).max().unwrap_or(0);
    let totals = totals(minutes);
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
                @for (outcome, total) in Outcome::VARIANTS.iter().zip(totals) {
                    li { span class={ "swatch " (outcome.as_str()) } {} (outcome.as_str()) " " strong { (total) } }
                }
            }
        }
    }
}

fn totals(minutes: &[Tally]) -> Tally {
    let mut totals = Tally::default();
    for minute in minutes {
        totals.iter_mut().zip(minute).for_each(|(total, count)| *total += count);
    }
    totals
}

fn bars(minutes: &[Tally], busiest: u64, totals: &Tally) -> Markup {
    let width = MINUTES * MINUTE;
    let unknown = MINUTES.saturating_sub(minutes.len()) * MINUTE;
    let text = format!("Logouts by minute: {}. The busiest minute had {busiest}.", written(totals));
    html! {
        svg viewBox=(format!("0 -{HEIGHT} {width} {HEIGHT}")) preserveAspectRatio="none" role="img" aria-label=(text) {
            g transform="scale(1 -1)" {
                rect class="unknown" width=(unknown) height=(HEIGHT) { title { "before the start" } }
                @for (ago, minute) in minutes.iter().rev().enumerate().take(MINUTES) {
                    @if minute.iter().any(|count| *count > 0) {
                        g {
                            title { (when(ago)) ": " (written(minute)) }
                            (bar((MINUTES - 1 - ago) * MINUTE, minute, busiest))
                        }
                    }
                }
            }
        }
    }
}

/// The bar of one minute, in which the outcomes are stacked.
fn bar(x: usize, minute: &Tally, busiest: u64) -> Markup {
    let happened = Outcome::VARIANTS.iter().zip(minute).filter(|(_, count)| **count > 0);
    let parts = happened.scan(0, |top, (outcome, count)| {
        let (y, height) = (*top, (count * HEIGHT / busiest).max(LEAST));
        *top += height;
        Some((outcome, y, height))
    });
    html! {
        @for (outcome, y, height) in parts {
            rect class=(outcome.as_str()) x=(x) y=(y) width=(BAR) height=(height) {}
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

/// The numbers as text: `3 revoked, 1 failed`, or `none`.
fn written(tally: &Tally) -> String {
    let counted = Outcome::VARIANTS.iter().zip(tally).filter(|(_, count)| **count > 0);
    let counted: Vec<_> =
        counted.map(|(outcome, count)| format!("{count} {}", outcome.as_str())).collect();
    if counted.is_empty() { "none".to_owned() } else { counted.join(", ") }
}
