//! What a process used of the CPU, by the kernel's own count.

use std::time::Duration;

/// What `/proc` counts in: `USER_HZ` is 100 on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// CPU time that a process has used.
#[derive(Clone, Copy)]
pub struct CpuTime {
    pub user: Duration,
    pub system: Duration,
}

impl CpuTime {
    pub fn of_process(pid: u32) -> Self {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        // The name before may hold anything, blanks included.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let time = |at: usize| TICK * fields[at].parse::<u32>().unwrap();
        Self { user: time(11), system: time(12) }
    }
}
