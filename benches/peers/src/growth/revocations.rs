//! `verify` with a short and with a long revocation list, which two gateways read from one Redis.

use super::Part;
use crate::{
    cases::{Carrier, ROUND, verify},
    goals::{Bound, Goal},
    report::Section,
    subjects::{World, gateway, kind::Kind, redis::Redis},
};

/// How often each gateway is measured in a round: the goal is a difference that is smaller than that of two
/// measurements of one gateway.
const PAIRS: usize = 4;
const CONNECTIONS: usize = 64;
const FEW: u32 = 10;

pub(super) async fn measure(world: &World, rounds: usize, many: u32) -> Part {
    let redis = Redis::start(world).await;
    let mut gateways = Vec::new();
    for (entries, prefix) in [(FEW, "few:"), (many, "many:")] {
        eprintln!("revocations: writing {entries}");
        redis.write_revocations(prefix, entries);
        let store = redis.url(prefix);
        let gateway = gateway::start_with(world, &[("GATEWAY_STORE", &store)]).await;
        gateways.push((row(entries), gateway));
    }
    let mut section = Section::new("verify by Bearer with a revocation list, CPU time", "µs");
    let mut memory = Section::new("memory with a revocation list", "MB");
    for (name, gateway) in &gateways {
        memory.push(name, gateway.memory_bytes() / 1e6);
    }
    for round in 0..rounds * PAIRS {
        eprintln!("revocations: pair {} of {}", round + 1, rounds * PAIRS);
        if round > 0 {
            // Neither is always the first.
            gateways.reverse();
        }
        for (name, gateway) in &gateways {
            let subject = (Kind::Gateway, gateway);
            let cost = verify(world, subject, Carrier::Bearer, CONNECTIONS, ROUND).await;
            section.push_cost(name, &cost);
        }
    }
    section.divide_others_by(&row(FEW), "to 10 revocations");
    let text = format!("verify by Bearer: CPU time with {many} revocations to that with {FEW}");
    let goals = vec![Goal::new(text, Bound::AtMost(1.03), section.ratio(&row(many)))];
    (vec![section, memory], goals)
}

fn row(entries: u32) -> String {
    format!("gateway, {entries} revocations")
}
