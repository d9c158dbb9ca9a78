//! The real nginx and the real Caddy with their configurations from `deploy/`, of which the tests change only
//! the addresses.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use crate::harness::ServerProcess;

/// The reverse proxy that a test starts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Nginx,
    Caddy,
}

/// The main configuration of nginx, which includes the deployed file. nginx runs without root, in one
/// directory and as one process.
const NGINX: &str = "daemon off; master_process off; pid nginx.pid; events {}
http {
    access_log off;
    # The deployed file must override these unsafe settings.
    underscores_in_headers on; ignore_invalid_headers off;
    # Tests choose the client address with this header.
    set_real_ip_from 127.0.0.1; real_ip_header X-Test-Address;
    client_body_temp_path body; proxy_temp_path proxy;
    fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    include logout-gateway.conf;
}
";

/// Texts of the deployed file, each with the text that must replace it.
type Edits<'a> = &'a [(&'a str, String)];

impl Kind {
    /// Starts the proxy, which asks the gateway at `gateway` about each request to the API at `api`.
    pub(super) async fn start(self, gateway: SocketAddr, api: SocketAddr) -> ServerProcess {
        self.start_edited(gateway, api, &[]).await
    }

    /// Like [`Self::start`], with the change from docs/proxies.md that lets the application's cookie
    /// `locale` reach the API.
    pub(super) async fn start_with_locale(
        self,
        gateway: SocketAddr,
        api: SocketAddr,
    ) -> ServerProcess {
        let (language, replaced) = match self {
            Self::Nginx => ("nginx", LOCALE_PLACE_NGINX),
            Self::Caddy => ("caddyfile", LOCALE_PLACE_CADDY),
        };
        let shown = documented("docs/proxies.md", language, "the cookie `locale`");
        self.start_edited(gateway, api, &[(replaced, shown)]).await
    }

    /// Like [`Self::start`], with the change from docs/proxies.md for an application without a page that refreshes
    /// sessions.
    pub(super) async fn start_without_refresh(
        self,
        gateway: SocketAddr,
        api: SocketAddr,
    ) -> ServerProcess {
        let caddyfile = deployed("caddy/Caddyfile");
        let (replaced, shown) = match self {
            Self::Nginx => {
                let shown = documented("docs/proxies.md", "nginx", "## Without such a page");
                ("error_page 401 = $refusal;\n", shown)
            }
            Self::Caddy => {
                let start = caddyfile.find("\t\t\t\t@refreshable {").unwrap();
                let block = &caddyfile[start..];
                let handler = block.find("handle_response @refreshable {").unwrap();
                let end = "\n\t\t\t\t}\n";
                let after = handler + block[handler..].find(end).unwrap() + end.len();
                (&block[..after], String::new())
            }
        };
        self.start_edited(gateway, api, &[(replaced, shown)]).await
    }

    async fn start_edited(
        self,
        gateway: SocketAddr,
        api: SocketAddr,
        edits: Edits<'_>,
    ) -> ServerProcess {
        let command = |folder: &Path, own: SocketAddr| match self {
            Self::Nginx => nginx(folder, own, gateway, api, edits),
            Self::Caddy => caddy(folder, own, gateway, api, edits),
        };
        ServerProcess::start(&format!("{self:?}"), command).await
    }
}

/// The part of nginx' configuration that the change in docs/proxies.md replaces.
const LOCALE_PLACE_NGINX: &str = "map $auth_carrier $app_cookies {
    default \"\";
    cookie $plain_cookies;
}
";
const LOCALE_PLACE_CADDY: &str = "			@not_by_cookie not header X-Auth-Carrier cookie
			request_header @not_by_cookie -Cookie
";

/// The first code block in `language` after `text` in the document at `path`.
pub(super) fn documented(path: &str, language: &str, text: &str) -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let start = format!("```{language}\n");
    let block = page.split(text).skip(1).find_map(|after| {
        let (between, block) = after.split_once("```")?;
        let block = block.strip_prefix(&start[3..])?;
        (between.len() < 400).then(|| block.split("```").next().unwrap().to_owned())
    });
    block.unwrap_or_else(|| panic!("{path} has no {language} block after {text}"))
}

fn nginx(
    folder: &Path,
    own: SocketAddr,
    gateway: SocketAddr,
    api: SocketAddr,
    edits: Edits<'_>,
) -> Command {
    let addresses = [
        ("listen 443 ssl;", format!("listen {own};")),
        ("ssl_certificate /etc/ssl/certs/app.example.com.pem;", String::new()),
        ("ssl_certificate_key /etc/ssl/private/app.example.com.key;", String::new()),
        ("server 127.0.0.1:8080;", format!("server {gateway};")),
        ("server 127.0.0.1:3000;", format!("server {api};")),
    ];
    nginx_with(folder, &configuration("nginx/logout-gateway.conf", &addresses, edits))
}

/// A command that runs nginx with this text in its `http` block.
pub(super) fn nginx_with(folder: &Path, text: &str) -> Command {
    fs::write(folder.join("logout-gateway.conf"), text).unwrap();
    fs::write(folder.join("nginx.conf"), NGINX).unwrap();
    // Use the path of Debian's nginx, because /usr/sbin is not in the PATH of every user.
    let mut command = Command::new("/usr/sbin/nginx");
    command.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(folder);
    command
}

fn caddy(
    folder: &Path,
    own: SocketAddr,
    gateway: SocketAddr,
    api: SocketAddr,
    edits: Edits<'_>,
) -> Command {
    let addresses = [
        // Turn Caddy's admin endpoint off, because it would need a port of its own.
        ("{\n\tservers {", "{\n\tadmin off\n\tservers {".to_owned()),
        ("app.example.com {", format!("http://{own} {{")),
        ("reverse_proxy 127.0.0.1:8080", format!("reverse_proxy {gateway}")),
        ("forward_auth 127.0.0.1:8080", format!("forward_auth {gateway}")),
        ("reverse_proxy 127.0.0.1:3000", format!("reverse_proxy {api}")),
    ];
    let file = folder.join("Caddyfile");
    fs::write(&file, configuration("caddy/Caddyfile", &addresses, edits)).unwrap();
    let mut command = Command::new("caddy");
    command.args(["run", "--config"]).arg(file);
    command.envs(["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"].map(|variable| (variable, folder)));
    command
}

/// The text of the file in `deploy/`.
fn deployed(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file)).unwrap()
}

/// The file in `deploy/` with the replacements of `addresses` and of `edits`. Each replaced text must occur
/// exactly once.
fn configuration(file: &str, addresses: Edits<'_>, edits: Edits<'_>) -> String {
    let text = deployed(file);
    addresses.iter().chain(edits).fold(text, |text, (old, new)| {
        assert_eq!(text.matches(old).count(), 1, "{file}: {old}");
        text.replace(old, new)
    })
}
