//! A real game: `OpenTTD`'s dedicated server, and the query by which the game looks for servers on its LAN.
//!
//! The query is a UDP packet to port 3979 of the LAN's broadcast address: a length (u16, little endian, itself
//! included) and a type, 0 for `PACKET_UDP_CLIENT_FIND_SERVER`; every server answers with type 1,
//! `PACKET_UDP_SERVER_RESPONSE` (`OpenTTD` 13, `src/network/core/udp.h`). The game then asks each one by TCP for its
//! name (`PACKET_CLIENT_GAME_INFO`, `src/network/core/tcp_game.h`).

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::bed::Bed;
use crate::netns::Namespace;
use crate::program::Program;

/// The game's port, TCP and UDP.
pub const PORT: u16 = 3979;

/// `PACKET_UDP_CLIENT_FIND_SERVER`.
const FIND_SERVER: [u8; 3] = [3, 0, 0];

/// Type of `PACKET_UDP_SERVER_RESPONSE`.
const SERVER_RESPONSE: u8 = 1;

/// `PACKET_CLIENT_GAME_INFO`.
const GAME_INFO: [u8; 3] = [3, 0, 7];

impl Bed {
    /// Starts a dedicated server called `name` in `namespace`, on a small map of its own making.
    ///
    /// Nothing of it needs the Internet, and all its files are in the bed's folder.
    ///
    /// # Errors
    ///
    /// Returns an error with its output if it does not start.
    pub fn start_openttd(&self, namespace: &Namespace, name: &str) -> Result<Program> {
        let home = self.dir().join(format!("openttd-{}", namespace.name()));
        fs::create_dir_all(&home)?;
        let config = home.join("openttd.cfg");
        // The name stands where versions before 12 had it too; newer ones take it over.
        let game = "[game_creation]\nmap_x = 6\nmap_y = 6\nlandscape = temperate\n";
        fs::write(
            &config,
            format!("[network]\nserver_game_type = local\nserver_name = {name}\n{game}"),
        )?;
        // Debian puts games where root's path does not look.
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = namespace.command("env");
        command
            .arg(format!("PATH={path}:/usr/games"))
            .args([
                "openttd",
                "-D",
                &format!("0.0.0.0:{PORT}"),
                "-d",
                "net=3",
                "-c",
            ])
            .arg(&config)
            .env("HOME", &home)
            .env("XDG_DATA_HOME", &home)
            .env("XDG_CONFIG_HOME", &home);
        let mut server = Program::start(
            self.dir(),
            &format!("openttd-{}", namespace.name()),
            command,
        )?;
        server.wait_log("Map generated, starting game")?;

        Ok(server)
    }
}

/// Looks for servers as the game does: asks `broadcast` from `namespace`, and returns who answers first.
///
/// # Errors
///
/// Returns an error if nobody answers in `patience`.
pub fn find(namespace: &Namespace, broadcast: Ipv4Addr, patience: Duration) -> Result<SocketAddr> {
    let socket = namespace.enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))?;
    socket.set_broadcast(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let start = Instant::now();
    let mut answer = [0; 2048];
    while start.elapsed() < patience {
        socket
            .send_to(&FIND_SERVER, (broadcast, PORT))
            .with_context(|| format!("failed to ask {broadcast}"))?;
        let Ok((len, from)) = socket.recv_from(&mut answer) else {
            continue;
        };
        if is_response(answer.get(..len).unwrap_or_default()) {
            return Ok(from);
        }
    }
    bail!("no OpenTTD server answered the query to {broadcast}:{PORT} in {patience:?}")
}

fn is_response(packet: &[u8]) -> bool {
    match packet {
        [l0, l1, kind, ..] => {
            usize::from(u16::from_le_bytes([*l0, *l1])) == packet.len() && *kind == SERVER_RESPONSE
        }
        _ => false,
    }
}

/// Asks the server at `address` for its game, as the list of servers does, and returns whether it is called `name`.
///
/// # Errors
///
/// Returns an error if the server cannot be reached or does not answer.
pub fn is_called(namespace: &Namespace, address: SocketAddr, name: &str) -> Result<bool> {
    namespace.enter(|| {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(&GAME_INFO)?;
        let mut head = [0; 2];
        stream.read_exact(&mut head)?;
        let len = usize::from(u16::from_le_bytes(head));
        ensure!(len > head.len(), "an answer of {len} bytes");
        let mut body = vec![0; len - head.len()];
        stream.read_exact(&mut body)?;

        Ok(crate::frames::contains(&body, name.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_server_response_counts() {
        assert!(is_response(&[3, 0, 1]));
        assert!(!is_response(&[4, 0, 1]));
        assert!(!is_response(&FIND_SERVER));
        assert!(!is_response(&[3, 0]));
    }
}
