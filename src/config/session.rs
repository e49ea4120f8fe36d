//! `session`: how long people stay signed in, and the keys that seal their cookies.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::{duration, error::Problems, file, path::KeyPath};

const MIN_TTL: Duration = Duration::from_mins(1);
const MAX_TTL: Duration = Duration::from_hours(30 * 24);

/// The shortest content of a key file, in bytes: less can be guessed from one cookie.
const MIN_KEY: usize = 32;

/// The session settings, checked.
#[derive(Clone, Debug)]
pub struct Session {
    /// How long a person stays signed in, from one minute to thirty days.
    pub ttl: Duration,
    /// Files that each held 32 bytes or more, to be read by [`read_secret`](super::read_secret): the first seals,
    /// all open. Empty: make a key at start.
    pub key_files: Vec<PathBuf>,
}

/// How long people stay signed in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawSession {
    /// How long a person stays signed in, from `1m` to `30d`.
    #[serde(default = "ttl")]
    #[schemars(extend("x-form" = "a duration, such as `8h`"))]
    ttl: String,
    /// Files with the keys that seal session cookies, 32 bytes or more each: the first seals, all open. None: a key is
    /// made at start, so that a restart signs everyone out and there can be only one replica.
    #[serde(default)]
    #[schemars(with = "Vec<String>", extend("x-form" = "a list of paths"))]
    key_files: Vec<PathBuf>,
}

impl Default for RawSession {
    fn default() -> Self {
        Self { ttl: ttl(), key_files: Vec::new() }
    }
}

impl RawSession {
    pub(super) fn check(self, at: &KeyPath, problems: &mut Problems<'_>) -> Option<Session> {
        let ttl = problems.keep(&at.key("ttl"), duration::parse_within(&self.ttl, &(MIN_TTL..=MAX_TTL)));
        for (index, path) in self.key_files.iter().enumerate() {
            problems.look(&at.key("keyFiles").index(index), || check_key(path));
        }
        Some(Session { ttl: ttl?, key_files: self.key_files })
    }
}

fn check_key(path: &Path) -> Result<(), String> {
    let key = file::read_secret(path).map_err(|error| error.to_string())?;
    match key.expose_secret().len() {
        MIN_KEY.. => Ok(()),
        length => Err(format!(
            "names a key of {length} bytes, which can be guessed; make one of 32 or more, as by \
             `openssl rand -base64 32`"
        )),
    }
}

fn ttl() -> String {
    "8h".to_owned()
}
