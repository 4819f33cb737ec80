//! Limits of the relay as a whole, for the operator who wants to know which one was reached.

/// Writes the enum, its names and its options from one table, so that they cannot differ.
macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $variant:ident => $name:literal, $option:literal;)+) => {
        /// A limit that was reached.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Limit {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Limit {
            /// Every limit, in the order of their numbers.
            pub const ALL: [Self; [$($name,)+].len()] = [$(Self::$variant,)+];

            /// Returns the name used by logs and metrics.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Returns the option of the relay program that sets it.
            pub const fn option(self) -> &'static str {
                match self {
                    $(Self::$variant => $option,)+
                }
            }
        }
    };
}

limits! {
    /// Rooms at a time.
    Rooms => "rooms", "--max-rooms";
    /// Members at a time.
    Members => "members", "--max-members";
    /// Clients of one room.
    RoomClients => "room_clients", "--max-clients-per-room";
    /// Memory.
    Memory => "memory", "--memory";
    /// Handshakes at a time before addresses have to be proved.
    Handshakes => "handshakes", "--handshakes";
    /// New connections a second before addresses have to be proved.
    Rush => "rush", "--retry-above";
    /// New connections a second before unproved ones get no answer.
    Flood => "flood", "--ignore-above";
    /// New connections of one address.
    AddressConnects => "address_connects", "--address-connects";
    /// Connections of one address.
    AddressConnections => "address_connections", "--address-connections";
    /// Handshakes of one address that it has not proved.
    AddressHandshakes => "address_handshakes", "--address-handshakes";
    /// New connections of one network.
    NetworkConnects => "network_connects", "--network-connects";
    /// Connections of one network.
    NetworkConnections => "network_connections", "--network-connections";
    /// Handshakes of one network whose addresses are not proved.
    NetworkHandshakes => "network_handshakes", "--network-handshakes";
    /// Connections that have not said hello.
    SilentConnections => "silent_connections", "--silent-connections";
    /// Addresses that are remembered; it has no option.
    Addresses => "addresses", "";
}

/// How often each limit was reached.
#[derive(Debug)]
pub(super) struct Reached([u64; Limit::ALL.len()]);

impl Default for Reached {
    fn default() -> Self {
        Self([0; Limit::ALL.len()])
    }
}

impl Reached {
    pub(super) fn add(&mut self, limit: Limit) {
        if let Some(count) = self.0.get_mut(limit as usize) {
            *count += 1;
        }
    }

    /// Gives every limit with how often it was reached.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Limit, u64)> + '_ {
        Limit::ALL.into_iter().zip(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_counted_every_time_and_numbers_are_in_order() {
        let mut reached = Reached::default();
        for limit in Limit::ALL {
            for _ in 0..=limit as usize {
                reached.add(limit);
            }
        }

        for (number, (limit, count)) in (1..).zip(reached.iter()) {
            assert_eq!(count, number, "{}", limit.as_str());
        }
    }
}
