//! lamplighter: sign in at the identity provider, be in at the Kubernetes UI.

pub mod app;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod edge;
pub mod idp;
pub mod k8s;
pub mod keepalive;
pub mod metrics;
pub mod oidc;
pub mod proxy;
pub mod random;
pub mod store;
pub mod telemetry;
pub mod web;
