//! Memory: of a process that has just started, with busy connections, and of a connection that is idle.

use std::{rc::Rc, time::Duration};

use tokio::{select, time::sleep};

use super::Part;
use crate::{
    cases::{BATCH, BATCHES, Carrier, Logouts},
    exchange::Exchange,
    goals::{Bound, Goal},
    load::{Load, Until},
    process::Process,
    report::Section,
    subjects::{World, kind::Kind},
};

const BUSY: [usize; 2] = [64, 512];
/// Node.js takes some twenty times as long for a logout.
const NODE_BATCHES: usize = 1;
/// How often the memory is read while a process is busy.
const SAMPLING: Duration = Duration::from_millis(10);
const IDLE_CONNECTIONS: u16 = 2000;
/// How long a process may release memory before it is measured.
const SETTLE: Duration = Duration::from_millis(300);

pub(super) async fn measure(world: &World, kinds: &[Kind], rounds: usize) -> Part {
    let mut busy = Section::new("memory with connections that send logouts by cookie", "MB");
    let mut idle = Section::new("memory of an idle connection that has sent a request", "KB");
    for round in 0..rounds {
        eprintln!("memory: round {} of {rounds}", round + 1);
        for &kind in kinds {
            let subject = super::start(world, kind).await;
            sleep(SETTLE).await;
            busy.push(&format!("{}, idle", kind.name()), subject.memory_bytes() / 1e6);
            for connections in BUSY {
                let most = while_busy(world, kind, &subject, connections).await;
                busy.push(&busy_row(kind, connections), most / 1e6);
            }
            drop(subject);
            let subject = super::start(world, kind).await;
            idle.push(kind.name(), of_idle_connection(world, kind, &subject).await / 1e3);
        }
    }
    let most = busy.values(&busy_row(Kind::Gateway, 512));
    let goals = vec![
        Goal::new("memory at 512 busy connections, MB", Bound::AtMost(40.0), most),
        Goal::new(
            "memory of an idle connection, KB",
            Bound::AtMost(8.0),
            idle.values(Kind::Gateway.name()),
        ),
    ];
    (vec![busy, idle], goals)
}

fn busy_row(kind: Kind, connections: usize) -> String {
    format!("{}, {connections} connections", kind.name())
}

/// The most memory, in bytes, that the subject takes while so many connections send logouts.
async fn while_busy(world: &World, kind: Kind, subject: &Process, connections: usize) -> f64 {
    let logouts = Logouts {
        carrier: Carrier::Cookie,
        is_known: true,
        connections,
        batch: BATCH,
        batches: if kind == Kind::Node { NODE_BATCHES } else { BATCHES },
    };
    let mut load = Load::open(subject.address, connections).await;
    let mut most = 0.0;
    for _ in 0..logouts.batches {
        let exchanges = logouts.prepare(world, kind, subject).await;
        let sample = async {
            loop {
                most = subject.memory_bytes().max(most);
                sleep(SAMPLING).await;
            }
        };
        select! {
            _ = load.send(&exchanges, Until::AllSent) => {}
            () = sample => {}
        }
        most = subject.memory_bytes().max(most);
    }
    most
}

/// The bytes by which the subject's memory grows for each connection that has sent a request and stays open.
async fn of_idle_connection(world: &World, kind: Kind, subject: &Process) -> f64 {
    let session = world.issuer.sign_in();
    let verify: Rc<[Exchange]> = [kind.verify(&session.bearer(), &session.user_id)].into();
    // The first connections make the process allocate what all share.
    let mut first = Load::open(subject.address, 64).await;
    first.send_on_each(&verify[0]).await;
    sleep(SETTLE).await;
    let before = subject.memory_bytes();
    let mut load = Load::open(subject.address, IDLE_CONNECTIONS.into()).await;
    load.send_on_each(&verify[0]).await;
    sleep(SETTLE).await;
    (subject.memory_bytes() - before) / f64::from(IDLE_CONNECTIONS)
}
