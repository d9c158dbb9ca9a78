//! The documents must agree with the code: the tests that they name exist, and the files that they show are
//! tested.

use std::{fs, path::Path};

use crate::harness::TestApp;

/// The texts of all Rust files below `folder`, joined.
fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts = entries.map(|path| match path.extension() {
        _ if path.is_dir() => sources(&path),
        Some(extension) if extension == "rs" => fs::read_to_string(path).unwrap(),
        _ => String::new(),
    });
    texts.collect()
}

#[test]
fn every_test_that_security_md_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let code = ["src", "tests", "crates/gotrue-mock/tests"]
        .map(|folder| sources(&root.join(folder)))
        .concat();
    let claims = fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let rows: Vec<&str> = claims.lines().filter(|line| line.starts_with("| ")).collect();
    let is_defence = |row: &&str| !row.starts_with("| threat");
    assert!(rows.iter().filter(|row| is_defence(row)).count() > 20);
    for row in rows.into_iter().filter(is_defence) {
        let tests = row.trim_end_matches('|').rsplit('|').next().unwrap();
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test: {row}");
        for test in named {
            assert!(code.contains(&format!("fn {test}(")), "{test}");
        }
    }
}

#[test]
fn the_proxy_configurations_in_the_documents_are_the_tested_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/revocation.md")).unwrap();
    for (language, file) in
        [("nginx", "deploy/nginx/logout-gateway.conf"), ("caddyfile", "deploy/caddy/Caddyfile")]
    {
        let tested = fs::read_to_string(root.join(file)).unwrap();
        assert!(page.contains(&format!("```{language}\n{tested}```\n")), "{file}");
    }
}

#[tokio::test]
async fn the_openapi_document_and_its_page_do_not_show_the_products_version() {
    let app = TestApp::new().await;
    for path in ["/openapi.json", "/docs", "/docs/swagger-initializer.js"] {
        let reply = app.get(path).send().await;
        assert_eq!(reply.status, 200, "{path}");
        let all = format!("{:?} {}", reply.headers, reply.text());
        assert!(!all.contains(env!("CARGO_PKG_VERSION")), "{path}");
    }
}
