//! Carrying requests to the UI: HTTP both ways streamed, WebSockets as tunnels.

mod connector;
mod forward;
mod frames;
mod relay;
mod slots;
mod tunnels;
mod turns;
mod upload;

pub use connector::{HEAD_TIMEOUT, Settings, Target, UpstreamError};
pub use forward::{BareClient, ForwardError, Forwarder};
pub use slots::Answer;
pub use tunnels::Tunnels;
pub use upload::Upload;
