//! The table of rows and tests (`docs/coverage.md`) agrees with the requirements and the sources.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::requirements::Requirements;

/// The table.
const TABLE: &str = "docs/coverage.md";

/// Where tests are.
const FOLDERS: [&str; 6] = ["apps", "core", "io", "os", "testing", "xtask"];

/// Returns a sentence for every test in the table that no source file has, for every row in the
/// table that the requirements do not have, and for every row that is done and not in the table.
///
/// # Errors
///
/// Returns an error if the table or a source file cannot be read.
pub(super) fn check(root: &Path, requirements: &Requirements) -> Result<Vec<String>> {
    let table = fs::read_to_string(root.join(TABLE)).context("no table of rows and tests")?;
    let mut functions = BTreeSet::new();
    for folder in FOLDERS {
        collect(&root.join(folder), &mut functions)?;
    }

    let mut broken = missing_tests(&table, &functions);
    broken.extend(wrong_rows(&table, requirements));

    Ok(broken)
}

fn missing_tests(table: &str, functions: &BTreeSet<String>) -> Vec<String> {
    named(table)
        .filter(|name| !functions.contains(*name))
        .map(|name| format!("{TABLE}: there is no test {name}"))
        .collect()
}

fn wrong_rows(table: &str, requirements: &Requirements) -> Vec<String> {
    let covered: BTreeSet<&str> = rows(table).collect();
    let unknown = covered
        .iter()
        .filter(|row| !requirements.has(row))
        .map(|row| format!("{TABLE}: there is no row {row} in the requirements"));
    let untested = requirements
        .done()
        .filter(|row| !covered.contains(row))
        .map(|row| format!("{TABLE}: row {row} is done and has no test here"));

    unknown.chain(untested).collect()
}

/// Returns the requirements' rows that the table names: `| C2, C3 | tests |`.
fn rows(table: &str) -> impl Iterator<Item = &str> {
    table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .flat_map(|cell| cell.split(", "))
        .filter(|row| super::requirements::is_row(row))
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

    #[test]
    fn a_test_that_no_source_has_is_named() {
        let functions = BTreeSet::from(["one".to_owned()]);

        assert_eq!(
            missing_tests("| R1 | `one`, `two` |\n", &functions),
            ["docs/coverage.md: there is no test two"]
        );
    }

    #[test]
    fn a_row_that_is_unknown_and_a_done_row_without_a_test_are_named() {
        let requirements = Requirements::parse(
            "| R1 | done | a |\n| R2 | done | b |\n| R3 | open | c |\n| R4 | done | d |\n",
        );
        let table =
            "| row | tests |\n|---|---|\n| R1, R4 | `one` |\n| R9 | `two` |\n| loops | `x` |\n";

        assert_eq!(
            wrong_rows(table, &requirements),
            [
                "docs/coverage.md: there is no row R9 in the requirements",
                "docs/coverage.md: row R2 is done and has no test here"
            ]
        );
    }
}
