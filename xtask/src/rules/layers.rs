//! Who may know whom.

use std::path::{Component, Path};

use crate::metadata::{Graph, Package};

/// What a core crate must not have anywhere in its tree: runtimes, sockets, clocks, system interfaces, randomness.
const NOT_IN_CORE: [&str; 22] = [
    "async-std",
    "chrono",
    "futures-executor",
    "getrandom",
    "libc",
    "mio",
    "nix",
    "polling",
    "quinn",
    "quinn-proto",
    "quinn-udp",
    "rand",
    "ring",
    "rustix",
    "rustls",
    "signal-hook",
    "smol",
    "socket2",
    "time",
    "tokio",
    "windows-sys",
    "windows-targets",
];

/// What names a system: crates of `io/` act portably, and are given what a system has.
const SYSTEMS: [&str; 6] = [
    "libc",
    "nix",
    "rustix",
    "signal-hook",
    "windows",
    "windows-sys",
];

/// The order of core's crates: each knows crates of earlier rows alone.
const CORE_ORDER: [&[&str]; 4] = [
    &["lanparty-proto", "lanparty-bounds"],
    &[
        "lanparty-ctrl",
        "lanparty-guard",
        "lanparty-obs",
        "lanparty-offload",
        "lanparty-queue",
    ],
    &["lanparty-device", "lanparty-session", "lanparty-switch"],
    &["lanparty-relay-core", "lanparty-tunnel"],
];

/// Which folders the crates of a folder may depend on.
fn allowed(layer: &str) -> &'static [&'static str] {
    match layer {
        "core" => &["core"],
        "io" => &["core", "io"],
        "os" => &["core", "os"],
        "apps" => &["core", "io", "os"],
        "testing" => &["core", "io", "os", "apps", "testing"],
        _ => &[],
    }
}

/// Checks the direction of every dependency between our crates, and the whole trees of core crates.
pub(super) fn check(graph: &Graph, root: &Path) -> Vec<String> {
    let mut broken = Vec::new();
    for id in &graph.members {
        let Some(package) = graph.packages.get(id) else {
            continue;
        };
        let layer = layer(&package.folder, root);
        for edge in &package.dependencies {
            let Some(other) = graph
                .packages
                .get(&edge.to)
                .filter(|_| graph.members.contains(&edge.to))
            else {
                continue;
            };
            let target = self::layer(&other.folder, root);
            let is_test_helper = edge.is_dev_only && target == "testing";
            if !allowed(layer).contains(&target) && !is_test_helper {
                broken.push(format!(
                    "{}: a crate of {layer}/ must not know {} of {target}/",
                    package.name, other.name
                ));
            }
            if (layer, target) == ("core", "core") && row(&package.name) <= row(&other.name) {
                broken.push(format!(
                    "{}: core's order does not let it know {}",
                    package.name, other.name
                ));
            }
        }
        if layer == "core" && row(&package.name).is_none() {
            broken.push(format!(
                "{}: give it a place in the order of core (xtask/src/rules/layers.rs)",
                package.name
            ));
        }
        if layer == "io" {
            broken.extend(systems_of(graph, package));
        }
        if layer == "core" {
            let tree = graph.normal_tree(id);
            let wrong = NOT_IN_CORE.iter().filter(|name| tree.contains(*name));
            broken.extend(wrong.map(|name| {
                format!(
                    "{}: core decides and never acts, but its tree has {name}",
                    package.name
                )
            }));
        }
    }

    broken
}

/// Returns where a crate stands in [`CORE_ORDER`].
fn row(name: &str) -> Option<usize> {
    CORE_ORDER.iter().position(|row| row.contains(&name))
}

/// Says which systems a crate names; what it depends on may name them.
fn systems_of(graph: &Graph, package: &Package) -> Vec<String> {
    let known = package.dependencies.iter().filter(|edge| !edge.is_dev_only);
    let known = known.filter_map(|edge| graph.packages.get(&edge.to));

    known
        .filter(|other| SYSTEMS.contains(&other.name.as_str()))
        .map(|other| {
            format!(
                "{}: a crate of io/ acts portably, and {} names a system: move that part to os/",
                package.name, other.name
            )
        })
        .collect()
}

/// Returns the first folder below the workspace.
fn layer<'a>(folder: &'a Path, root: &Path) -> &'a str {
    match folder
        .strip_prefix(root)
        .ok()
        .and_then(|path| path.components().next())
    {
        Some(Component::Normal(name)) => name.to_str().unwrap_or_default(),
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::metadata::Edge;

    use super::*;

    fn graph(edges: &[(&str, &str)]) -> Graph {
        let mut graph = Graph::default();
        for path in edges.iter().flat_map(|(from, to)| [from, to]) {
            let name = path.rsplit('/').next().unwrap().to_owned();
            let package = Package {
                name,
                folder: PathBuf::from("/w").join(path),
                ..Package::default()
            };
            graph.packages.insert((*path).to_owned(), package);
            if path.contains('/') {
                graph.members.insert((*path).to_owned());
            }
        }
        for (from, to) in edges {
            let edge = Edge {
                to: (*to).to_owned(),
                is_normal: true,
                is_dev_only: false,
            };
            graph
                .packages
                .get_mut(*from)
                .unwrap()
                .dependencies
                .push(edge);
        }

        graph
    }

    fn count(edges: &[(&str, &str)]) -> usize {
        check(&graph(edges), Path::new("/w")).len()
    }

    #[test]
    fn dependencies_point_inwards_only() {
        assert_eq!(
            count(&[
                ("apps/a", "io/b"),
                ("io/b", "core/lanparty-proto"),
                ("os/d", "core/lanparty-proto"),
                ("apps/a", "os/d")
            ]),
            0
        );
        assert_eq!(count(&[("core/lanparty-proto", "io/b")]), 1);
        assert_eq!(count(&[("io/b", "os/d")]), 1);
        assert_eq!(count(&[("os/d", "io/b")]), 1);
        assert_eq!(count(&[("io/b", "apps/a")]), 1);
        assert_eq!(count(&[("apps/a", "testing/e")]), 1);
    }

    #[test]
    fn the_loop_and_its_connections_know_no_system() {
        for system in ["os/lanparty-linux", "os/lanparty-win32", "rustix", "libc"] {
            assert_eq!(count(&[("io/lanparty-driver", system)]), 1, "{system}");
            assert_eq!(count(&[("io/lanparty-net", system)]), 1, "{system}");
        }
        let by_way_of_others = [("io/lanparty-net", "socket2"), ("socket2", "libc")];
        assert_eq!(count(&by_way_of_others), 0);
    }

    #[test]
    fn what_a_system_has_knows_neither_loop_nor_connections() {
        for system in ["os/lanparty-linux", "os/lanparty-packet"] {
            assert_eq!(count(&[(system, "io/lanparty-driver")]), 1, "{system}");
            assert_eq!(count(&[(system, "core/lanparty-device")]), 0, "{system}");
        }
    }

    #[test]
    fn core_has_an_order_and_every_crate_a_place_in_it() {
        let session = "core/lanparty-session";
        assert_eq!(count(&[("core/lanparty-tunnel", session)]), 0);
        assert_eq!(count(&[(session, "core/lanparty-tunnel")]), 1);
        assert_eq!(count(&[(session, "core/lanparty-switch")]), 1);
        assert_eq!(count(&[("io/a", "core/new")]), 1);
    }

    #[test]
    fn core_has_no_runtime_however_deep() {
        assert_eq!(
            count(&[
                ("core/lanparty-ctrl", "core/lanparty-proto"),
                ("core/lanparty-proto", "helper"),
                ("helper", "tokio")
            ]),
            2,
            "both core crates"
        );
        assert_eq!(count(&[("io/a", "helper"), ("helper", "tokio")]), 0);
    }

    #[test]
    fn tests_of_a_crate_may_use_the_test_bed() {
        let mut graph = graph(&[("core/lanparty-proto", "testing/sim")]);
        graph
            .packages
            .get_mut("core/lanparty-proto")
            .unwrap()
            .dependencies[0]
            .is_dev_only = true;

        assert_eq!(check(&graph, Path::new("/w")), Vec::<String>::new());
    }
}
