//! What always holds for a keeper, whatever the system looks like and wherever it breaks.

use proptest::prelude::*;

use crate::model::{ETHERNET, TAP, Trouble, World, default_route, desired, home, route};
use crate::{
    Category, DesiredState, Family, Interface, Pin, Problem, RouteManager, RouterDiscovery,
    Settings, Snapshot,
};

fn open(world: &World) -> RouteManager<World, World> {
    RouteManager::open(world.clone(), world.clone()).unwrap().0
}

/// Changes that a run makes when nothing goes wrong, with the journal's.
const RUN: usize = 40;

fn run(world: &World) {
    if let Ok((mut manager, _)) = RouteManager::open(world.clone(), world.clone()) {
        let before = DesiredState {
            tap: None,
            ..desired()
        };
        let joined = manager
            .ensure(&before)
            .and_then(|_| manager.ensure(&desired()));
        drop(joined);
        drop(manager.restore());
    }
}

#[test]
fn the_relay_is_pinned_before_anything_else_and_let_go_last() {
    let world = World::new(home());
    run(&world);
    let log: Vec<String> = world
        .log()
        .into_iter()
        .filter(|line| line != "journal")
        .collect();

    assert_eq!(
        log.first().unwrap(),
        "add 203.0.113.7/32 through 192.168.1.1"
    );
    assert_eq!(
        log.last().unwrap(),
        "delete 203.0.113.7/32 through 192.168.1.1"
    );
    assert_eq!(world.state(), home());
}

#[test]
fn every_step_is_in_the_journal_before_it_is_taken() {
    let world = World::new(home());
    run(&world);
    let log = world.log();
    let until_restored = log.iter().take_while(|line| !line.starts_with("delete"));

    let mut before = "";
    for line in until_restored {
        assert!(
            line == "journal"
                || before == "journal"
                || line.contains("public")
                || line.contains("metric=35"),
            "{log:?}"
        );
        before = line;
    }
}

#[test]
fn a_second_look_changes_nothing() {
    let world = World::new(home());
    let mut manager = open(&world);
    let first = manager.ensure(&desired()).unwrap();
    let second = manager.ensure(&desired()).unwrap();

    assert_eq!(first.done.len(), 6, "{:?}", first.done);
    assert!(
        second.done.is_empty() && second.problems.is_empty(),
        "{second:?}"
    );
    assert_eq!(first.pins, second.pins);
    assert!(first.default_routes_enabled && !second.default_routes_enabled);
}

#[test]
fn what_windows_takes_back_is_asserted_again_and_still_undone() {
    let world = World::new(home());
    let mut manager = open(&world);
    manager.ensure(&desired()).unwrap();
    world.change(|state| {
        let fresh = home().interfaces[&(TAP, Family::V4)];
        state.interfaces.insert((TAP, Family::V4), fresh);
        state.category = Some(Category::Public);
        state.routes.retain(|route| route.interface != TAP);
    });

    let report = manager.ensure(&desired()).unwrap();
    assert_eq!(report.done.len(), 4, "{:?}", report.done);
    assert!(manager.restore().unwrap().left.is_empty());
    assert_eq!(world.state(), home());
}

#[test]
fn a_pin_moves_when_the_way_to_the_internet_moves() {
    let world = World::new(home());
    let mut manager = open(&world);
    manager.ensure(&desired()).unwrap();
    let moved = default_route("192.168.1.2", ETHERNET, 0);
    world.change(|state| state.routes[0] = moved);

    let report = manager.ensure(&desired()).unwrap();
    let pinned = route("203.0.113.7", 32, "192.168.1.2", ETHERNET, 0);
    assert_eq!(report.pins, [Pin::Ours(pinned)]);
    let to_relay = |snapshot: &Snapshot| {
        let routes = snapshot.routes.iter();
        routes
            .filter(|route| route.destination == pinned.destination)
            .count()
    };
    assert_eq!(to_relay(&world.state()), 1);
    drop(manager);
    assert_eq!(to_relay(&world.state()), 0);
}

#[test]
fn a_route_to_the_relay_by_the_tap_is_told() {
    let world = World::new(home());
    let mut manager = open(&world);
    world.change(|state| {
        state
            .routes
            .push(route("203.0.113.7", 32, "10.77.0.1", TAP, 0));
    });
    let report = manager.ensure(&desired()).unwrap();

    assert!(matches!(report.problems[..], [Problem::RelayThroughTap(_)]));
}

#[test]
fn what_somebody_changed_in_the_meantime_stays_as_they_wanted_it() {
    let world = World::new(home());
    let mut manager = open(&world);
    manager.ensure(&desired()).unwrap();
    let set = |state: &mut Snapshot, metric| {
        let interface = state.interfaces.get_mut(&(TAP, Family::V4)).unwrap();
        interface.settings.metric = metric;
    };
    world.change(|state| set(state, 77));
    drop(manager);

    let mut expected = home();
    set(&mut expected, 77);
    let interface = expected.interfaces.get_mut(&(TAP, Family::V4)).unwrap();
    interface.settings.automatic_metric = false;
    assert_eq!(world.state(), expected);
}

proptest! {
    #[test]
    fn apply_then_undo_gives_back_any_start_state(start in states()) {
        let world = World::new(start.clone());
        run(&world);

        prop_assert_eq!(world.state(), start);
        prop_assert!(world.journal().is_empty());
    }

    #[test]
    fn a_crash_anywhere_is_repaired_at_the_next_start(
        start in states(),
        at in 1..RUN,
        after: bool,
        again in proptest::option::of((1..RUN, any::<bool>())),
    ) {
        let world = World::new(start.clone());
        world.expect(Trouble::Crash { at, after });
        run(&world);
        // The repair may crash as well.
        if let Some((at, after)) = again {
            world.expect(Trouble::Crash { at, after });
            run(&world);
        }

        world.expect(Trouble::None);
        drop(open(&world));
        prop_assert_eq!(world.state(), start);
        prop_assert!(world.journal().is_empty());
    }

    #[test]
    fn a_fault_at_any_step_leaves_the_start_state(start in states(), at in 1..RUN) {
        let world = World::new(start.clone());
        world.expect(Trouble::Fault { at });
        run(&world);
        // A fault while undoing leaves the rest to the next start.
        world.expect(Trouble::None);
        drop(open(&world));

        prop_assert_eq!(world.state(), start);
        prop_assert!(world.journal().is_empty());
    }

    #[test]
    fn a_fault_while_setting_up_is_undone_at_once(start in states(), at in 1..RUN) {
        let world = World::new(start.clone());
        let mut manager = open(&world);
        world.expect(Trouble::Fault { at });
        if manager.ensure(&desired()).is_err() {
            prop_assert_eq!(world.state(), start);
        }
    }
}

/// Systems that differ in everything that a plan looks at.
fn states() -> impl Strategy<Value = Snapshot> {
    let discovery = prop_oneof![
        Just(RouterDiscovery::Disabled),
        Just(RouterDiscovery::Enabled),
        Just(RouterDiscovery::Dhcp),
    ];
    let settings = (
        576..9000_u32,
        any::<bool>(),
        0..100_u32,
        any::<bool>(),
        discovery,
    )
        .prop_map(
            |(mtu, automatic_metric, metric, default_routes_disabled, router_discovery)| Settings {
                mtu,
                automatic_metric,
                metric,
                default_routes_disabled,
                router_discovery,
            },
        );
    let interface = (settings, any::<bool>()).prop_map(|(settings, connected)| Interface {
        settings,
        connected,
    });
    let interfaces = proptest::collection::btree_map(
        (
            prop_oneof![Just(TAP), Just(ETHERNET)],
            prop_oneof![Just(Family::V4), Just(Family::V6)],
        ),
        interface,
        0..4,
    );
    let routes = proptest::sample::subsequence(
        vec![
            default_route("192.168.1.1", ETHERNET, 0),
            default_route("10.77.0.1", TAP, 5),
            route("192.168.1.0", 24, "0.0.0.0", ETHERNET, 256),
            route("203.0.113.0", 24, "10.77.0.1", TAP, 1),
            route("203.0.113.7", 32, "192.168.1.254", ETHERNET, 9),
            route("203.0.113.7", 32, "192.168.1.1", ETHERNET, 9),
            route("255.255.255.255", 32, "0.0.0.0", TAP, 256),
            route("224.0.0.0", 4, "0.0.0.0", ETHERNET, 256),
        ],
        0..=8,
    );
    let category = proptest::option::of(prop_oneof![
        Just(Category::Public),
        Just(Category::Private),
        Just(Category::Domain),
    ]);

    (routes, interfaces, category).prop_map(|(routes, interfaces, category)| Snapshot {
        routes,
        interfaces,
        category,
    })
}
