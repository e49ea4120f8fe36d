//! Every decision about a person: who they are, what they may get, where they may go next.
//!
//! Pure: no I/O, no clock, no randomness, nothing of the rest of the crate. Time and random bytes are
//! arguments, so each rule here is a table of inputs and outputs.

pub mod claims;
pub mod code;
pub mod identity;
pub mod login;
pub mod policy;
pub mod request;
pub mod return_to;
pub mod seal;
pub mod session;
pub mod text;

pub use claims::{AcceptedIdToken, ClaimNames, ClaimsError, IdToken, IdTokenRules};
pub use identity::{Email, Identity};
pub use login::{Callback, CallbackError, CodeExchange, LoginAttempt, LoginError, Secrets};
pub use policy::{Challenge, Credential, Decision, Denial, Grant, Match, Policy, Role, ServiceAccountRef};
pub use request::{Effect, Kind, Provenance, Request};
pub use return_to::{InvalidReturnTo, ReturnTo, Site};
pub use seal::{Context, KeyRing, OpenError};
pub use session::{IdHasher, Presented, SealedState, Session, SessionId};
pub use text::Text;
