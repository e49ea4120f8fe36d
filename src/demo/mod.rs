//! Stand-ins for everything around lamplighter, so that it can be tried on a bare machine.
//!
//! ```text
//!   browser ─▶ forwarder ─▶ lamplighter ─▶ provider     who is it?
//!                  │              └──────▶ api_server   a token for them?
//!                  └──────▶ upstream                    what did it receive?
//! ```
//!
//! Every part listens on loopback, speaks plain HTTP and stops when its handle is dropped.
//! They keep no secret worth stealing and must never face a network.
//!
//! The provider doubles as the misbehaving one of the tests: see [`provider::Faults`].

pub mod api_server;
pub mod forwarder;
pub mod house;
pub mod jwt;
mod page;
pub mod provider;
mod relay;
mod serve;
pub mod upstream;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;

/// Fills a buffer with unpredictable bytes.
pub type Random = fn(&mut [u8]);

/// A fresh name with 128 bits of randomness, safe in URLs and headers.
fn random_id(random: Random) -> String {
    let mut bytes = [0; 16];
    random(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A fresh random UUID (version 4), as Kubernetes names its objects and tokens.
fn random_uuid(random: Random) -> String {
    let mut bytes = [0; 16];
    random(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod testing;
