use lanparty_obs::DropReason;
use lanparty_switch::Totals;
use serde_json::{Value, json};

use crate::worker::Losses;

use super::*;

fn worker(number: u8) -> WorkerReport {
    let mut totals = Totals {
        admitted: 3,
        ..Totals::default()
    };
    totals.drops.add_many(DropReason::RateBroadcast, 7);

    WorkerReport {
        worker: number,
        connections: 2,
        totals,
        losses: Losses {
            full: 4,
            ..Losses::default()
        },
        rooms: Vec::new(),
    }
}

fn status() -> Status {
    Status::new(
        Duration::from_secs(9),
        &[worker(0), worker(1)],
        ConnectionCounts {
            retried: 5,
            ..ConnectionCounts::default()
        },
        &[(Limit::Rooms, 2), (Limit::Memory, 0)],
        None,
    )
}

fn parsed() -> Value {
    serde_json::from_str(&status().json()).unwrap()
}

fn assert_metric(line: &str) {
    let text = status().metrics();

    assert!(text.lines().any(|other| other == line), "{text}");
}

#[test]
fn both_forms_name_drops_by_reason() {
    assert_eq!(parsed()["drops"], json!({ "rate_broadcast": 14 }));
    assert_metric("softlan_frames_dropped_total{worker=\"0\",reason=\"rate_broadcast\"} 7");
    assert_eq!(parsed()["queue_drops"]["queue_full"], 8);
    assert_metric("softlan_queue_drops_total{worker=\"1\",reason=\"queue_full\"} 4");
}

#[test]
fn json_has_the_sum_of_all_workers_and_each_of_them() {
    let json = parsed();

    assert_eq!(json["workers"], 2);
    assert_eq!(json["members_admitted"], 6);
    assert_eq!(json["connections"], 4);
    assert_eq!(json["by_worker"]["1"]["members_admitted"], 3);
    assert_metric("softlan_members_admitted_total{worker=\"1\"} 3");
}

#[test]
fn both_forms_have_what_became_of_incoming_connections() {
    assert_eq!(parsed()["incoming_connections"]["retried"], 5);
    assert_metric("softlan_incoming_connections_total{decision=\"retried\"} 5");
}

#[test]
fn json_has_the_limits_that_were_reached_and_metrics_have_all() {
    assert_eq!(parsed()["limits_reached"], json!({ "rooms": 2 }));
    assert_metric("softlan_limits_reached_total{limit=\"rooms\"} 2");
    assert_metric("softlan_limits_reached_total{limit=\"memory\"} 0");
}
