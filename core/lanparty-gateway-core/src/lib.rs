//! The gateway's data path: remote members, LAN safety, CAM refresh.
