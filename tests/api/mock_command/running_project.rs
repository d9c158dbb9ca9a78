//! A mock that runs a command, which prints its environment and waits until the test has finished.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, ChildStdin, Stdio},
};

use crate::harness::Request;

use super::mock;

/// Prints the environment and an empty line, and ends when standard input is closed.
const COMMAND: [&str; 4] = ["--", "sh", "-c", "env; echo; cat"];

/// A running `logout-gateway mock … -- <command>`, which ends when this is dropped.
pub(super) struct RunningProject {
    process: Child,
    stdin: Option<ChildStdin>,
    /// The environment of the command.
    pub(super) variables: BTreeMap<String, String>,
}

impl RunningProject {
    pub(super) fn start(flags: &[&str]) -> Self {
        let mut command = mock(&[flags, &COMMAND].concat());
        // The variables of another gateway, which the command must not use.
        command.env("SUPABASE_URL", "http://evil.invalid").env("GATEWAY_SECRET", "short");
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let variables = lines
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned())))
            .collect();
        let stdin = process.stdin.take();
        Self { process, stdin, variables }
    }

    /// The address in the URL that this variable has.
    pub(super) fn address(&self, variable: &str) -> SocketAddr {
        self.variables[variable].strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// A request to the mock.
    pub(super) fn request(&self, method: &str, target: &str) -> Request {
        Request::new(self.address("SUPABASE_URL"), method, target)
    }

    /// Lets the command end. Returns the exit status of the mock.
    pub(super) fn finish(mut self) -> Option<i32> {
        drop(self.stdin.take());
        self.process.wait().unwrap().code()
    }
}

impl Drop for RunningProject {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.process.wait();
    }
}
