//! What `cargo metadata` says about packages and who depends on whom.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Packages and their dependencies, by cargo's package id.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// Every package of the dependency tree.
    pub(crate) packages: BTreeMap<String, Package>,
    /// Ids of the workspace's own packages.
    pub(crate) members: BTreeSet<String>,
}

/// One package.
#[derive(Debug, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Folder of its manifest.
    pub(crate) folder: PathBuf,
    /// Runs inside the compiler, so what it knows does not end up in a program.
    pub(crate) is_proc_macro: bool,
    pub(crate) dependencies: Vec<Edge>,
}

/// A dependency.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) to: String,
    pub(crate) is_normal: bool,
    /// Used by tests and benchmarks alone.
    pub(crate) is_dev_only: bool,
}

impl Graph {
    /// Returns the names of the workspace's own packages.
    pub(crate) fn member_names(&self) -> impl Iterator<Item = &str> {
        let members = self.members.iter().filter_map(|id| self.packages.get(id));

        members.map(|package| package.name.as_str())
    }

    /// Asks cargo.
    pub(crate) fn load(root: &Path) -> Result<Self> {
        let output = crate::ci::cargo()
            .args(["metadata", "--format-version", "1", "--locked"])
            .current_dir(root)
            .output()
            .context("failed to start cargo")?;
        ensure!(
            output.status.success(),
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        let json = serde_json::from_slice(&output.stdout).context("cargo metadata prints JSON")?;

        Self::parse(&json).context("cargo metadata has an unknown form")
    }

    fn parse(json: &Value) -> Option<Self> {
        let mut graph = Self::default();
        for package in json.get("packages")?.as_array()? {
            let id = text(package, "id")?;
            let targets = package.get("targets")?.as_array()?;
            let is_proc_macro = targets
                .iter()
                .any(|target| has(target, "kind", "proc-macro"));
            let manifest = PathBuf::from(text(package, "manifest_path")?);
            let folder = manifest.parent()?.to_owned();
            let package = Package {
                name: text(package, "name")?,
                folder,
                is_proc_macro,
                dependencies: Vec::new(),
            };
            graph.packages.insert(id, package);
        }
        for node in json.get("resolve")?.get("nodes")?.as_array()? {
            let edges = node
                .get("deps")?
                .as_array()?
                .iter()
                .map(edge)
                .collect::<Option<_>>()?;
            graph.packages.get_mut(&text(node, "id")?)?.dependencies = edges;
        }
        graph.members = json
            .get("workspace_members")?
            .as_array()?
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();

        Some(graph)
    }

    /// Returns the names of everything that ends up in programs by way of `id`, itself left out.
    pub(crate) fn normal_tree(&self, id: &str) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut open = vec![id];
        while let Some(next) = open.pop() {
            let Some(package) = self.packages.get(next) else {
                continue;
            };
            if !seen.insert(next) || package.is_proc_macro {
                continue;
            }
            if next != id {
                names.insert(package.name.as_str());
            }
            open.extend(
                package
                    .dependencies
                    .iter()
                    .filter(|edge| edge.is_normal)
                    .map(|edge| edge.to.as_str()),
            );
        }

        names
    }
}

fn edge(dependency: &Value) -> Option<Edge> {
    let kinds = dependency.get("dep_kinds")?.as_array()?;
    let kind = |kind: &Value| {
        kind.get("kind")
            .and_then(Value::as_str)
            .unwrap_or("normal")
            .to_owned()
    };

    Some(Edge {
        to: text(dependency, "pkg")?,
        is_normal: kinds.iter().any(|entry| kind(entry) == "normal"),
        is_dev_only: kinds.iter().all(|entry| kind(entry) == "dev"),
    })
}

fn text(value: &Value, key: &str) -> Option<String> {
    Some(value.get(key)?.as_str()?.to_owned())
}

fn has(value: &Value, key: &str, wanted: &str) -> bool {
    let list = value.get(key).and_then(Value::as_array);

    list.is_some_and(|list| list.iter().any(|entry| entry.as_str() == Some(wanted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph() -> Graph {
        let package = |name: &str, kind: &str| {
            serde_json::json!({"id": name, "name": name, "manifest_path": format!("/w/{name}/Cargo.toml"),
                "targets": [{"kind": [kind]}]})
        };
        let dep = |name: &str, kind: Option<&str>| serde_json::json!({"pkg": name, "dep_kinds": [{"kind": kind}]});

        Graph::parse(&serde_json::json!({
            "packages": [package("a", "lib"), package("b", "lib"), package("derive", "proc-macro"), package("c", "lib")],
            "workspace_members": ["a"],
            "resolve": {"nodes": [
                {"id": "a", "deps": [dep("b", None), dep("derive", None), dep("c", Some("dev"))]},
                {"id": "b", "deps": []},
                {"id": "derive", "deps": [dep("c", None)]},
                {"id": "c", "deps": []},
            ]},
        }))
        .unwrap()
    }

    #[test]
    fn tree_leaves_out_tests_and_what_only_the_compiler_runs() {
        assert_eq!(
            graph().normal_tree("a").into_iter().collect::<Vec<_>>(),
            ["b"]
        );
    }

    #[test]
    fn dev_dependencies_are_told_apart() {
        let graph = graph();
        let dev: Vec<_> = graph.packages["a"]
            .dependencies
            .iter()
            .filter(|edge| edge.is_dev_only)
            .map(|edge| edge.to.as_str())
            .collect();

        assert_eq!(dev, ["c"]);
    }
}
