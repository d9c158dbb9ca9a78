//! The gateway's binary, run as an operator runs it: with environment variables, a log, signals and an exit
//! status.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read as _},
    mem,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel, sync_channel},
    thread,
    time::{Duration, Instant},
};

use gotrue_mock::TEST_SECRET;
use logout_gateway::{Gateway, ListenAddress};
use serde_json::Value;

use super::{Request, SECRET, TestApp, eventually, leak_check};

/// The path of the gateway's binary, which Cargo passes to the tests and benchmarks of the package.
pub fn gateway_binary() -> PathBuf {
    env::var_os("CARGO_BIN_EXE_logout-gateway").expect("run by cargo").into()
}

/// A command that runs the gateway's binary without the privilege of root to ignore file permissions.
pub fn unprivileged_gateway() -> Command {
    let binary = gateway_binary();
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return Command::new(binary);
    }
    let mut command = Command::new("setpriv");
    command.arg("--bounding-set=-dac_override,-dac_read_search").arg(binary);
    command
}

/// The value of `SUPABASE_PUBLISHABLE_KEY` for every [`GatewayProcess`].
pub const API_KEY: &str = "sb_publishable_of_the_tests";
/// The longest time to wait for a log line, or for the exit of a process that cannot start.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A child process that is killed when it is dropped, which also ends the thread that reads its log.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running `logout-gateway serve`, whose log the test reads. The process is killed when this is dropped.
pub struct GatewayProcess {
    process: Process,
    /// The address of the public listener, as the log line `listening` names it.
    pub listen_address: ListenAddress,
    /// The address of the public listener; unspecified if it is a unix socket.
    pub address: SocketAddr,
    pub admin_address: Option<SocketAddr>,
    log: Receiver<String>,
    /// All log lines that the test has taken from `log`, as one text.
    read: String,
}

/// Reads a log line by line on a thread. If `as_it_comes` is true, the thread reads all lines at once.
/// Otherwise it reads a line only when the test has taken the line before, so that the pipe fills up.
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
    /// Starts the binary, with the app's mock as its Supabase project, and waits until the gateway is ready.
    /// The variables in `environment` are added to the usual ones.
    pub async fn start(app: &TestApp, environment: &[(&str, &str)]) -> Self {
        let command = Command::new(gateway_binary());
        Self::start_with_command(command, app, environment).await
    }

    /// Like [`Self::start`], but reads a log line only when the test asks for one, so that the pipe fills up.
    pub async fn start_with_unread_log(app: &TestApp, environment: &[(&str, &str)]) -> Self {
        let command = Command::new(gateway_binary());
        Self::launch(command, app, environment, false).await
    }

    /// Like [`Self::start`], with a command that executes the binary, such as a shell that sets limits first.
    /// The method adds `serve` as the command's last argument.
    pub async fn start_with_command(
        command: Command,
        app: &TestApp,
        environment: &[(&str, &str)],
    ) -> Self {
        Self::launch(command, app, environment, true).await
    }

    async fn launch(
        mut command: Command,
        app: &TestApp,
        environment: &[(&str, &str)],
        read_at_once: bool,
    ) -> Self {
        let mut process = serve(&mut command, app, environment);
        let log = lines(BufReader::new(process.0.stderr.take().unwrap()), read_at_once);
        let (log, listening, read) = tokio::task::spawn_blocking(move || {
            let mut read = String::new();
            let listening = read_up_to("listening", &log, &mut read);
            (log, listening, read)
        })
        .await
        .unwrap();
        let address_in = |field: &str| listening[field].as_str().map(listen_address);
        let listen_address = address_in("address").unwrap();
        let address = listen_address.tcp().unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into());
        let admin_address = address_in("admin_address").and_then(|address| address.tcp());
        let gateway = Self { process, listen_address, address, admin_address, log, read };
        let ready = async || gateway.request("GET", "/readyz").send().await.status == 200;
        eventually("ready", ready).await;
        gateway
    }

    /// Starts the binary with settings that make it exit. Returns the exit status and the log.
    pub async fn expect_start_failure(
        app: &TestApp,
        environment: &[(&str, &str)],
    ) -> (Option<i32>, String) {
        let mut command = Command::new(gateway_binary());
        let mut process = serve(&mut command, app, environment);
        let started = Instant::now();
        let status = loop {
            if let Some(status) = process.0.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < TIMEOUT, "the gateway did not exit");
            tokio::time::sleep(Duration::from_millis(2)).await;
        };
        let mut log = String::new();
        process.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        leak_check::record_log(&log);
        (status.code(), log)
    }

    pub fn request(&self, method: &str, target: &str) -> Request {
        Request::to(self.listen_address.clone(), method, target)
    }

    /// The id of the process, for signals and for `/proc`.
    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// Sends the signal with this name, such as `TERM` or `KILL`, to the process.
    pub fn signal(&self, name: &str) {
        let (flag, id) = (format!("-{name}"), self.pid().to_string());
        assert!(Command::new("kill").args([flag, id]).status().unwrap().success());
    }

    /// The exit status of the process, or `None` while it runs.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.process.0.try_wait().unwrap()
    }

    /// Reads the log up to the first line whose message is `message`, and returns that line.
    pub fn wait_for_log(&mut self, message: &str) -> Value {
        read_up_to(message, &self.log, &mut self.read)
    }

    /// Returns the channel of the log lines that are still unread. Later reads of this process find none.
    pub fn take_log(&mut self) -> Receiver<String> {
        mem::replace(&mut self.log, channel().1)
    }

    /// All log lines that the test has read so far, as one text.
    pub fn log_so_far(&self) -> &str {
        &self.read
    }

    /// Waits until the process exits; returns its exit status and its whole log.
    pub fn wait_for_exit(mut self) -> (ExitStatus, Log) {
        self.read.extend(self.log.iter());
        let status = self.process.0.wait().unwrap();
        let json = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        let lines = self.read.lines().map(json).collect();
        (status, Log { lines, text: self.read.clone() })
    }

    /// Sends `TERM`, asserts that the process exits with status 0, and returns the whole log.
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

/// The addresses of a gateway that listens on TCP: of the public and of the admin listener.
pub(super) fn addresses(gateway: &Gateway) -> (SocketAddr, Option<SocketAddr>) {
    let admin_address = gateway.admin_address.as_ref().and_then(ListenAddress::tcp);
    (gateway.address.tcp().unwrap(), admin_address)
}

/// The address that a log line names.
fn listen_address(text: &str) -> ListenAddress {
    match text.strip_prefix("unix:") {
        Some(path) => ListenAddress::Unix(path.into()),
        None => ListenAddress::Tcp(text.parse().unwrap()),
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

/// Reads the log up to the first line whose message is `message`, and returns that line.
fn read_up_to(message: &str, log: &Receiver<String>, read: &mut String) -> Value {
    loop {
        let Ok(line) = log.recv_timeout(TIMEOUT) else {
            panic!("the log has no line {message:?}: {read}")
        };
        read.push_str(&line);
        let line: Value = serde_json::from_str(&line).unwrap();
        if line["message"] == message {
            return line;
        }
    }
}

/// The whole log of a process, as JSON lines and as text.
pub struct Log {
    pub lines: Vec<Value>,
    pub text: String,
}

impl Log {
    /// The audit line of the request with the id `id`; the test fails unless there is exactly one.
    #[track_caller]
    pub fn audit_line(&self, id: &str) -> &Value {
        let found = self.lines.iter().filter(|l| l["target"] == "audit" && l["request_id"] == id);
        let lines: Vec<&Value> = found.collect();
        assert_eq!(lines.len(), 1, "{id}: {lines:?}");
        lines[0]
    }

    /// Asserts that the log contains none of the texts in `secrets`.
    #[track_caller]
    pub fn assert_contains_none_of(&self, secrets: &[String]) {
        for secret in secrets {
            assert!(secret.len() > 8, "{secret} is so short that it may occur by chance");
            let line = self.text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{secret}");
        }
    }
}
