//! The processes that the benchmark starts. Each is ended, by its id, when its value is dropped: after the
//! measurement, after a failure, and after a signal to the benchmark.

use std::{
    fs,
    io::{PipeReader, Read as _, pipe},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::{
    exchange::Connection,
    usage::{CpuTime, Memory},
};

/// The longest time that a process may take to answer its first request.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How much of a process's log the message about a failure shows.
const LOG_END: usize = 4000;

/// A running process and its children.
pub(crate) struct Process {
    pub(crate) address: SocketAddr,
    child: Child,
    /// The process and its children, such as the workers of nginx.
    pids: Vec<u32>,
    log: Log,
}

/// What a process writes to its standard output and error. As a container runtime does, a thread reads the pipe.
#[derive(Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Process {
    /// Starts the command and waits until `GET target` at `address` is answered with `status`. Returns the
    /// process, and how long that took.
    pub(crate) async fn start(
        name: &'static str,
        command: Command,
        address: SocketAddr,
        (target, status): (&str, u16),
    ) -> (Self, Duration) {
        let request = format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        let has_started = async || answer(address, request.as_bytes()).await == Some(status);
        Self::start_until(name, command, address, has_started).await
    }

    /// Starts the command of a server that does not speak HTTP, and waits until it accepts a connection.
    pub(crate) async fn start_listening(
        name: &'static str,
        command: Command,
        address: SocketAddr,
    ) -> Self {
        let has_started = async || Connection::open(address).await.is_ok();
        Self::start_until(name, command, address, has_started).await.0
    }

    async fn start_until(
        name: &'static str,
        mut command: Command,
        address: SocketAddr,
        has_started: impl AsyncFn() -> bool,
    ) -> (Self, Duration) {
        let (reader, writer) = pipe().unwrap();
        command.stdin(Stdio::null()).stdout(writer.try_clone().unwrap()).stderr(writer);
        let start = Instant::now();
        let child =
            command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        // The command has the writing end of the pipe, which the log's thread must see closed.
        drop(command);
        let mut process = Self { address, pids: vec![child.id()], child, log: Log::read(reader) };
        while !has_started().await {
            let exited = process.child.try_wait().unwrap();
            assert!(exited.is_none(), "{name} has exited: {exited:?}\n{}", process.log.end());
            assert!(start.elapsed() < START_LIMIT, "{name} does not answer\n{}", process.log.end());
            // The runtime's timers are too coarse for this, and nothing else runs on it meanwhile.
            pause(Duration::from_micros(100));
        }
        let took = start.elapsed();
        // nginx may answer before it has started its last worker.
        sleep(Duration::from_millis(100)).await;
        process.pids.extend(children(process.child.id()));
        (process, took)
    }

    /// The number of processes that are measured together.
    pub(crate) fn processes(&self) -> usize {
        self.pids.len()
    }

    /// The CPU time of the process and its children, up to now.
    pub(crate) fn cpu_time(&self) -> CpuTime {
        CpuTime::of_processes(&self.pids)
    }

    /// The resident memory of the process and its children, in bytes. What they share, such as the program, counts
    /// once: as much as the process with the most shared pages has.
    pub(crate) fn memory_bytes(&self) -> f64 {
        let memories: Vec<_> = self.pids.iter().map(|pid| Memory::of_process(*pid)).collect();
        let shared = memories.iter().map(|memory| memory.shared).fold(0.0, f64::max);
        shared + memories.iter().map(|memory| memory.private).sum::<f64>()
    }
}

impl Log {
    /// The end of what the process writes to this pipe, which a thread reads until the process closes it.
    fn read(mut pipe: PipeReader) -> Self {
        let log = Self::default();
        let end = log.0.clone();
        thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(length @ 1..) = pipe.read(&mut buffer) {
                let mut end = end.lock().unwrap();
                end.extend_from_slice(&buffer[length.saturating_sub(LOG_END)..length]);
                let excess = end.len().saturating_sub(LOG_END);
                end.drain(..excess);
            }
        });
        log
    }

    fn end(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Drop for Process {
    /// Asks the process to end with its children; a process that does not is killed, and so are its children.
    fn drop(&mut self) {
        const PATIENCE: Duration = Duration::from_secs(3);
        let start = Instant::now();
        signal("TERM", &[self.child.id()]);
        while matches!(self.child.try_wait(), Ok(None)) && start.elapsed() < PATIENCE {
            pause(Duration::from_millis(1));
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            // Of the ids, only those of processes that have not been waited for still name these processes.
            signal("KILL", &self.pids);
        }
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "short, and nothing else runs meanwhile")]
fn pause(time: Duration) {
    thread::sleep(time);
}

fn signal(name: &str, pids: &[u32]) {
    let ids = pids.iter().map(u32::to_string);
    let _ = Command::new("kill").arg(format!("-{name}")).args(ids).stderr(Stdio::null()).status();
}

/// The status of the response to a request on a new connection; `None` if there is none.
async fn answer(address: SocketAddr, request: &[u8]) -> Option<u16> {
    let mut connection = Connection::open(address).await.ok()?;
    let response = connection.response(request).await.ok()?;
    Some(response.status)
}

/// The ids of the processes whose parent is `parent`.
fn children(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The fields behind the program's name, which is in parentheses: state, parent.
        let parent_of = |fields: &str| fields.split_whitespace().nth(1)?.parse::<u32>().ok();
        stat.rsplit_once(')').and_then(|(_, fields)| parent_of(fields)) == Some(parent)
    };
    pids.filter(is_child).collect()
}

/// An address of the loopback interface whose port no program used a moment ago.
pub(crate) fn free_address() -> SocketAddr {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    TcpListener::bind(any).unwrap().local_addr().unwrap()
}
