//! nginx: it passes a logout on unchecked, answers a check with a constant 200, or asks an `auth_request`.
//!
//! It has as many workers as the gateway has threads, and each has a listening socket of its own, as each
//! thread of the gateway has. Its access log is off.

use std::{fs, net::SocketAddr, path::Path, process::Command, time::Duration};

use super::{World, command, version};
use crate::process::{Process, free_address};

pub(crate) const NAME: &str = "nginx";
/// A path with an `auth_request` to the gateway, and one with an `auth_request` to the stub.
pub(crate) const PROTECTED_BY_GATEWAY: &str = "/protected-by-gateway";
pub(crate) const PROTECTED_BY_STUB: &str = "/protected-by-stub";

/// Where Debian installs nginx, which is not on every user's `PATH`.
fn program() -> &'static str {
    if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" }
}

/// Its version; `None` if it is not installed.
pub(crate) fn installed() -> Option<String> {
    version(program(), "-v")
}

/// nginx, whose `auth_request` asks the gateway at `gateway`, and how long its start took.
pub(crate) async fn start(world: &World, gateway: SocketAddr) -> (Process, Duration) {
    let address = free_address();
    let file = world.directory.path().join(format!("nginx-{}.conf", address.port()));
    fs::write(&file, configuration(world, address, gateway)).unwrap();
    let mut command: Command = command(program());
    command.arg("-p").arg(world.directory.path()).arg("-c").arg(file);
    let (nginx, took) = Process::start(NAME, command, address, ("/", 200)).await;
    assert_eq!(nginx.processes(), 1 + world.threads, "a worker of nginx is not measured");
    (nginx, took)
}

fn configuration(world: &World, address: SocketAddr, gateway: SocketAddr) -> String {
    let World { threads, upstream, .. } = world;
    let (upstream, port) = (upstream.address, address.port());
    let own_host = "proxy_set_header Host $http_host;";
    let no_body = "proxy_pass_request_body off; proxy_set_header Content-Length \"\";";
    format!(
        r#"
daemon off;
worker_processes {threads};
pid nginx-{port}.pid;
error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path nginx-{port}-body;
    proxy_temp_path nginx-{port}-proxy;
    fastcgi_temp_path nginx-{port}-fastcgi;
    uwsgi_temp_path nginx-{port}-uwsgi;
    scgi_temp_path nginx-{port}-scgi;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    upstream stub {{ server {upstream}; keepalive 512; keepalive_requests 1000000000; }}
    upstream gateway {{ server {gateway}; keepalive 512; keepalive_requests 1000000000; }}
    server {{
        listen {address} reuseport;
        location / {{ return 200; }}
        location = /api/auth/logout {{ proxy_pass http://stub/auth/v1/logout?scope=local; }}
        # The content must come from a handler: nginx runs `return` before `auth_request`.
        location = {PROTECTED_BY_GATEWAY} {{ auth_request /ask-gateway; empty_gif; }}
        location = {PROTECTED_BY_STUB} {{ auth_request /ask-stub; empty_gif; }}
        location = /ask-gateway {{
            internal;
            proxy_pass http://gateway/api/auth/verify;
            {no_body}
            proxy_set_header Connection "";
            {own_host}
        }}
        location = /ask-stub {{
            internal;
            proxy_pass http://stub/verify;
            {no_body}
            proxy_set_header Connection "";
            {own_host}
        }}
    }}
}}
"#
    )
}
