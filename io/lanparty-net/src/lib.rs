//! Relay addresses, certificates, UDP sockets and the QUIC link.
//!
//! The QUIC library is used here and nowhere else. What the programs see is narrow: an [`Endpoint`] with links, of each of which
//! datagrams, a control byte stream and path facts come, and into which datagrams and control bytes go.

mod accept;
mod address;
mod black_hole;
mod cid;
mod endpoint;
mod handshakes;
mod link;
mod outgoing;
mod pem_text;
mod pool;
mod question;
mod sensor;
mod settings;
mod socket;
mod timers;
mod tls;
mod tokens;
mod trains;
mod transport;

pub use accept::{AcceptPolicy, Decision, PendingConnection};
pub use address::{DEFAULT_PORT, ParseAddressError, RelayAddress, ResolveError};
pub use endpoint::{Endpoint, Losses};
pub use link::{CloseCause, LinkEvent, LinkFacts, LinkId};
pub use pem_text::{read_certificate, write_certificate};
pub use settings::{
    ConnectError, HANDSHAKE_PATIENCE, MemberSettings, RelayKeys, RelaySettings, SettingsError,
    UPLINK_DEFICIT,
};
pub use socket::{member_socket, relay_socket};
pub use tls::{DEVELOPMENT_NAME, Identity, TlsError, Trust};
pub use trains::UdpSystem;
pub use transport::{IDLE_TIMEOUT, KEEP_ALIVE};
