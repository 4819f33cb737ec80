//! Import circles inside a crate.
//!
//! Files that import each other have to be read together. Three are a family; more are a knot. A
//! child that adds to a type of its parent (`impl Session` in a file of its own) is no circle as long
//! as the parent imports nothing of that child.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::sources;

/// The most files that may import each other in a circle.
const MAX_FILES: usize = 3;

/// The folders whose crates are checked.
const FOLDERS: [&str; 5] = ["core", "io", "os", "apps", "testing"];

/// A module, named from the crate's root; the root itself is empty.
type Module = Vec<String>;

/// What a module imports: another one, and a name in it if that is no module.
type Import = (Module, Option<String>);

/// Checks every crate.
///
/// # Errors
///
/// Returns an error if a file cannot be read.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    for folder in FOLDERS {
        let Ok(crates) = fs::read_dir(root.join(folder)) else {
            continue;
        };
        for package in crates {
            let package = package?;
            let name = package.file_name().to_string_lossy().into_owned();
            let sources = read(&package.path().join("src"))?;
            broken.extend(check_crate(&sources).into_iter().map(|circle| {
                format!("{name}: {circle} import each other in a circle, {MAX_FILES} are the limit")
            }));
        }
    }
    broken.sort();

    Ok(broken)
}

/// Returns every module below `folder` with its text. Programs in `bin/` are roots of their own and
/// have one file each.
fn read(folder: &Path) -> Result<BTreeMap<Module, String>> {
    let mut files = Vec::new();
    sources::walk(folder, &mut files)?;
    let mut modules = BTreeMap::new();
    for file in files {
        let path = file
            .strip_prefix(folder)
            .unwrap_or(&file)
            .with_extension("");
        let mut module: Module = (path.iter())
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        if module == ["lib"] || module == ["main"] {
            module.clear();
        }
        if module.first().is_some_and(|first| first == "bin") {
            continue;
        }
        let text = fs::read_to_string(&file)
            .with_context(|| format!("failed to read {}", file.display()))?;
        modules.insert(module, text);
    }

    Ok(modules)
}

/// Returns the circles of one crate that have too many files, each as a list of modules.
fn check_crate(sources: &BTreeMap<Module, String>) -> Vec<String> {
    let graph = graph(sources);
    let reach: BTreeMap<&Module, BTreeSet<&Module>> = (graph.keys())
        .map(|module| (module, reachable(&graph, module)))
        .collect();
    let mut circles = BTreeSet::new();
    for (module, others) in &reach {
        let circle: Vec<&Module> = (others.iter().copied())
            .filter(|other| reach.get(other).is_some_and(|back| back.contains(module)))
            .collect();
        if circle.len() > MAX_FILES {
            let names: Vec<String> = circle.iter().map(|module| name_of(module)).collect();
            circles.insert(names.join(", "));
        }
    }

    circles.into_iter().collect()
}

fn name_of(module: &[String]) -> String {
    if module.is_empty() {
        "the root".to_owned()
    } else {
        module.join("::")
    }
}

/// Returns everything that can be reached by at least one import.
fn reachable<'g>(
    graph: &'g BTreeMap<Module, BTreeSet<Module>>,
    from: &Module,
) -> BTreeSet<&'g Module> {
    let mut seen = BTreeSet::new();
    let mut next: Vec<&Module> = graph.get(from).into_iter().flatten().collect();
    while let Some(module) = next.pop() {
        if seen.insert(module) {
            next.extend(graph.get(module).into_iter().flatten());
        }
    }

    seen
}

/// Returns which module imports which. A name that a module only passes on (`pub use`) counts as
/// imported from where it is defined.
fn graph(sources: &BTreeMap<Module, String>) -> BTreeMap<Module, BTreeSet<Module>> {
    let mut imports: Vec<(&Module, Import)> = Vec::new();
    let mut passed_on: BTreeMap<Import, Module> = BTreeMap::new();
    for (module, text) in sources {
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (is_public, path) in uses(&sources::code(text)) {
            let Some((target, name)) = resolve(&path, module, sources) else {
                continue;
            };
            match name {
                Some(name) if is_public => {
                    passed_on.insert((module.clone(), Some(name)), target);
                }
                name => imports.push((module, (target, name))),
            }
        }
    }

    let mut graph: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for (module, mut import) in imports {
        let mut hops = passed_on.len();
        while let Some(target) = passed_on.get(&import).filter(|_| hops > 0) {
            import.0.clone_from(target);
            hops -= 1;
        }
        if import.0 != *module {
            graph.entry(module.clone()).or_default().insert(import.0);
        }
    }

    graph
}

/// Returns the paths of every `use`, one for each name, and whether it is public.
fn uses(code: &str) -> Vec<(bool, String)> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("use ") {
        let (before, after) = rest.split_at(at);
        let line = before.rsplit('\n').next().unwrap_or_default().trim();
        let statement = after.get(4..).unwrap_or_default();
        let end = statement.find(';').unwrap_or(statement.len());
        let is_statement = line.is_empty() || line.starts_with("pub");
        if is_statement {
            let mut paths = Vec::new();
            expand(statement.get(..end).unwrap_or_default(), "", &mut paths);
            found.extend(paths.into_iter().map(|path| (!line.is_empty(), path)));
        }
        rest = statement;
    }

    found
}

/// Writes out the groups of a path: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expand(text: &str, prefix: &str, paths: &mut Vec<String>) {
    let text = text.trim();
    let Some((before, group)) = text.split_once('{') else {
        let plain = text.split(" as ").next().unwrap_or_default().trim();
        if !plain.is_empty() {
            paths.push(format!("{prefix}{plain}"));
        }
        return;
    };
    let prefix = format!("{prefix}{}", before.trim());
    let group = group.rsplit_once('}').map_or(group, |(inside, _)| inside);
    let (mut depth, mut start) = (0_u32, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                expand(group.get(start..at).unwrap_or_default(), &prefix, paths);
                start = at + 1;
            }
            _ => {}
        }
    }
    expand(group.get(start..).unwrap_or_default(), &prefix, paths);
}

/// Returns the module of this crate that a path leads to, and the name there; `None` for other crates.
fn resolve(path: &str, module: &Module, sources: &BTreeMap<Module, String>) -> Option<Import> {
    let mut segments = path.split("::").map(str::trim).peekable();
    let mut target = module.clone();
    let is_absolute = segments.next_if_eq(&"crate").is_some();
    if is_absolute {
        target.clear();
    }
    let mut is_ours = is_absolute || segments.next_if_eq(&"self").is_some();
    while segments.next_if_eq(&"super").is_some() {
        target.pop();
        is_ours = true;
    }
    while let Some(segment) = segments.peek() {
        target.push((*segment).to_owned());
        if !sources.contains_key(&target) {
            target.pop();
            break;
        }
        is_ours = true;
        segments.next();
    }

    is_ours.then(|| (target, segments.next().map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles(files: &[(&str, &str)]) -> Vec<String> {
        let sources = files.iter().map(|(module, text)| {
            let module = module.split("::").filter(|part| !part.is_empty());
            (module.map(str::to_owned).collect(), (*text).to_owned())
        });

        check_crate(&sources.collect())
    }

    #[test]
    fn four_files_in_a_circle_are_too_many_and_three_are_not() {
        let files = [
            ("", "mod a; mod b; mod c; mod d;"),
            ("a", "use crate::b::B;\n"),
            ("b", "use super::c::{C, D};\n"),
            ("c", "use crate::{d::D};\n"),
            ("d", "use crate::a::A;\n"),
        ];
        assert_eq!(circles(&files), ["a, b, c, d"]);

        let mut three = files;
        three[3].1 = "use crate::a::A;\n";
        assert_eq!(circles(&three), [""; 0]);
    }

    #[test]
    fn a_name_that_is_passed_on_is_imported_from_where_it_is_defined() {
        let files = [
            (
                "",
                "pub use a::A;\npub use b::B;\npub use c::C;\npub use d::D;\n",
            ),
            ("a", "use crate::B;\n"),
            ("b", "use crate::C;\n"),
            ("c", "use crate::D;\n"),
            ("d", "use std::fmt;\n"),
        ];
        assert_eq!(circles(&files), [""; 0]);

        let mut circle = files;
        circle[4].1 = "use crate::A;\n";
        assert_eq!(circles(&circle), ["a, b, c, d"]);
    }

    #[test]
    fn children_that_add_to_a_type_of_their_parent_are_no_circle() {
        let files = [
            ("", "mod a;"),
            ("a", "mod b;\nmod c;\nmod d;\npub struct A;\n"),
            ("a::b", "use super::A;\nuse super::c::f;\n"),
            ("a::c", "use super::A;\nuse super::d::{self};\n"),
            ("a::d", "use super::A;\n"),
        ];

        assert_eq!(circles(&files), [""; 0]);
    }

    #[test]
    fn tests_and_comments_import_nothing() {
        let files = [
            (
                "a",
                "// use crate::b::B;\n#[cfg(test)]\nmod tests {\n    use crate::b::B;\n}\n",
            ),
            ("b", "use crate::c::C;\n"),
            ("c", "use crate::d::D;\n"),
            ("d", "use crate::a::A;\n"),
        ];

        assert_eq!(circles(&files), [""; 0]);
    }
}
