//! On what machine and with what versions a run was made.

use std::{fs, num::NonZero, thread::available_parallelism};

use super::{clock::now, subjects};

/// One line for the machine, and one for the gateway; the caller adds the other subjects' versions.
pub(crate) fn describe(binary: &std::path::Path) -> Vec<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown CPU");
    let model = model.trim_start_matches([' ', '\t', ':']);
    let cores = available_parallelism().map_or(1, NonZero::get);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    vec![
        format!(
            "{}: {model}, {cores} cores, Linux {}, load average {load} at the start",
            httpdate::fmt_http_date(now()),
            kernel.trim()
        ),
        subjects::version(binary, "--version").unwrap_or_else(|| "no gateway".to_owned()),
    ]
}

/// The CPU time that all programs, and that this one with its children, have used up to now, in ticks of 10 ms.
pub(crate) struct Share {
    all: f64,
    own: f64,
    /// With idle time.
    total: f64,
}

impl Share {
    pub(crate) fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap();
        // The time of all cores: user, nice, system, idle, iowait, irq, softirq, steal; what follows is part of user.
        let times = numbers(stat.lines().next().unwrap().trim_start_matches("cpu"));
        let total = times[..8].iter().sum::<f64>();
        let own = fs::read_to_string("/proc/self/stat").unwrap();
        // The fields behind the program's name: the 12th to 15th are utime, stime, cutime, cstime.
        let fields: Vec<_> = own.rsplit_once(')').unwrap().1.split_whitespace().skip(11).collect();
        let own = numbers(&fields[..4].join(" ")).iter().sum();
        Self { all: total - times[3] - times[4], own, total }
    }

    /// What other programs have used since `before`, of the CPU time of all cores. Children count once they have ended.
    pub(crate) fn of_others_since(&self, before: &Self) -> String {
        let others = (self.all - before.all) - (self.own - before.own);
        let percent = 100.0 * others.max(0.0) / (self.total - before.total);
        format!("Other programs used {percent:.0} % of the machine's CPU time during the run.")
    }
}

fn numbers(text: &str) -> Vec<f64> {
    text.split_whitespace().map(|number| number.parse().unwrap()).collect()
}
