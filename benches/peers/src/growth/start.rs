//! The time from the start of a process to its first answer, with the key set of the stub one request away.

use std::time::Duration;

use super::Part;
use crate::{
    goals::{Bound, Goal},
    report::Section,
    subjects::{World, gateway, kind::Kind, nginx, node},
};

/// How often each subject starts in a round: a start takes milliseconds, and varies by as many.
const STARTS: usize = 3;

pub(super) async fn measure(world: &World, kinds: &[Kind], rounds: usize) -> Part {
    let mut section = Section::new("start to the first answer", "ms");
    for _ in 0..rounds * STARTS {
        let (answer, ready) = gateway::start_times(world).await;
        section.push(gateway::NAME, milliseconds(answer));
        section.push("gateway, until it is ready", milliseconds(ready));
        if kinds.contains(&Kind::Nginx) {
            let (_, took) = nginx::start(world, world.upstream.address).await;
            section.push(nginx::NAME, milliseconds(took));
        }
        if kinds.contains(&Kind::Node) {
            section.push(node::NAME, milliseconds(node::start(world).await.1));
        }
    }
    let text = "start to the first answer, ms";
    let goals = vec![Goal::new(text, Bound::AtMost(12.0), section.values(gateway::NAME))];
    (vec![section], goals)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
