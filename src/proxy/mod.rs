//! Carrying requests to the UI: HTTP both ways streamed, WebSockets as tunnels.

mod connector;
mod forward;
mod frames;
mod relay;
mod tunnels;

pub use connector::{Settings, Target, UpstreamError};
pub use forward::{BareClient, ForwardError, Forwarder};
pub use tunnels::{Tunnels, Why};
