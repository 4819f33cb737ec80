//! House rules that no lint knows. Every rule returns sentences; none means kept.

mod circles;
mod coverage;
mod documents;
mod layers;
mod requirements;
mod sources;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use self::requirements::Requirements;
use crate::metadata::Graph;

/// Checks every rule.
///
/// # Errors
///
/// Returns an error if a rule is broken, after printing a sentence for each case.
pub(crate) fn run(root: &Path) -> Result<()> {
    let graph = Graph::load(root)?;
    let requirements = Requirements::load(root)?;

    let mut broken = layers::check(&graph, root);
    broken.extend(sources::check(root, &requirements)?);
    broken.extend(circles::check(root)?);
    broken.extend(coverage::check(root, &requirements)?);
    broken.extend(check_documents(root, &graph, &requirements)?);
    for sentence in &broken {
        println!("{sentence}");
    }
    if !broken.is_empty() {
        bail!("{} house rules broken", broken.len());
    }

    Ok(())
}

fn check_documents(root: &Path, graph: &Graph, rows: &Requirements) -> Result<Vec<String>> {
    let crates = graph.member_names().collect();
    let mut broken = Vec::new();
    for file in documents::all(root)? {
        let path = relative(root, &file);
        let text = fs::read_to_string(&file).with_context(|| format!("failed to read {path}"))?;
        broken.extend(rows.check(&path, &text));
        broken.extend(documents::check(root, &path, &text, &crates));
    }

    Ok(broken)
}

/// Returns a path as sentences name it: relative to the workspace.
fn relative(root: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(root).unwrap_or(path);

    relative.to_string_lossy().into_owned()
}
