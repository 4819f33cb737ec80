//! What an endpoint must be told before it exists.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use lanparty_queue::Pace;
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{
    ClientConfig, ConnectionId, EndpointConfig, RandomConnectionIdGenerator, ServerConfig,
    TokenStore, TransportConfig,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::{hkdf, hmac};

use crate::cid::{CID_LEN, WorkerCids};
use crate::sensor::Reports;
use crate::tls::{self, Identity, TlsError, Trust};
use crate::tokens::{self, UsedTokens};
use crate::trains::UdpSystem;
use crate::transport::{self, End, IDLE_TIMEOUT};

/// Bytes of a member's own connection ids: enough to tell a handful of links of one socket apart.
const MEMBER_CID_LEN: usize = 4;

/// By how many bytes a member's datagrams are shorter than the relay's on the same path: every packet carries the
/// receiver's connection id, and the relay's is the longer one.
pub const UPLINK_DEFICIT: usize = CID_LEN - MEMBER_CID_LEN;

/// The largest UDP payload that we take: what fits a 1500-byte path.
const MAX_UDP_PAYLOAD: u16 = 1472;

/// First packets of unvalidated peers that may wait for the relay's decision, and their bytes.
const MAX_INCOMING: usize = 4096;
const INCOMING_BUFFER: u64 = 64 * 1024;
const INCOMING_BUFFER_TOTAL: u64 = 16 * 1024 * 1024;

/// How far apart stateless resets of one worker are at least.
///
/// The library has one gate for all peers, 20 ms by default: 10,000 peers of a restarted relay would learn of it within 200 s. A reset
/// is always smaller than the packet it answers, so a fast gate amplifies nothing.
const MIN_RESET_INTERVAL: Duration = Duration::from_millis(1);

/// How long a handshake may take: it survives the loss of its first flight three times (1 + 2 + 4 s, RFC 9002, 6.2), and a peer that
/// never completes one costs nothing for longer.
pub const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);

/// What a member's endpoint needs. Clones share what the relay gave to come back with.
#[derive(Clone)]
pub struct MemberSettings {
    pub(crate) server_name: String,
    pub(crate) pace: Pace,
    pub(crate) udp: Option<UdpSystem>,
    pub(crate) idle: Duration,
    crypto: Arc<QuicClientConfig>,
    tokens: Arc<dyn TokenStore>,
    random: SystemRandom,
}

impl std::fmt::Debug for MemberSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemberSettings")
            .field("server_name", &self.server_name)
            .field("pace", &self.pace)
            .finish_non_exhaustive()
    }
}

impl MemberSettings {
    /// Makes settings for links to a relay that shows a certificate for `server_name`, which `trust` vouches for.
    ///
    /// # Errors
    ///
    /// Returns an error if the pinned certificate or the system's roots cannot be used.
    pub fn new(server_name: String, trust: &Trust, pace: Pace) -> Result<Self, TlsError> {
        Ok(Self {
            server_name,
            pace,
            udp: None,
            idle: IDLE_TIMEOUT,
            crypto: Arc::new(tls::client(trust)?),
            tokens: tokens::store(),
            random: SystemRandom::new(),
        })
    }

    /// Returns the same settings for a system whose UDP sockets can do more.
    #[must_use]
    pub const fn with_udp_system(mut self, system: UdpSystem) -> Self {
        self.udp = Some(system);

        self
    }

    /// Returns the same settings with another time after which a silent relay is gone, in place of
    /// [`IDLE_TIMEOUT`]; a relay's own may be shorter.
    #[must_use]
    pub const fn with_idle_timeout(mut self, idle: Duration) -> Self {
        self.idle = idle;

        self
    }

    /// Returns after how long a silent relay is gone.
    pub const fn idle_timeout(&self) -> Duration {
        self.idle
    }

    pub(crate) fn endpoint_config(&self) -> Arc<EndpointConfig> {
        let mut config = EndpointConfig::new(Arc::new(self.reset_key()));
        config.cid_generator(|| Box::new(RandomConnectionIdGenerator::new(MEMBER_CID_LEN)));
        config
            .max_udp_payload_size(MAX_UDP_PAYLOAD)
            .expect("1472 is in the range that QUIC allows");

        Arc::new(config)
    }

    /// Members do not outlive their connections, so their reset key is of the moment.
    fn reset_key(&self) -> hmac::Key {
        let mut key = [0; 64];
        self.random
            .fill(&mut key)
            .expect("the system gives random numbers, or TLS would not work either");

        hmac::Key::new(hmac::HMAC_SHA256, &key)
    }

    pub(crate) fn client_config(
        &self,
        transport: TransportConfig,
        worker: Option<u8>,
    ) -> ClientConfig {
        let crypto: Arc<QuicClientConfig> = Arc::clone(&self.crypto);
        let mut config = ClientConfig::new(crypto);
        config
            .transport_config(Arc::new(transport))
            .token_store(Arc::clone(&self.tokens));
        if let Some(worker) = worker {
            let random = self.random.clone();
            config.initial_dst_cid_provider(Arc::new(move || {
                let mut cid = [0; CID_LEN];
                random
                    .fill(&mut cid)
                    .expect("the system gives random numbers, or TLS would not work either");
                cid[0] = worker;
                ConnectionId::new(&cid)
            }));
        }

        config
    }
}

/// Keys of a relay that outlive its process.
///
/// With them a restarted relay answers packets of its earlier connections with a stateless reset, and retry tokens stay valid.
#[derive(Clone)]
pub struct RelayKeys {
    /// Makes stateless reset tokens (RFC 9000, 10.3.2). One relay's alone: a shared key would let one relay end another's connections.
    pub reset: [u8; 64],
    /// Signs connection ids.
    pub cid: [u8; 32],
    /// Seals Retry and address validation tokens.
    pub token: [u8; 64],
}

impl std::fmt::Debug for RelayKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RelayKeys").finish_non_exhaustive()
    }
}

impl RelayKeys {
    /// Makes new keys.
    ///
    /// # Errors
    ///
    /// Returns an error if the system gives no random numbers.
    pub fn generate() -> Result<Self, SettingsError> {
        let random = SystemRandom::new();
        let mut keys = Self {
            reset: [0; 64],
            cid: [0; 32],
            token: [0; 64],
        };
        for part in [&mut keys.reset[..], &mut keys.cid[..], &mut keys.token[..]] {
            random
                .fill(part)
                .map_err(|ring::error::Unspecified| SettingsError::Random)?;
        }

        Ok(keys)
    }
}

/// What a relay worker's endpoint needs. Workers of one relay share all but their number.
#[derive(Clone)]
pub struct RelaySettings {
    crypto: Arc<QuicServerConfig>,
    keys: RelayKeys,
    used_tokens: Arc<UsedTokens>,
    worker: u8,
    pub(crate) udp: Option<UdpSystem>,
    pub(crate) handshake: Duration,
}

impl std::fmt::Debug for RelaySettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RelaySettings")
            .field("worker", &self.worker)
            .finish_non_exhaustive()
    }
}

impl RelaySettings {
    /// Makes settings for worker 0.
    ///
    /// # Errors
    ///
    /// Returns an error if certificate and key do not belong together.
    pub fn new(identity: Identity, keys: RelayKeys) -> Result<Self, TlsError> {
        Ok(Self {
            crypto: Arc::new(tls::server(identity)?),
            keys,
            used_tokens: Arc::default(),
            worker: 0,
            udp: None,
            handshake: HANDSHAKE_PATIENCE,
        })
    }

    /// Returns the same settings with another time for handshakes, in place of [`HANDSHAKE_PATIENCE`].
    #[must_use]
    pub const fn with_handshake_patience(mut self, patience: Duration) -> Self {
        self.handshake = patience;

        self
    }

    /// Returns the same settings for a system whose UDP sockets can do more.
    #[must_use]
    pub const fn with_udp_system(mut self, system: UdpSystem) -> Self {
        self.udp = Some(system);

        self
    }

    /// Returns the same settings for another worker.
    #[must_use]
    pub fn for_worker(&self, worker: u8) -> Self {
        Self {
            worker,
            ..self.clone()
        }
    }

    pub(crate) fn endpoint_config(&self) -> Result<Arc<EndpointConfig>, SettingsError> {
        let mut config = EndpointConfig::new(Arc::new(hmac::Key::new(
            hmac::HMAC_SHA256,
            &self.keys.reset,
        )));
        let (worker, key) = (self.worker, self.keys.cid);
        config.cid_generator(move || Box::new(WorkerCids::new(worker, &key)));
        config.min_reset_interval(MIN_RESET_INTERVAL);
        config
            .max_udp_payload_size(MAX_UDP_PAYLOAD)
            .map_err(SettingsError::Quic)?;

        Ok(Arc::new(config))
    }

    pub(crate) fn server_config(&self) -> ServerConfig {
        let token_key = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&self.keys.token);
        let crypto: Arc<QuicServerConfig> = Arc::clone(&self.crypto);
        let mut config = ServerConfig::new(crypto, Arc::new(token_key));
        config
            .transport_config(Arc::new(transport::config(
                End::Relay,
                false,
                IDLE_TIMEOUT,
                Reports::default(),
            )))
            .validation_token_config(tokens::config(&self.used_tokens))
            .max_incoming(MAX_INCOMING)
            .incoming_buffer_size(INCOMING_BUFFER)
            .incoming_buffer_size_total(INCOMING_BUFFER_TOTAL);

        config
    }
}

/// Why there is no endpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The UDP socket cannot be used.
    #[error("cannot use the UDP socket")]
    Socket(#[source] io::Error),
    /// QUIC refuses a setting.
    #[error("QUIC refuses a setting")]
    Quic(#[source] quinn_proto::ConfigError),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

/// Why no link was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A relay does not connect.
    #[error("a relay does not connect to anybody")]
    NotAMember,
    /// The library refuses the name or the address.
    #[error("cannot start a connection")]
    Connect(#[source] quinn_proto::ConnectError),
}
