//! A socket that is full, as Linux' programs bring it: elsewhere nobody brings one, and Wine's is never full.

use std::cell::Cell;
use std::io;
use std::net::UdpSocket;
use std::time::Instant;

use lanparty_net::{
    CloseCause, Endpoint, LinkEvent, MemberSettings, RelayKeys, RelaySettings, UdpSystem,
    member_socket, relay_socket,
};
use lanparty_offload::Train;
use lanparty_queue::Pace;

use super::{Always, NAME, OPEN, Seen, identity, member, queue, relay, turn, turn_until};

thread_local! {
    /// Whether this test's socket is full.
    static IS_FULL: Cell<bool> = const { Cell::new(false) };
}

/// Sends packet by packet, unless the socket is said to be full.
fn send_unless_full(
    socket: &UdpSocket,
    trains: &mut dyn Iterator<Item = Train<'_>>,
) -> io::Result<usize> {
    if IS_FULL.get() {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    let mut count = 0;
    for train in trains {
        for packet in train.packets() {
            socket.send_to(packet.contents, packet.heading.destination)?;
        }
        count += 1;
    }

    Ok(count)
}

#[test]
fn links_that_found_the_socket_full_send_once_it_is_writable() {
    let (identity, trust) = identity();
    let settings = RelaySettings::new(identity, RelayKeys::generate().unwrap())
        .unwrap()
        .with_udp_system(UdpSystem {
            prepare: |_, _| (),
            send: send_unless_full,
        });
    let socket = relay_socket("127.0.0.1:0".parse().unwrap(), false).unwrap();
    let address = socket.local_addr().unwrap();
    let mut relay = Endpoint::relay(socket, &settings, Box::new(Always(OPEN))).unwrap();
    let mut pairs = [(); 3].map(|()| {
        let mut member = member(&trust, address);
        let (mut at_relay, mut at_member) = (Seen::default(), Seen::default());
        member.connect(address, None, Instant::now()).unwrap();
        for step in [None, Some(b"hello")] {
            if let Some(hello) = step {
                assert!(member.send_control(at_member.link.unwrap(), hello.to_vec()));
            }
            turn_until(
                (&mut relay, &mut at_relay),
                (&mut member, &mut at_member),
                |r, m| m.link.is_some() && step.is_none_or(|hello| r.control == hello),
            );
        }

        (member, at_relay.link.unwrap())
    });

    IS_FULL.set(true);
    for (_, link) in &pairs {
        assert!(relay.send_control(*link, b"control".to_vec()));
        queue(&mut relay, *link, b"datagram".to_vec().into());
        // The first finds out, the others find it so.
        relay.flush(Instant::now());
        assert!(relay.wants_write());
    }

    // No timer runs, and nothing is heard from the members.
    IS_FULL.set(false);
    relay.flush(Instant::now());
    assert!(!relay.wants_write());
    for (member, _) in &mut pairs {
        let mut seen = Seen::default();
        turn(member, &mut seen);
        assert_eq!(seen.control, b"control");
        assert_eq!(seen.datagrams, ["datagram"]);
    }
}

#[test]
fn a_link_that_waits_for_a_full_socket_still_times_out() {
    let mut relay = relay(OPEN);
    let settings = MemberSettings::new(NAME.to_owned(), &relay.trust, Pace::Off)
        .unwrap()
        .with_udp_system(UdpSystem {
            prepare: |_, _| (),
            send: send_unless_full,
        });
    let mut member = Endpoint::member(member_socket(relay.address).unwrap(), settings).unwrap();
    let (mut at_relay, mut at_member) = (Seen::default(), Seen::default());
    let link = member.connect(relay.address, None, Instant::now()).unwrap();
    turn_until(
        (&mut relay.endpoint, &mut at_relay),
        (&mut member, &mut at_member),
        |_, m| m.link.is_some(),
    );

    IS_FULL.set(true);
    queue(&mut member, link, b"never".to_vec().into());
    member.flush(Instant::now());
    let cause = loop {
        let now = member.poll_timeout().expect("a link has a last deadline");
        member.handle_timeout(now);
        member.flush(now);
        while member.poll_datagram().is_some() {}
        if let Some(LinkEvent::Closed { cause, .. }) =
            std::iter::from_fn(|| member.poll_event()).last()
        {
            break cause;
        }
    };

    assert_eq!(cause, CloseCause::TimedOut);
}
