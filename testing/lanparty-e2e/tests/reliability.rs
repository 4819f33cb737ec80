//! What happens to a party while things break: each promise of `docs/reliability.md` a few times, its facts alone. The program
//! `reliability` measures the times.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use lanparty_e2e::reliability::{Report, soak};
use lanparty_e2e::reliability::{crowd, handovers, impostors, kills, lines, paths, processes};

fn holds(report: anyhow::Result<Report>) {
    let report = report.unwrap();

    assert!(report.broken_facts().is_empty(), "{report}");
}

#[test]
fn a_killed_relay_costs_no_connection_of_a_game() {
    holds(kills::relay(2));
}

#[test]
fn a_killed_gateway_is_not_felt_between_players() {
    holds(kills::gateway(3));
}

#[test]
fn a_killed_client_takes_its_place_again_and_nobody_sees_it_leave() {
    holds(kills::client(1));
}

#[test]
fn a_cable_that_was_out_costs_no_connection_of_a_game() {
    holds(paths::link_down(1));
}

#[test]
fn another_address_in_a_transfer_is_survived() {
    holds(paths::address_change(2));
}

#[test]
fn a_line_that_swallows_everything_now_and_then_keeps_its_connection() {
    holds(paths::black_hole(10));
}

#[test]
fn a_nat_that_gives_another_port_now_and_then_costs_no_connection() {
    holds(paths::rebinding(12));
}

#[test]
fn transfers_over_bad_lines_arrive_whole() {
    holds(lines::tcp(1));
}

/// How many a bad line loses besides needs more frames than a short form has.
#[test]
fn frames_over_bad_lines_never_come_twice() {
    let report = lines::frames(1).unwrap();
    let broken = report.broken_facts();

    assert!(
        !broken.iter().any(|fact| fact.contains("twice")),
        "{report}"
    );
}

#[test]
fn joins_succeed_over_lines_that_lose_or_damage_a_third() {
    holds(lines::joins_loss(8));
    holds(lines::joins_corruption(8));
}

#[test]
fn a_restarted_relay_costs_no_connection_of_a_game() {
    holds(processes::restart(1));
}

#[test]
fn a_renewed_relay_costs_no_frame() {
    holds(handovers::relay(2));
}

#[test]
fn a_renewed_gateway_costs_no_frame() {
    holds(handovers::gateway(2));
}

#[test]
fn a_crowd_moves_to_a_renewed_relay_and_loses_nothing() {
    holds(crowd::handovers(5));
}

#[test]
fn a_successor_that_cannot_start_leaves_the_relay_as_it_is() {
    holds(handovers::spoiled());
}

#[test]
fn a_successor_that_is_no_good_leaves_the_gateway_as_it_is() {
    holds(impostors::gateway());
}

#[test]
fn a_successor_that_is_no_good_leaves_the_relay_as_it_is() {
    holds(impostors::relay());
}

#[test]
fn a_gateway_s_successor_may_be_killed_at_any_time_and_nobody_loses_a_place() {
    holds(impostors::killed(10));
}

#[test]
fn stopped_programs_go_on() {
    holds(processes::stopped_shortly(1));
}

#[test]
fn programs_that_were_stopped_for_a_minute_find_each_other_again() {
    holds(processes::stopped_together(1));
}

#[test]
fn a_wall_clock_that_jumps_is_not_felt() {
    holds(processes::clock(1));
}

#[test]
fn a_full_disk_damages_nothing() {
    holds(processes::disk_full(1));
}

#[test]
fn a_relay_that_comes_and_goes_leaks_nothing_from_its_members() {
    holds(soak::relay(4));
}

#[test]
fn a_client_that_comes_and_goes_leaks_nothing_from_relay_and_gateway() {
    holds(soak::clients(4));
}
