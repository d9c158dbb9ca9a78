//! The CPU time of a process, from `/proc/<pid>/stat`.

use std::time::Duration;

/// The unit of CPU times in `/proc`: Linux always sets `USER_HZ`, the number of ticks per second, to 100.
const TICK: Duration = Duration::from_millis(10);

/// The CPU time that a process has used since its start.
#[derive(Clone, Copy)]
pub struct CpuTime {
    pub user: Duration,
    pub system: Duration,
}

impl CpuTime {
    pub fn of_process(pid: u32) -> Self {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        // Split after the last `)`: the program's name, in parentheses before it, may contain spaces.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let time = |field: usize| TICK * fields[field].parse::<u32>().unwrap();
        Self { user: time(11), system: time(12) }
    }
}
