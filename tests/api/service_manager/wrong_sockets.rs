//! Passed descriptors that the gateway cannot serve: it does not start, and says which one is wrong.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    net::{TcpListener, TcpStream, UdpSocket},
    os::{
        fd::OwnedFd,
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram, UnixListener},
    },
    process::{Command, Stdio},
};

use rstest::rstest;

use super::passing;

fn listener() -> OwnedFd {
    TcpListener::bind("127.0.0.1:0").unwrap().into()
}

/// Runs `serve`, which must end with status 1 before it listens; returns its log.
fn refused(mut command: Command) -> String {
    command.arg("serve").env_clear().env("SUPABASE_URL", "http://127.0.0.1:1");
    command.envs([("GATEWAY_BIND", "127.0.0.1:0"), ("GATEWAY_ADMIN_BIND", "off")]);
    let mut gateway = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(gateway.stderr.take().unwrap());
    let mut log = String::new();
    // Stop a gateway that starts all the same: it would not end by itself.
    while stderr.read_line(&mut log).unwrap() > 0 && !log.contains("\"listening\"") {}
    let _ = log.contains("\"listening\"").then(|| gateway.kill());
    assert_eq!(gateway.wait().unwrap().code(), Some(1), "{log}");
    assert!(log.contains("the gateway could not start") && !log.contains("\"listening\""), "{log}");
    log
}

#[rstest]
#[case::udp(|| UdpSocket::bind("127.0.0.1:0").unwrap().into())]
#[case::datagrams(|| UnixDatagram::unbound().unwrap().into())]
#[case::file(|| File::open("/dev/null").unwrap().into())]
#[case::a_connection(|| {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    TcpStream::connect(listener.local_addr().unwrap()).unwrap().into()
})]
#[case::a_socket_that_does_not_listen(|| {
    socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap().into()
})]
#[case::without_a_path(|| {
    let name = format!("logout-gateway-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(name).unwrap();
    UnixListener::bind_addr(&address).unwrap().into()
})]
fn a_socket_of_another_kind_ends_the_start_and_is_named(#[case] descriptor: fn() -> OwnedFd) {
    let log = refused(passing(vec![descriptor()], Some("public")));
    assert!(log.contains("systemd passed the socket `public`, which is neither"), "{log}");
    // The other socket is right.
    let log = refused(passing(vec![listener(), descriptor()], Some("public:admin")));
    assert!(log.contains("systemd passed the socket `admin`, which is neither"), "{log}");
}

#[rstest]
#[case::two_of_one_name("public:public", "public", "public")]
#[case::two_admin_listeners("admin:admin", "admin", "admin")]
#[case::an_unknown_name_besides("public:other", "other", "public")]
#[case::an_unknown_name_before("other:public", "other", "public")]
#[case::two_unknown_names("one:two", "two", "public")]
fn a_surplus_socket_ends_the_start_and_is_named(
    #[case] names: &str,
    #[case] surplus: &str,
    #[case] listener_name: &str,
) {
    let log = refused(passing(vec![listener(), listener()], Some(names)));
    let cause = format!(
        "systemd passed the socket `{surplus}`, but another passed socket is the {listener_name} listener"
    );
    assert!(log.contains(&cause), "{log}");
}

#[test]
fn names_that_do_not_fit_the_sockets_end_the_start() {
    let log = refused(passing(vec![listener()], Some("public:admin")));
    assert!(log.contains("LISTEN_FDNAMES"), "{log}");
}

#[test]
fn a_descriptor_that_is_not_open_ends_the_start() {
    let mut command = Command::new("/bin/sh");
    let script = r#"exec 3<&-; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" "$@""#;
    command.args(["-c", script]).arg(crate::harness::gateway_binary());
    assert!(refused(command).contains("LISTEN_FDS"));
}
