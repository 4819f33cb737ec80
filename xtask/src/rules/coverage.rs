//! The table of rows and tests names tests that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// The table.
const TABLE: &str = "docs/coverage.md";

/// Where tests are.
const FOLDERS: [&str; 5] = ["apps", "core", "io", "os", "testing"];

/// Returns a sentence for every test in the table that no source file has.
///
/// # Errors
///
/// Returns an error if the table or a source file cannot be read.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let table = fs::read_to_string(root.join(TABLE)).context("no table of rows and tests")?;
    let mut functions = BTreeSet::new();
    for folder in FOLDERS {
        collect(&root.join(folder), &mut functions)?;
    }

    let missing = named(&table).filter(|name| !functions.contains(*name));
    Ok(missing
        .map(|name| format!("{TABLE}: there is no test {name}"))
        .collect())
}

/// Returns what stands between backquotes in rows of the table and can only be a test.
fn named(table: &str) -> impl Iterator<Item = &str> {
    let rows = table.lines().filter(|line| line.starts_with('|'));

    rows.flat_map(|line| line.split('`').skip(1).step_by(2))
}

fn collect(folder: &Path, functions: &mut BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, functions)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            let names = text
                .lines()
                .filter_map(|line| line.trim_start().strip_prefix("fn "))
                .filter_map(|rest| rest.split('(').next());
            functions.extend(names.map(str::to_owned));
        }
    }

    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_read_from_rows_alone() {
        let table = "`not_a_row`\n| R1 | `one`, `two` (said of three) |\n";

        assert_eq!(named(table).collect::<Vec<_>>(), ["one", "two"]);
    }
}
