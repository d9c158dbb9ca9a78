//! GoTrue's certificate is signed by a certificate authority that only the operator knows.

use std::{env, fs, net::IpAddr, path::Path, process::Command};

use gotrue_mock::TEST_SECRET;
use tempfile::TempDir;

use super::{BROWSER_URL, nginx, openssl, start_gotrue};
use crate::{
    check::check,
    harness::{
        GatewayProcess, ServerProcess, TestApp, assert_error, assert_success, gateway_binary,
    },
};

/// A certificate authority and a TLS server in front of the mock whose certificate it signed.
pub(super) struct PrivateTls {
    directory: TempDir,
    pub(super) server: ServerProcess,
}

impl PrivateTls {
    pub(super) async fn start(app: &TestApp) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (own, mock) = (directory.path().display(), app.mock.url());
        let server = ServerProcess::start("nginx", |folder, address| {
            create_certificates(directory.path(), address.ip());
            let server = format!(
                "listen {address} ssl; ssl_certificate {own}/server.pem;
                ssl_certificate_key {own}/server.key; location / {{ proxy_pass {mock}; }}"
            );
            nginx(folder, &server)
        });
        Self { server: server.await, directory }
    }

    pub(super) fn gotrue_url(&self) -> String {
        format!("https://{}/auth/v1", self.server.address)
    }

    /// The path of the authority's certificate.
    pub(super) fn authority(&self) -> String {
        self.directory.path().join("ca.pem").to_str().unwrap().to_owned()
    }
}

/// Writes the authority's certificate `ca.pem`, and `server.pem` with `server.key` for `address`.
fn create_certificates(folder: &Path, address: IpAddr) {
    let extensions = format!(
        "[req]\ndistinguished_name = name\n[name]\n\
        [ca]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign\n\
        [server]\nbasicConstraints = CA:FALSE\nsubjectAltName = IP:{address}\n"
    );
    fs::write(folder.join("openssl.cnf"), extensions).unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -config openssl.cnf";
    openssl(
        folder,
        &format!("req -x509 -days 2 {key} -extensions ca -subj /CN=ca -keyout ca.key -out ca.pem"),
    );
    openssl(folder, &format!("req {key} -subj /CN=server -keyout server.key -out server.csr"));
    openssl(
        folder,
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -set_serial 1 -days 2 \
         -extfile openssl.cnf -extensions server -out server.pem",
    );
}

#[tokio::test]
async fn with_ssl_cert_file_the_gateway_trusts_a_private_authority() {
    let app = start_gotrue().await;
    let tls = PrivateTls::start(&app).await;
    let (gotrue, authority) = (tls.gotrue_url(), tls.authority());
    let environment =
        [("SUPABASE_URL", BROWSER_URL), ("GOTRUE_URL", &gotrue), ("SSL_CERT_FILE", &authority)];
    let gateway = GatewayProcess::start(&app, &environment).await;
    let tokens = app.sign_up();
    let reply = gateway.request("POST", "/logout").bearer(&tokens.access_token).send().await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");
    assert!(!app.is_alive(&tokens));
    let secret = ("SUPABASE_JWT_SECRET", TEST_SECRET);
    let checked = check(&[&environment[..], &[secret]].concat());
    assert_eq!(checked.status, Some(0), "{:?}", checked.lines);
}

#[tokio::test]
async fn without_ssl_cert_file_check_and_the_log_name_the_certificate_and_the_variable() {
    let app = start_gotrue().await;
    let tls = PrivateTls::start(&app).await;
    let gotrue = tls.gotrue_url();
    let environment = [("SUPABASE_URL", BROWSER_URL), ("GOTRUE_URL", &gotrue)];
    let secret = ("SUPABASE_JWT_SECRET", TEST_SECRET);
    let checked = check(&[&environment[..], &[secret]].concat());
    assert_eq!(checked.status, Some(1), "{:?}", checked.lines);
    let line = checked.line("GoTrue");
    assert!(line.contains("certificate") && line.contains("SSL_CERT_FILE"), "{line}");

    let gateway = GatewayProcess::start(&app, &environment).await;
    let tokens = app.sign_up();
    let reply = gateway.request("POST", "/logout").bearer(&tokens.access_token).send().await;
    assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_unavailable"));
    assert!(app.is_alive(&tokens));
    let log = gateway.stop();
    let mut lines = log.lines.iter().filter(|line| line["operation"] == "logout");
    let line = lines.find(|line| line["level"] == "WARN").unwrap().to_string();
    assert!(line.contains("certificate") && line.contains("SSL_CERT_FILE"), "{line}");
}

#[tokio::test]
async fn a_machine_without_certificates_runs_gateway_health_and_mock_where_nothing_has_tls() {
    let app = start_gotrue().await;
    let none = tempfile::NamedTempFile::new().unwrap();
    let none = none.path().to_str().unwrap();
    // Nothing listens there.
    let collector = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    let environment = [("SSL_CERT_FILE", none), collector];
    let gateway = GatewayProcess::start(&app, &environment).await;
    let tokens = app.sign_up();
    let reply = gateway.request("POST", "/logout").bearer(&tokens.access_token).send().await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");

    let run = |arguments: &[&str]| {
        let mut command = Command::new(gateway_binary());
        command.args(arguments).env_clear().env("PATH", env::var_os("PATH").unwrap());
        command.env("SSL_CERT_FILE", none).env("SUPABASE_URL", BROWSER_URL);
        let run = command.env("GATEWAY_BIND", gateway.address.to_string()).output().unwrap();
        assert!(run.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
    };
    run(&["health"]);
    run(&["mock", "--", "true"]);
}
