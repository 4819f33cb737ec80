//! Faults on purpose, and how long a player feels them.
//!
//! One function per promise of `docs/reliability.md`. Each builds a party of its own, repeats its fault, and returns a [`Report`]:
//! figures with the limits they are held to, and facts that hold or do not. The program `reliability` runs one by name with as many
//! repetitions as asked; the tests run each a few times and look at the facts alone, because a time depends on the machine.

pub mod crowd;
pub mod dialogue;
pub mod figures;
pub mod flow;
pub mod handovers;
pub mod impostors;
pub mod kills;
pub mod lines;
pub mod paths;
pub mod processes;
pub mod soak;
pub mod stage;
pub mod stream;

pub use self::figures::{Figure, Report};

use anyhow::Result;

/// One promise.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// What to call it on the command line.
    pub name: &'static str,
    /// What it does, for a person.
    pub what: &'static str,
    /// How often its fault is repeated in the long form; seconds for those that last.
    pub runs: usize,
    /// Does it so often.
    pub run: fn(usize) -> Result<Report>,
}

/// All promises, in the order of `docs/reliability.md`.
pub const SCENARIOS: [Scenario; 25] = [
    Scenario {
        name: "relay-kill",
        what: "kill -9 of the relay under traffic of 16 clients, a supervisor restarts it",
        runs: 200,
        run: kills::relay,
    },
    Scenario {
        name: "gateway-kill",
        what: "kill -9 of the gateway, a supervisor restarts it",
        runs: 200,
        run: kills::gateway,
    },
    Scenario {
        name: "client-kill",
        what: "kill -9 of a client, which comes back with the same identity",
        runs: 200,
        run: kills::client,
    },
    Scenario {
        name: "link-down",
        what: "the player's cable is out for 5 s",
        runs: 200,
        run: paths::link_down,
    },
    Scenario {
        name: "address-change",
        what: "the player gets another address in the middle of a transfer",
        runs: 200,
        run: paths::address_change,
    },
    Scenario {
        name: "black-hole",
        what: "2 s of every 5 s swallow everything (runs: seconds)",
        runs: 600,
        run: paths::black_hole,
    },
    Scenario {
        name: "rebinding",
        what: "a NAT gives another port every 5 s (runs: seconds)",
        runs: 1800,
        run: paths::rebinding,
    },
    Scenario {
        name: "joins-loss",
        what: "joins at 30 % loss in bursts of 3",
        runs: 1000,
        run: lines::joins_loss,
    },
    Scenario {
        name: "joins-corruption",
        what: "joins at 30 % of packets with a flipped bit",
        runs: 1000,
        run: lines::joins_corruption,
    },
    Scenario {
        name: "tcp-lines",
        what: "TCP over six bad lines, both ways (runs: MB each)",
        runs: 100,
        run: lines::tcp,
    },
    Scenario {
        name: "frames-lines",
        what: "numbered frames over bad lines: what the tunnel adds (runs: thousands of frames each)",
        runs: 100,
        run: lines::frames,
    },
    Scenario {
        name: "planned-restart",
        what: "a new relay process takes over (systemctl reload), under numbered frames: none is lost",
        runs: 200,
        run: handovers::relay,
    },
    Scenario {
        name: "gateway-handover",
        what: "a new gateway process takes over (systemctl reload), under numbered frames: none is lost",
        runs: 200,
        run: handovers::gateway,
    },
    Scenario {
        name: "successor-kill",
        what: "kill -9 of the gateway's successor, at another moment each time; a supervisor restarts it if it was the gateway",
        runs: 200,
        run: impostors::killed,
    },
    Scenario {
        name: "crowd-restart",
        what: "new relay processes take over from each other under a thousand members (runs: thousands of numbered frames)",
        runs: 1000,
        run: crowd::handovers,
    },
    Scenario {
        name: "crowd-control",
        what: "the same without a handover (runs: thousands of numbered frames)",
        runs: 1000,
        run: crowd::control,
    },
    Scenario {
        name: "stop-start",
        what: "the relay is stopped and started (systemctl restart), under numbered frames",
        runs: 200,
        run: processes::restart,
    },
    Scenario {
        name: "stop-3s",
        what: "SIGSTOP of each program for 3 s",
        runs: 20,
        run: processes::stopped_shortly,
    },
    Scenario {
        name: "stop-60s",
        what: "SIGSTOP of each program for 60 s",
        runs: 3,
        run: processes::stopped_long,
    },
    Scenario {
        name: "stop-together",
        what: "SIGSTOP of all programs together for 60 s",
        runs: 3,
        run: processes::stopped_together,
    },
    Scenario {
        name: "clock",
        what: "the wall clock jumps by an hour and a day, both ways, for each program",
        runs: 1,
        run: processes::clock,
    },
    Scenario {
        name: "disk-full",
        what: "the disk is full while state is written",
        runs: 20,
        run: processes::disk_full,
    },
    Scenario {
        name: "soak-clients",
        what: "a client crashes and reconnects again and again; memory and descriptors of relay and gateway",
        runs: 10_000,
        run: soak::clients,
    },
    Scenario {
        name: "soak-relay",
        what: "relay restarts; memory and descriptors of client and gateway",
        runs: 200,
        run: soak::relay,
    },
    Scenario {
        name: "idle",
        what: "nobody says anything (runs: seconds)",
        runs: 600,
        run: paths::idle,
    },
];

/// Returns the promise called `name`.
pub fn scenario(name: &str) -> Option<Scenario> {
    SCENARIOS.into_iter().find(|scenario| scenario.name == name)
}
