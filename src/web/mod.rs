//! What the world sees: each listener's routes, one file per flow.
//!
//! A handler opens, decides, does, answers. Decisions are [`crate::auth`]'s, words for an ingress are
//! [`crate::edge`]'s, pages are [`pages`]'s.

mod admin;
mod answer;
mod authz;
mod banner;
mod callback;
mod check;
mod connection;
mod fallback;
mod framing;
mod gateway;
mod lent;
mod login;
mod logout;
mod onward;
pub mod pages;
mod problem;
mod proxied;
mod public;
mod request_id;
mod serve;
mod sessions;
mod whoami;

pub use admin::{Readiness, router as admin_router};
pub use authz::{Answering, Authz};
pub use check::{Step, first_step};
pub use fallback::{Fallback, Tries};
pub use gateway::Gateway;
pub use proxied::Upstream;
pub use public::Public;
pub use serve::{Limits, Serve};
pub use sessions::Sessions;
