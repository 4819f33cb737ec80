//! Half-written files of processes that were killed.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How old a temporary file must be before its writer counts as dead: writing one takes milliseconds, a disk that is stuck seconds.
const DEAD: Duration = Duration::from_mins(1);

/// Returns the temporary name that process `process` writes file `name` under.
pub(crate) fn name_of(name: &str, process: u32) -> String {
    format!("{name}.{process}.tmp")
}

/// Whether a file has the temporary name of one of ours.
fn is_temporary(name: &str) -> bool {
    let Some((name, process)) = (name.strip_suffix(".tmp")).and_then(|rest| rest.rsplit_once('.'))
    else {
        return false;
    };

    let is_ours = ["lanparty-", "relay-"]
        .iter()
        .any(|ours| name.starts_with(ours));

    is_ours && process.parse::<u32>().is_ok()
}

/// Removes from `directory` what killed processes left behind. A file that cannot be looked at or removed stays.
pub(crate) fn remove(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(is_temporary);
        // Of the entry itself: what a link leads to is not ours.
        let is_old = |facts: fs::Metadata| {
            let age =
                (facts.modified().ok()).and_then(|at| SystemTime::now().duration_since(at).ok());
            facts.is_file() && age.is_some_and(|age| age >= DEAD)
        };
        if is_ours && entry.metadata().is_ok_and(is_old) {
            // The next start tries again.
            let _removed = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use lanparty_samples::Scratch;

    use super::*;

    #[test]
    fn only_temporary_names_of_ours_are_known() {
        for ours in [
            "lanparty-client-identity.json.4711.tmp",
            "relay-keys.json.1.tmp",
            "lanparty-gateway-eth0.bindings.json.99.tmp",
        ] {
            assert!(is_temporary(ours), "{ours}");
        }
        for other in [
            "lanparty-client-identity.json",
            "relay-keys.json.tmp",
            "relay-keys.json.x.tmp",
            "notes.12.tmp",
            "lanparty-client-identity.json.tmp",
        ] {
            assert!(!is_temporary(other), "{other}");
        }
        assert!(is_temporary(&name_of(
            "relay-keys.json",
            std::process::id()
        )));
    }

    #[test]
    fn what_a_killed_process_left_goes_and_everything_else_stays() {
        let scratch = Scratch::new("left");
        let directory = scratch.path();
        let file = |name: &str, age: u64| {
            let file = fs::File::create(directory.join(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age))
                .unwrap();
        };
        file("relay-keys.json.7.tmp", 3600);
        file("relay-keys.json.8.tmp", 0);
        file("relay-keys.json", 3600);
        file("somebody.9.tmp", 3600);
        fs::create_dir(directory.join("relay-x.json.9.tmp")).unwrap();

        remove(directory);

        let mut left: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let expected = [
            "relay-keys.json",
            "relay-keys.json.8.tmp",
            "relay-x.json.9.tmp",
            "somebody.9.tmp",
        ];
        assert_eq!(left, expected);
    }
}
