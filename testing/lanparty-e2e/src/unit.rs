//! A program as its systemd unit confines it: with the unit's capabilities and system calls, and no others.
//!
//! systemd itself is asked what its groups of system calls mean, so what it would refuse is refused here. Everything else in a unit (folders,
//! devices, limits) is left out.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result};

use crate::bed::Bed;
use crate::command::{output, tool};
use crate::program::binary;

/// The units.
const UNITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/systemd");

/// What sets a filter and becomes the program, so that it is the same process.
const RUNNER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/seccomp.py");

/// `AUDIT_ARCH_X86_64`, `AUDIT_ARCH_AARCH64` (`linux/audit.h`).
const ARCHITECTURE: u32 = if cfg!(target_arch = "x86_64") {
    0xc000_003e
} else {
    0xc000_00b7
};

// Classic BPF operations (`linux/bpf_common.h`, `linux/filter.h`).
const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const JUMP_IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

// Where `struct seccomp_data` has them, and what a filter returns (`linux/seccomp.h`).
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
const KILL: u32 = 0x8000_0000;
const ALLOW: u32 = 0x7fff_0000;
/// `SECCOMP_RET_ERRNO` with `EPERM`.
const REFUSE: u32 = 0x0005_0001;

impl Bed {
    /// Has softlan's program `name` run on this bed as the unit `unit` confines it.
    ///
    /// # Errors
    ///
    /// Returns an error if the unit cannot be read, or a tool is missing: `systemd-analyze`, `scmp_sys_resolver`, `setpriv`, `python3`.
    pub fn confine(&self, name: &str, unit: &str) -> Result<()> {
        let path = format!("{UNITS}/{unit}.service");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let filter = self.dir().join(format!("{name}.bpf"));
        fs::write(&filter, program(&numbers(&calls(&text)?)?))?;
        let mut sets = "-all".to_owned();
        for capability in values(&text, "AmbientCapabilities") {
            let name = capability.trim_start_matches("CAP_").to_lowercase();
            sets = format!("{sets},+{name}");
        }

        self.install(name)?.replace(&format!(
            "exec setpriv --inh-caps={sets} --ambient-caps={sets} --bounding-set={sets} \
             python3 '{RUNNER}' '{}' '{}' \"$@\"",
            filter.display(),
            binary(name)?.display(),
        ))
    }
}

/// Returns every word of every line `key=` of a unit.
fn values<'a>(unit: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = unit.lines().filter_map(move |line| {
        let value = line.strip_prefix(key)?;
        value.strip_prefix('=')
    });

    lines.flat_map(str::split_whitespace)
}

/// Returns the system calls that a unit allows (`systemd.exec(5)`, `SystemCallFilter=`).
fn calls(unit: &str) -> Result<BTreeSet<String>> {
    let mut allowed = BTreeSet::new();
    let lines = unit
        .lines()
        .filter_map(|line| line.strip_prefix("SystemCallFilter="));
    for line in lines {
        let (is_denied, words) = line
            .strip_prefix('~')
            .map_or((false, line), |words| (true, words));
        let mut named = BTreeSet::new();
        for word in words.split_whitespace() {
            expand(word, &mut named)?;
        }
        if is_denied {
            allowed.retain(|call| !named.contains(call));
        } else {
            allowed.append(&mut named);
        }
    }

    Ok(allowed)
}

/// Adds a system call, or all of a group, to `calls`.
fn expand(word: &str, calls: &mut BTreeSet<String>) -> Result<()> {
    if !word.starts_with('@') {
        calls.insert(word.to_owned());
        return Ok(());
    }
    let text = output(tool("systemd-analyze").args(["syscall-filter", "--no-pager", word]))?;
    let members = text
        .lines()
        .skip(1)
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    for member in members {
        expand(member, calls)?;
    }

    Ok(())
}

/// Returns the numbers of those system calls that this machine has.
fn numbers(calls: &BTreeSet<String>) -> Result<Vec<u32>> {
    let mut command = tool("sh");
    command
        .args([
            "-ec",
            "for call; do scmp_sys_resolver \"$call\"; done",
            "sh",
        ])
        .args(calls);
    let text = output(&mut command)?;

    // Calls of other machines have negative ones.
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

/// Returns a filter that allows the system calls `numbers` and refuses every other with `EPERM`.
fn program(numbers: &[u32]) -> Vec<u8> {
    let start = [
        (LOAD, 0, 0, ARCHITECTURE_AT),
        (JUMP_IF_EQUAL, 1, 0, ARCHITECTURE),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER_AT),
    ];
    let each = numbers
        .iter()
        .flat_map(|number| [(JUMP_IF_EQUAL, 0, 1, *number), (RETURN, 0, 0, ALLOW)]);
    let operations = start
        .into_iter()
        .chain(each)
        .chain([(RETURN, 0, 0, REFUSE)]);

    // `struct sock_filter`.
    operations
        .flat_map(|(code, jt, jf, k): (u16, u8, u8, u32)| {
            let [c0, c1] = code.to_ne_bytes();
            let [k0, k1, k2, k3] = k.to_ne_bytes();
            [c0, c1, jt, jf, k0, k1, k2, k3]
        })
        .collect()
}
