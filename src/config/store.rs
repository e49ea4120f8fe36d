//! `store`: what several replicas share.

use std::path::PathBuf;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::{error::Problems, file::SecretSource, path::KeyPath};

/// What several replicas share, checked.
#[derive(Clone, Debug, Default)]
pub enum Store {
    /// Nothing: there is one replica.
    #[default]
    Memory,
    /// A Redis server at this address, which may hold a password.
    Redis(SecretSource),
}

/// What several replicas share. Nothing set: each replica knows only of its own sign-outs.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawStore {
    /// A Redis server, by which a sign-out reaches every replica within a second.
    redis: Option<RawRedis>,
}

/// A Redis server.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawRedis {
    /// The address, `redis://user:password@host:6379/0` or `rediss://…` for TLS. Better: `urlFile`.
    #[schemars(with = "Option<String>")]
    url: Option<SecretString>,
    /// A file with the address; white space around it is ignored.
    #[schemars(with = "Option<String>", extend("x-form" = "a path"))]
    url_file: Option<PathBuf>,
}

impl RawStore {
    pub(super) fn check(self, at: &KeyPath, problems: &mut Problems<'_>) -> Option<Store> {
        match self.redis {
            Some(redis) => redis.check(&at.key("redis"), problems).map(Store::Redis),
            None => Some(Store::Memory),
        }
    }
}

impl RawRedis {
    fn check(self, at: &KeyPath, problems: &mut Problems<'_>) -> Option<SecretSource> {
        let (source, key) = match (self.url, self.url_file) {
            (Some(url), None) => (SecretSource::Inline(url), "url"),
            (None, Some(path)) => (SecretSource::File(path), "urlFile"),
            (Some(_), Some(_)) => {
                problems.add(&at.key("url"), "is set beside urlFile; remove one of the two");
                return None;
            }
            (None, None) => {
                problems.add(at, "has no address; set urlFile");
                return None;
            }
        };
        problems.look(&at.key(key), || check_url(&source))?;
        Some(source)
    }
}

fn check_url(source: &SecretSource) -> Result<(), String> {
    let text = source.read().map_err(|error| error.to_string())?;
    let url = Url::parse(text.expose_secret()).ok();
    let is_redis = |url: &Url| matches!(url.scheme(), "redis" | "rediss") && url.has_host();
    match url.filter(is_redis) {
        Some(_) => Ok(()),
        None => {
            Err("holds no address of a Redis server; write redis://HOST:6379/0, or rediss:// for TLS"
                .to_owned())
        }
    }
}
