//! Asking the LAN about an address, more than once, before a member may announce it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use lanparty_proto::MacAddr;

/// How often the LAN is asked (RFC 5227, 1.1: `PROBE_NUM`): Wi-Fi repeats no broadcast that was lost.
const PROBES: u8 = 3;

/// How long the LAN has for each answer. An access point holds broadcasts back for stations that
/// sleep, usually for at most three beacons of 102.4 ms.
const PROBE_INTERVAL: Duration = Duration::from_millis(250);

/// How long the LAN has to answer for an address before a member may announce it. It is over before
/// a system says an unanswered ARP request again (1 s, RFC 1122, 2.3.2.1) and before duplicate
/// address detection ends (1 s, RFC 4862, 5.1), so that waiting costs a player one frame at most.
pub const PROBE_WAIT: Duration = Duration::from_millis(750);

const _: () = assert!(PROBE_WAIT.as_millis() == PROBE_INTERVAL.as_millis() * PROBES as u128);

/// Most addresses about which the LAN is asked at a time: 64 clients that each take 16 at once.
const MAX_INQUIRIES: usize = 1024;

/// An address about which the LAN is being asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inquiry {
    pub(crate) member: MacAddr,
    pub(crate) address: IpAddr,
    asked: u8,
    /// When the LAN has had its time for an answer to the last probe.
    due: Instant,
}

impl Inquiry {
    /// Returns whether the LAN was asked often enough.
    pub(crate) const fn is_over(&self) -> bool {
        self.asked >= PROBES
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Inquiries {
    /// The first is due first: each waits equally long from when it is put in at the end.
    waiting: VecDeque<Inquiry>,
    /// To be asked about now, each of [`Self::waiting`] at most once in its turn.
    probes: VecDeque<IpAddr>,
}

impl Inquiries {
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_INQUIRIES
    }

    /// Asks about the address of a member for the first time.
    pub(crate) fn begin(&mut self, member: MacAddr, address: IpAddr, now: Instant) {
        // What was asked for whoever had it before proves nothing now.
        self.waiting.retain(|inquiry| inquiry.address != address);
        self.ask(Inquiry {
            member,
            address,
            asked: 0,
            due: now,
        });
    }

    /// Asks again. The time counts from when it is asked, not from when that was due.
    pub(crate) fn ask_again(&mut self, inquiry: Inquiry, now: Instant) {
        self.ask(Inquiry {
            due: now,
            ..inquiry
        });
    }

    fn ask(&mut self, inquiry: Inquiry) {
        if self.is_full() {
            return;
        }
        self.probes.push_back(inquiry.address);
        self.waiting.push_back(Inquiry {
            asked: inquiry.asked.saturating_add(1),
            due: inquiry.due + PROBE_INTERVAL,
            ..inquiry
        });
    }

    /// Takes an inquiry that got no answer in time, or whose answer was about something else.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Inquiry> {
        self.waiting.pop_front_if(|inquiry| inquiry.due <= now)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.waiting.front().map(|inquiry| inquiry.due)
    }

    pub(crate) fn poll_probe(&mut self) -> Option<IpAddr> {
        self.probes.pop_front()
    }

    /// Forgets all of them.
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
        self.probes.clear();
    }
}
