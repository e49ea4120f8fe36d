//! What passes between an ingress and us: reading what it says, and answering in its dialect.
//!
//! Pure, like [`crate::auth`], which it builds on.

pub mod cookies;
pub mod dialect;
pub mod loopback;
pub mod original;
pub mod reply;
pub mod scrub;
pub mod status;
pub mod ui;
pub mod websocket;

pub use cookies::CookieNames;
pub use dialect::Dialect;
pub use original::{Malformed, Question};
pub use reply::{Managed, Outcome};
pub use ui::Ui;
