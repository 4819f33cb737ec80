//! No packet sockets here.

use std::io::{self, IoSlice};

use lanparty_offload::VnetHeader;
use lanparty_proto::MacAddr;

use crate::{
    FilterState, InterfaceFacts, LinkState, OpenError, PacketOptions, Received, Statistics,
};

/// A packet socket; this system has none, so there is never a value of this type.
#[derive(Debug)]
pub enum PacketSocket {}

impl PacketSocket {
    /// Refuses.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn open(_interface: &str, _options: &PacketOptions) -> Result<Self, OpenError> {
        Err(OpenError::UnsupportedPlatform)
    }

    /// Never called: there is no socket.
    ///
    /// # Errors
    ///
    /// None.
    pub fn receive(&mut self) -> io::Result<usize> {
        match *self {}
    }

    /// Never called: there is no socket.
    pub fn received(&self, _index: usize) -> Option<Received<'_>> {
        match *self {}
    }

    /// Returns frame `index` of the last batch to be changed where it lies.
    pub fn received_mut(&mut self, _index: usize) -> Option<(VnetHeader, &mut [u8])> {
        match *self {}
    }

    /// Never called: there is no socket.
    pub fn send(&mut self, _vnet: &VnetHeader, _pieces: &[IoSlice<'_>]) -> LinkState {
        match *self {}
    }

    /// Never called: there is no socket.
    pub fn flush(&mut self) -> LinkState {
        match *self {}
    }

    /// Never called: there is no socket.
    ///
    /// # Errors
    ///
    /// None.
    pub fn set_filter(&self, _own: MacAddr, _remote_macs: &[MacAddr]) -> io::Result<FilterState> {
        match *self {}
    }

    /// Never called: there is no socket.
    pub fn statistics(&mut self) -> Statistics {
        match *self {}
    }
}

impl InterfaceFacts {
    /// Refuses.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn read(_interface: &str) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
