//! Logouts at four instances that share one Redis, beside those at one.
//!
//! This machine has too few cores for four instances with a core each. So GoTrue's answer takes
//! [`GOTRUE_DELAY`], and each instance has [`CONNECTIONS`] connections: an instance waits most of the time, and its
//! rate is bounded by what it waits for. That shows whether instances hold each other up at Redis, such as by locks.
//! The CPU time of a logout shows whether they cost more side by side.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::Part;
use crate::{
    cases::{BATCH, Carrier, Logouts},
    goals::{Bound, Goal},
    load::{Load, Until},
    process::Process,
    report::Section,
    subjects::{World, gateway, kind::Kind, redis::Redis},
};

const GOTRUE_DELAY: Duration = Duration::from_millis(10);
/// To each instance.
const CONNECTIONS: usize = 8;
const LOGOUTS: Logouts = Logouts {
    carrier: Carrier::Bearer,
    is_known: true,
    connections: CONNECTIONS,
    batch: BATCH,
    batches: 1,
};
const MANY: usize = 4;
/// The rows of one instance and of [`MANY`]: the gateway's, and that of Redis.
const ROWS: [[&str; 2]; 2] =
    [["gateway, 1 instance", "Redis, 1 instance"], ["gateway, 4 instances", "Redis, 4 instances"]];

pub(super) async fn measure(binary: &Path, rounds: usize) -> Part {
    let world = World::start(binary, GOTRUE_DELAY).await;
    let groups = [Group::start(&world, 1).await, Group::start(&world, MANY).await];
    let title =
        format!("logouts a second, {CONNECTIONS} connections to each instance, GoTrue takes 10 ms");
    let mut rate = Section::new(title, "1/s");
    let mut cpu = Section::new("CPU time of such a logout", "µs");
    for round in 0..=rounds {
        for (group, [name, redis_name]) in groups.iter().zip(ROWS) {
            let result = group.log_out(&world).await;
            // The first round opens the connections to GoTrue and Redis.
            if round > 0 {
                rate.push(name, result.per_second);
                cpu.push(name, result.gateway_us);
                cpu.push(redis_name, result.redis_us);
            }
        }
    }
    let [one, many] = ROWS.map(|[name, _]| name);
    rate.divide_others_by(one, "to 1 instance");
    let text = "logouts a second at four instances on one Redis to those at one";
    let goals = vec![Goal::new(text, Bound::AtLeast(3.5), rate.ratio(many))];
    (vec![rate, cpu], goals)
}

/// Instances with a Redis of their own.
struct Group {
    gateways: Vec<Process>,
    redis: Redis,
}

/// What logouts at some instances take.
struct Rate {
    per_second: f64,
    /// The CPU time of a logout, in microseconds: at all instances together, and at Redis.
    gateway_us: f64,
    redis_us: f64,
}

impl Group {
    async fn start(world: &World, instances: usize) -> Self {
        let redis = Redis::start(world).await;
        let store = redis.url("bench:");
        let mut gateways = Vec::new();
        for _ in 0..instances {
            gateways.push(gateway::start_with(world, &[("GATEWAY_STORE", &store)]).await);
        }
        Self { gateways, redis }
    }

    /// Logs out sessions at all instances at once, each session at one of them.
    async fn log_out(&self, world: &World) -> Rate {
        let mut clients = Vec::new();
        for gateway in &self.gateways {
            let exchanges = LOGOUTS.prepare(world, Kind::Gateway, gateway).await;
            clients.push((Load::open(gateway.address, CONNECTIONS).await, exchanges));
        }
        let redis = &self.redis.process;
        let before: Vec<_> = self.gateways.iter().map(Process::cpu_time).collect();
        let redis_before = redis.cpu_time();
        let start = Instant::now();
        let mut sending = JoinSet::new();
        for (mut load, exchanges) in clients {
            sending
                .spawn_local(async move { load.send(&exchanges, Until::AllSent).await.requests });
        }
        let logouts = f64::from(sending.join_all().await.into_iter().sum::<u32>());
        let took = start.elapsed().as_secs_f64();
        let used =
            self.gateways.iter().zip(&before).map(|(one, before)| one.cpu_time().since(before));
        Rate {
            per_second: logouts / took,
            gateway_us: used.sum::<Duration>().as_secs_f64() * 1e6 / logouts,
            redis_us: redis.cpu_time().since(&redis_before).as_secs_f64() * 1e6 / logouts,
        }
    }
}
