//! Kubernetes: who we are there, minting tokens, and the Secret with the session key.

mod audit;
mod client;
mod minter;
mod session_key;
mod tokens;

pub use client::{ClientError, KubeconfigSource, Settings, connect};
pub use minter::{MintError, Minted, Minter};
pub use session_key::{KeyPlace, SessionKey, SessionKeyError, ensure_session_key};
pub use tokens::{AtHand, Tokens};
