//! lamplighter: sign in at the identity provider, be in at the Kubernetes UI.

pub mod auth;
pub mod edge;
