//! The real nginx and the real Caddy, which reach the gateway by its unix socket. They stand for proxies that end TLS:
//! both say that the client came by https.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use rstest::rstest;

use super::Machine;
use crate::harness::{LOGOUT_PATHS, Request, ServerProcess, assert_success};

fn nginx(folder: &Path, own: SocketAddr, socket: &Path) -> Command {
    let configuration = format!(
        "daemon off; master_process off; pid nginx.pid; events {{}}
        http {{
            access_log off;
            client_body_temp_path body; proxy_temp_path proxy;
            fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
            server {{
                listen {own};
                location / {{
                    proxy_pass http://unix:{};
                    proxy_set_header Host $http_host;
                    proxy_set_header X-Forwarded-For $remote_addr;
                    proxy_set_header X-Forwarded-Proto https;
                }}
            }}
        }}
        ",
        socket.display()
    );
    fs::write(folder.join("nginx.conf"), configuration).unwrap();
    // Use the path of Debian's nginx, because /usr/sbin is not in the PATH of every user.
    let mut command = Command::new("/usr/sbin/nginx");
    command.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(folder);
    command
}

fn caddy(folder: &Path, own: SocketAddr, socket: &Path) -> Command {
    let configuration = format!(
        "{{
            admin off
        }}
        http://{own} {{
            reverse_proxy unix/{} {{
                header_up X-Forwarded-Proto https
            }}
        }}
        ",
        socket.display()
    );
    let file = folder.join("Caddyfile");
    fs::write(&file, configuration).unwrap();
    let mut command = Command::new("caddy");
    command.args(["run", "--config"]).arg(file);
    command.envs(["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"].map(|variable| (variable, folder)));
    command
}

#[rstest]
#[case::nginx(nginx)]
#[case::caddy(caddy)]
#[tokio::test]
async fn a_logout_through_a_proxy_ends_the_session_and_names_the_client(
    #[case] command: fn(&Path, SocketAddr, &Path) -> Command,
) {
    let machine = Machine::new().await;
    let (app, socket) = (&machine.app, machine.path("public"));
    let gateway = machine.start(&[]).await;
    let start = |folder: &Path, own: SocketAddr| command(folder, own, &socket);
    let proxy = ServerProcess::start("the proxy", start).await;
    let mut ids = Vec::new();
    for route in LOGOUT_PATHS {
        let tokens = app.sign_up();
        let request =
            |method, path| Request::new(proxy.address, method, path).bearer(&tokens.access_token);
        assert_eq!(request("GET", "/api/auth/verify").send().await.status, 200);
        // The proxies pass on neither an address nor a scheme that the client writes.
        let forged = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "http")];
        let reply = request("POST", route).headers(&forged).send().await;
        assert_success(&reply, route, tokens.user_id, "revoked");
        assert!(!app.is_alive(&tokens), "{route}");
        assert!(reply.header("strict-transport-security").is_some(), "{route}: {reply:?}");
        let cookies = reply.set_cookies();
        assert!(!cookies.is_empty() && cookies.iter().all(|line| line.contains("; Secure")));
        assert_eq!(request("GET", "/api/auth/verify").send().await.status, 401);
        ids.push(reply.header("x-request-id").unwrap().to_owned());
    }
    let log = gateway.stop();
    for id in ids {
        assert_eq!(log.audit_line(&id)["client"], "127.0.0.1");
    }
    assert!(!log.text.contains("the gateway ignores the X-Forwarded headers"), "{}", log.text);
}
