//! The headers that Traefik takes from the gateway's answer with the configuration in docs/proxies/traefik.md. This test
//! needs no Traefik.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use super::documented_file;
use crate::{forward_auth::IDENTITY_HEADERS, harness::TestApp};

/// Which of the names the documented regular expression matches. `grep -P` reads it as Traefik does.
fn matched_names(names: &[String]) -> Vec<String> {
    let file = documented_file();
    let (_, pattern) = file.split_once("authResponseHeadersRegex: ").unwrap();
    let mut command = Command::new("grep");
    command.args(["-P", "-e", pattern.lines().next().unwrap()]);
    let mut grep = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    grep.stdin.take().unwrap().write_all(names.join("\n").as_bytes()).unwrap();
    let output = String::from_utf8(grep.wait_with_output().unwrap().stdout).unwrap();
    output.lines().map(str::to_owned).collect()
}

/// Traefik removes from the client's request the headers that the regular expression matches, and copies those of the
/// gateway's answer. So the expression must match every identity header in every spelling, and no other header.
#[tokio::test]
async fn the_documented_list_of_traefik_has_the_identity_headers_and_no_others() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let living = app.get("/api/auth/verify").bearer(&tokens.access_token).send().await;
    let refused = app.get("/api/auth/verify").send().await;
    assert_eq!((living.status, refused.status), (200, 401));
    let answers = living.headers.into_iter().chain(refused.headers);
    let (named, mut others): (Vec<String>, Vec<String>) =
        answers.map(|(name, _)| name).partition(|name| name.starts_with("x-auth-"));
    for name in IDENTITY_HEADERS.into_iter().chain(["x-auth-reason"]) {
        assert!(named.iter().any(|found| found == name), "{name}: {named:?}");
    }
    let respell: [fn(&str) -> String; 6] = [
        str::to_owned,
        str::to_uppercase,
        |name| name.replace('-', "_"),
        |name| name.replace('-', "."),
        |name| name.replacen('-', "_", 1),
        |name| name.replacen('-', ".", 1),
    ];
    let spelled: Vec<String> =
        named.iter().flat_map(|name| respell.map(|respell| respell(name))).collect();
    assert_eq!(matched_names(&spelled), spelled);
    others.extend(["authorization", "cookie", "x-forwarded-for", "x-authority"].map(str::to_owned));
    assert_eq!(matched_names(&others), [""; 0]);
}
