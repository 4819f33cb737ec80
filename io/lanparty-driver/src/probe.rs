//! Whether a relay answers and has the right certificate, for a doctor.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use lanparty_ctrl::close_code;
use lanparty_net::{CloseCause, Endpoint, LinkEvent, MemberSettings, member_socket};

/// How long one address has to answer: three lost packets and more.
const PATIENCE: Duration = Duration::from_secs(4);

/// How often the answer is looked for.
const LOOK: Duration = Duration::from_millis(5);

/// Connects to the relay at `address`, and no further. Returns the round trip.
///
/// # Errors
///
/// Returns a sentence if nobody answers within four seconds, or if what answers is not the relay.
pub fn probe_relay(settings: &MemberSettings, address: SocketAddr) -> anyhow::Result<Duration> {
    let socket = member_socket(address).context("the system gives no socket")?;
    let mut endpoint = Endpoint::member(socket, settings.clone())?;
    let start = Instant::now();
    let link = endpoint.connect(address, None, start)?;
    loop {
        let now = Instant::now();
        endpoint.receive(now);
        endpoint.handle_timeout(now);
        endpoint.flush(now);
        match endpoint.poll_event() {
            Some(LinkEvent::Connected { .. }) => {
                let rtt = endpoint.facts(link).map(|facts| facts.rtt);
                endpoint.close(link, close_code::LEFT, "only looking", now);
                endpoint.flush(now);
                return Ok(rtt.unwrap_or_else(|| now - start));
            }
            Some(LinkEvent::Closed { cause, .. }) => bail!("{}", sentence(cause)),
            Some(LinkEvent::Control { .. } | LinkEvent::Budget { .. }) => {}
            None if now - start > PATIENCE => bail!("no answer"),
            None => thread::sleep(LOOK),
        }
    }
}

fn sentence(cause: CloseCause) -> String {
    match cause {
        CloseCause::TimedOut => "no answer".to_owned(),
        CloseCause::Reset => "the relay does not know the connection".to_owned(),
        CloseCause::Certificate(text) => format!("the relay's certificate is refused: {text}"),
        CloseCause::Application { text, .. } => format!("the relay closed: {text}"),
        CloseCause::Transport(text) => text,
        CloseCause::Control => "the relay closed".to_owned(),
    }
}
