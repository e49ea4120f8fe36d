//! What the program says of itself.

mod line;
mod logfmt;

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::filter::{LevelFilter, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use line::Line;

/// Who logs whole answers of the API server that it does not understand, tokens and all, even as warnings.
///
/// Nothing is lost: what went wrong comes back as an error, which we log ourselves.
const SAYS_TOO_MUCH: &str = "kube_client::client";

/// How log lines look.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum LogFormat {
    /// `pretty` on a terminal, `json` elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// `key=value` pairs, a line each.
    Logfmt,
    /// For people.
    Pretty,
}

impl LogFormat {
    fn settled(self) -> Self {
        match self {
            Self::Auto if stderr().is_terminal() => Self::Pretty,
            Self::Auto => Self::Json,
            chosen => chosen,
        }
    }
}

/// Starts to log, to stderr. `filter` is a level, or levels by target (`info,lamplighter=debug`); what is neither is
/// `info`.
///
/// No filter brings secrets to light.
pub fn start(format: LogFormat, filter: &str) {
    // Filters by field would bring a regular expression engine into each process, half a megabyte of it.
    let info = || Targets::new().with_default(LevelFilter::INFO);
    let filter: Targets = filter.parse().unwrap_or_else(|_| info());
    let is_discreet = filter_fn(|metadata| metadata.target() != SAYS_TOO_MUCH);
    let lines = tracing_subscriber::fmt::layer().with_writer(stderr);
    let registry = tracing_subscriber::registry();
    let started = match format.settled() {
        LogFormat::Auto | LogFormat::Json => {
            let json = lines.with_ansi(false).event_format(Line::Json);
            registry.with(json).with(filter).with(is_discreet).try_init()
        }
        LogFormat::Logfmt => {
            let logfmt = lines.with_ansi(false).event_format(Line::Logfmt);
            registry.with(logfmt).with(filter).with(is_discreet).try_init()
        }
        LogFormat::Pretty => {
            let pretty = lines.with_ansi(stderr().is_terminal()).compact();
            registry.with(pretty).with(filter).with(is_discreet).try_init()
        }
    };
    if let Err(error) = started {
        tracing::debug!(%error, "somebody logs already");
    }
}
