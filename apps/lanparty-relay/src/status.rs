//! The status report: what `lanparty-relay status` prints as JSON and Prometheus reads as text.
//!
//! [`Status`] holds every value once. JSON is its serialization; [`metrics`] names its numbers for
//! Prometheus.

mod metrics;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use lanparty_ctrl::{Mode, Role, Stats};
use lanparty_obs::Drops;
use serde::Serialize;

use crate::limiter::{ConnectionCounts, Limit};
use crate::worker::{MemberReport, RoomReport, WorkerReport};

/// Everything there is to tell. Field names are the keys of the JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    version: &'static str,
    uptime_s: u64,
    /// Resident memory in bytes, where the system tells.
    memory_bytes: Option<u64>,
    workers: usize,
    /// All workers together.
    #[serde(flatten)]
    total: Counts,
    incoming_connections: Incoming,
    /// How often each limit was reached, by its name; limits that were not reached are absent.
    limits_reached: BTreeMap<&'static str, u64>,
    /// Each worker, by its number.
    by_worker: BTreeMap<u8, Counts>,
    rooms: Vec<Room>,
}

/// What one worker counts.
#[derive(Debug, Clone, Default, Serialize)]
struct Counts {
    /// QUIC connections, those that are no member yet included.
    connections: u64,
    rooms_open: u64,
    members: u64,
    members_admitted: u64,
    members_rejected: u64,
    members_resumed: u64,
    /// Members disconnected for malformed datagrams.
    members_malformed: u64,
    frames_in: u64,
    bytes_in: u64,
    frames_out: u64,
    bytes_out: u64,
    queue_drops: QueueDrops,
    /// Frames not passed on, by reason.
    drops: BTreeMap<&'static str, u64>,
}

/// Copies that the queues in front of members' links gave up.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct QueueDrops {
    queue_full: u64,
    queue_delay: u64,
    ack_superseded: u64,
    target_budget: u64,
}

/// First packets of new connections, by what was done with them.
#[derive(Debug, Clone, Copy, Serialize)]
struct Incoming {
    accepted: u64,
    /// Asked to prove their address.
    retried: u64,
    refused: u64,
    /// Not answered.
    ignored: u64,
}

/// One room.
#[derive(Debug, Serialize)]
struct Room {
    code: String,
    id: u32,
    worker: u8,
    mode: Mode,
    mtu: u16,
    age_s: u64,
    lan_stations: usize,
    members: Vec<Member>,
}

/// One member.
#[derive(Debug, Serialize)]
struct Member {
    peer: u16,
    role: Role,
    mac: Option<String>,
    address: Option<SocketAddr>,
    connected: bool,
    program: String,
    age_s: u64,
    last_seen_ms: u64,
    rtt_us: Option<u64>,
    budget: usize,
    up: Traffic,
    down: Traffic,
    /// Malformed datagrams on this connection.
    violations: u32,
    /// For how long its frames go nowhere, because it closes a loop.
    blocked_s: Option<u64>,
    drops: BTreeMap<&'static str, u64>,
    stats: Option<Stats>,
}

/// Frames and their bytes, one direction.
#[derive(Debug, Serialize)]
struct Traffic {
    frames: u64,
    bytes: u64,
}

impl Status {
    /// Puts the report together. `reached` says how often each limit was reached, `memory` is
    /// resident memory in bytes.
    pub(crate) fn new(
        uptime: Duration,
        workers: &[WorkerReport],
        connections: ConnectionCounts,
        reached: &[(Limit, u64)],
        memory: Option<u64>,
    ) -> Self {
        let by_worker: BTreeMap<_, _> = workers
            .iter()
            .map(|report| (report.worker, Counts::new(report)))
            .collect();
        let mut total = Counts::default();
        for counts in by_worker.values() {
            total.add(counts);
        }
        let rooms = workers
            .iter()
            .flat_map(|worker| worker.rooms.iter().map(|room| Room::new(worker, room)));
        let reached = reached.iter().filter(|(_, count)| *count > 0);

        Self {
            version: env!("CARGO_PKG_VERSION"),
            uptime_s: uptime.as_secs(),
            memory_bytes: memory,
            workers: workers.len(),
            total,
            incoming_connections: Incoming {
                accepted: connections.accepted,
                retried: connections.retried,
                refused: connections.refused,
                ignored: connections.ignored,
            },
            limits_reached: reached
                .map(|(limit, count)| (limit.as_str(), *count))
                .collect(),
            rooms: rooms.collect(),
            by_worker,
        }
    }

    /// Returns everything as JSON, for people and programs.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("every key is text and no value can fail")
    }
}

impl Counts {
    fn new(report: &WorkerReport) -> Self {
        let (totals, losses) = (&report.totals, report.losses);
        let members = report.rooms.iter().map(|room| room.members.len());

        Self {
            connections: report.connections as u64,
            rooms_open: report.rooms.len() as u64,
            members: members.sum::<usize>() as u64,
            members_admitted: totals.admitted,
            members_rejected: totals.rejected,
            members_resumed: totals.resumed,
            members_malformed: totals.removed,
            frames_in: totals.ingress.frames,
            bytes_in: totals.ingress.bytes,
            frames_out: totals.egress.frames,
            bytes_out: totals.egress.bytes,
            queue_drops: QueueDrops {
                queue_full: losses.full,
                queue_delay: losses.delay,
                ack_superseded: losses.superseded,
                target_budget: losses.oversize,
            },
            drops: by_reason(&totals.drops),
        }
    }

    fn add(&mut self, other: &Self) {
        self.connections += other.connections;
        self.rooms_open += other.rooms_open;
        self.members += other.members;
        self.members_admitted += other.members_admitted;
        self.members_rejected += other.members_rejected;
        self.members_resumed += other.members_resumed;
        self.members_malformed += other.members_malformed;
        self.frames_in += other.frames_in;
        self.bytes_in += other.bytes_in;
        self.frames_out += other.frames_out;
        self.bytes_out += other.bytes_out;
        self.queue_drops.queue_full += other.queue_drops.queue_full;
        self.queue_drops.queue_delay += other.queue_drops.queue_delay;
        self.queue_drops.ack_superseded += other.queue_drops.ack_superseded;
        self.queue_drops.target_budget += other.queue_drops.target_budget;
        for (reason, count) in &other.drops {
            *self.drops.entry(reason).or_default() += count;
        }
    }
}

impl Room {
    fn new(worker: &WorkerReport, report: &RoomReport) -> Self {
        let room = &report.room;

        Self {
            code: room.code.as_str().to_owned(),
            id: room.id.0,
            worker: worker.worker,
            mode: room.mode,
            mtu: room.mtu,
            age_s: room.age.as_secs(),
            lan_stations: room.lan_stations,
            members: report.members.iter().map(Member::new).collect(),
        }
    }
}

impl Member {
    fn new(report: &MemberReport) -> Self {
        let member = &report.member;

        Self {
            peer: member.peer.0,
            role: member.role,
            mac: member.mac.map(|mac| mac.to_string()),
            address: report.remote,
            connected: member.conn.is_some(),
            program: member.program.clone(),
            age_s: member.age.as_secs(),
            last_seen_ms: number(member.last_seen.as_millis()),
            rtt_us: report.rtt.map(|rtt| number(rtt.as_micros())),
            budget: member.budget,
            up: member.up.into(),
            down: member.down.into(),
            violations: member.violations,
            blocked_s: member.blocked.map(|left| left.as_secs()),
            drops: by_reason(&member.drops),
            stats: member.stats.clone(),
        }
    }
}

impl From<lanparty_obs::Traffic> for Traffic {
    fn from(traffic: lanparty_obs::Traffic) -> Self {
        Self {
            frames: traffic.frames,
            bytes: traffic.bytes,
        }
    }
}

fn by_reason(drops: &Drops) -> BTreeMap<&'static str, u64> {
    let drops = drops.iter();

    drops
        .map(|(reason, count)| (reason.as_str(), count))
        .collect()
}

fn number(count: u128) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
