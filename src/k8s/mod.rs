//! Kubernetes: who we are there, and minting tokens.

mod audit;
mod client;
mod minter;
mod tokens;

pub use client::{ClientError, KubeconfigSource, Settings, connect};
pub use minter::{MintError, Minted, Minter};
pub use tokens::{AtHand, Tokens};
