//! Documents name what exists: files, folders, crates.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

/// History names what was.
const HISTORY: &str = "CHANGELOG.md";

/// What the compiler makes is not there before it has run.
const BUILT: &str = "target";

/// Returns the documents: Markdown in the workspace's own folder and in `docs/`.
///
/// # Errors
///
/// Returns an error if a folder cannot be read.
pub(super) fn all(root: &Path) -> Result<Vec<PathBuf>> {
    let mut documents = Vec::new();
    for folder in [root.to_owned(), root.join("docs")] {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if is_markdown(&path) && path.file_name().is_some_and(|name| name != HISTORY) {
                documents.push(path);
            }
        }
    }
    documents.sort();

    Ok(documents)
}

/// Returns a sentence for every path in a document that does not exist, and for every crate that
/// no folder of the workspace has.
///
/// `crates` are the packages of the workspace; `path` is the document, relative to `root`.
pub(super) fn check(root: &Path, path: &str, text: &str, crates: &BTreeSet<&str>) -> Vec<String> {
    let paths = quoted(text)
        .filter_map(|quoted| claimed_path(root, quoted))
        .filter(|claimed| !exists(root, claimed))
        .map(|claimed| format!("{path}: there is no {claimed}"));
    let names = crate_names(text)
        .filter(|name| !crates.contains(name))
        .map(|name| format!("{path}: there is no crate {name}"));

    paths.chain(names).collect()
}

fn is_markdown(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

/// Returns what stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().filter(|line| !line.starts_with("```"));

    lines.flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Returns the path that `quoted` claims, if it claims one: it begins with a folder of the
/// workspace, or is the name of a document. What follows a placeholder in capitals is left out.
fn claimed_path(root: &Path, quoted: &str) -> Option<String> {
    let first = quoted.split('/').next().unwrap_or_default();
    let is_word = !first.is_empty() && first.chars().all(|c| c.is_ascii_lowercase());
    let is_ours = is_word && first != BUILT && root.join(first).is_dir();
    let is_inside = quoted.contains('/') && is_ours;
    let is_document = !quoted.contains('/') && is_markdown(Path::new(quoted));
    let is_pattern = quoted.contains([' ', '*', '{', '<', '=']);
    if is_pattern || !(is_inside || is_document) {
        return None;
    }

    let fixed = quoted
        .split('/')
        .take_while(|part| is_document || !is_placeholder(part));
    Some(fixed.collect::<Vec<_>>().join("/"))
}

fn is_placeholder(part: &str) -> bool {
    !part.is_empty() && part.chars().all(|c| c.is_ascii_uppercase())
}

fn exists(root: &Path, claimed: &str) -> bool {
    root.join(claimed).exists() || root.join("docs").join(claimed).exists()
}

/// Returns the words that have the form of a crate's name. Files begin like that, too
/// (`lanparty-relay.service`), but have a dot.
fn crate_names(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '.' | '_'))
        .map(|word| word.trim_end_matches(['.', '-']))
        .filter(|word| word.starts_with("lanparty-") && !word.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(text: &str) -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();

        check(root, "docs/a.md", text, &BTreeSet::from(["lanparty-relay"]))
    }

    #[test]
    fn a_path_that_does_not_exist_is_named() {
        assert_eq!(
            broken("see `xtask/src/main.rs`, `xtask/src/nothing.rs` and `nothing.md`"),
            [
                "docs/a.md: there is no xtask/src/nothing.rs",
                "docs/a.md: there is no nothing.md"
            ]
        );
    }

    #[test]
    fn what_is_no_path_of_ours_is_left_alone() {
        let text = "`443/udp`, `/proc/self`, `*/tests/properties.rs`, `xtask/src/FILE/x`, `requirements.md`, \
                    `docs/requirements.md`, `GET /metrics`";

        assert_eq!(broken(text), Vec::<String>::new());
    }

    #[test]
    fn a_crate_that_the_workspace_does_not_have_is_named() {
        assert_eq!(
            broken("lanparty-relay, lanparty-relay.service. lanparty-nobody."),
            ["docs/a.md: there is no crate lanparty-nobody"]
        );
    }
}
