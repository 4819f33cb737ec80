//! The loop of client and gateway: session, data path, link and port on one thread.

mod cli;
mod connections;
mod identity;
mod keep;
mod mailbox;
mod membership;
mod port;
mod probe;
pub mod program;
mod run;
mod sleep;
mod start;
mod writer;

pub use cli::{Frames, JoinArgs, identity_mac, relay_settings};
pub use identity::{FILE_NAME as IDENTITY_FILE_NAME, IdentityError, load as load_identity};
pub use keep::KeepArgs;
pub use mailbox::{Command, Handle, MemberHandover};
pub use membership::{MembershipStore, SavedMembership};
pub use port::{Port, PortError, Socket};
pub use probe::probe_relay;
pub use run::{Config, Member};
pub use start::{Reach, Start, Who};
pub use writer::{FileWriter, Writer};
