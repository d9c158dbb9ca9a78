//! Socket activation: the gateway serves the sockets that systemd has passed.

use std::{
    io::Write as _,
    net::{TcpListener, TcpStream},
    os::unix::net::UnixListener,
    process::Command,
    thread,
};

use logout_gateway::ListenAddress;
use rstest::rstest;
use serde_json::Value;

use super::{passing, start_app};
use crate::harness::{
    GatewayProcess, Request, TestApp, assert_success, eventually, gateway_binary,
};

/// Logs out a session at the gateway, eight times.
async fn assert_serves_logouts(app: &TestApp, address: impl Into<ListenAddress>) {
    let address = address.into();
    for _ in 0..8 {
        let tokens = app.sign_up();
        let logout = Request::to(address.clone(), "POST", "/api/auth/logout");
        let reply = logout.bearer(&tokens.access_token).send().await;
        assert_success(&reply, "/api/auth/logout", tokens.user_id, "revoked");
        assert!(!app.is_alive(&tokens));
    }
}

#[rstest]
#[case::without_names(None)]
#[case::named_public(Some("public"))]
#[case::named_after_its_unit(Some("logout-gateway.socket"))]
#[tokio::test]
async fn the_only_socket_is_the_public_listener_of_all_threads(#[case] names: Option<&str>) {
    let app = start_app().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // The gateway could not bind this address.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = taken.local_addr().unwrap().to_string();
    let environment = [("GATEWAY_THREADS", "2"), ("GATEWAY_BIND", &*bind)];
    let command = passing(vec![listener.into()], names);
    let gateway = GatewayProcess::start_with_command(command, &app, &environment).await;
    assert_eq!(gateway.address, address);
    assert_serves_logouts(&app, address).await;
    let log = gateway.stop();
    let starting = log.lines.iter().find(|line| line["message"] == "starting").unwrap();
    assert_eq!(starting["GATEWAY_BIND"], address.to_string());
    let is_warning = |line: &&Value| line["variable"] == "GATEWAY_BIND";
    let warning = log.lines.iter().find(is_warning).unwrap().to_string();
    assert!(warning.contains(&bind) && warning.contains(&address.to_string()), "{warning}");
}

#[tokio::test]
async fn a_socket_with_the_configured_address_is_no_warning() {
    let app = start_app().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = listener.local_addr().unwrap().to_string();
    let command = passing(vec![listener.into()], Some("public"));
    let environment = [("GATEWAY_BIND", &*bind)];
    let log = GatewayProcess::start_with_command(command, &app, &environment).await.stop();
    assert!(log.lines.iter().all(|line| line["variable"] != "GATEWAY_BIND"), "{}", log.text);
}

#[rstest]
#[case::public_first("public:admin", false)]
#[case::admin_first("admin:public", true)]
#[case::only_admin_is_known("admin:logout-gateway.socket", true)]
#[tokio::test]
async fn names_tell_the_listeners_apart(#[case] names: &str, #[case] admin_first: bool) {
    let app = start_app().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("public");
    let public = UnixListener::bind(&path).unwrap();
    let admin = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin_address = admin.local_addr().unwrap();
    let mut sockets = vec![public.into(), admin.into()];
    if admin_first {
        sockets.reverse();
    }
    let command = passing(sockets, Some(names));
    let gateway = GatewayProcess::start_with_command(command, &app, &[]).await;
    assert_eq!(gateway.listen_address, ListenAddress::Unix(path.clone()));
    assert_eq!(gateway.admin_address, Some(admin_address), "also if GATEWAY_ADMIN_BIND is off");
    assert_serves_logouts(&app, gateway.listen_address.clone()).await;
    assert_eq!(Request::new(admin_address, "GET", "/metrics").send().await.status, 200);
    gateway.stop();
    assert!(path.exists(), "the file is systemd's");
}

#[tokio::test]
async fn the_admin_socket_alone_leaves_the_public_listener_to_the_configuration() {
    let app = start_app().await;
    let admin = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin_address = admin.local_addr().unwrap();
    let command = passing(vec![admin.into()], Some("admin"));
    let gateway = GatewayProcess::start_with_command(command, &app, &[]).await;
    assert_eq!(gateway.admin_address, Some(admin_address));
    assert_serves_logouts(&app, gateway.address).await;
    gateway.stop();
}

#[tokio::test]
async fn connections_wait_while_the_gateway_restarts() {
    let app = start_app().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let start = || {
        let command = passing(vec![listener.try_clone().unwrap().into()], Some("public"));
        GatewayProcess::start_with_command(command, &app, &[])
    };
    start().await.stop();
    let mut waiting = TcpStream::connect(address).unwrap();
    waiting.write_all(&Request::new(address, "GET", "/healthz").bytes(true)).unwrap();
    let _gateway = start().await;
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut waiting, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
}

#[tokio::test]
async fn the_sockets_of_another_process_are_ignored() {
    let app = start_app().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let passed = listener.local_addr().unwrap();
    let mut command = Command::new("/bin/sh");
    let script = r#"exec 3<&0; export LISTEN_PID=1 LISTEN_FDS=1; exec "$0" "$@""#;
    command.args(["-c", script]).arg(gateway_binary());
    command.stdin(std::os::fd::OwnedFd::from(listener));
    let gateway = GatewayProcess::start_with_command(command, &app, &[]).await;
    assert_ne!(gateway.address, passed);
    gateway.stop();
}

#[rstest]
#[case::as_systemd_makes_it_by_default(0o666, true)]
#[case::as_the_units_of_this_project_make_it(0o660, false)]
#[tokio::test]
async fn a_socket_that_admits_every_user_is_a_warning(#[case] mode: u32, #[case] warns: bool) {
    use std::os::unix::fs::PermissionsExt as _;
    let app = start_app().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("public");
    let listener = UnixListener::bind(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    let command = passing(vec![listener.into()], Some("public"));
    let log = GatewayProcess::start_with_command(command, &app, &[]).await.stop();
    let mut warnings = log.lines.iter().filter(|line| line["variable"] == "LISTEN_FDS");
    assert_eq!(warnings.next().is_some(), warns, "{}", log.text);
}

/// `systemd-socket-activate` starts the gateway at the first connection.
#[tokio::test]
async fn systemd_starts_the_gateway_for_a_connection_and_passes_both_sockets() {
    let app = start_app().await;
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let admin = folder.path().join("admin");
    let mut command = Command::new("systemd-socket-activate");
    command.arg(format!("--listen={address}")).arg(format!("--listen={}", admin.display()));
    command.arg("--fdname=public:admin");
    for variable in ["SUPABASE_URL", "SUPABASE_JWT_SECRET", "GATEWAY_SECRET", "GATEWAY_THREADS"] {
        command.arg(format!("--setenv={variable}"));
    }
    command.arg(gateway_binary());
    // Without the lines of systemd-socket-activate itself, the log has only lines in JSON.
    let environment = [("SYSTEMD_LOG_LEVEL", "err")];
    let client = thread::spawn(move || {
        loop {
            if let Ok(mut stream) = TcpStream::connect(address) {
                stream.write_all(&Request::new(address, "GET", "/healthz").bytes(true)).unwrap();
                let mut answer = String::new();
                std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
                return answer;
            }
            thread::yield_now();
        }
    });
    let gateway = GatewayProcess::start_with_command(command, &app, &environment).await;
    assert_eq!(gateway.address, address);
    assert_serves_logouts(&app, address).await;
    let metrics = Request::to(ListenAddress::Unix(admin), "GET", "/metrics").send().await;
    assert_eq!(metrics.status, 200);
    eventually("the first client is answered", || async { client.is_finished() }).await;
    assert!(client.join().unwrap().starts_with("HTTP/1.1 200 "));
    gateway.stop();
}
