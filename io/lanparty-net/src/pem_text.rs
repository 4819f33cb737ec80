//! Certificates and keys as text (PEM, RFC 7468).

use pem::{EncodeConfig, LineEnding, Pem};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::tls::{Identity, TlsError};

/// What every PEM block begins with. DER begins with a byte that is no text.
const BEGIN: &[u8] = b"-----BEGIN ";

/// Reads the certificate to pin from the content of a file: PEM, of which the first certificate
/// counts, or DER. DER is taken as it is; [`MemberSettings::new`](crate::MemberSettings::new) looks
/// into it.
///
/// # Errors
///
/// Returns an error if the file is PEM without a certificate.
pub fn read_certificate(content: &[u8]) -> Result<CertificateDer<'static>, TlsError> {
    if !is_pem(content) {
        return Ok(CertificateDer::from(content.to_vec()));
    }

    CertificateDer::from_pem_slice(content).map_err(TlsError::PinText)
}

/// Returns a certificate as PEM.
pub fn write_certificate(certificate: &CertificateDer<'_>) -> String {
    encode("CERTIFICATE", certificate)
}

impl Identity {
    /// Reads a chain, leaf first, and a private key from PEM. They may stand in one text.
    ///
    /// # Errors
    ///
    /// Returns an error if `chain` has no certificate or `key` has no private key.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(TlsError::Pem)?;
        if chain.is_empty() {
            return Err(TlsError::Pem(rustls::pki_types::pem::Error::NoItemsFound));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsError::Pem)?;

        Ok(Self { chain, key })
    }

    /// Returns chain and private key as PEM, in one text that [`from_pem`](Self::from_pem) reads.
    pub fn to_pem(&self) -> String {
        let kind = match self.key {
            PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
            PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
            PrivateKeyDer::Pkcs8(_) | _ => "PRIVATE KEY",
        };
        let chain = self.chain.iter().map(write_certificate);

        chain.chain([encode(kind, self.key.secret_der())]).collect()
    }
}

fn is_pem(content: &[u8]) -> bool {
    content.windows(BEGIN.len()).any(|window| window == BEGIN)
}

fn encode(kind: &str, der: &[u8]) -> String {
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);

    pem::encode_config(&Pem::new(kind, der), config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity::development(&["relay.test".to_owned()]).unwrap()
    }

    #[test]
    fn a_certificate_is_read_from_pem_and_from_der() {
        let certificate = identity().chain.remove(0);

        let text = write_certificate(&certificate);
        assert!(text.starts_with("-----BEGIN CERTIFICATE-----\n"), "{text}");
        assert_eq!(read_certificate(text.as_bytes()).unwrap(), certificate);
        assert_eq!(read_certificate(&certificate).unwrap(), certificate);
        let commented = format!("relay of the party\n{text}");
        assert_eq!(read_certificate(commented.as_bytes()).unwrap(), certificate);
    }

    #[test]
    fn pem_without_a_certificate_is_refused() {
        for text in [
            "-----BEGIN CERTIFICATE-----\n",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            assert!(read_certificate(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_identity_is_read_back() {
        let made = identity();
        let text = made.to_pem();

        let read = Identity::from_pem(text.as_bytes(), text.as_bytes()).unwrap();
        assert_eq!(read.chain, made.chain);
        assert_eq!(read.key.secret_der(), made.key.secret_der());
        assert!(Identity::from_pem(b"", text.as_bytes()).is_err());
        assert!(Identity::from_pem(text.as_bytes(), b"").is_err());
    }
}
