//! Rules about files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::relative;
use super::requirements::Requirements;

/// The longest file, its unit tests not counted: what one person keeps in mind.
const MAX_LINES: usize = 450;

/// Folders with our sources.
const FOLDERS: [&str; 7] = ["core", "io", "os", "apps", "testing", "xtask", "fuzz"];

/// The one file outside `os/` with unsafe code: the test bed's raw sockets must not share the product's mistakes.
const RAW_SOCKETS_OF_TESTS: &str = "testing/lanparty-e2e/src/raw.rs";

/// The one file whose tests cite rows that do not exist.
const CITES_WRONG_ROWS: &str = "xtask/src/rules/requirements.rs";

/// The one file of `io/` that names a kind of system: a file's mode is its privacy, and one function decides that for every system.
const FILE_MODES: &str = "io/lanparty-state/src/lib.rs";

/// Checks every source file and every manifest below `root`, and the rows of the requirements that
/// they cite.
///
/// # Errors
///
/// Returns an error if a file cannot be read.
pub(super) fn check(root: &Path, requirements: &Requirements) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    for folder in FOLDERS {
        let mut files = Vec::new();
        walk(&root.join(folder), &mut files)?;
        for file in files {
            let path = relative(root, &file);
            let text =
                fs::read_to_string(&file).with_context(|| format!("failed to read {path}"))?;
            broken.extend(check_file(&path, &text));
            if path != CITES_WRONG_ROWS {
                broken.extend(requirements.check(&path, &text));
            }
        }
    }
    if !root.join("core/clippy.toml").is_file() {
        broken.push(
            "core/clippy.toml: missing, so nothing keeps clocks and sockets out of core".to_owned(),
        );
    }

    Ok(broken)
}

/// Returns every Rust file and manifest, and every file that could turn core's lint settings off.
pub(super) fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() && name != "target" && name != "corpus" {
            walk(&path, files)?;
        } else if is_rust(&name) || name == "Cargo.toml" || name.ends_with("clippy.toml") {
            files.push(path);
        }
    }

    Ok(())
}

fn is_rust(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| extension == "rs")
}

/// Checks one file; `path` is relative to the workspace.
fn check_file(path: &str, text: &str) -> Vec<String> {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name {
        "Cargo.toml" => check_manifest(path, text),
        "clippy.toml" | ".clippy.toml" if path != "core/clippy.toml" => {
            vec![format!(
                "{path}: hides the settings of the folders above it"
            )]
        }
        _ if is_rust(name) => check_source(path, text),
        _ => Vec::new(),
    }
}

fn check_manifest(path: &str, text: &str) -> Vec<String> {
    // The fuzz targets are a workspace of their own.
    let is_ours = !path.starts_with("fuzz/");
    let lints = text
        .split_once("[lints]")
        .is_some_and(|(_, rest)| rest.trim_start().starts_with("workspace = true"));

    if is_ours && !lints {
        vec![format!("{path}: says no `[lints] workspace = true`")]
    } else {
        Vec::new()
    }
}

fn check_source(path: &str, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    if path.ends_with("/mod.rs") {
        broken.push(format!(
            "{path}: modules lie in `name.rs` and `name/`, not in `mod.rs`"
        ));
    }
    let is_test = path.contains("/tests/") || path.contains("/benches/");
    let lines = text
        .lines()
        .take_while(|line| *line != "#[cfg(test)]")
        .count();
    if lines > MAX_LINES && !is_test {
        broken.push(format!(
            "{path}: {lines} lines before its tests, {MAX_LINES} are the limit"
        ));
    }
    let may_be_unsafe = path.starts_with("os/") || path == RAW_SOCKETS_OF_TESTS;
    if !may_be_unsafe && has_word(&code(text), "unsafe") {
        broken.push(format!("{path}: unsafe code lives in os/ alone"));
    }
    if path.starts_with("io/") && path != FILE_MODES && code(text).contains("std::os::") {
        broken.push(format!(
            "{path}: io/ acts portably; what names a system lives in os/"
        ));
    }

    broken
}

/// Returns whether `word` stands in `text` on its own.
fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|part| part == word)
}

/// Returns the text without comments and string literals.
///
/// Knows line and block comments, plain and raw strings, and character literals: enough for our sources.
pub(super) fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |at| at + 2)
        } else if let Some(end) = raw_string(rest) {
            end
        } else if first == '"' {
            string(rest)
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\") {
            3
        } else {
            code.push(first);
            first.len_utf8()
        };
        rest = rest.get(skipped..).unwrap_or_default();
    }

    code
}

/// Returns the length of the plain string literal that `text` starts with.
fn string(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !is_escaped => return at + 1,
            _ => is_escaped = c == '\\' && !is_escaped,
        }
    }

    text.len()
}

/// Returns the length of the raw string literal that `text` starts with, if it does.
fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix('r')?;
    let quoted = after.trim_start_matches('#');
    let hashes = after.len() - quoted.len();
    let body = quoted.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = text.len() - body.len();

    Some(
        body.find(&end)
            .map_or(text.len(), |at| start + at + end.len()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_is_for_os_crates_only() {
        let text = "fn f() { unsafe { g() } }\n";

        assert_eq!(check_file("os/a/src/lib.rs", text), Vec::<String>::new());
        assert_eq!(check_file("core/a/src/lib.rs", text).len(), 1);
        assert_eq!(
            check_file("testing/lanparty-e2e/src/raw.rs", text),
            Vec::<String>::new()
        );
    }

    #[test]
    fn portable_crates_name_no_system() {
        let text = "use std::os::fd::OwnedFd;\n";

        assert_eq!(check_file("io/a/src/lib.rs", text).len(), 1);
        assert_eq!(check_file("os/a/src/lib.rs", text), Vec::<String>::new());
        assert_eq!(check_file(FILE_MODES, text), Vec::<String>::new());
        let comment = "// std::os::fd\n";
        assert_eq!(check_file("io/a/src/lib.rs", comment), Vec::<String>::new());
    }

    #[test]
    fn speaking_of_unsafe_is_allowed() {
        let text = "// unsafe\n/* unsafe */ const A: &str = \"an \\\" unsafe\"; const B: &str = r#\"unsafe \"x\" \"#;\n\
                    const C: char = '\"'; #[expect(unsafe_code)] fn f<'a>() {} // the end";

        assert_eq!(check_file("core/a/src/lib.rs", text), Vec::<String>::new());
        assert!(has_word(&code("let a = '\"'; unsafe {}"), "unsafe"));
        assert!(has_word(&code("let a = '\\''; unsafe {}"), "unsafe"));
    }

    #[test]
    fn long_files_are_named_and_their_unit_tests_do_not_count() {
        let long = "x;\n".repeat(451);
        assert_eq!(check_file("core/a/src/lib.rs", &long).len(), 1);
        assert_eq!(
            check_file("core/a/tests/all.rs", &long),
            Vec::<String>::new()
        );

        let tested = format!(
            "{}#[cfg(test)]\n{}",
            "x;\n".repeat(450),
            "y;\n".repeat(1_000)
        );
        assert_eq!(
            check_file("core/a/src/lib.rs", &tested),
            Vec::<String>::new()
        );
    }

    #[test]
    fn manifests_take_the_workspace_s_lints() {
        assert_eq!(
            check_file(
                "core/a/Cargo.toml",
                "[package]\n[lints]\nworkspace = true\n"
            ),
            Vec::<String>::new()
        );
        assert_eq!(
            check_file("core/a/Cargo.toml", "[package]\n[lints.rust]\n").len(),
            1
        );
        assert_eq!(
            check_file("fuzz/Cargo.toml", "[package]\n"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn no_crate_hides_the_settings_of_core() {
        assert_eq!(check_file("core/a/clippy.toml", "").len(), 1);
        assert_eq!(check_file("core/a/.clippy.toml", "").len(), 1);
        assert_eq!(check_file("core/clippy.toml", ""), Vec::<String>::new());
        assert_eq!(check_file("core/a/src/mod.rs", "").len(), 1);
    }
}
