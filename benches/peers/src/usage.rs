//! What processes use, from `/proc`: CPU time and memory.

use std::{collections::HashMap, fs, time::Duration};

/// The CPU time of each thread of some processes, in user mode and in the kernel.
///
/// `schedstat` counts nanoseconds; the times in `stat` count ticks of 10 ms, too coarse for short rounds.
pub(crate) struct CpuTime(HashMap<u32, Duration>);

impl CpuTime {
    pub(super) fn of_processes(pids: &[u32]) -> Self {
        Self(pids.iter().flat_map(|pid| threads(*pid)).collect())
    }

    /// The time that the threads have used since `before`.
    ///
    /// Panics if a thread has ended since then, because its last time is not known.
    pub(crate) fn since(&self, before: &Self) -> Duration {
        let ended = before.0.keys().filter(|thread| !self.0.contains_key(thread)).count();
        assert_eq!(ended, 0, "threads ended during a measurement: their CPU time is unknown");
        let used = |(thread, time): (&u32, &Duration)| {
            time.saturating_sub(before.0.get(thread).copied().unwrap_or_default())
        };
        self.0.iter().map(used).sum()
    }
}

/// The threads of a process, each with its CPU time.
fn threads(pid: u32) -> Vec<(u32, Duration)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let time = |task: fs::DirEntry| {
        let schedstat = fs::read_to_string(task.path().join("schedstat")).ok()?;
        let nanoseconds = schedstat.split_whitespace().next()?.parse().ok()?;
        Some((task.file_name().to_str()?.parse().ok()?, Duration::from_nanos(nanoseconds)))
    };
    tasks.filter_map(time).collect()
}

/// The resident memory of a process, in bytes: pages of its own, and pages that other processes have too.
pub(super) struct Memory {
    pub(super) private: f64,
    pub(super) shared: f64,
}

impl Memory {
    pub(super) fn of_process(pid: u32) -> Self {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
        let sum = |prefix: &str| {
            let lines = rollup.lines().filter(|line| line.starts_with(prefix));
            let kilobytes = lines.map(|line| line.split_whitespace().nth(1).unwrap());
            kilobytes.map(|number| number.parse::<f64>().unwrap() * 1024.0).sum()
        };
        Self { private: sum("Private_"), shared: sum("Shared_") }
    }
}
