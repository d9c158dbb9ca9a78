//! The gateway's release binary with its default settings: metrics are on, and the log has a line for each logout.

use std::{net::SocketAddr, process::Command, time::Duration};

use super::{World, command};
use crate::process::{Process, free_address};

pub(crate) const NAME: &str = "gateway";
/// The path that the gateway answers as soon as it listens.
const HEALTH: &str = "/healthz";
/// The path that it answers once it has the key set.
const READY: &str = "/readyz";

/// A gateway that is ready.
pub(crate) async fn start(world: &World) -> Process {
    start_with(world, &[]).await
}

/// A gateway with further settings.
pub(crate) async fn start_with(world: &World, settings: &[(&str, &str)]) -> Process {
    let address = free_address();
    let mut command = serve(world, address);
    command.envs(settings.iter().copied());
    Process::start(NAME, command, address, (READY, 200)).await.0
}

/// The times from the start of a process to its first answer, and to readiness, each of a process of its own.
pub(crate) async fn start_times(world: &World) -> (Duration, Duration) {
    let mut times = [Duration::ZERO; 2];
    for (time, path) in times.iter_mut().zip([HEALTH, READY]) {
        let address = free_address();
        let (process, took) =
            Process::start(NAME, serve(world, address), address, (path, 200)).await;
        drop(process);
        *time = took;
    }
    (times[0], times[1])
}

fn serve(world: &World, address: SocketAddr) -> Command {
    let mut command = command(&world.binary);
    command
        .arg("serve")
        .env("SUPABASE_URL", &world.url)
        .env("SUPABASE_PUBLISHABLE_KEY", "sb_publishable_of_the_benchmark")
        .env("GATEWAY_SECRET", "a-secret-of-the-benchmark-0123456789abcdef")
        .env("GATEWAY_BIND", address.to_string())
        .env("GATEWAY_ADMIN_BIND", "127.0.0.1:0")
        .env("GATEWAY_THREADS", world.threads.to_string());
    command
}
