//! The report's numbers for Prometheus.

use lanparty_telemetry::{Exposition, Kind};

use super::{Counts, Status};

/// Name, kind, help and value of what every worker counts.
type Metric = (&'static str, Kind, &'static str, fn(&Counts) -> u64);

/// What every worker counts.
const PER_WORKER: [Metric; 11] = [
    (
        "softlan_connections",
        Kind::Gauge,
        "QUIC connections, those that are no member yet included.",
        |counts| counts.connections,
    ),
    (
        "softlan_rooms",
        Kind::Gauge,
        "Rooms with at least one member.",
        |counts| counts.rooms_open,
    ),
    (
        "softlan_members",
        Kind::Gauge,
        "Members of all rooms.",
        |counts| counts.members,
    ),
    (
        "softlan_members_admitted_total",
        Kind::Counter,
        "Members admitted.",
        |counts| counts.members_admitted,
    ),
    (
        "softlan_members_rejected_total",
        Kind::Counter,
        "Members not admitted.",
        |counts| counts.members_rejected,
    ),
    (
        "softlan_members_resumed_total",
        Kind::Counter,
        "Memberships resumed after a broken connection.",
        |counts| counts.members_resumed,
    ),
    (
        "softlan_members_malformed_total",
        Kind::Counter,
        "Members disconnected for malformed datagrams.",
        |counts| counts.members_malformed,
    ),
    (
        "softlan_ingress_frames_total",
        Kind::Counter,
        "Frames that came in and were forwarded.",
        |counts| counts.frames_in,
    ),
    (
        "softlan_ingress_bytes_total",
        Kind::Counter,
        "Bytes of frames that came in and were forwarded.",
        |counts| counts.bytes_in,
    ),
    (
        "softlan_egress_frames_total",
        Kind::Counter,
        "Copies of frames that were sent.",
        |counts| counts.frames_out,
    ),
    (
        "softlan_egress_bytes_total",
        Kind::Counter,
        "Bytes of copies that were sent.",
        |counts| counts.bytes_out,
    ),
];

impl Status {
    /// Returns the numbers as Prometheus text.
    pub(crate) fn metrics(&self) -> String {
        let mut text = Exposition::default();
        gauge(
            &mut text,
            "softlan_uptime_seconds",
            "Time since the relay started.",
            self.uptime_s,
        );
        if let Some(memory) = self.memory_bytes {
            gauge(
                &mut text,
                "softlan_resident_memory_bytes",
                "Resident memory.",
                memory,
            );
        }
        for (name, kind, help, value) in PER_WORKER {
            text.metric(name, kind, help);
            for (worker, counts) in &self.by_worker {
                text.sample(&[("worker", &worker.to_string())], value(counts));
            }
        }
        self.write_drops(&mut text);
        self.write_connections(&mut text);

        text.finish()
    }

    fn write_drops(&self, text: &mut Exposition) {
        text.metric(
            "softlan_frames_dropped_total",
            Kind::Counter,
            "Frames not passed on, by reason.",
        );
        for (worker, counts) in &self.by_worker {
            for (reason, count) in &counts.drops {
                text.sample(
                    &[("worker", &worker.to_string()), ("reason", reason)],
                    *count,
                );
            }
        }
        text.metric(
            "softlan_queue_drops_total",
            Kind::Counter,
            "Copies given up by the queues in front of members' links, by reason.",
        );
        for (worker, counts) in &self.by_worker {
            let drops = counts.queue_drops;
            for (reason, count) in [
                ("queue_full", drops.queue_full),
                ("queue_delay", drops.queue_delay),
                ("ack_superseded", drops.ack_superseded),
                ("target_budget", drops.target_budget),
            ] {
                text.sample(
                    &[("worker", &worker.to_string()), ("reason", reason)],
                    count,
                );
            }
        }
    }

    fn write_connections(&self, text: &mut Exposition) {
        text.metric(
            "softlan_incoming_connections_total",
            Kind::Counter,
            "First packets of new connections, by what was done with them.",
        );
        let incoming = self.incoming_connections;
        for (decision, count) in [
            ("accepted", incoming.accepted),
            ("retried", incoming.retried),
            ("refused", incoming.refused),
            ("ignored", incoming.ignored),
        ] {
            text.sample(&[("decision", decision)], count);
        }
        text.metric(
            "softlan_limits_reached_total",
            Kind::Counter,
            "How often a limit was reached, by limit.",
        );
        for limit in crate::limiter::Limit::ALL {
            let name = limit.as_str();
            let count = self.limits_reached.get(name).copied().unwrap_or_default();
            text.sample(&[("limit", name)], count);
        }
    }
}

fn gauge(text: &mut Exposition, name: &'static str, help: &str, value: u64) {
    text.metric(name, Kind::Gauge, help);
    text.sample(&[], value);
}
