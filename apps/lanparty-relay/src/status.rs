//! What the relay tells about itself: JSON for `lanparty-relay status`, text for Prometheus.

use std::time::Duration;

use lanparty_ctrl::{Mode, Role};
use lanparty_obs::{Drops, Traffic};
use lanparty_telemetry::{Exposition, Kind};
use serde_json::{Map, Value, json};

use crate::limiter::{ConnectionCounts, Limit};
use crate::worker::{MemberReport, RoomReport, WorkerReport};

/// Name, kind, help and value of what every worker counts.
type Metric = (&'static str, Kind, &'static str, fn(&WorkerReport) -> u64);

/// What every worker counts.
const PER_WORKER: [Metric; 11] = [
    (
        "softlan_connections",
        Kind::Gauge,
        "QUIC connections, those without a place in a room included.",
        |w| w.connections as u64,
    ),
    (
        "softlan_rooms",
        Kind::Gauge,
        "Rooms with at least one member.",
        |w| w.rooms.len() as u64,
    ),
    (
        "softlan_members",
        Kind::Gauge,
        "Members of all rooms.",
        members,
    ),
    (
        "softlan_members_admitted_total",
        Kind::Counter,
        "Members admitted.",
        |w| w.totals.admitted,
    ),
    (
        "softlan_members_rejected_total",
        Kind::Counter,
        "Members not admitted.",
        |w| w.totals.rejected,
    ),
    (
        "softlan_members_resumed_total",
        Kind::Counter,
        "Places taken up again after a broken connection.",
        |w| w.totals.resumed,
    ),
    (
        "softlan_members_struck_out_total",
        Kind::Counter,
        "Members removed for malformed datagrams.",
        |w| w.totals.struck_out,
    ),
    (
        "softlan_ingress_frames_total",
        Kind::Counter,
        "Frames that came in and went on.",
        |w| w.totals.ingress.frames,
    ),
    (
        "softlan_ingress_bytes_total",
        Kind::Counter,
        "Bytes of frames that came in and went on.",
        |w| w.totals.ingress.bytes,
    ),
    (
        "softlan_egress_frames_total",
        Kind::Counter,
        "Copies of frames that went out.",
        |w| w.totals.egress.frames,
    ),
    (
        "softlan_egress_bytes_total",
        Kind::Counter,
        "Bytes of copies that went out.",
        |w| w.totals.egress.bytes,
    ),
];

/// Everything there is to tell.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) uptime: Duration,
    pub(crate) workers: Vec<WorkerReport>,
    pub(crate) limiter: ConnectionCounts,
    /// How often each limit was reached.
    pub(crate) reached: Vec<(Limit, u64)>,
    /// Resident memory in bytes, where the system tells.
    pub(crate) memory: Option<u64>,
}

impl Status {
    /// Returns everything as JSON.
    pub(crate) fn json(&self) -> Value {
        let rooms = self
            .workers
            .iter()
            .flat_map(|worker| worker.rooms.iter().map(|room| room_json(worker, room)));
        let mut drops = Drops::default();
        for worker in &self.workers {
            drops.merge(&worker.totals.drops);
        }
        let total = |count: fn(&WorkerReport) -> u64| self.workers.iter().map(count).sum::<u64>();

        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_s": self.uptime.as_secs(),
            "memory_bytes": self.memory,
            "workers": self.workers.len(),
            "connections": self.workers.iter().map(|worker| worker.connections).sum::<usize>(),
            "members_admitted": total(|worker| worker.totals.admitted),
            "members_rejected": total(|worker| worker.totals.rejected),
            "members_resumed": total(|worker| worker.totals.resumed),
            "members_struck_out": total(|worker| worker.totals.struck_out),
            "door": {
                "accepted": self.limiter.accepted,
                "retried": self.limiter.retried,
                "refused": self.limiter.refused,
                "ignored": self.limiter.ignored,
            },
            "limits_reached": self.limits_json(),
            "frames_in": total(|worker| worker.totals.ingress.frames),
            "bytes_in": total(|worker| worker.totals.ingress.bytes),
            "frames_out": total(|worker| worker.totals.egress.frames),
            "bytes_out": total(|worker| worker.totals.egress.bytes),
            "queue_drops": {
                "queue_full": total(|worker| worker.losses.full),
                "queue_delay": total(|worker| worker.losses.delay),
                "ack_superseded": total(|worker| worker.losses.superseded),
                "target_budget": total(|worker| worker.losses.oversize),
            },
            "drops": drops_json(&drops),
            "rooms": rooms.collect::<Vec<_>>(),
        })
    }

    /// Returns the numbers as Prometheus text.
    pub(crate) fn metrics(&self) -> String {
        let mut text = Exposition::default();
        let uptime = self.uptime.as_secs();
        gauge(
            &mut text,
            "softlan_uptime_seconds",
            "Time since the relay started.",
            uptime,
        );
        if let Some(memory) = self.memory {
            gauge(
                &mut text,
                "softlan_resident_memory_bytes",
                "Resident memory.",
                memory,
            );
        }

        for (name, kind, help, value) in PER_WORKER {
            text.metric(name, kind, help);
            for worker in &self.workers {
                text.sample(&[("worker", &worker.worker.to_string())], value(worker));
            }
        }

        self.drop_metrics(&mut text);

        text.finish()
    }

    fn limits_json(&self) -> Value {
        let reached = self.reached.iter().filter(|(_, count)| *count > 0);
        let named = reached.map(|(limit, count)| (limit.as_str().to_owned(), (*count).into()));

        Value::Object(named.collect::<Map<_, _>>())
    }

    fn drop_metrics(&self, text: &mut Exposition) {
        text.metric(
            "softlan_frames_dropped_total",
            Kind::Counter,
            "Frames not passed on, by reason.",
        );
        for worker in &self.workers {
            let number = worker.worker.to_string();
            for (reason, count) in worker.totals.drops.iter() {
                text.sample(&[("worker", &number), ("reason", reason.as_str())], count);
            }
        }
        text.metric(
            "softlan_queue_drops_total",
            Kind::Counter,
            "Copies given up by the queues in front of members' links, by reason.",
        );
        for worker in &self.workers {
            let number = worker.worker.to_string();
            for (reason, count) in [
                ("queue_full", worker.losses.full),
                ("queue_delay", worker.losses.delay),
                ("ack_superseded", worker.losses.superseded),
                ("target_budget", worker.losses.oversize),
            ] {
                text.sample(&[("worker", &number), ("reason", reason)], count);
            }
        }
        text.metric(
            "softlan_strangers_total",
            Kind::Counter,
            "First packets of strangers, by what was done with them.",
        );
        for (decision, count) in [
            ("accepted", self.limiter.accepted),
            ("retried", self.limiter.retried),
            ("refused", self.limiter.refused),
            ("ignored", self.limiter.ignored),
        ] {
            text.sample(&[("decision", decision)], count);
        }
        text.metric(
            "softlan_limits_reached_total",
            Kind::Counter,
            "How often somebody met a limit, by limit.",
        );
        for (limit, count) in &self.reached {
            text.sample(&[("limit", limit.as_str())], *count);
        }
    }
}

fn gauge(text: &mut Exposition, name: &'static str, help: &str, value: u64) {
    text.metric(name, Kind::Gauge, help);
    text.sample(&[], value);
}

fn members(worker: &WorkerReport) -> u64 {
    let members: usize = worker.rooms.iter().map(|room| room.members.len()).sum();

    members as u64
}

fn room_json(worker: &WorkerReport, report: &RoomReport) -> Value {
    let room = &report.room;

    json!({
        "code": room.code.as_str(),
        "id": room.id.0,
        "worker": worker.worker,
        "mode": match room.mode { Mode::Native => "native", Mode::Full => "full" },
        "mtu": room.mtu,
        "age_s": room.age.as_secs(),
        "lan_stations": room.lan_stations,
        "members": report.members.iter().map(member_json).collect::<Vec<_>>(),
    })
}

fn member_json(report: &MemberReport) -> Value {
    let member = &report.member;

    json!({
        "peer": member.peer.0,
        "role": match member.role { Role::Client => "client", Role::Gateway => "gateway" },
        "mac": member.mac.map(|mac| mac.to_string()),
        "address": report.remote.map(|remote| remote.to_string()),
        "connected": member.conn.is_some(),
        "program": member.program,
        "age_s": member.age.as_secs(),
        "last_seen_ms": millis(member.last_seen),
        "rtt_us": report.rtt.map(|rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX)),
        "budget": member.budget,
        "up": traffic_json(member.up),
        "down": traffic_json(member.down),
        "strikes": member.strikes,
        "blocked_s": member.blocked.map(|left| left.as_secs()),
        "drops": drops_json(&member.drops),
        "stats": member.stats,
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn traffic_json(traffic: Traffic) -> Value {
    json!({ "frames": traffic.frames, "bytes": traffic.bytes })
}

fn drops_json(drops: &Drops) -> Value {
    let reasons = drops
        .iter()
        .map(|(reason, count)| (reason.as_str().to_owned(), count.into()));

    Value::Object(reasons.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use lanparty_obs::DropReason;
    use lanparty_switch::Totals;

    use crate::worker::Losses;

    use super::*;

    fn status() -> Status {
        let mut totals = Totals {
            admitted: 3,
            ..Totals::default()
        };
        totals.drops.add_many(DropReason::RateBroadcast, 7);

        Status {
            uptime: Duration::from_secs(9),
            workers: vec![WorkerReport {
                worker: 0,
                connections: 2,
                totals,
                losses: Losses::default(),
                rooms: Vec::new(),
            }],
            limiter: ConnectionCounts::default(),
            reached: vec![(Limit::Rooms, 2), (Limit::Memory, 0)],
            memory: None,
        }
    }

    #[test]
    fn both_forms_name_drops_by_reason() {
        let status = status();

        assert_eq!(status.json()["drops"]["rate_broadcast"], 7);
        assert_eq!(status.json()["members_admitted"], 3);
        let text = status.metrics();
        let line = "softlan_frames_dropped_total{worker=\"0\",reason=\"rate_broadcast\"} 7\n";
        assert!(text.contains(line), "{text}");
        assert_eq!(
            status.json()["limits_reached"],
            serde_json::json!({ "rooms": 2 })
        );
        let line = "softlan_limits_reached_total{limit=\"rooms\"} 2\n";
        assert!(text.contains(line), "{text}");
    }
}
