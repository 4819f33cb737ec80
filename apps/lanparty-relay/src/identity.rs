//! Who this relay is: certificate and keys, and where they live on.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use lanparty_net::{Identity, RelayKeys, RelaySettings};
use lanparty_state::{StateDir, read_private, write_private};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};

use crate::cli::{self, Run};
use crate::failure::Failure;

/// The file with the development certificate and its key.
const DEVELOPMENT_FILE: &str = "relay-dev-identity.json";

/// The file with the keys for resets, connection ids and tokens.
const KEYS_FILE: &str = "relay-keys.json";

/// Loads or makes what the endpoint needs, and writes the development certificate where it was asked for.
///
/// What may be wrong with these files is for the person to put right.
pub(crate) fn settings(run: &Run, state: &StateDir) -> Result<RelaySettings, Failure> {
    load(run, state).map_err(Failure::Refused)
}

fn load(run: &Run, state: &StateDir) -> Result<RelaySettings> {
    let keys = keys(&state.file(KEYS_FILE))?;
    if let (Some(cert), Some(key)) = (&run.cert, &run.key) {
        let identity = from_pem(cert, key)?;
        return RelaySettings::new(identity, keys).with_context(|| {
            format!(
                "{} and {} cannot be used together; --cert takes the whole chain, the relay's own first, and --key its key",
                cert.display(),
                key.display()
            )
        });
    }

    let path = state.file(DEVELOPMENT_FILE);
    let identity = development(&path, &cli::certificate_names(&run.cert_name))?;
    let certificate = identity.chain.first().cloned();
    let settings = RelaySettings::new(identity, keys).with_context(|| damaged(&path))?;
    if let (Some(out), Some(certificate)) = (&run.dev_cert_der_out, certificate) {
        publish(out, &certificate)?;
    }

    Ok(settings)
}

/// Reads a chain and a key in PEM.
fn from_pem(cert: &Path, key: &Path) -> Result<Identity> {
    let unreadable = |path: &Path| {
        format!(
            "cannot read {}; it must be a PEM file that this user may read",
            path.display()
        )
    };
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| unreadable(cert))?;
    if chain.is_empty() {
        bail!(
            "there is no certificate in {}; it must be a PEM file with the whole chain, the relay's own first",
            cert.display()
        );
    }
    let key = PrivateKeyDer::from_pem_file(key).with_context(|| unreadable(key))?;

    Ok(Identity { chain, key })
}

/// Loads the development certificate, or makes one if there is none for these names.
fn development(path: &Path, names: &[String]) -> Result<Identity> {
    if let Some(bytes) = read_private(path)? {
        let stored = parse_development(&bytes).ok_or_else(|| anyhow!(damaged(path)))?;
        if stored.names == names {
            return Ok(stored.identity);
        }
        tracing::info!(
            ?names,
            "the development certificate has other names; making a new one"
        );
    }

    let identity = Identity::development(names).with_context(|| {
        format!(
            "cannot make a certificate for {}; are they DNS names?",
            names.join(", ")
        )
    })?;
    let certificate = identity.chain.first().map(|der| hex(der));
    let stored = json!({
        "version": 1,
        "names": names,
        "certificate": certificate,
        "key": hex(identity.key.secret_der()),
    });
    write_private(path, stored.to_string().as_bytes())?;

    Ok(identity)
}

struct Stored {
    names: Vec<String>,
    identity: Identity,
}

fn parse_development(bytes: &[u8]) -> Option<Stored> {
    let stored: Value = serde_json::from_slice(bytes).ok()?;
    let names = stored.get("names")?.as_array()?.iter();
    let names = names.map(|name| Some(name.as_str()?.to_owned()));
    let certificate = unhex(stored.get("certificate")?.as_str()?)?;
    let key = unhex(stored.get("key")?.as_str()?)?;

    Some(Stored {
        names: names.collect::<Option<_>>()?,
        identity: Identity {
            chain: vec![CertificateDer::from(certificate)],
            key: PrivatePkcs8KeyDer::from(key).into(),
        },
    })
}

fn damaged(path: &Path) -> String {
    format!(
        "{} is damaged; delete it to have a new certificate made, and give that one to gateway and clients",
        path.display()
    )
}

/// Loads the keys, or makes new ones.
///
/// Damaged ones are replaced: all that is lost is that members of the last run notice its end late.
fn keys(path: &Path) -> Result<RelayKeys> {
    if let Some(bytes) = read_private(path)? {
        if let Some(keys) = parse_keys(&bytes) {
            return Ok(keys);
        }
        tracing::warn!(path = %path.display(), "the relay's keys are damaged; making new ones");
    }

    let keys = RelayKeys::generate()?;
    let stored = json!({
        "version": 1,
        "reset": hex(&keys.reset),
        "cid": hex(&keys.cid),
        "token": hex(&keys.token),
    });
    write_private(path, stored.to_string().as_bytes())?;

    Ok(keys)
}

fn parse_keys(bytes: &[u8]) -> Option<RelayKeys> {
    let stored: Value = serde_json::from_slice(bytes).ok()?;
    let key = |name: &str| unhex(stored.get(name)?.as_str()?);

    Some(RelayKeys {
        reset: key("reset")?.try_into().ok()?,
        cid: key("cid")?.try_into().ok()?,
        token: key("token")?.try_into().ok()?,
    })
}

/// Writes the certificate where others may read it, whole or not at all.
fn publish(path: &Path, certificate: &CertificateDer<'_>) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);

    fs::write(&temporary, certificate)
        .and_then(|()| fs::rename(&temporary, path))
        .with_context(|| {
            format!(
                "cannot write the certificate to {}; name another file with --dev-cert-der-out",
                path.display()
            )
        })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes every text");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let byte = |pair: &[u8; 2]| {
        let digits = std::str::from_utf8(pair).ok()?;
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());

        is_hex
            .then(|| u8::from_str_radix(digits, 16).ok())
            .flatten()
    };

    pairs.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A folder that is gone when the test is over.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("lanparty-relay-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();

            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn certificate_and_keys_live_on() {
        let scratch = Scratch::new("live-on");
        let file = scratch.0.join("identity");
        let names = vec!["lanparty-relay.local".to_owned()];

        let made = development(&file, &names).unwrap();
        let loaded = development(&file, &names).unwrap();
        assert_eq!(made.chain, loaded.chain);

        let file = scratch.0.join("keys");
        assert_eq!(keys(&file).unwrap().reset, keys(&file).unwrap().reset);
    }

    #[test]
    fn other_names_make_another_certificate() {
        let scratch = Scratch::new("names");
        let file = scratch.0.join("identity");

        let one = development(&file, &["one.test".to_owned()]).unwrap();
        let two = development(&file, &["two.test".to_owned()]).unwrap();

        assert_ne!(one.chain, two.chain);
    }

    #[test]
    fn a_damaged_certificate_is_refused_and_damaged_keys_are_replaced() {
        let scratch = Scratch::new("damaged");
        let file = scratch.0.join("file");
        write_private(&file, b"{\"version\":1,").unwrap();

        let error = development(&file, &[]).unwrap_err().to_string();
        assert!(error.contains("delete it"), "{error}");
        let new = keys(&file).unwrap();
        assert_eq!(new.cid, keys(&file).unwrap().cid);
    }

    #[test]
    fn hex_is_read_back() {
        assert_eq!(unhex(&hex(&[0, 0xff, 0x10])), Some(vec![0, 0xff, 0x10]));
        assert_eq!(unhex("0"), None);
        assert_eq!(unhex("+1"), None);
    }
}
