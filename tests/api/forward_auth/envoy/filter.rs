//! What Envoy's `ext_authz` filter does with the documented configuration, according to the source of Envoy
//! (`ext_authz_http_impl.cc` and `async_client_impl.cc`).

use std::process::Command;

use crate::{
    forward_auth::proxy::documented,
    harness::{Connection, Reply, TestApp, leak_check},
};

/// The version of HTTP by which Envoy connects to the gateway.
#[derive(Clone, Copy, Debug)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// A client's request at Envoy: its method, its target, and its headers with names in lower case.
pub(super) type ClientRequest<'r> = (&'r str, &'r str, &'r [(&'r str, &'r str)]);

/// What the documented configuration of the filter says.
pub(super) struct Filter {
    version: Version,
    path_prefix: String,
    allowed_headers: Vec<String>,
    pub(super) upstream_headers: Vec<String>,
    client_headers: Vec<String>,
}

/// What Envoy does with the client's request.
#[derive(Debug)]
pub(super) enum Decision {
    /// Envoy forwards the request with these headers.
    Forward(Vec<(String, String)>),
    /// Envoy answers with this status and these headers.
    Answer(u16, Vec<(String, String)>),
}

impl Filter {
    pub(super) fn documented(version: Version) -> Self {
        let block = documented("docs/proxies/envoy.md", "yaml", "the\ngateway accepts 128 KiB.");
        let after = |key: &str| {
            let (_, rest) = block.split_once(key).unwrap_or_else(|| panic!("no {key}"));
            rest.to_owned()
        };
        let names = |key: &str| {
            let list = after(key);
            let names = list.split(']').next().unwrap().split("exact: ").skip(1);
            names.map(|name| name.split([' ', '}']).next().unwrap().to_owned()).collect()
        };
        assert!(block.contains("failure_mode_allow: false"));
        assert!(block.contains("status_on_error: { code: ServiceUnavailable }"));
        Self {
            version,
            path_prefix: after("path_prefix: ").lines().next().unwrap().to_owned(),
            allowed_headers: names("allowed_headers:"),
            upstream_headers: names("allowed_upstream_headers:"),
            client_headers: names("allowed_client_headers:"),
        }
    }

    /// The filter with the documented change that redirects page loads.
    pub(super) fn documented_with_redirect(version: Version) -> Self {
        let page = include_str!("../../../../docs/proxies/envoy.md");
        let (_, text) = page.split_once("**To redirect page loads without a session,**").unwrap();
        let mut quoted = text.split('`').skip(1).step_by(2);
        let path_prefix = quoted.next().unwrap().strip_prefix("path_prefix: ").unwrap().to_owned();
        let mut filter = Self { path_prefix, ..Self::documented(version) };
        for pattern in quoted.by_ref().take(2) {
            let name = pattern.strip_prefix("{ exact: ").unwrap().strip_suffix(" }").unwrap();
            filter.allowed_headers.push(name.to_owned());
        }
        filter
    }

    /// The headers that Envoy sends to `verify`, but for `host`.
    fn sent_headers(&self, headers: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut sent = vec![("content-length".to_owned(), "0".to_owned())];
        for (name, value) in headers {
            if *name == "authorization"
                || self.allowed_headers.iter().any(|allowed| allowed == name)
            {
                sent.push(((*name).to_owned(), (*value).to_owned()));
            }
        }
        // Envoy appends its own address to those that the client's request has come from.
        sent.extend([
            ("x-envoy-internal".to_owned(), "true".to_owned()),
            ("x-forwarded-for".to_owned(), "203.0.113.7,10.0.0.2".to_owned()),
            ("x-forwarded-proto".to_owned(), "https".to_owned()),
            ("x-envoy-expected-rq-timeout-ms".to_owned(), "6000".to_owned()),
        ]);
        sent
    }

    pub(super) async fn decide(&self, app: &TestApp, request: ClientRequest<'_>) -> Decision {
        let reply = self.verify(app, request).await;
        let picked = |names: &[String]| {
            let headers = reply.headers.iter().filter(|(name, _)| names.contains(name));
            headers.cloned().collect()
        };
        match reply.status {
            200 => Decision::Forward(picked(&self.upstream_headers)),
            // `status_on_error` of the configuration.
            500.. => Decision::Answer(503, Vec::new()),
            status => {
                let always = ["www-authenticate", "location"].map(str::to_owned);
                Decision::Answer(status, picked(&[&self.client_headers[..], &always].concat()))
            }
        }
    }

    /// Sends Envoy's request to `verify`.
    pub(super) async fn verify(
        &self,
        app: &TestApp,
        (method, target, headers): ClientRequest<'_>,
    ) -> Reply {
        let (path, sent) = (format!("{}{target}", self.path_prefix), self.sent_headers(headers));
        for (name, value) in &sent {
            leak_check::record_header(name, value.as_bytes());
        }
        match self.version {
            Version::Http1 => {
                let lines = sent.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
                let lines: String = lines.collect();
                let head =
                    format!("{method} {path} HTTP/1.1\r\nhost: app.example.com\r\n{lines}\r\n");
                let mut connection = Connection::open(app.address).await;
                connection.write(head.as_bytes()).await;
                connection.reply(method == "HEAD").await.expect("the gateway answers")
            }
            Version::Http2 => {
                let mut curl = Command::new("curl");
                curl.args(["-sSi", "--max-time", "20", "--http2-prior-knowledge", "--path-as-is"]);
                // The empty headers keep curl from adding its own.
                curl.args(["-H", "user-agent:", "-H", "accept:"]);
                // With `-X HEAD`, curl would wait for the body that the response announces.
                match method {
                    "HEAD" => curl.arg("--head"),
                    _ => curl.args(["-X", method]),
                };
                curl.args(["-H", "host: app.example.com"]);
                for (name, value) in &sent {
                    curl.args(["-H", &format!("{name}: {value}")]);
                }
                curl.arg(format!("http://{}{path}", app.address));
                let run =
                    tokio::task::spawn_blocking(move || curl.output().unwrap()).await.unwrap();
                let text = String::from_utf8(run.stdout).unwrap();
                let (head, body) = text.split_once("\r\n\r\n").unwrap();
                let mut lines = head.split("\r\n");
                let status = lines.next().unwrap().strip_prefix("HTTP/2 ").unwrap();
                let headers = lines.map(|line| line.split_once(": ").unwrap_or((line, "")));
                let headers = headers
                    .map(|(name, value)| (name.trim_end_matches(':').to_owned(), value.to_owned()));
                let (status, body) = (status.trim().parse().unwrap(), body.as_bytes().to_vec());
                Reply { status, headers: headers.collect(), body }
            }
        }
    }
}
