//! No TAP devices here.

use std::io::{self, IoSlice};
use std::net::IpAddr;

use lanparty_offload::VnetHeader;

use crate::{Capabilities, LinkState, OpenError, Received, Statistics, TapOptions};

/// A TAP device; this system has none, so there is never a value of this type.
#[derive(Debug)]
pub enum Tap {}

impl Tap {
    /// Refuses.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn open(_options: &TapOptions) -> Result<Self, OpenError> {
        Err(OpenError::UnsupportedPlatform)
    }

    /// Never called: there is no device.
    pub fn name(&self) -> &str {
        match *self {}
    }

    /// Never called: there is no device.
    pub fn index(&self) -> u32 {
        match *self {}
    }

    /// Never called: there is no device.
    pub fn capabilities(&self) -> Capabilities {
        match *self {}
    }

    /// Never called: there is no device.
    ///
    /// # Errors
    ///
    /// None.
    pub fn set_up(&self, _up: bool) -> io::Result<()> {
        match *self {}
    }

    /// Never called: there is no device.
    ///
    /// # Errors
    ///
    /// None.
    pub fn set_mtu(&self, _mtu: u16) -> io::Result<()> {
        match *self {}
    }

    /// Never called: there is no device.
    ///
    /// # Errors
    ///
    /// None.
    pub fn addresses(&self) -> io::Result<Vec<IpAddr>> {
        match *self {}
    }

    /// Never called: there is no device.
    ///
    /// # Errors
    ///
    /// None.
    pub fn receive(&mut self) -> io::Result<usize> {
        match *self {}
    }

    /// Never called: there is no device.
    pub fn received(&self, _index: usize) -> Option<Received<'_>> {
        match *self {}
    }

    /// Returns frame `index` of the last batch to be changed where it lies.
    pub fn received_mut(&mut self, _index: usize) -> Option<(VnetHeader, &mut [u8])> {
        match *self {}
    }

    /// Never called: there is no device.
    pub fn send(&mut self, _vnet: &VnetHeader, _pieces: &[IoSlice<'_>]) -> LinkState {
        match *self {}
    }

    /// Never called: there is no device.
    pub fn flush(&mut self) -> LinkState {
        match *self {}
    }

    /// Never called: there is no device.
    pub fn statistics(&self) -> Statistics {
        match *self {}
    }
}
