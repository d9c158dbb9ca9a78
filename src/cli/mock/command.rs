//! Runs the command of `logout-gateway mock -- <command>`, and ends with its status.
//!
//! 1. The command inherits standard input, output and error as they are. The mock writes only to standard error.
//! 2. The command stays in the process group of the mock, as with `env` and `timeout --foreground`. A command in a
//!    group of its own could not read the terminal, and Ctrl-Z would not stop it.
//! 3. The signals that end a process are passed on to the command, and the mock waits for it. The exceptions are SIGINT
//!    and SIGQUIT while the process group is in the foreground of a terminal: the keys of the terminal have then sent
//!    them to the command already, and test runners take a second SIGINT as the wish to end at once.
//! 4. The exit status is the command's, and as in a shell 128 plus the number of the signal that ended it, 127 if it is
//!    not found, 126 if it cannot be executed.
//! 5. On Linux, the processes that the command leaves behind are ended, too: see `leftovers`.
//! 6. SIGKILL ends the mock alone: the command goes on without it. Only the command itself could ask the kernel for a
//!    signal at the end of its parent (`PR_SET_PDEATHSIG`), and there is no safe way to run code between fork and exec.

use std::{fs::File, future::poll_fn, io, process::Command, task::Poll};

use rustix::{
    process::{Pid, Signal, WaitOptions, WaitStatus, getpgrp, kill_process, wait},
    termios::tcgetpgrp,
};
use tokio::signal::unix::{self, SignalKind, signal};

use super::leftovers;

/// The exit status for a command that does not exist, as in a shell.
const NOT_FOUND: u8 = 127;
/// The exit status for a command that cannot be executed, as in a shell.
const NOT_EXECUTABLE: u8 = 126;

/// The signals that are passed on to the command.
const PASSED_ON: [(Signal, SignalKind); 7] = [
    (Signal::TERM, SignalKind::terminate()),
    (Signal::INT, SignalKind::interrupt()),
    (Signal::HUP, SignalKind::hangup()),
    (Signal::QUIT, SignalKind::quit()),
    (Signal::USR1, SignalKind::user_defined1()),
    (Signal::USR2, SignalKind::user_defined2()),
    (Signal::ALARM, SignalKind::alarm()),
];

/// The handlers of the signals that concern the command.
pub(super) struct Supervisor {
    signals: Handlers,
    child: unix::Signal,
}

struct Handlers(Vec<(Signal, unix::Signal)>);

impl Handlers {
    /// Waits for the next signal.
    async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            let mut handlers = self.0.iter_mut();
            let came = handlers.find_map(|(signal, handler)| {
                handler.poll_recv(context).is_ready().then_some(*signal)
            });
            came.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

impl Supervisor {
    /// Installs the handlers. From then on these signals do not end the process by themselves.
    pub(super) fn new() -> io::Result<Self> {
        let handlers = PASSED_ON.into_iter().map(|(number, kind)| Ok((number, signal(kind)?)));
        let signals = Handlers(handlers.collect::<io::Result<_>>()?);
        Ok(Self { signals, child: signal(SignalKind::child())? })
    }

    /// Waits for the next signal that asks the command to end.
    pub(super) async fn next_signal(&mut self) -> Signal {
        self.signals.next().await
    }

    /// Runs the command and returns the exit status of the mock.
    pub(super) async fn run(mut self, mut command: Command) -> u8 {
        leftovers::adopt();
        let earlier = leftovers::children();
        let child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                eprintln!("error: cannot run {}: {error}", command.get_program().display());
                let is_missing = error.kind() == io::ErrorKind::NotFound;
                return if is_missing { NOT_FOUND } else { NOT_EXECUTABLE };
            }
        };
        let status = self.wait_for(Pid::from_child(&child)).await;
        leftovers::end(&earlier, &mut self.child).await;
        status
    }

    /// Waits until the process has ended, and passes signals on to it.
    async fn wait_for(&mut self, command: Pid) -> u8 {
        loop {
            // Reap every child, because the command's orphans are children of this process, too.
            while let Ok(Some((ended, status))) = wait(WaitOptions::NOHANG) {
                if ended == command {
                    return exit_status(status);
                }
            }
            tokio::select! {
                _ = self.child.recv() => {}
                signal = self.signals.next() => {
                    let is_of_terminal = matches!(signal, Signal::INT | Signal::QUIT);
                    if !(is_of_terminal && is_in_foreground()) {
                        pass_on(command, signal);
                    }
                }
            }
        }
    }
}

/// Sends the signal to the command, whose id is its own until it has been reaped.
fn pass_on(command: Pid, signal: Signal) {
    // Ignore the error of a command that runs as another user, such as `sudo`: it has its own signals.
    let _ = kill_process(command, signal);
}

/// Whether the process has a terminal, and is in its foreground process group.
fn is_in_foreground() -> bool {
    let group = File::open("/dev/tty").ok().and_then(|terminal| tcgetpgrp(terminal).ok());
    group == Some(getpgrp())
}

/// The exit status with which a shell reports the end of a process.
fn exit_status(status: WaitStatus) -> u8 {
    let code = status.exit_status().or(status.terminating_signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// The exit status of a mock that a signal ends before the command runs.
pub(super) fn status_of_signal(signal: Signal) -> u8 {
    u8::try_from(128 + signal.as_raw()).unwrap_or(u8::MAX)
}
