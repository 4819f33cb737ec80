//! Relay addresses, certificates, UDP sockets and the QUIC link.
