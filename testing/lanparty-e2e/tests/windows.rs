//! The Windows program, as it is, under Wine: at a party, and with everything that can be wrong with an adapter.
//!
//! `scripts/build-windows --party` builds what these need and runs them.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use lanparty_e2e::bed::Bed;
use lanparty_e2e::command::{output, tool};
use lanparty_e2e::program::ROOM;
use lanparty_e2e::traffic::{Enough, ping, tcp};
use lanparty_e2e::windows::{TAP, WindowsPc};
use lanparty_e2e::{Namespace, Program, openttd};
use rustix::process::Signal;

/// Wine takes its time on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The LAN's directed broadcast address.
const LAN_BROADCAST: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 255);

/// What Wine 8 itself says on standard error when a thread begins while its process ends: `process_exit_wrapper` closes the socket over
/// which `init_thread_pipe` gives its pipes away (both in Wine's dlls/ntdll/unix/server.c). Windows allows that; nothing else comes of
/// it, the exit code least of all. Our threads have all ended by then, those of Windows' libraries may not have.
const WINE_ITSELF: &str = "wine client error:";

/// Runs the program to its end, and returns exit code and the last line of what it said.
fn run(bed: &Bed, command: Command) -> (i32, String) {
    let mut program = Program::start(bed.dir(), "windows", command).unwrap();
    let status = program.wait(PATIENCE).unwrap();
    let said = program.stderr();
    let mut lines = said.lines().rev();
    let last = lines.find(|line| !line.starts_with(WINE_ITSELF));

    (status.code().unwrap(), last.unwrap_or_default().to_owned())
}

/// Says something by broadcast in one namespace, and returns whether it is heard in the other.
fn is_heard(speaker: &Namespace, listener: &Namespace) -> bool {
    const PORT: u16 = 27_015;
    let ear = listener
        .enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)))
        .unwrap();
    ear.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mouth = speaker
        .enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))
        .unwrap();
    mouth.set_broadcast(true).unwrap();
    let mut heard = [0; 64];

    (0..10).any(|_| {
        mouth
            .send_to(b"a game is here", (LAN_BROADCAST, PORT))
            .unwrap();
        ear.recv(&mut heard)
            .is_ok_and(|len| heard[..len] == *b"a game is here")
    })
}

fn stop(mut client: Program) {
    client.stop(Signal::INT, PATIENCE).unwrap();
}

/// What the file itself says: without a manifest nobody is asked for an administrator's rights, and what is imported must be there
/// before anything runs.
#[test]
#[ignore = "needs Wine and the Windows program: scripts/build-windows --party"]
fn the_program_has_icon_version_and_manifest_and_imports_what_every_windows_has() {
    let path = std::env::var_os("SOFTLAN_WINDOWS_EXE").expect("scripts/build-windows sets it");
    let mut dump = tool("x86_64-w64-mingw32-objdump");
    let dump = output(dump.arg("-p").arg(&path)).unwrap();
    // Types RT_GROUP_ICON, RT_VERSION and RT_MANIFEST (winuser.h), at the outermost level of the resources.
    for kind in ["00000e", "000010", "000018"] {
        let entry = format!("  Entry: ID: 0x{kind}, Value: 0x8");
        assert!(dump.contains(&entry), "{kind}");
    }
    // Missing from Wine or from older Windows; they are looked up.
    for call in [
        "SetIpInterfaceEntry",
        "CreateIpForwardEntry2",
        "PowerRegisterSuspendResumeNotification",
    ] {
        let is_imported = dump.lines().any(|line| line.ends_with(call));
        assert!(!is_imported, "{call}");
    }

    let bytes = std::fs::read(path).unwrap();
    let has = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    assert!(has(br#"level="requireAdministrator""#));
    let version: Vec<u8> = env!("CARGO_PKG_VERSION")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert!(has(&version));
}

#[test]
#[ignore = "needs Wine and the Windows program: scripts/build-windows --party"]
fn a_windows_pc_is_on_the_party_s_lan() {
    let bed = Bed::new().unwrap();
    let _relay = bed.start_relay().unwrap();
    let _gateway = bed.start_gateway(0, ROOM).unwrap();
    let _dnsmasq = bed.start_dnsmasq().unwrap();
    let pc = bed.windows_pc().unwrap();
    let (remote, host) = (bed.remote(0), bed.host(0));
    let mut client = pc.start_client(ROOM).unwrap();

    let lease = bed.lease(remote, TAP).unwrap();
    assert_eq!(lease.server, Bed::host_address(0));
    assert_eq!(
        ping(remote, Bed::host_address(0).into(), 5)
            .unwrap()
            .received,
        5
    );
    assert_eq!(ping(host, lease.address.into(), 5).unwrap().received, 5);
    assert!(is_heard(remote, host) && is_heard(host, remote));
    for (sender, receiver, address) in [
        (remote, host, Bed::host_address(0)),
        (host, remote, lease.address),
    ] {
        tcp(sender, receiver, address.into(), Enough::Bytes(2_000_000)).unwrap();
    }
    let _game = bed.start_openttd(host, "At the party").unwrap();
    let server = openttd::find(remote, LAN_BROADCAST, PATIENCE).unwrap();
    assert_eq!(server.ip(), Bed::host_address(0));
    assert!(openttd::is_called(remote, server, "At the party").unwrap());

    client.stop(Signal::INT, PATIENCE).unwrap();
    assert!(!pc.has_journal());
}

/// What the model was told, in the order in which a player needs it.
#[test]
#[ignore = "needs Wine and the Windows program: scripts/build-windows --party"]
fn the_pc_is_changed_as_the_party_needs_it_and_given_back() {
    let bed = Bed::new().unwrap();
    let _relay = bed.start_relay().unwrap();
    let pc = bed.windows_pc().unwrap();
    let client = pc.start_client(ROOM).unwrap();
    let log = client.stderr();
    stop(client);
    let changes = pc.changes();

    let expected = [
        "create-route 10.80.2.2/32 via 10.80.10.1",
        "set-interface if=",
        "set-interface if=",
        "create-route 255.255.255.255/32 via 0.0.0.0",
        "create-route 224.0.0.0/4 via 0.0.0.0",
        "delete-route 224.0.0.0/4 via 0.0.0.0",
        "delete-route 255.255.255.255/32 via 0.0.0.0",
        "set-interface if=",
        "set-interface if=",
        "delete-route 10.80.2.2/32 via 10.80.10.1",
    ];
    assert_eq!(changes.len(), expected.len(), "{changes:#?}");
    for (change, expected) in changes.iter().zip(expected) {
        assert!(
            change.starts_with(expected) && change.ends_with("rc=0"),
            "{change}"
        );
    }
    for (place, family) in [(1, 4), (2, 6)] {
        let during =
            format!("family={family} mtu=1500 automatic=0 metric=1 nodefault=1 discovery=0");
        assert!(changes[place].contains(&during), "{}", changes[place]);
        let after = format!("family={family} mtu=1500 automatic=1 metric=25 nodefault=0");
        assert!(
            changes[9 - place].contains(&after),
            "{}",
            changes[9 - place]
        );
    }
    let pinned = log
        .find("way to the relay: 10.80.2.2/32 through 10.80.10.1")
        .unwrap();
    let verified = log.rfind("verified: routes and interfaces").unwrap();
    assert!(pinned < verified);
    assert!(log.contains(" luid=0x") && log.contains(" index="), "{log}");
    assert!(!pc.has_journal());
}

#[test]
#[ignore = "needs Wine and the Windows program: scripts/build-windows --party"]
fn a_failure_at_any_change_leaves_the_pc_as_it_was() {
    let bed = Bed::new().unwrap();
    let _relay = bed.start_relay().unwrap();
    let pc = bed.windows_pc().unwrap();
    stop(pc.start_client(ROOM).unwrap());
    let before = pc.model();

    for change in 1..=5 {
        let mut command = pc.client_command(ROOM);
        command.env("SOFTLAN_NETFAULT", change.to_string());
        let (code, sentence) = run(&bed, command);
        assert_eq!(code, 1, "{sentence}");
        assert!(sentence.contains("failed to"), "{sentence}");
        assert!(pc.model() == before && !pc.has_journal(), "change {change}");
    }
    // What cannot be undone at first is undone when the program ends.
    for change in 6..=10 {
        let mut command = pc.client_command(ROOM);
        command.env("SOFTLAN_NETFAULT", change.to_string());
        let mut client = Program::start(bed.dir(), "windows", command).unwrap();
        client.wait_log("done: add the route 224.0.0.0/4").unwrap();
        stop(client);
        assert!(pc.model() == before && !pc.has_journal(), "change {change}");
    }
}

#[test]
#[ignore = "needs Wine and the Windows program: scripts/build-windows --party"]
fn what_a_killed_run_left_is_put_right_at_the_next_start() {
    let bed = Bed::new().unwrap();
    let _relay = bed.start_relay().unwrap();
    let pc = bed.windows_pc().unwrap();
    stop(pc.start_client(ROOM).unwrap());
    let before = pc.model();

    let gateway = bed.start_gateway(0, ROOM).unwrap();
    let mut killed = pc.start_client(ROOM).unwrap();
    killed.kill().unwrap();
    assert!(pc.model() != before && pc.has_journal());

    let mut next = pc.start_client(ROOM).unwrap();
    next.wait_log("put right what the last run left behind")
        .unwrap();
    next.wait_line("joined").unwrap();
    // It has taken its place again, so that nobody saw it go.
    assert!(
        !gateway.stdout().contains(" left ("),
        "{}",
        gateway.stdout()
    );
    stop(next);
    assert!(pc.model() == before && !pc.has_journal());
}

/// The warden looks every second for twenty seconds after joining, and is told of changes besides, which Wine cannot do.
#[test]
#[ignore = "needs Wine and the Windows program: scripts/build-windows --party"]
fn what_somebody_takes_away_is_put_back_while_the_room_is_joined() {
    let bed = Bed::new().unwrap();
    let _relay = bed.start_relay().unwrap();
    let pc = bed.windows_pc().unwrap();
    stop(pc.start_client(ROOM).unwrap());
    let before = pc.model();

    let client = pc.start_client(ROOM).unwrap();
    let during = pc.model();
    pc.set_model(&before).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while pc.model() != during && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(100));
    }
    assert!(pc.model() == during, "{:#?}", pc.changes());
    stop(client);

    assert!(pc.model() == before && !pc.has_journal());
}

#[test]
#[ignore = "needs Wine and the Windows program: scripts/build-windows --party"]
fn each_trouble_with_an_adapter_has_its_sentence() {
    let bed = Bed::new().unwrap();
    let _relay = bed.start_relay().unwrap();
    let pc = bed.windows_pc().unwrap();
    let refused = |pc: &WindowsPc<'_>, part: &str| {
        let (code, sentence) = run(&bed, pc.client_command(ROOM));
        assert_eq!(code, 2, "{sentence}");
        assert!(sentence.contains(part), "{sentence}");
    };

    let (code, sentence) = run(&bed, pc.program());
    assert_eq!(code, 64, "{sentence}");
    assert!(sentence.contains("--help"), "{sentence}");

    let holder = pc.hold_adapter().unwrap();
    refused(&pc, "\"Ethernet 7\" is in use by another program");
    drop(holder);

    pc.control(&["flags", "0007", "1"]).unwrap();
    refused(&pc, "\"Ethernet 7\" is disabled; enable it");
    pc.control(&["flags", "0007", "0"]).unwrap();

    pc.control(&["set", "0007", "FakeMinor", "dword:24"])
        .unwrap();
    pc.restart_driver().unwrap();
    refused(
        &pc,
        "is 9.24, which has errors that break LAN games; install 9.26",
    );
    pc.control(&["set", "0007", "FakeMinor", "dword:27"])
        .unwrap();
    pc.restart_driver().unwrap();

    pc.break_restart().unwrap();
    refused(&pc, "has the MAC address 00:ff:00:00:00");
    assert_eq!(pc.restarts(), [r"/restart-device ROOT\NET\0007"]);

    let second = "{5C0FF1A7-0000-4000-8000-000000000008}";
    pc.add_adapter("0008", second, "Ethernet 8", 7003).unwrap();
    refused(
        &pc,
        "there are several TAP adapters; name one with --tap-instance-id",
    );
    let absent = "{5C0FF1A7-0000-4000-8000-0000000000FF}";
    let mut command = pc.client_command(ROOM);
    command.args(["--tap-instance-id", absent]);
    let (code, sentence) = run(&bed, command);
    assert_eq!(code, 2, "{sentence}");
    assert!(
        sentence.contains(&format!("there is no TAP adapter {absent}")),
        "{sentence}"
    );

    for key in ["0007", "0008"] {
        pc.control(&["remove", key]).unwrap();
    }
    refused(&pc, "there is no TAP-Windows6 adapter; install the driver");
}

#[test]
#[ignore = "needs Wine and the Windows program: scripts/build-windows --party"]
fn one_of_several_adapters_is_named_and_used() {
    let bed = Bed::new().unwrap();
    let _relay = bed.start_relay().unwrap();
    let pc = bed.windows_pc().unwrap();
    let second = "{5C0FF1A7-0000-4000-8000-000000000008}";
    pc.add_adapter("0008", second, "Ethernet 8", 7003).unwrap();

    let mut list = pc.program();
    list.arg("--list-tap-adapters");
    let mut list = Program::start(bed.dir(), "list", list).unwrap();
    assert!(list.wait(PATIENCE).unwrap().success());
    assert_eq!(
        list.stdout().lines().collect::<Vec<_>>(),
        [
            format!("{} \"Ethernet 7\" (works)", pc.adapter),
            format!("{second} \"Ethernet 8\" (works)"),
        ]
    );
    let mut command = pc.client_command(ROOM);
    command.args(["--tap-instance-id", &pc.adapter]);
    let mut client = Program::start(bed.dir(), "windows", command).unwrap();
    client.wait_line("joined").unwrap();
    stop(client);
}

#[test]
#[ignore = "needs Wine and the Windows program: scripts/build-windows --party"]
fn the_doctor_finds_the_relay_and_what_is_wrong() {
    let bed = Bed::new().unwrap();
    let relay = bed.start_relay().unwrap();
    let pc = bed.windows_pc().unwrap();
    let examine = || {
        let mut doctor = Program::start(bed.dir(), "doctor", pc.doctor_command()).unwrap();
        let status = doctor.wait(PATIENCE).unwrap();
        (status.code().unwrap(), doctor.stdout())
    };

    let (code, said) = examine();
    assert_eq!(code, 0, "{said}");
    for part in [
        "10.80.2.2:4433 answers in",
        "driver           9.27",
        "nothing to undo",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }

    drop(relay);
    pc.control(&["flags", "0007", "1"]).unwrap();
    let (code, said) = examine();
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("is disabled") && said.contains("no answer"),
        "{said}"
    );
}
