//! The CPU time of a request by the number of connections that send requests at once.

use super::Part;
use crate::{
    cases::{BATCH, BATCHES, Carrier, Logouts, ROUND, verify},
    goals::{Bound, Goal},
    report::Section,
    subjects::{World, gateway, kind::Kind},
};

const CONNECTIONS: [(usize, &str); 3] =
    [(16, "gateway, 16 connections"), BASE, (512, "gateway, 512 connections")];
/// What the others are compared with: the connections of the comparison with the peers.
const BASE: (usize, &str) = (64, "gateway, 64 connections");

pub(super) async fn measure(world: &World, rounds: usize) -> Part {
    let gateway = gateway::start(world).await;
    let mut logout =
        Section::new("logout by cookie with CSRF token, known access token, CPU time", "µs");
    let mut check = Section::new("verify by Bearer, known access token, CPU time", "µs");
    for round in 0..rounds {
        eprintln!("connections: round {} of {rounds}", round + 1);
        for (connections, name) in in_turn(&CONNECTIONS, round) {
            let logouts = Logouts {
                carrier: Carrier::Cookie,
                is_known: true,
                connections,
                batch: BATCH,
                batches: BATCHES,
            };
            logout.push_cost(name, &logouts.run(world, Kind::Gateway, &gateway).await);
            let subject = (Kind::Gateway, &gateway);
            let cost = verify(world, subject, Carrier::Bearer, connections, ROUND).await;
            check.push_cost(name, &cost);
        }
    }
    let mut goals = Vec::new();
    for (section, work) in [(&mut logout, "logout by cookie"), (&mut check, "verify by Bearer")] {
        section.rows.sort_by_key(|row| CONNECTIONS.iter().position(|(_, name)| *name == row.name));
        section.divide_others_by(BASE.1, "to 64 connections");
        for (connections, name) in CONNECTIONS.into_iter().filter(|row| *row != BASE) {
            let text =
                format!("{work}: CPU time at {connections} connections to that at {}", BASE.0);
            goals.push(Goal::new(text, Bound::AtMost(1.15), section.ratio(name)));
        }
    }
    (vec![logout, check], goals)
}

/// The items, from another one on in each round.
fn in_turn<T: Copy>(items: &[T], round: usize) -> impl Iterator<Item = T> {
    let first = round % items.len();
    items[first..].iter().chain(&items[..first]).copied()
}
