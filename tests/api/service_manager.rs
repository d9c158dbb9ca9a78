//! The gateway as a service of systemd: the sockets that systemd passes, and the notifications that it gets.

mod activation;
mod wrong_sockets;

use std::{
    net::{TcpListener, TcpStream},
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    process::{Command, Stdio},
    time::Duration,
};

use logout_gateway::Clock;
use serde_json::json;

use crate::harness::{Connection, GatewayProcess, Setup, TestApp, eventually, gateway_binary};

const TIMEOUT: Duration = Duration::from_secs(20);

/// The app runs on the system's clock, because the real binary runs on it.
async fn start_app() -> TestApp {
    Setup::new().start_time(Clock::system().unix_seconds()).start().await
}

/// A command that passes descriptors to the binary as systemd does: from number 3 on, with their number, their names
/// and the id of the process in variables. A shell moves the descriptors there from the standard streams.
fn passing(descriptors: Vec<OwnedFd>, names: Option<&str>) -> Command {
    let mut command = Command::new("/bin/sh");
    let names = names.map(|names| format!("export LISTEN_FDNAMES={names}; ")).unwrap_or_default();
    let script = format!(
        "exec 3<&0 4<&1; {names}export LISTEN_PID=$$ LISTEN_FDS={}; exec \"$0\" \"$@\"",
        descriptors.len()
    );
    command.args(["-c", &script]).arg(gateway_binary());
    let mut descriptors = descriptors.into_iter();
    for stream in [Command::stdin, Command::stdout] {
        stream(&mut command, descriptors.next().map_or(Stdio::null(), Stdio::from));
    }
    assert!(descriptors.next().is_none(), "the shell passes two descriptors");
    command
}

/// Receives the next notification, as lines.
async fn receive(socket: &UnixDatagram) -> Vec<String> {
    let socket = socket.try_clone().unwrap();
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    let receive = move || {
        let mut octets = [0; 1024];
        let length = socket.recv(&mut octets).expect("a notification");
        String::from_utf8(octets[..length].to_vec()).unwrap().lines().map(str::to_owned).collect()
    };
    tokio::task::spawn_blocking(receive).await.unwrap()
}

#[tokio::test]
async fn systemd_learns_when_the_gateway_listens_and_when_it_begins_to_stop() {
    let app = start_app().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let notifications = UnixDatagram::bind(&path).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let bind = port.to_string();
    let environment = [("GATEWAY_BIND", &*bind), ("NOTIFY_SOCKET", path.to_str().unwrap())];
    let ready = async {
        let lines = receive(&notifications).await;
        (lines, TcpStream::connect(port).is_ok())
    };
    let (gateway, (lines, listens)) =
        tokio::join!(GatewayProcess::start(&app, &environment), ready);
    assert_eq!(lines, ["READY=1".to_owned(), format!("STATUS=listening on {bind}")]);
    assert!(listens, "a client can connect once the gateway is ready");

    let tokens = app.sign_up();
    app.inject_fault(json!({"operation": "logout", "kind": "delay", "seconds": 1.5, "times": 1}));
    let mut pending = Connection::open(gateway.address).await;
    let logout = gateway.request("POST", "/api/auth/logout").bearer(&tokens.access_token);
    pending.write(&logout.bytes(true)).await;
    eventually("GoTrue gets the logout", || async { !app.gotrue_calls("logout").is_empty() }).await;
    gateway.signal("TERM");
    let lines = receive(&notifications).await;
    assert_eq!(lines, ["STOPPING=1", "STATUS=waiting for requests in flight"]);
    assert!(app.is_alive(&tokens), "the logout is not done yet");
    assert_eq!(pending.reply(false).await.unwrap().status, 200);
    assert_eq!(gateway.wait_for_exit().0.code(), Some(0));
}

#[tokio::test]
async fn a_notification_that_fails_is_a_warning() {
    let app = start_app().await;
    let environment = [("NOTIFY_SOCKET", "/no/such/socket")];
    let log = GatewayProcess::start(&app, &environment).await.stop();
    let warned = "the gateway could not notify the service manager: check NOTIFY_SOCKET";
    let warnings = log.lines.iter().filter(|line| line["message"] == warned);
    assert_eq!(warnings.count(), 2, "{}", log.text);
}

#[tokio::test]
async fn without_a_service_manager_there_is_no_notification() {
    let app = start_app().await;
    let log = GatewayProcess::start(&app, &[]).await.stop();
    assert!(!log.text.contains("NOTIFY_SOCKET"), "{}", log.text);
}
