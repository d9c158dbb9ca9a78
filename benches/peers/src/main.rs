//! Measures the gateway from outside: beside its peers, and how its cost grows.
//!
//! The load is written in Rust for the sake of its own cost: one thread that reads and writes sockets takes some
//! 10 µs for a request. A load in a slower language would wait for itself, and leave subjects idle between requests,
//! where each of them costs more.
//!
//! `bench-peers peers` and `bench-peers growth`; CONTRIBUTING.md says how to read the output.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark that fails has no result"
)]

mod cases;
mod chart;
mod checks;
mod clock;
mod environment;
mod exchange;
mod goals;
mod growth;
mod load;
mod measure;
mod peers;
mod process;
mod report;
mod sessions;
mod subjects;
mod upstream;
mod usage;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};
use environment::Share;
use tokio::{
    runtime::Builder,
    select,
    signal::unix::{SignalKind, signal},
    task::LocalSet,
};

#[derive(Parser)]
#[command(about = "Measures logout-gateway from outside")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// The CPU time of a request, beside nginx, oauth2-proxy and Node.js.
    Peers(Options),
    /// How CPU time, memory and rate grow with connections, revocations and instances.
    Growth(Options),
    /// The stub of GoTrue, which the other commands start.
    #[command(hide = true)]
    Upstream { address: SocketAddr, jwks: String, delay_ms: u64 },
}

#[derive(Args)]
struct Options {
    /// The gateway's release binary.
    #[arg(long)]
    binary: PathBuf,
    /// How often each subject is measured.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The directory of the JSON file.
    #[arg(long, default_value = "target/bench")]
    output: PathBuf,
    /// The directory of the charts.
    #[arg(long, default_value = "target/bench")]
    charts: PathBuf,
    /// The entries of the long revocation list.
    #[arg(long, default_value_t = 1_000_000)]
    revocations: u32,
}

async fn run(task: Task) {
    let before = Share::now();
    let (name, mut report, Options { output, charts, .. }) = match task {
        Task::Peers(options) => {
            ("peers", peers::run(&options.binary, options.rounds).await, options)
        }
        Task::Growth(options) => {
            let Options { binary, rounds, revocations, .. } = &options;
            ("growth", growth::run(binary, *rounds, *revocations).await, options)
        }
        Task::Upstream { address, jwks, delay_ms } => {
            return upstream::serve(address, jwks, Duration::from_millis(delay_ms)).await;
        }
    };
    report.environment.push(Share::now().of_others_since(&before));
    report.print();
    report.write(name, &output, &charts);
}

/// Runs the task until it ends or a signal comes. In both cases all values are dropped, which ends the processes
/// that the benchmark started.
async fn run_until_signal(task: Task) -> ExitCode {
    let [mut interrupt, mut terminate] =
        [SignalKind::interrupt(), SignalKind::terminate()].map(|kind| signal(kind).unwrap());
    select! {
        () = run(task) => ExitCode::SUCCESS,
        _ = interrupt.recv() => ExitCode::FAILURE,
        _ = terminate.recv() => ExitCode::FAILURE,
    }
}

fn main() -> ExitCode {
    let task = Cli::parse().task;
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, run_until_signal(task))
}
