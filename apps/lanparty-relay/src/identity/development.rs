//! The development certificate: made by the relay for itself, kept as PEM.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use lanparty_net::{Identity, write_certificate};
use lanparty_state::{StateDir, read_private, write_private};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::Value;

use super::unhex;

/// The file with the certificate and its key.
const FILE: &str = "relay-dev-identity.pem";

/// The file in which earlier releases kept the same, in a form of their own.
const FORMER_FILE: &str = "relay-dev-identity.json";

/// The line of the file that has the certificate's names. Readers of PEM skip what is no block.
const NAMES: &str = "names: ";

/// Loads the development certificate, or makes one if there is none for these names.
///
/// # Errors
///
/// Returns an error if a file cannot be read or written, is damaged, or no certificate can be made.
pub(super) fn load(state: &StateDir, names: &[String]) -> Result<Identity> {
    let path = state.file(FILE);
    if let Some(stored) = stored(state)? {
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
    store(&path, names, &identity)?;

    Ok(identity)
}

/// Returns the sentence about a file that is no certificate with its key.
pub(super) fn damaged(path: &Path) -> String {
    format!(
        "{} is damaged; delete it to have a new certificate made, and give that one to gateway and clients",
        path.display()
    )
}

/// Returns the path of the stored certificate.
pub(super) fn path(state: &StateDir) -> std::path::PathBuf {
    state.file(FILE)
}

/// Writes the certificate where others may read it, whole or not at all: as PEM.
pub(super) fn publish(path: &Path, certificate: &CertificateDer<'_>) -> Result<()> {
    write_public(
        path,
        write_certificate(certificate).as_bytes(),
        "--dev-cert-out",
    )
}

/// Writes the certificate as DER, as earlier releases did.
pub(super) fn publish_der(path: &Path, certificate: &CertificateDer<'_>) -> Result<()> {
    tracing::warn!(
        "--dev-cert-der-out is out of use: --dev-cert-out writes PEM, which everybody reads"
    );

    write_public(path, certificate, "--dev-cert-der-out")
}

fn write_public(path: &Path, content: &[u8], option: &str) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);

    fs::write(&temporary, content)
        .and_then(|()| fs::rename(&temporary, path))
        .with_context(|| {
            format!(
                "cannot write the certificate to {}; name another file with {option}",
                path.display()
            )
        })
}

struct Stored {
    names: Vec<String>,
    identity: Identity,
}

/// Reads what is stored. What an earlier release stored is stored anew as PEM, so that the
/// certificate stays the one that members have.
fn stored(state: &StateDir) -> Result<Option<Stored>> {
    let path = state.file(FILE);
    if let Some(bytes) = read_private(&path)? {
        return parse(&bytes)
            .map(Some)
            .ok_or_else(|| anyhow!(damaged(&path)));
    }
    let former = state.file(FORMER_FILE);
    let Some(bytes) = read_private(&former)? else {
        return Ok(None);
    };
    let stored = parse_former(&bytes).ok_or_else(|| anyhow!(damaged(&former)))?;
    store(&path, &stored.names, &stored.identity)?;

    Ok(Some(stored))
}

fn store(path: &Path, names: &[String], identity: &Identity) -> Result<()> {
    let text = format!("{NAMES}{}\n{}", names.join(" "), identity.to_pem());
    write_private(path, text.as_bytes())?;

    Ok(())
}

fn parse(bytes: &[u8]) -> Option<Stored> {
    let text = std::str::from_utf8(bytes).ok()?;
    let names = text.lines().find_map(|line| line.strip_prefix(NAMES))?;

    Some(Stored {
        names: names.split_whitespace().map(str::to_owned).collect(),
        identity: Identity::from_pem(bytes, bytes).ok()?,
    })
}

fn parse_former(bytes: &[u8]) -> Option<Stored> {
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

#[cfg(test)]
mod tests {
    use lanparty_samples::Scratch;
    use lanparty_state::Environment;
    use serde_json::json;

    use super::super::hex;
    use super::*;

    fn folder(name: &str) -> (Scratch, StateDir) {
        let scratch = Scratch::new(name);
        let state = StateDir::open(Some(scratch.path()), &Environment::read()).unwrap();

        (scratch, state)
    }

    fn names(name: &str) -> Vec<String> {
        vec!["lanparty-relay.local".to_owned(), name.to_owned()]
    }

    #[test]
    fn a_certificate_lives_on_as_pem() {
        let (scratch, state) = folder("live-on");

        let made = load(&state, &names("one.test")).unwrap();
        let loaded = load(&state, &names("one.test")).unwrap();

        assert_eq!(made.chain, loaded.chain);
        assert_eq!(made.key.secret_der(), loaded.key.secret_der());
        let text = fs::read_to_string(scratch.file(FILE)).unwrap();
        assert!(text.contains("BEGIN CERTIFICATE") && text.contains("BEGIN PRIVATE KEY"));
    }

    #[test]
    fn other_names_make_another_certificate() {
        let (_scratch, state) = folder("names");

        let one = load(&state, &names("one.test")).unwrap();
        let two = load(&state, &names("two.test")).unwrap();

        assert_ne!(one.chain, two.chain);
    }

    #[test]
    fn a_certificate_of_an_earlier_release_stays_the_same() {
        let (_scratch, state) = folder("former");
        let made = Identity::development(&names("one.test")).unwrap();
        let former = json!({
            "version": 1,
            "names": names("one.test"),
            "certificate": hex(&made.chain[0]),
            "key": hex(made.key.secret_der()),
        });
        write_private(&state.file(FORMER_FILE), former.to_string().as_bytes()).unwrap();

        assert_eq!(load(&state, &names("one.test")).unwrap().chain, made.chain);
        fs::remove_file(state.file(FORMER_FILE)).unwrap();
        assert_eq!(load(&state, &names("one.test")).unwrap().chain, made.chain);
    }

    #[test]
    fn a_damaged_certificate_is_refused_with_what_to_do() {
        for (file, content) in [
            (FILE, "names: a\n-----BEGIN CERTIFICATE-----\n"),
            (FORMER_FILE, "{\"version\":1,"),
        ] {
            let (_scratch, state) = folder("damaged");
            write_private(&state.file(file), content.as_bytes()).unwrap();

            let error = load(&state, &names("a")).err().unwrap().to_string();
            assert!(error.contains("delete it"), "{error}");
        }
    }

    #[test]
    fn what_is_published_is_the_certificate_alone() {
        let scratch = Scratch::new("publish");
        let made = Identity::development(&names("a")).unwrap();
        let file = scratch.file("cert.pem");

        publish(&file, &made.chain[0]).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("PRIVATE KEY"), "{text}");
        assert_eq!(
            lanparty_net::read_certificate(text.as_bytes()).unwrap(),
            made.chain[0]
        );
        publish_der(&file, &made.chain[0]).unwrap();
        assert_eq!(fs::read(&file).unwrap(), made.chain[0].as_ref());
    }
}
