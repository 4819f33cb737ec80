//! Who this relay is: certificate and keys, and where they live on.

mod development;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use lanparty_net::{Identity, RelayKeys, RelaySettings};
use lanparty_state::{StateDir, read_private, write_private};
use serde_json::{Value, json};

use crate::cli::{self, Run};
use crate::failure::Failure;

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

    let identity = development::load(state, &cli::certificate_names(&run.cert_name))?;
    let certificate = identity.chain.first().cloned();
    let settings = RelaySettings::new(identity, keys)
        .with_context(|| development::damaged(&development::path(state)))?;
    if let (Some(out), Some(certificate)) = (&run.dev_cert_out, &certificate) {
        development::publish(out, certificate)?;
    }
    if let (Some(out), Some(certificate)) = (&run.dev_cert_der_out, &certificate) {
        development::publish_der(out, certificate)?;
    }

    Ok(settings)
}

/// Reads the chain and the key that a public authority issued.
fn from_pem(cert: &Path, key: &Path) -> Result<Identity> {
    let read = |path: &Path| {
        fs::read(path).with_context(|| {
            format!(
                "cannot read {}; it must be a PEM file that this user may read",
                path.display()
            )
        })
    };
    let (chain, private) = (read(cert)?, read(key)?);

    Identity::from_pem(&chain, &private).with_context(|| {
        format!(
            "{} must be a PEM file with the whole chain, the relay's own certificate first, and {} one with its key",
            cert.display(),
            key.display()
        )
    })
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
    use lanparty_samples::Scratch;

    use super::*;

    #[test]
    fn keys_live_on_and_damaged_ones_are_replaced() {
        let scratch = Scratch::new("keys");
        let file = scratch.file("keys");
        let made = keys(&file).unwrap();
        assert_eq!(made.reset, keys(&file).unwrap().reset);

        write_private(&file, b"{\"version\":1,").unwrap();
        let new = keys(&file).unwrap();
        assert_ne!(made.cid, new.cid);
        assert_eq!(new.cid, keys(&file).unwrap().cid);
    }

    #[test]
    fn hex_is_read_back() {
        assert_eq!(unhex(&hex(&[0, 0xff, 0x10])), Some(vec![0, 0xff, 0x10]));
        assert_eq!(unhex("0"), None);
        assert_eq!(unhex("+1"), None);
    }
}
