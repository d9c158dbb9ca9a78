//! A real Redis server that a test starts in its own directory and on its own port.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use redis::{Client, FromRedisValue, RedisResult, Value, cmd};
use tempfile::TempDir;

use super::eventually;

/// A running Redis server, which is killed when this is dropped.
pub struct RedisServer {
    directory: TempDir,
    port: u16,
    tls_port: Option<u16>,
    password: Option<String>,
    options: Vec<String>,
    process: Mutex<Option<Child>>,
}

impl RedisServer {
    /// Starts a server that writes every command to its disk before it replies.
    pub async fn start() -> Self {
        Self::start_with_options(&["--appendonly", "yes", "--appendfsync", "always"]).await
    }

    /// Starts a server with the command-line options `options`. All other options have Redis' defaults,
    /// except that the server takes no snapshots.
    pub async fn start_with_options(options: &[&str]) -> Self {
        Self::launch(options, None, None).await
    }

    /// Starts a server that requires `password`, which [`Self::url`] then contains.
    pub async fn start_with_password(password: &str) -> Self {
        Self::launch(&["--requirepass", password], Some(password.to_owned()), None).await
    }

    /// Starts a server that also accepts TLS connections, on a second port (see [`Self::tls_url`]).
    pub async fn start_with_tls() -> Self {
        Self::launch(&["--tls-auth-clients", "no"], None, Some(free_port())).await
    }

    async fn launch(options: &[&str], password: Option<String>, tls_port: Option<u16>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut options: Vec<String> = options.iter().map(|o| (*o).to_owned()).collect();
        if let Some(port) = tls_port {
            create_certificate(&directory);
            let file = |name| directory.path().join(name).to_str().unwrap().to_owned();
            let (cert, key) = (file("cert.pem"), file("key.pem"));
            options.extend(["--tls-port".to_owned(), port.to_string()]);
            options.extend(["--tls-cert-file".to_owned(), cert.clone()]);
            options.extend(["--tls-ca-cert-file".to_owned(), cert]);
            options.extend(["--tls-key-file".to_owned(), key]);
        }
        let port = free_port();
        let process = Mutex::new(None);
        let server = Self { directory, port, tls_port, password, options, process };
        server.restart().await;
        server
    }

    /// The server's URL, with its password if it has one, as the value of `GATEWAY_STORE`.
    pub fn url(&self) -> String {
        let Self { port, password, .. } = self;
        match password {
            Some(password) => format!("redis://:{password}@127.0.0.1:{port}"),
            None => format!("redis://127.0.0.1:{port}"),
        }
    }

    /// The server's URL for TLS connections; panics unless [`Self::start_with_tls`] started the server.
    pub fn tls_url(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.tls_port.unwrap())
    }

    /// The path of the server's self-signed certificate, in PEM.
    pub fn certificate(&self) -> String {
        self.directory.path().join("cert.pem").to_str().unwrap().to_owned()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs a Redis command, whose name and arguments are `words`, and returns its reply; panics on an error.
    pub fn command<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_command(words).unwrap()
    }

    /// Like [`Self::command`], but returns an error instead of panicking.
    pub fn try_command<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let mut connection = Client::open(self.url())?.get_connection()?;
        cmd(words[0]).arg(&words[1..]).query(&mut connection)
    }

    /// The number of times that all clients together have run this command since the server's start.
    pub fn command_calls(&self, command: &str) -> u64 {
        let stats: String = self.command(&["INFO", "commandstats"]);
        let calls = stats.lines().find_map(|line| {
            line.strip_prefix(&format!("cmdstat_{command}:calls="))?.split(',').next()
        });
        calls.map_or(0, |calls| calls.parse().unwrap())
    }

    /// All keys with their values as one text, so that a test can search them for secrets.
    pub fn dump(&self) -> String {
        let keys: Vec<String> = self.command(&["KEYS", "*"]);
        let lines = keys.iter().map(|key| {
            let kind: String = self.command(&["TYPE", key]);
            let words: &[&str] = match &*kind {
                "string" => &["GET", key],
                "hash" => &["HGETALL", key],
                "set" => &["SMEMBERS", key],
                "zset" => &["ZRANGE", key, "0", "-1", "WITHSCORES"],
                "list" => &["LRANGE", key, "0", "-1"],
                "stream" => &["XRANGE", key, "-", "+"],
                _ => panic!("{key} is a {kind}"),
            };
            format!("{key} {:?}\n", self.command::<Value>(words))
        });
        lines.collect()
    }

    /// Kills the server with SIGKILL, as the kernel does when memory runs out.
    pub fn kill(&self) {
        let mut process = self.process.lock().unwrap().take().expect("Redis runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Starts the server again on the same port, with the data that its disk has.
    pub async fn restart(&self) {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--logfile", "log"]);
        command.args(["--port", &self.port.to_string()]).args(&self.options);
        command.current_dir(self.directory.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let spawned = command.spawn().expect("redis-server is installed");
        *self.process.lock().unwrap() = Some(spawned);
        eventually("Redis answers PING", async || {
            let exit_status = self.process.lock().unwrap().as_mut().unwrap().try_wait().unwrap();
            let log = || fs::read_to_string(self.directory.path().join("log"));
            assert_eq!(exit_status, None, "{:?}", log());
            self.try_command::<String>(&["PING"]).is_ok()
        })
        .await;
    }

    /// Starts the server again on the same port, without any data.
    pub async fn restart_empty(&self) {
        fs::remove_dir_all(self.directory.path().join("appendonlydir")).unwrap();
        self.restart().await;
    }

    /// Stops the process with SIGSTOP until [`Self::resume`]; its connections stay open.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, flag: &str) {
        let id = self.process.lock().unwrap().as_ref().expect("Redis runs").id().to_string();
        assert!(Command::new("kill").args([flag, &id]).status().unwrap().success());
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.lock().unwrap().take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// A port that no program used a moment ago.
fn free_port() -> u16 {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    TcpListener::bind(any).unwrap().local_addr().unwrap().port()
}

/// Writes a private key and a self-signed certificate for 127.0.0.1 into `directory`.
fn create_certificate(directory: &TempDir) {
    let extensions = "[req]\ndistinguished_name = name\nx509_extensions = v3\n[name]\n[v3]\n\
                      subjectAltName = IP:127.0.0.1\nbasicConstraints = CA:FALSE\n";
    fs::write(directory.path().join("openssl.cnf"), extensions).unwrap();
    let mut command = Command::new("openssl");
    command.args([
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=redis",
    ]);
    command.args(["-config", "openssl.cnf", "-keyout", "key.pem", "-out", "cert.pem"]);
    let made = command.current_dir(directory.path()).output().expect("openssl is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
