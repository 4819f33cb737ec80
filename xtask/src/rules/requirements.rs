//! What sources and documents cite of the requirements stands there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// The requirements.
const DOCUMENT: &str = "docs/requirements.md";

/// What a citation begins with: `SPEC R11, R12 and R16`.
const MARK: &str = "SPEC ";

/// The rows of the requirements.
pub(super) struct Requirements {
    /// Whether each row is done.
    rows: BTreeMap<String, bool>,
}

impl Requirements {
    /// Reads the rows.
    ///
    /// # Errors
    ///
    /// Returns an error if the document cannot be read.
    pub(super) fn load(root: &Path) -> Result<Self> {
        let text = fs::read_to_string(root.join(DOCUMENT)).context("no requirements")?;

        Ok(Self::parse(&text))
    }

    /// Reads rows like `| R7 | done | what it asks |`.
    pub(super) fn parse(text: &str) -> Self {
        let rows = text.lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            let row = cells.next().filter(|row| is_row(row))?;

            Some((row.to_owned(), cells.next() == Some("done")))
        });

        Self {
            rows: rows.collect(),
        }
    }

    /// Returns whether there is such a row.
    pub(super) fn has(&self, row: &str) -> bool {
        self.rows.contains_key(row)
    }

    /// Returns the rows that are done.
    pub(super) fn done(&self) -> impl Iterator<Item = &str> {
        let done = self.rows.iter().filter(|(_, is_done)| **is_done);

        done.map(|(row, _)| row.as_str())
    }

    /// Returns a sentence for every row that `text` cites and the requirements do not have.
    ///
    /// `path` is the file, relative to the workspace. Rust tests cite by their names, too: `r7_…`.
    pub(super) fn check(&self, path: &str, text: &str) -> Vec<String> {
        let is_rust = Path::new(path)
            .extension()
            .is_some_and(|extension| extension == "rs");
        let by_name = if is_rust {
            test_names(text).collect()
        } else {
            Vec::new()
        };
        let cited = citations(text).map(str::to_owned).chain(by_name);

        cited
            .filter(|row| !self.has(row))
            .map(|row| format!("{path}: cites {row}, which is not in {DOCUMENT}"))
            .collect()
    }
}

/// Returns whether `text` has the form of a row's number: a capital letter and a number.
pub(super) fn is_row(text: &str) -> bool {
    let mut characters = text.chars();

    characters.next().is_some_and(|c| c.is_ascii_uppercase())
        && text.len() > 1
        && characters.all(|c| c.is_ascii_digit())
}

/// Returns the rows after every [`MARK`].
fn citations(text: &str) -> impl Iterator<Item = &str> {
    text.split(MARK).skip(1).flat_map(|rest| {
        rest.split([',', ' '])
            .filter(|word| !word.is_empty() && *word != "and")
            .map(|word| word.split(|c: char| !c.is_ascii_alphanumeric()).next())
            .map_while(|word| word.filter(|word| is_row(word)))
    })
}

/// Returns the rows that names of tests begin with: `fn r7_sends_…` cites R7.
fn test_names(text: &str) -> impl Iterator<Item = String> {
    text.split("#[test]\n").skip(1).filter_map(|rest| {
        let line = rest
            .lines()
            .find(|line| line.trim_start().starts_with("fn "))?;
        let name = line.trim_start().strip_prefix("fn ")?;
        let row = name.split_once('_')?.0.to_ascii_uppercase();

        is_row(&row).then_some(row)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn citations_are_read_one_and_many() {
        let text =
            "(SPEC R9) by role\n//! (SPEC R11, R12 and R16).\nSPEC D3, or so. No SPEC at all.";

        let rows: Vec<_> = citations(text).collect();
        assert_eq!(rows, ["R9", "R11", "R12", "R16", "D3"]);
    }

    #[test]
    fn a_row_that_does_not_exist_is_named_with_its_file() {
        let requirements = Requirements::parse("| row | state | x |\n| R9 | done | y |\n");

        assert_eq!(
            requirements.check("a.rs", "// SPEC R9\n"),
            Vec::<String>::new()
        );
        assert_eq!(
            requirements.check("a.rs", "// SPEC R9, R77\n"),
            ["a.rs: cites R77, which is not in docs/requirements.md"]
        );
    }

    #[test]
    fn names_of_tests_cite_rows() {
        let requirements = Requirements::parse("| R9 | done | y |\n");
        let text = "#[test]\nfn r9_is_there() {}\n#[test]\n#[ignore]\n    fn d3_is_not() {}\nfn d4_helper() {}\n";

        assert_eq!(
            requirements.check("a.rs", text),
            ["a.rs: cites D3, which is not in docs/requirements.md"]
        );
        assert_eq!(requirements.check("a.md", text), Vec::<String>::new());
    }
}
