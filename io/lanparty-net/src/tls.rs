//! Who the relay is, and how a member knows.

use std::sync::Arc;

use lanparty_ctrl::ALPN;
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, version};

/// The name in a development certificate, which the certificate's pin makes as good as any.
pub const DEVELOPMENT_NAME: &str = "lanparty-relay.local";

/// Whom a member takes for the relay.
#[derive(Debug, Clone)]
pub enum Trust {
    /// The holder of this certificate alone, which must carry the expected name.
    Pinned(CertificateDer<'static>),
    /// Whoever the system's roots vouch for.
    System,
}

/// A relay's certificate chain, leaf first, and the leaf's private key.
#[derive(Debug)]
pub struct Identity {
    /// The chain, leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's private key.
    pub key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Makes a self-signed certificate for `names`, ECDSA P-256, valid until members forget it.
    ///
    /// # Errors
    ///
    /// Returns an error if a name is no DNS name, or the system gives no random numbers.
    pub fn development(names: &[String]) -> Result<Self, TlsError> {
        let made = rcgen::generate_simple_self_signed(names).map_err(TlsError::Generate)?;

        Ok(Self {
            chain: vec![made.cert.der().clone()],
            key: PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into(),
        })
    }
}

/// AES-128 first: it is the fastest with the AES instructions of every PC since 2010, and strong enough for a game.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    provider
        .cipher_suites
        .sort_by_key(|suite| suite.suite() != rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);

    Arc::new(provider)
}

/// Returns the TLS side of a relay.
///
/// # Errors
///
/// Returns an error if chain and key do not belong together.
pub(crate) fn server(identity: Identity) -> Result<QuicServerConfig, TlsError> {
    QuicServerConfig::try_from(server_config(identity)?).map_err(TlsError::Suite)
}

fn server_config(identity: Identity) -> Result<ServerConfig, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])
        .map_err(TlsError::Config)?
        .with_no_client_auth()
        .with_single_cert(identity.chain, identity.key)
        .map_err(TlsError::Config)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.max_early_data_size = 0;

    Ok(config)
}

/// Returns the TLS side of a member.
///
/// # Errors
///
/// Returns an error if the pinned certificate cannot be read or the system's roots cannot be used.
pub(crate) fn client(trust: &Trust) -> Result<QuicClientConfig, TlsError> {
    QuicClientConfig::try_from(client_config(trust)?).map_err(TlsError::Suite)
}

fn client_config(trust: &Trust) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])
        .map_err(TlsError::Config)?;
    let mut config = match trust {
        Trust::Pinned(certificate) => {
            let mut roots = RootCertStore::empty();
            roots.add(certificate.clone()).map_err(TlsError::Pin)?;
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        Trust::System => {
            use rustls_platform_verifier::BuilderVerifierExt as _;
            builder
                .with_platform_verifier()
                .map_err(TlsError::Roots)?
                .with_no_client_auth()
        }
    };
    config.alpn_protocols = vec![ALPN.to_vec()];

    Ok(config)
}

/// Why there is no TLS configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A development certificate could not be made.
    #[error("cannot make a certificate")]
    Generate(#[source] rcgen::Error),
    /// The pinned certificate is none.
    #[error(
        "the pinned file is no certificate (PEM or DER); take the one that the relay wrote with --dev-cert-out"
    )]
    Pin(#[source] rustls::Error),
    /// The pinned file is PEM, and there is no certificate in it.
    #[error(
        "the pinned file has no certificate; take the one that the relay wrote with --dev-cert-out"
    )]
    PinText(#[source] rustls::pki_types::pem::Error),
    /// A PEM text lacks the certificate or the key.
    #[error("no certificate or no private key (PEM)")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// The system's roots cannot be used.
    #[error("cannot use the system's root certificates")]
    Roots(#[source] rustls::Error),
    /// Certificate and key do not belong together, or are not usable.
    #[error("cannot use this certificate and key")]
    Config(#[source] rustls::Error),
    /// The provider lacks the suite for QUIC's first packets.
    #[error("no cipher suite for QUIC")]
    Suite(#[source] quinn_proto::crypto::rustls::NoInitialCipherSuite),
}

#[cfg(test)]
mod tests {
    use rustls::quic::{ClientConnection, ServerConnection, Version};

    use super::*;

    /// Lets a relay read the first words of a program that speaks `protocols`.
    #[expect(clippy::unwrap_in_result, reason = "helpers of tests fail like tests")]
    fn greet(protocols: Option<&[u8]>) -> Result<(), rustls::Error> {
        let identity = Identity::development(&[DEVELOPMENT_NAME.to_owned()]).unwrap();
        let trust = Trust::Pinned(identity.chain.first().unwrap().clone());
        let mut config = client_config(&trust).unwrap();
        if let Some(protocol) = protocols {
            config.alpn_protocols = vec![protocol.to_vec()];
        }
        let name = DEVELOPMENT_NAME.try_into().unwrap();
        let mut client =
            ClientConnection::new(Arc::new(config), Version::V1, name, Vec::new()).unwrap();
        let server = Arc::new(server_config(identity).unwrap());
        let mut server = ServerConnection::new(server, Version::V1, Vec::new()).unwrap();
        let mut hello = Vec::new();
        client.write_hs(&mut hello);

        server.read_hs(&hello)
    }

    /// One token, on both sides (SPEC C6).
    #[test]
    fn only_programs_of_our_protocol_get_a_connection() {
        assert_eq!(greet(None), Ok(()));
        assert_eq!(greet(Some(ALPN)), Ok(()));
        for other in [&b"h3"[..], b"softlan/0", b"softlan"] {
            assert_eq!(
                greet(Some(other)),
                Err(rustls::Error::NoApplicationProtocol)
            );
        }
    }
}
