//! The real binary, as an operator runs it: environment, log, signals, exit status.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read as _},
    mem,
    net::SocketAddr,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel, sync_channel},
    thread,
    time::{Duration, Instant},
};

use gotrue_mock::TEST_SECRET;
use serde_json::Value;

use super::{Request, SECRET, TestApp, eventually, leak_check};

/// The path of the gateway's binary. Cargo builds it for the tests and benchmarks of its package, and sets the
/// variable when it runs them.
pub fn gateway_binary() -> PathBuf {
    env::var_os("CARGO_BIN_EXE_logout-gateway").expect("run by cargo").into()
}

/// The binary, without root's privilege to do what permissions forbid.
pub fn unprivileged_gateway() -> Command {
    let binary = gateway_binary();
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return Command::new(binary);
    }
    let mut command = Command::new("setpriv");
    command.arg("--bounding-set=-dac_override,-dac_read_search").arg(binary);
    command
}

/// The `apikey` of a [`GatewayProcess`].
pub const API_KEY: &str = "sb_publishable_of_the_tests";
const PATIENCE: Duration = Duration::from_secs(20);

/// Killed with the test, which also ends the thread that reads its log.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `serve` with its log in a pipe.
pub struct GatewayProcess {
    process: Process,
    pub address: SocketAddr,
    pub admin_address: Option<SocketAddr>,
    log: Receiver<String>,
    /// What came of it so far.
    read: String,
}

/// Reads a log line by line, as it comes, or only when the test asks for the next line.
fn lines(mut log: BufReader<ChildStderr>, as_it_comes: bool) -> Receiver<String> {
    type Send = Box<dyn Fn(String) -> bool + std::marker::Send>;
    let (send, lines): (Send, _) = if as_it_comes {
        let (sender, lines) = channel();
        (Box::new(move |line| sender.send(line).is_ok()), lines)
    } else {
        let (sender, lines) = sync_channel(0);
        (Box::new(move |line| sender.send(line).is_ok()), lines)
    };
    thread::spawn(move || {
        let mut line = String::new();
        while log.read_line(&mut line).is_ok_and(|length| length > 0) && send(mem::take(&mut line))
        {
        }
    });
    lines
}

impl GatewayProcess {
    /// Beside the test app's mock, with these variables besides the usual ones.
    pub async fn start(app: &TestApp, environment: &[(&str, &str)]) -> Self {
        let command = Command::new(gateway_binary());
        Self::start_with_command(command, app, environment).await
    }

    /// The same, but its log is read only when the test asks for a line.
    pub async fn start_with_unread_log(app: &TestApp, environment: &[(&str, &str)]) -> Self {
        let command = Command::new(gateway_binary());
        Self::begin(command, app, environment, false).await
    }

    /// The same by a command that becomes the binary, such as a shell that sets limits first; it is
    /// given `serve` as its last word.
    pub async fn start_with_command(
        command: Command,
        app: &TestApp,
        environment: &[(&str, &str)],
    ) -> Self {
        Self::begin(command, app, environment, true).await
    }

    async fn begin(
        mut command: Command,
        app: &TestApp,
        environment: &[(&str, &str)],
        read: bool,
    ) -> Self {
        let mut process = serve(&mut command, app, environment);
        let log = lines(BufReader::new(process.0.stderr.take().unwrap()), read);
        let (log, listening, read) = tokio::task::spawn_blocking(move || {
            let mut read = String::new();
            let listening = read_up_to("listening", &log, &mut read);
            (log, listening, read)
        })
        .await
        .unwrap();
        let at = |field: &str| listening[field].as_str().map(|address| address.parse().unwrap());
        let (address, admin_address) = (at("address").unwrap(), at("admin_address"));
        let gateway = Self { process, address, admin_address, log, read };
        let ready = async || gateway.request("GET", "/readyz").send().await.status == 200;
        eventually("ready", ready).await;
        gateway
    }

    /// What it says when it cannot start, and the exit status.
    pub async fn expect_start_failure(
        app: &TestApp,
        environment: &[(&str, &str)],
    ) -> (Option<i32>, String) {
        let mut command = Command::new(gateway_binary());
        let mut process = serve(&mut command, app, environment);
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = process.0.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "it goes on");
            tokio::time::sleep(Duration::from_millis(2)).await;
        };
        let mut said = String::new();
        process.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        leak_check::record_log(&said);
        (status.code(), said)
    }

    pub fn request(&self, method: &str, target: &str) -> Request {
        Request::new(self.address, method, target)
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// Sends `TERM` or `INT`.
    pub fn signal(&self, name: &str) {
        let (flag, id) = (format!("-{name}"), self.pid().to_string());
        assert!(Command::new("kill").args([flag, id]).status().unwrap().success());
    }

    /// The exit status, if it has ended.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.process.0.try_wait().unwrap()
    }

    /// Reads its log up to the line of that message.
    pub fn wait_for_log(&mut self, message: &str) -> Value {
        read_up_to(message, &self.log, &mut self.read)
    }

    /// Hands over the rest of its log: the test reads it by itself.
    pub fn take_log(&mut self) -> Receiver<String> {
        mem::replace(&mut self.log, channel().1)
    }

    /// What was read of its log.
    pub fn log_so_far(&self) -> &str {
        &self.read
    }

    /// Waits for its end: exit status and the whole log.
    pub fn wait_for_exit(mut self) -> (ExitStatus, Log) {
        self.read.extend(self.log.iter());
        let status = self.process.0.wait().unwrap();
        let json = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        let lines = self.read.lines().map(json).collect();
        (status, Log { lines, text: self.read.clone() })
    }

    /// Its whole log, once it has ended well.
    pub fn stop(self) -> Log {
        self.signal("TERM");
        let (status, log) = self.wait_for_exit();
        assert_eq!(status.code(), Some(0), "{}", log.text);
        log
    }
}

impl Drop for GatewayProcess {
    fn drop(&mut self) {
        let _ = self.process.0.kill();
        self.read.extend(self.log.iter());
        leak_check::record_log(&self.read);
    }
}

fn serve(command: &mut Command, app: &TestApp, environment: &[(&str, &str)]) -> Process {
    command.arg("serve").env_clear().envs([
        ("SUPABASE_URL", app.mock.url()),
        ("SUPABASE_PUBLISHABLE_KEY", API_KEY),
        ("SUPABASE_JWT_SECRET", TEST_SECRET),
        ("GATEWAY_SECRET", SECRET),
        ("GATEWAY_BIND", "127.0.0.1:0"),
        ("GATEWAY_ADMIN_BIND", "off"),
        ("GATEWAY_THREADS", "1"),
        ("RUST_LOG", leak_check::log_filter()),
    ]);
    command.envs(environment.iter().copied());
    for (name, value) in
        command.get_envs().filter_map(|(name, value)| name.to_str().zip(value?.to_str()))
    {
        leak_check::record_setting(name, value);
    }
    Process(command.stderr(Stdio::piped()).spawn().unwrap())
}

/// Answers the line of that message.
fn read_up_to(message: &str, log: &Receiver<String>, read: &mut String) -> Value {
    loop {
        let Ok(line) = log.recv_timeout(PATIENCE) else { panic!("{message}: {read}") };
        read.push_str(&line);
        let line: Value = serde_json::from_str(&line).unwrap();
        if line["message"] == message {
            return line;
        }
    }
}

/// What a process wrote.
pub struct Log {
    pub lines: Vec<Value>,
    pub text: String,
}

impl Log {
    /// The only audit line of that request.
    #[track_caller]
    pub fn audit_line(&self, id: &str) -> &Value {
        let of_it = self.lines.iter().filter(|l| l["target"] == "audit" && l["request_id"] == id);
        let lines: Vec<&Value> = of_it.collect();
        assert_eq!(lines.len(), 1, "{id}: {lines:?}");
        lines[0]
    }

    #[track_caller]
    pub fn assert_contains_none_of(&self, secrets: &[String]) {
        for secret in secrets {
            assert!(secret.len() > 8, "too short to tell: {secret}");
            let line = self.text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{secret}");
        }
    }
}
