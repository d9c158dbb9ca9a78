//! How the gateway's cost grows: CPU time and memory with connections, `verify` with revocations, and the rate of
//! logouts with instances. And how long it takes to start.

mod connections;
mod instances;
mod memory;
mod revocations;
mod start;

use std::{path::Path, time::Duration};

use super::{
    environment::describe,
    goals::Goal,
    process::Process,
    report::{Report, Section},
    subjects::{World, gateway, kind::Kind, nginx, node, oauth2_proxy, redis},
};

/// What is measured in one respect: its sections, and the goals for them.
type Part = (Vec<Section>, Vec<Goal>);

pub(crate) async fn run(binary: &Path, rounds: usize, entries: u32) -> Report {
    let mut environment = describe(binary);
    let world = World::start(binary, Duration::ZERO).await;
    environment.push(format!(
        "{} threads of the gateway, as many workers of nginx; {rounds} rounds; CPU time and memory of the subject's own \
         processes",
        world.threads
    ));
    let (mut kinds, mut left_out) = (vec![Kind::Gateway], Vec::new());
    let installed = [
        (Kind::Nginx, nginx::installed().ok_or_else(|| "it is not installed".to_owned())),
        (Kind::Node, node::install()),
    ];
    for (kind, version) in installed {
        match version {
            Ok(version) => {
                environment.push(version);
                kinds.push(kind);
            }
            Err(error) => left_out.push(format!("{}: {error}", kind.name())),
        }
    }
    let mut parts: Vec<Part> = vec![
        start::measure(&world, &kinds, rounds).await,
        connections::measure(&world, rounds).await,
        memory::measure(&world, &kinds, rounds).await,
    ];
    match redis::installed() {
        Some(version) => {
            environment.push(version);
            parts.push(revocations::measure(&world, rounds, entries).await);
            parts.push(instances::measure(binary, rounds).await);
        }
        None => left_out.push("revocations and instances: Redis is not installed".to_owned()),
    }
    left_out.push("instances on one PostgreSQL: the gateway has no such store".to_owned());
    let (sections, goals): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    let title = "How the cost of logout-gateway grows";
    let (sections, goals) = (sections.concat(), goals.concat());
    Report { title, environment, left_out, sections, goals }
}

/// Starts a subject. nginx needs the address of a gateway, which it does not ask here.
async fn start(world: &World, kind: Kind) -> Process {
    match kind {
        Kind::Gateway => gateway::start(world).await,
        Kind::Nginx => nginx::start(world, world.upstream.address).await.0,
        Kind::Node => node::start(world).await.0,
        Kind::Oauth2Proxy => oauth2_proxy::start(world).await,
    }
}
