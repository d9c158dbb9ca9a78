//! Ends the processes that a command leaves behind, such as a development server that its test runner did not stop. A
//! CI job would otherwise wait for them, because they keep its output open.
//!
//! Only Linux can do this: a process whose parent has ended becomes a child of the nearest ancestor that is a child
//! subreaper (prctl(2)). On other systems such processes go on.

use std::{collections::HashSet, fs, time::Duration};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitOptions, kill_process, wait},
};
use tokio::{
    signal::unix,
    time::{Instant, timeout},
};

/// How long a process may take to end after SIGTERM. It then gets SIGKILL.
const TIME_TO_END: Duration = Duration::from_secs(2);
/// How often to look for more children: a process hands its children over when it ends.
const PAUSE: Duration = Duration::from_millis(20);

/// Makes this process the parent of the command's orphans.
pub(super) fn adopt() {
    #[cfg(target_os = "linux")]
    // An error means a kernel before 3.4: the orphans then go on.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// The children of this process. The list is empty on systems without `/proc`.
pub(super) fn children() -> HashSet<Pid> {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split(' ').filter_map(parse_pid).collect::<Vec<_>>()).collect()
}

fn parse_pid(text: &str) -> Option<Pid> {
    Pid::from_raw(text.trim().parse().ok()?)
}

/// Ends all children of this process except those that it had `earlier`: a shell that becomes the mock by `exec` may
/// have started others. `child_ended` is the handler of SIGCHLD.
pub(super) async fn end(earlier: &HashSet<Pid>, child_ended: &mut unix::Signal) {
    let started = Instant::now();
    let mut asked = HashSet::new();
    while started.elapsed() < 2 * TIME_TO_END && !reap(earlier) {
        for child in children().difference(earlier) {
            // Ignore the errors: the process has just ended, or runs as another user.
            if started.elapsed() >= TIME_TO_END {
                let _ = kill_process(*child, Signal::KILL);
            } else if asked.insert(*child) {
                let _ = kill_process(*child, Signal::TERM);
            }
        }
        let _ = timeout(PAUSE, child_ended.recv()).await;
    }
}

/// Reaps the children that have ended. Returns whether none is left except those that this process had `earlier`.
fn reap(earlier: &HashSet<Pid>) -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            // There are children. While those of `earlier` run, wait(2) does not fail with ECHILD: look at the list of
            // children.
            Ok(None) => return !earlier.is_empty() && children().is_subset(earlier),
            Err(error) => return error == Errno::CHILD,
        }
    }
}
