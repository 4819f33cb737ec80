//! Measures a whole party: throughput, packet rate, round trips and CPU time of softlan beside whatever else can carry a LAN.
//!
//! Everything runs in the namespaces of [`lanparty_e2e::Bed`]. Figures of one run on one machine compare; figures of two do not.

pub mod crowd;
pub mod figures;
pub mod load;
pub mod meter;
pub mod rival;
pub mod table;
