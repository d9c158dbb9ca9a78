//! The real nginx and the real Caddy, each with the configuration of `deploy/`, but for addresses.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use crate::harness::Program;

/// Which of the two.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Nginx,
    Caddy,
}

/// The rest of an nginx that runs as anybody, out of one folder and in one process.
const NGINX: &str = "daemon off; master_process off; pid nginx.pid; events {}
http {
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy;
    fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    include logout-gateway.conf;
}
";
impl Kind {
    /// In front of an API, asking that gateway.
    pub(super) async fn start(self, gateway: SocketAddr, api: SocketAddr) -> Program {
        let command = |folder: &Path, own: SocketAddr| match self {
            Self::Nginx => nginx(folder, own, gateway, api),
            Self::Caddy => caddy(folder, own, gateway, api),
        };
        Program::start(&format!("{self:?}"), command).await
    }
}

fn nginx(folder: &Path, own: SocketAddr, gateway: SocketAddr, api: SocketAddr) -> Command {
    let addresses = [
        ("listen 443 ssl;", format!("listen {own};")),
        ("ssl_certificate /etc/ssl/certs/app.example.com.pem;", String::new()),
        ("ssl_certificate_key /etc/ssl/private/app.example.com.key;", String::new()),
        ("server 127.0.0.1:8080;", format!("server {gateway};")),
        ("server 127.0.0.1:3000;", format!("server {api};")),
    ];
    let server = configuration("nginx/logout-gateway.conf", &addresses);
    fs::write(folder.join("logout-gateway.conf"), server).unwrap();
    fs::write(folder.join("nginx.conf"), NGINX).unwrap();
    // Where Debian puts it, which is not in everybody's PATH.
    let mut command = Command::new("/usr/sbin/nginx");
    command.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(folder);
    command
}

fn caddy(folder: &Path, own: SocketAddr, gateway: SocketAddr, api: SocketAddr) -> Command {
    let addresses = [
        // No address for the administration of a Caddy that only the test knows.
        ("{\n\tservers {", "{\n\tadmin off\n\tservers {".to_owned()),
        ("app.example.com {", format!("http://{own} {{")),
        ("reverse_proxy 127.0.0.1:8080", format!("reverse_proxy {gateway}")),
        ("forward_auth 127.0.0.1:8080", format!("forward_auth {gateway}")),
        ("reverse_proxy 127.0.0.1:3000", format!("reverse_proxy {api}")),
    ];
    let file = folder.join("Caddyfile");
    fs::write(&file, configuration("caddy/Caddyfile", &addresses)).unwrap();
    let mut command = Command::new("caddy");
    command.args(["run", "--config"]).arg(file);
    command.envs(["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"].map(|variable| (variable, folder)));
    command
}

/// The file below `deploy/` with other addresses; each stands in it once.
fn configuration(file: &str, replaced: &[(&str, String)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file);
    let text = fs::read_to_string(path).unwrap();
    replaced.iter().fold(text, |text, (there, here)| {
        assert_eq!(text.matches(there).count(), 1, "{file}: {there}");
        text.replace(there, here)
    })
}
