//! One change to the system, and how to take it back.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{AdapterId, Category, Family, Luid, Route, Settings};

/// One change to the system. The journal has these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Adds a route that is not there. Undone by removing it.
    AddRoute(Route),
    /// Changes an interface's settings. Undone field by field, where they still are as this step made them.
    SetInterface {
        /// The interface.
        interface: Luid,
        /// The family.
        family: Family,
        /// As it was.
        from: Settings,
        /// As it is to be.
        to: Settings,
    },
    /// Changes the category of the network that an adapter is in. Undone if it still is as this step made it.
    SetCategory {
        /// The adapter.
        adapter: AdapterId,
        /// As it was.
        from: Category,
        /// As it is to be.
        to: Category,
    },
}

impl Step {
    /// Returns whether the party can do without it: the firewall's view of the network helps, but is Windows' to decide.
    pub const fn is_optional(&self) -> bool {
        matches!(self, Self::SetCategory { .. })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddRoute(route) => write!(f, "add the route {route}"),
            Self::SetInterface {
                family, from, to, ..
            } => {
                write!(f, "set the TAP's {family}")?;
                if from.mtu != to.mtu {
                    write!(f, ", MTU {} (was {})", to.mtu, from.mtu)?;
                }
                if (from.automatic_metric, from.metric) != (to.automatic_metric, to.metric) {
                    let kind = if from.automatic_metric {
                        "automatic"
                    } else {
                        "fixed"
                    };
                    write!(f, ", metric {} (was {kind}, {})", to.metric, from.metric)?;
                }
                if from.default_routes_disabled != to.default_routes_disabled {
                    f.write_str(", no default routes")?;
                }
                if from.router_discovery != to.router_discovery {
                    f.write_str(", no router discovery")?;
                }
                Ok(())
            }
            Self::SetCategory { from, to, .. } => {
                write!(f, "make the party's network {to} (was {from})")
            }
        }
    }
}
