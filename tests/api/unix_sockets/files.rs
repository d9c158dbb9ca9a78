//! What the gateway does with a file that has the path of its socket, and what becomes of its own file.

use std::{
    fs,
    os::unix::{
        fs::{FileTypeExt as _, symlink},
        net::{UnixDatagram, UnixListener, UnixStream},
    },
    path::Path,
    process::Command,
};

use logout_gateway::ListenAddress;
use rstest::rstest;
use serde_json::json;

use super::{Machine, address};
use crate::harness::{Connection, GatewayProcess, eventually};

#[tokio::test]
async fn the_socket_file_of_a_gateway_that_was_killed_is_replaced() {
    let machine = Machine::new().await;
    let path = machine.path("public");
    let killed = machine.start(&[]).await;
    killed.signal("KILL");
    killed.wait_for_exit();
    assert!(path.exists() && UnixStream::connect(&path).is_err());
    let gateway = machine.start(&[]).await;
    assert_eq!(gateway.request("GET", "/healthz").send().await.status, 200);
    gateway.stop();
    assert!(!path.exists());
}

#[rstest]
#[case::public("GATEWAY_BIND")]
#[case::admin("GATEWAY_ADMIN_BIND")]
#[tokio::test]
async fn the_socket_of_a_process_that_listens_is_an_error_and_goes_on_to_work(
    #[case] variable: &str,
) {
    let machine = Machine::new().await;
    let running = machine.start(&[]).await;
    let bind = address(&machine.path("public"));
    let (status, log) =
        GatewayProcess::expect_start_failure(&machine.app, &[(variable, &bind)]).await;
    assert_eq!(status, Some(1));
    let cause =
        format!("{variable}: cannot listen on {bind}: another process listens on this socket");
    assert!(log.contains(&cause) && !log.contains("\"listening\""), "{log}");
    assert_eq!(running.request("GET", "/healthz").send().await.status, 200);
}

/// A listener whose queue is full blocks connect(2).
#[tokio::test]
async fn the_socket_of_a_process_that_is_too_busy_to_accept_is_an_error() {
    let machine = Machine::new().await;
    let path = machine.path("public");
    let _listener = UnixListener::bind(&path).unwrap();
    let mut clients = Vec::new();
    loop {
        let client =
            socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        client.set_nonblocking(true).unwrap();
        let connected = client.connect(&socket2::SockAddr::unix(&path).unwrap());
        clients.push(client);
        if connected.is_err() {
            break;
        }
    }
    let environment = [("GATEWAY_BIND", &*address(&path))];
    let (status, log) = GatewayProcess::expect_start_failure(&machine.app, &environment).await;
    assert!(status == Some(1) && log.contains("another process listens on this socket"), "{log}");
    assert!(path.exists());
}

#[rstest]
#[case::file(|path: &Path| fs::write(path, "content").unwrap())]
#[case::folder(|path: &Path| fs::create_dir(path).unwrap())]
#[case::symbolic_link_to_a_dead_socket(|path: &Path| {
    let target = path.with_file_name("target");
    drop(UnixListener::bind(&target).unwrap());
    symlink(target, path).unwrap();
})]
#[case::dangling_symbolic_link(|path: &Path| symlink("/no/such/file", path).unwrap())]
#[case::pipe(|path: &Path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success()))]
#[tokio::test]
async fn any_other_file_is_an_error_and_stays(#[case] create: fn(&Path)) {
    let machine = Machine::new().await;
    let path = machine.path("public");
    create(&path);
    let before = fs::symlink_metadata(&path).unwrap();
    let bind = address(&path);
    let environment = [("GATEWAY_BIND", &*bind)];
    let (status, log) = GatewayProcess::expect_start_failure(&machine.app, &environment).await;
    assert_eq!(status, Some(1));
    let cause =
        format!("GATEWAY_BIND: cannot listen on {bind}: the path has a file that is no socket");
    assert!(log.contains(&cause), "{log}");
    let after = fs::symlink_metadata(&path).unwrap();
    assert_eq!((after.file_type(), after.len()), (before.file_type(), before.len()));
}

#[tokio::test]
async fn the_socket_of_another_protocol_is_an_error_and_stays() {
    let machine = Machine::new().await;
    let path = machine.path("public");
    let _socket = UnixDatagram::bind(&path).unwrap();
    let environment = [("GATEWAY_BIND", &*address(&path))];
    let (status, log) = GatewayProcess::expect_start_failure(&machine.app, &environment).await;
    assert!(status == Some(1) && log.contains("unknown whether a process listens"), "{log}");
    assert!(fs::symlink_metadata(&path).unwrap().file_type().is_socket());
}

#[tokio::test]
async fn a_gateway_that_cannot_start_removes_its_file() {
    let machine = Machine::new().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = taken.local_addr().unwrap().to_string();
    let environment =
        [("GATEWAY_BIND", &*address(&machine.path("public"))), ("GATEWAY_ADMIN_BIND", &*admin)];
    let (status, log) = GatewayProcess::expect_start_failure(&machine.app, &environment).await;
    assert!(status == Some(1) && log.contains("GATEWAY_ADMIN_BIND: cannot listen"), "{log}");
    assert!(!machine.path("public").exists());
}

#[tokio::test]
async fn a_missing_folder_is_an_error_that_names_the_variable() {
    let machine = Machine::new().await;
    let bind = address(&machine.path("missing/public"));
    let environment = [("GATEWAY_BIND", &*bind)];
    let (status, log) = GatewayProcess::expect_start_failure(&machine.app, &environment).await;
    let cause = format!("GATEWAY_BIND: cannot listen on {bind}: No such file");
    assert!(status == Some(1) && log.contains(&cause), "{log}");
}

#[tokio::test]
async fn the_file_is_gone_while_requests_in_flight_end_and_a_successor_may_listen() {
    let machine = Machine::new().await;
    let (app, path) = (&machine.app, machine.path("public"));
    let gateway = machine.start(&[]).await;
    let tokens = app.sign_up();
    app.inject_fault(json!({"operation": "logout", "kind": "delay", "seconds": 1.5, "times": 1}));
    let mut pending = Connection::open_to(&ListenAddress::Unix(path.clone())).await;
    let request = gateway.request("POST", "/api/auth/logout").bearer(&tokens.access_token);
    pending.write(&request.bytes(true)).await;
    eventually("GoTrue gets the logout", || async { !app.gotrue_calls("logout").is_empty() }).await;
    gateway.signal("TERM");
    eventually("the file is gone", || async { !path.exists() }).await;
    assert!(app.is_alive(&tokens), "the logout is not done yet");

    let successor = machine.start(&[]).await;
    assert_eq!(pending.reply(false).await.unwrap().status, 200);
    assert!(!app.is_alive(&tokens));
    assert_eq!(gateway.wait_for_exit().0.code(), Some(0));
    assert!(path.exists(), "the file is now the successor's");
    assert_eq!(successor.request("GET", "/healthz").send().await.status, 200);
}

#[tokio::test]
async fn the_end_leaves_a_file_that_another_process_has_put_there() {
    let machine = Machine::new().await;
    let path = machine.path("public");
    let gateway = machine.start(&[]).await;
    fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    gateway.stop();
    assert!(UnixStream::connect(&path).is_ok());
}
