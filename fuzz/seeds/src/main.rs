//! Writes the seeds of every fuzz target into `fuzz/corpus/`, made from the recordings in `fixtures/`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use seeds::{ALLOWED_ORIGIN, PREVIOUS_SECRET, SECRET, csrf, recorded};

/// The size limit of a seed. Larger recordings only slow a target down, because smaller ones have the same
/// content.
const MAX_SEED_BYTES: usize = 8 * 1024;

fn main() -> io::Result<()> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("seeds are below fuzz");
    let corpus = |target| Corpus::at(fuzz.join("corpus").join(target));
    tokens(&corpus("token")?)?;
    cookies(&corpus("cookies")?)?;
    csrf_tokens(&corpus("csrf")?)?;
    requests(&corpus("router")?)?;
    answers(&corpus("answers")?)
}

/// The directory with the inputs of one fuzz target.
struct Corpus(PathBuf);

impl Corpus {
    fn at(path: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn add(&self, name: &str, input: impl AsRef<[u8]>) -> io::Result<()> {
        if input.as_ref().len() > MAX_SEED_BYTES {
            return Ok(());
        }
        fs::write(self.0.join(format!("seed-{name}")), input)
    }
}

/// Writes the seeds of the target `token`: each recorded token unchanged, and its header and claims for each
/// signer.
fn tokens(corpus: &Corpus) -> io::Result<()> {
    for (name, token) in recorded::access_tokens() {
        corpus.add(&format!("raw-{name}"), format!("raw\n{token}"))?;
        let (Some(header), Some(claims)) = (recorded::part(&token, 0), recorded::part(&token, 1))
        else {
            continue;
        };
        for signer in ["HS256", "ES256", "EdDSA", "confused", "nobody"] {
            let input = format!("{signer}\n{header}\n{claims}");
            corpus.add(&format!("{signer}-{name}"), input)?;
        }
    }
    Ok(())
}

/// Writes the seeds of the target `cookies`: two characters that choose the configuration, then a line for
/// each `Cookie` header.
fn cookies(corpus: &Corpus) -> io::Result<()> {
    for jar in recorded::jars() {
        for (configuration, header) in [
            ("00", jar.cookie_header.clone()),
            ("1a", format!("{}; sb-csrf-token=a.b", jar.cookie_header)),
            ("2f", jar.cookie_header.replacen("; ", "\n", 1)),
        ] {
            corpus.add(
                &format!("{}-{configuration}", jar.name),
                format!("{configuration}{header}"),
            )?;
        }
    }
    Ok(())
}

/// Writes the seeds of the target `csrf`, which makes requests from random bytes: only the lengths of the
/// seeds matter.
fn csrf_tokens(corpus: &Corpus) -> io::Result<()> {
    for (name, token) in recorded::access_tokens() {
        corpus.add(&name, token)?;
    }
    Ok(())
}

/// Writes the seeds of the target `router`: a line with GoTrue's responses to the logout and to the refresh,
/// then a request.
fn requests(corpus: &Corpus) -> io::Result<()> {
    let logouts = [
        "/api/auth/logout",
        "/api/v1/auth/logout?scope=others",
        "/logout",
        "/logout/?scope=global",
    ];
    let answers = ["204", "403 session_not_found", "403 user_banned", "403 bad_jwt", "500", "429"];
    for (n, (name, token)) in recorded::access_tokens().into_iter().enumerate() {
        let (logout, answer) = (logouts[n % logouts.len()], answers[n % answers.len()]);
        let bearer = format!("Host: a\r\nAuthorization: Bearer {token}\r\n");
        let request = |method, target, headers: &str| {
            format!("{answer};same\n{method} {target} HTTP/1.1\r\n{headers}\r\n")
        };
        corpus.add(&format!("logout-{name}"), request("POST", logout, &bearer))?;
        corpus.add(&format!("verify-{name}"), request("GET", "/api/auth/verify/x", &bearer))?;
        corpus.add(&format!("csrf-{name}"), request("GET", "/api/auth/csrf", &bearer))?;
    }
    for jar in recorded::jars() {
        let session_id =
            recorded::session_id(jar.access_token()).expect("a jar's session has an id");
        for (secret, answer) in
            [(SECRET, "204;same"), (PREVIOUS_SECRET, "late 204;same"), (SECRET, "late 204;foreign")]
        {
            let token = csrf::minted(secret, session_id.as_bytes(), &[7; 32]);
            let request = format!(
                "{answer}\nPOST /api/auth/logout HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nCookie: {}; sb-csrf-token={token}\r\n\
                 X-CSRF-Token: {token}\r\nContent-Type: application/json\r\n\r\n{{}}",
                jar.cookie_header
            );
            corpus.add(
                &format!("cookie-{}-{}", jar.name, answer.replace([' ', ';'], "-")),
                request,
            )?;
        }
    }
    for target in ["/healthz", "/readyz", "/openapi.json", "/docs", "/docs/%ff", "/nothing"] {
        let name = target.replace('/', "-");
        corpus.add(
            &format!("get{name}"),
            format!("204;same\nGET {target} HTTP/1.1\r\nHost: a\r\n\r\n"),
        )?;
    }
    corpus.add("preflight", format!(
        "204;same\nOPTIONS /logout HTTP/1.1\r\nOrigin: {ALLOWED_ORIGIN}\r\nAccess-Control-Request-Method: POST\r\n\r\n"))
}

/// Writes the seeds of the target `answers`: operation and scope of the request, then status, headers and
/// body of the response.
fn answers(corpus: &Corpus) -> io::Result<()> {
    for recorded::Exchange { name, request, response } in recorded::exchanges() {
        let headers: Vec<_> = response.headers().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
        let headers = headers.concat();
        let input =
            format!("{}\n{}\r\n{headers}\r\n{}", request.path, response.status, response.body());
        corpus.add(&name, &input)?;
        corpus.add(&format!("again-{name}"), format!("again {input}"))?;
    }
    corpus.add("key-set", format!("/jwks\n200\r\n\r\n{}", recorded::key_set()))
}
