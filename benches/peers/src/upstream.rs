//! A stub of GoTrue that every subject calls: the key set, the `OpenID` configuration and `POST /logout`. It is
//! a process of its own, and answers with constant bytes, so that it costs much less than what is measured.

use std::{
    cell::{Cell, RefCell},
    fmt::Write as _,
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use memchr::memmem;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::LocalSet,
    time::{interval, sleep},
};

use super::clock::now;

struct Stub {
    jwks: String,
    openid: String,
    /// How long a logout takes.
    delay: Duration,
    logouts: Cell<u64>,
    /// The value of `Date`, which changes each second. The gateway reads it.
    date: RefCell<String>,
}

/// Serves until the process is killed. `jwks` is the body of the key set.
pub(crate) async fn serve(address: SocketAddr, jwks: String, delay: Duration) {
    let issuer = format!("http://{address}/auth/v1");
    let openid = serde_json::json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/oauth/authorize"),
        "token_endpoint": format!("{issuer}/oauth/token"),
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    });
    let stub = Rc::new(Stub {
        jwks,
        openid: openid.to_string(),
        delay,
        logouts: Cell::new(0),
        date: RefCell::default(),
    });
    let listener = TcpListener::bind(address).await.unwrap();
    LocalSet::new()
        .run_until(async {
            tokio::task::spawn_local(keep_date(stub.clone()));
            while let Ok((stream, _)) = listener.accept().await {
                tokio::task::spawn_local(connection(stub.clone(), stream));
            }
        })
        .await;
}

async fn keep_date(stub: Rc<Stub>) {
    let mut seconds = interval(Duration::from_secs(1));
    loop {
        seconds.tick().await;
        *stub.date.borrow_mut() = httpdate::fmt_http_date(now());
    }
}

/// Answers requests until the client closes the connection. The requests have no body.
async fn connection(stub: Rc<Stub>, mut stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let (mut request, mut response) = (Vec::with_capacity(8192), String::new());
    loop {
        while memmem::find(&request, b"\r\n\r\n").is_none() {
            if !matches!(stream.read_buf(&mut request).await, Ok(1..)) {
                return;
            }
        }
        response.clear();
        stub.respond(&request, &mut response).await;
        request.clear();
        if stream.write_all(response.as_bytes()).await.is_err() {
            return;
        }
    }
}

impl Stub {
    async fn respond(&self, request: &[u8], response: &mut String) {
        let line = request.split(|byte| *byte == b'\r').next().unwrap();
        let line = std::str::from_utf8(line).unwrap();
        let target = line.rsplit_once(' ').unwrap().0;
        let target = target.split_once('?').map_or(target, |(path, _)| path);
        if target == "POST /auth/v1/logout" {
            self.logouts.set(self.logouts.get() + 1);
            if !self.delay.is_zero() {
                sleep(self.delay).await;
            }
            self.write(response, "204 No Content", None);
            return;
        }
        match target {
            "GET /auth/v1/.well-known/jwks.json" => {
                self.write(response, "200 OK", Some(&self.jwks));
            }
            "GET /auth/v1/.well-known/openid-configuration" => {
                self.write(response, "200 OK", Some(&self.openid));
            }
            // The number of logouts so far: the benchmark checks that every logout has arrived here.
            "GET /logouts" => self.write(response, "200 OK", Some(&self.logouts.get().to_string())),
            // A forward-auth that checks nothing, to be compared with the gateway's.
            "GET /verify" => self.write(response, "200 OK", Some("")),
            _ => self.write(response, "404 Not Found", Some("")),
        }
    }

    fn write(&self, response: &mut String, status: &str, body: Option<&str>) {
        let date = self.date.borrow();
        write!(response, "HTTP/1.1 {status}\r\nDate: {date}\r\nVary: Origin\r\n").unwrap();
        if let Some(body) = body {
            let length = body.len();
            write!(
                response,
                "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
            )
            .unwrap();
        } else {
            response.push_str("\r\n");
        }
    }
}
