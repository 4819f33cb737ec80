//! Whether a relay answers and has the right certificate.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use lanparty_ctrl::close_code;
use lanparty_driver::{Frames, JoinArgs};
use lanparty_net::{Endpoint, LinkEvent, member_socket};
use lanparty_queue::PaceSetting;

use super::Cli;

/// How long each address of the relay has.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long the doctor sleeps between looks at the socket.
const LOOK: Duration = Duration::from_millis(5);

/// Connects to the relay, if one was named, and says what came of it.
pub(super) fn check(cli: &Cli) -> Option<anyhow::Result<String>> {
    let relay = cli.relay.clone()?;
    let join = JoinArgs {
        relay,
        server_name: cli.server_name.clone(),
        relay_ca_cert: cli.relay_ca_cert.clone(),
        room: cli.room.clone(),
        rate: PaceSetting::Auto,
        datagram_budget: None,
        frames: Frames::Full,
        allow_kind: Vec::new(),
        deny_kind: Vec::new(),
        state_dir: None,
        no_realtime: true,
    };

    Some(connect(&join))
}

fn connect(join: &JoinArgs) -> anyhow::Result<String> {
    let settings = join.settings()?;
    let mut last = None;
    for address in join.relay.resolve()? {
        let started = Instant::now();
        let socket = member_socket(address).context("the system gives no socket")?;
        let mut endpoint = Endpoint::member(socket, settings.clone())?;
        let link = endpoint.connect(address, None, started)?;
        match answer(&mut endpoint, started) {
            Ok(()) => {
                let time = started.elapsed().as_secs_f64() * 1000.0;
                endpoint.close(link, close_code::LEFT, "doctor", Instant::now());
                endpoint.flush(Instant::now());
                return Ok(format!("the relay {} answers ({time:.0} ms)", join.relay));
            }
            Err(error) => last = Some(error.context(format!("the relay {address}"))),
        }
    }

    Err(last.unwrap_or_else(|| anyhow::anyhow!("the relay {} has no address", join.relay)))
}

/// Waits for the handshake.
fn answer(endpoint: &mut Endpoint, started: Instant) -> anyhow::Result<()> {
    while started.elapsed() < PATIENCE {
        let now = Instant::now();
        endpoint.receive(now);
        endpoint.handle_timeout(now);
        endpoint.flush(now);
        while let Some(event) = endpoint.poll_event() {
            match event {
                LinkEvent::Connected { .. } => return Ok(()),
                LinkEvent::Closed { cause, .. } => bail!("refuses us: {cause:?}"),
                LinkEvent::Control { .. } | LinkEvent::Budget { .. } => {}
            }
        }
        std::thread::sleep(LOOK);
    }

    bail!("does not answer; is its UDP port open, also in firewalls on the way?")
}
