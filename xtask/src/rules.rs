//! House rules that no lint knows. Every rule returns sentences; none means kept.

mod circles;
mod coverage;
mod layers;
mod sources;

use std::path::Path;

use anyhow::{Result, bail};

use crate::metadata::Graph;

/// Checks every rule.
///
/// # Errors
///
/// Returns an error if a rule is broken, after printing a sentence for each case.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut broken = layers::check(&Graph::load(root)?, root);
    broken.extend(sources::check(root)?);
    broken.extend(circles::check(root)?);
    broken.extend(coverage::check(root)?);
    for sentence in &broken {
        println!("{sentence}");
    }
    if !broken.is_empty() {
        bail!("{} house rules broken", broken.len());
    }

    Ok(())
}
