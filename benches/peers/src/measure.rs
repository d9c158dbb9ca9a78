//! One measurement: the CPU time of a subject's own processes for each request, and requests a second.

use std::{rc::Rc, time::Duration};

use tokio::time::sleep;

use super::{
    exchange::Exchange,
    load::{Load, Until},
    process::Process,
};

/// How long the processes may go on with what the last requests left, such as writing the log.
const SETTLE: Duration = Duration::from_millis(20);

/// Adds up phases of the load.
pub(crate) struct Meter<'p> {
    processes: Vec<&'p Process>,
    cpu: Vec<Duration>,
    requests: u32,
    took: Duration,
}

/// What one request costs.
#[derive(Clone, Debug)]
pub(crate) struct Cost {
    /// The CPU time for each request, in microseconds, of each measured process.
    pub(crate) cpu_us: Vec<f64>,
    pub(crate) per_second: f64,
}

impl<'p> Meter<'p> {
    pub(crate) fn of(processes: &[&'p Process]) -> Self {
        Self {
            processes: processes.to_vec(),
            cpu: vec![Duration::ZERO; processes.len()],
            requests: 0,
            took: Duration::ZERO,
        }
    }

    /// Sends the exchanges and measures them.
    pub(crate) async fn send(&mut self, load: &mut Load, exchanges: &Rc<[Exchange]>, until: Until) {
        sleep(SETTLE).await;
        let before: Vec<_> = self.processes.iter().map(|process| process.cpu_time()).collect();
        let sent = load.send(exchanges, until).await;
        sleep(SETTLE).await;
        for ((cpu, process), before) in self.cpu.iter_mut().zip(&self.processes).zip(&before) {
            *cpu += process.cpu_time().since(before);
        }
        self.requests += sent.requests;
        self.took += sent.took;
    }

    pub(crate) fn cost(&self) -> Cost {
        let requests = f64::from(self.requests);
        let per_request = |cpu: &Duration| cpu.as_secs_f64() * 1e6 / requests;
        Cost {
            cpu_us: self.cpu.iter().map(per_request).collect(),
            per_second: requests / self.took.as_secs_f64(),
        }
    }
}
