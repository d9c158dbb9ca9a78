//! The documents must agree with the code: the tests that they name exist, and the files that they show are
//! tested.

mod links;

use std::{collections::BTreeSet, fs, path::Path};

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

/// The variables of the calls of `Warning::new` that pass no literal, by the name of the argument.
const PASSED_BY_NAME: &[(&str, &[&str])] = &[
    ("set", &["HTTPS_PROXY"]),
    ("variable", &["SUPABASE_URL", "GOTRUE_URL", "GATEWAY_BIND", "GATEWAY_ADMIN_BIND"]),
];

#[test]
fn operate_md_lists_every_weak_setting_of_which_the_gateway_warns() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let code = sources(&root.join("src"));
    let mut warned = BTreeSet::new();
    for call in code.split("Warning::new(").skip(1) {
        let argument = call.split(',').next().unwrap().trim();
        if let Some(literal) = argument.strip_prefix('"') {
            warned.insert(literal.trim_end_matches('"'));
        } else {
            let known = PASSED_BY_NAME.iter().find(|(name, _)| *name == argument);
            warned.extend(known.expect("PASSED_BY_NAME has every name").1.iter().copied());
        }
    }
    let page = fs::read_to_string(root.join("docs/operate.md")).unwrap();
    let section = page.split("\n## Weak settings\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let first_cells = rows.map(|row| row.split('|').nth(1).unwrap());
    let listed: BTreeSet<&str> =
        first_cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert_eq!(listed, warned);
}

/// The repository has several packages with binaries, of which cargo asks for one.
#[test]
fn each_cargo_install_from_the_repository_names_the_package() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents =
        ["README.md", "docs/operate.md", "docs/ci.md", "packaging/npm/logout-gateway/README.md"];
    let text = documents.map(|document| fs::read_to_string(root.join(document)).unwrap()).concat();
    let commands: Vec<_> = text.split("cargo install ").skip(1).collect();
    let from_git = commands.iter().filter_map(|command| command.split("--git ").nth(1));
    let from_git: Vec<_> = from_git.map(|rest| rest.split(['`', '\n']).next().unwrap()).collect();
    assert!(!from_git.is_empty());
    for arguments in from_git {
        assert!(arguments.ends_with(" logout-gateway"), "{arguments}");
    }
}

/// Lines of a proxy's file without their indentation and without the comment that a document adds.
fn trimmed_lines(text: &str) -> Vec<&str> {
    text.lines().map(|line| line.split("  #").next().unwrap().trim()).collect()
}

#[test]
fn the_lines_that_the_documents_tell_to_change_are_in_the_proxy_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/proxies.md")).unwrap();
    let changes: Vec<&str> = page.split("Change these lines of the file").skip(1).collect();
    let files = ["deploy/nginx/logout-gateway.conf", "deploy/caddy/Caddyfile"];
    assert_eq!(changes.len(), files.len());
    for (text, file) in changes.into_iter().zip(files) {
        let tested = fs::read_to_string(root.join(file)).unwrap();
        let tested = trimmed_lines(&tested);
        let block = text.split("```").nth(1).unwrap();
        let shown = trimmed_lines(block.split_once('\n').unwrap().1);
        assert!(shown.len() > 3, "{file}: {shown:?}");
        for line in shown {
            assert!(tested.contains(&line), "{file}: {line}");
        }
    }
}

#[tokio::test]
async fn the_openapi_document_and_its_page_do_not_show_the_products_version() {
    let app = TestApp::new().await;
    for path in ["/openapi.json", "/docs"] {
        let reply = app.get(path).send().await;
        assert_eq!(reply.status, 200, "{path}");
        let all = format!("{:?} {}", reply.headers, reply.text());
        assert!(!all.contains(env!("CARGO_PKG_VERSION")), "{path}");
    }
}
