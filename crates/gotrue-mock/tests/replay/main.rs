//! Replays the recorded exchanges with the real GoTrue against the mock: the same status, codes, members of the body,
//! headers and claims.

#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper that panics makes its test fail, as it should; the variable SCENARIO chooses scenarios"
)]

mod clock;
mod earlier;
mod effects;
mod id_tokens;
mod instances;
mod recording;
mod scenario;
mod template;
mod unrecorded;

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, stream};

use self::recording::Scenario;

/// The topics that need not replay, each with the reason.
const LEFT_OUT: &[(&str, &str)] = &[
    ("passkeys", "the mock has no passkeys"),
    ("oauth-server", "the mock has no OAuth 2.1 server"),
];

#[tokio::test]
async fn every_scenario_that_is_not_left_out_replays_whole() {
    let only = std::env::var("SCENARIO").unwrap_or_default();
    let is_chosen =
        |scenario: &&Scenario| scenario.exchanges[0].scenario.starts_with(only.as_str());
    let chosen = recording::scenarios().iter().filter(is_chosen);
    let mut results: Vec<_> = stream::iter(chosen.map(|scenario| async move {
        let name = &scenario.exchanges[0].scenario;
        (scenario.topic.as_str(), name.as_str(), scenario::play(scenario).await)
    }))
    .buffer_unordered(8)
    .collect()
    .await;
    assert!(!results.is_empty(), "no scenario has a name that begins with {only:?}");
    results.sort_by_key(|(topic, name, _)| (*topic, *name));
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut broken = Vec::new();
    for (topic, name, result) in &results {
        let (whole, all) = counts.entry(topic).or_default();
        *all += 1;
        match result {
            Ok(()) => *whole += 1,
            Err(difference) => {
                println!("{topic} {name}, {}: {}", difference.exchange, difference.cause);
                match LEFT_OUT.iter().find(|(left_out, _)| left_out == topic) {
                    Some((_, reason)) => println!("{topic} {name} is left out: {reason}"),
                    None => broken.push(name),
                }
            }
        }
    }
    for (topic, (whole, all)) in counts {
        println!("{topic}: {whole} of {all} scenarios replay whole");
    }
    assert!(broken.is_empty(), "{broken:?}");
}
