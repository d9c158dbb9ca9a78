//! Links between the documents, and from other files to the documents, lead to files and headings that exist.

use std::{
    collections::BTreeSet,
    fs,
    path::{Component, Path, PathBuf},
};

/// Folders that are not part of the repository, or whose documents are not ours.
const SKIPPED: &[&str] = &["target", "node_modules", "dist", "fixtures", "artifacts", "corpus"];

/// The files below `folder` with one of these extensions.
fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = entries.flat_map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if path.is_dir() && !SKIPPED.contains(&name) && !name.starts_with('.') {
            files(&path, extensions)
        } else if path.is_file() && extension.is_some_and(|it| extensions.contains(&it)) {
            vec![path]
        } else {
            Vec::new()
        }
    });
    below.collect()
}

/// The text without its code blocks, in which `[…](…)` and `#` are code.
fn without_code_blocks(text: &str) -> String {
    let mut in_block = false;
    let lines = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        in_block ^= is_fence;
        !in_block && !is_fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The anchors of the headings, as GitHub makes them.
fn anchors(document: &Path) -> BTreeSet<String> {
    let text = without_code_blocks(&fs::read_to_string(document).unwrap());
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let title = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// Joins the paths and resolves `..`, so that a failure names the file as a reader would.
fn join(folder: &Path, link: &str) -> PathBuf {
    let mut joined = PathBuf::new();
    for part in folder.join(link).components() {
        match part {
            Component::ParentDir => {
                joined.pop();
            }
            other => joined.push(other),
        }
    }
    joined
}

/// What is wrong with a link to `target`, the path of a file with or without `#anchor`, from a file in `folder`.
fn broken(folder: &Path, own: &Path, target: &str) -> Option<String> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = if path.is_empty() { own.to_owned() } else { join(folder, path) };
    if !file.exists() {
        return Some(format!("{} links to {target}: no such file", own.display()));
    }
    let is_known = anchor.is_empty() || file.is_dir() || anchors(&file).contains(anchor);
    (!is_known).then(|| format!("{} links to {target}: no such heading", own.display()))
}

#[test]
fn every_link_of_a_document_leads_to_a_file_and_a_heading_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = files(root, &["md"]);
    assert!(documents.len() > 10, "{documents:?}");
    let mut wrong = Vec::new();
    for document in documents {
        let text = without_code_blocks(&fs::read_to_string(&document).unwrap());
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let local =
            targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
        let folder = document.parent().unwrap();
        wrong.extend(local.filter_map(|target| broken(folder, &document, target)));
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// Comments, log messages, alert rules and panels name documents by their path from the root.
#[test]
fn every_document_that_another_file_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let extensions = ["rs", "js", "mjs", "ts", "yml", "yaml", "json", "conf", "toml", "sh"];
    let mut named = vec![root.join("Makefile"), root.join("deploy/caddy/Caddyfile")];
    named.extend(files(root, &extensions));
    let mut wrong = Vec::new();
    let mut count = 0;
    for file in named {
        let text = fs::read_to_string(&file).unwrap();
        for (position, _) in text.match_indices("docs/") {
            let path: &str = text[position..]
                .split(|c: char| !c.is_ascii_alphanumeric() && !"/.#-_".contains(c))
                .next()
                .unwrap();
            // A full stop may end the sentence.
            let target = path.trim_end_matches('.');
            if target.contains(".md") && !text[..position].ends_with('/') {
                count += 1;
                wrong.extend(broken(root, &file, target).filter(|_| !target.ends_with('#')));
            }
        }
    }
    assert!(count > 20, "{count}");
    assert_eq!(wrong, Vec::<String>::new());
}
