//! The provider's keys: fetched once, again when a token names a key that is not known, never too often.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use openidconnect::core::CoreJsonWebKeySet;
use openidconnect::{HttpResponse, JsonWebKeySet};
use serde_json::Value;
use tokio::sync::Mutex;

use super::transport::Transport;
use super::{Endpoint, FAILURE_SECONDS, ProviderError, is_within};

/// Least time between two fetches for the sake of an unknown key, in seconds.
///
/// Anybody can send tokens with made-up key ids; the provider must not be asked for each.
const REFETCH_SECONDS: i64 = 10;

/// How long keys are believed: what the provider says, within these bounds, in seconds.
const MIN_LIFE: i64 = 60;
const MAX_LIFE: i64 = 24 * 3_600;
const DEFAULT_LIFE: i64 = 3_600;

/// Shortest RSA modulus, in bytes.
const MIN_RSA: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Keys {
    current: ArcSwapOption<Fetched>,
    fetching: Mutex<Fetching>,
}

#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) keys: CoreJsonWebKeySet,
    at: Timestamp,
    life: i64,
}

/// What came of asking, held by whoever asks.
#[derive(Debug, Default)]
struct Fetching {
    failure: Option<(Timestamp, ProviderError)>,
    /// When the keys were last fetched for the sake of one that was not known.
    sought_at: Option<Timestamp>,
}

impl Keys {
    /// The keys, fetched if there are none or they grew old.
    pub(super) async fn current(
        &self,
        transport: &Transport,
        uri: &str,
        now: Timestamp,
    ) -> Result<Arc<Fetched>, ProviderError> {
        if let Some(fetched) = self.young(now) {
            return Ok(fetched);
        }
        let mut fetching = self.fetching.lock().await;
        match self.young(now) {
            Some(fetched) => Ok(fetched),
            None => self.fetch(&mut fetching, transport, uri, now).await,
        }
    }

    /// The keys, fetched anew unless that was just done; `seen` are those that did not fit.
    ///
    /// Only fetches for the sake of an unknown key count towards the limit: the provider may change its keys
    /// right after it was asked for the first time.
    pub(super) async fn newer_than(
        &self,
        seen: &Arc<Fetched>,
        transport: &Transport,
        uri: &str,
        now: Timestamp,
    ) -> Result<Arc<Fetched>, ProviderError> {
        let is_newer = |fetched: &Arc<Fetched>| !Arc::ptr_eq(fetched, seen);
        let mut fetching = self.fetching.lock().await;
        if let Some(newer) = self.current.load_full().filter(is_newer) {
            return Ok(newer);
        }
        if fetching.sought_at.is_some_and(|at| is_within(at, now, REFETCH_SECONDS)) {
            return Ok(Arc::clone(seen));
        }
        let fetched = self.fetch(&mut fetching, transport, uri, now).await?;
        if is_newer(&fetched) {
            fetching.sought_at = Some(now);
        }
        Ok(fetched)
    }

    fn young(&self, now: Timestamp) -> Option<Arc<Fetched>> {
        self.current.load_full().filter(|fetched| is_within(fetched.at, now, fetched.life))
    }

    /// Asks, unless that just failed. What was fetched before serves on where nothing newer can be had.
    async fn fetch(
        &self,
        fetching: &mut Fetching,
        transport: &Transport,
        uri: &str,
        now: Timestamp,
    ) -> Result<Arc<Fetched>, ProviderError> {
        let current = self.current.load_full();
        let failure = fetching.failure.as_ref();
        if let Some((_, error)) = failure.filter(|(at, _)| is_within(*at, now, FAILURE_SECONDS)) {
            return current.ok_or_else(|| error.clone());
        }
        let fetched = transport.get(Endpoint::Keys, uri).await.and_then(|response| read(&response, now));
        transport.note(Endpoint::Keys, &fetched, now);
        match fetched {
            Ok(fetched) => {
                transport.note_keys(now);
                let fetched = Arc::new(fetched);
                self.current.store(Some(Arc::clone(&fetched)));
                fetching.failure = None;
                Ok(fetched)
            }
            Err(error) => {
                tracing::warn!(%error, "could not fetch the provider's keys");
                fetching.failure = Some((now, error.clone()));
                current.ok_or(error)
            }
        }
    }
}

fn read(response: &HttpResponse, now: Timestamp) -> Result<Fetched, ProviderError> {
    let malformed = ProviderError::Malformed(Endpoint::Keys, "it is no JSON Web Key Set");
    let document: Value = serde_json::from_slice(response.body()).map_err(|_| malformed.clone())?;
    let all = document.get("keys").and_then(Value::as_array).ok_or_else(|| malformed.clone())?;
    let usable = all.iter().filter(|key| is_usable(key));
    let keys = usable.filter_map(|key| serde_json::from_value(key.clone()).ok()).collect();
    Ok(Fetched { keys: JsonWebKeySet::new(keys), at: now, life: life(response) })
}

/// A public signature key of a kind that we verify with. Everything else in the set is passed over: a
/// symmetric or private key there is a mistake, and must not become a way to sign.
fn is_usable(key: &Value) -> bool {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    if key.get("d").is_some() || text("use").is_some_and(|usage| usage != "sig") {
        return false;
    }
    match text("kty") {
        Some("RSA") => {
            text("n").and_then(|n| URL_SAFE_NO_PAD.decode(n).ok()).is_some_and(|n| n.len() >= MIN_RSA)
        }
        Some("EC") => matches!(text("crv"), Some("P-256" | "P-384")),
        Some("OKP") => text("crv") == Some("Ed25519"),
        _ => false,
    }
}

fn life(response: &HttpResponse) -> i64 {
    let caching = response.headers().get(http::header::CACHE_CONTROL).and_then(|value| value.to_str().ok());
    let max_age = caching.into_iter().flat_map(|value| value.split(',')).find_map(|directive| {
        directive.trim().strip_prefix("max-age=").and_then(|seconds| seconds.parse::<i64>().ok())
    });
    max_age.unwrap_or(DEFAULT_LIFE).clamp(MIN_LIFE, MAX_LIFE)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_public_signature_keys_are_used() {
        let n = URL_SAFE_NO_PAD.encode([0xff; 256]);
        let short = URL_SAFE_NO_PAD.encode([0xff; 128]);
        let table = [
            (json!({"kty": "RSA", "n": n, "e": "AQAB"}), true),
            (json!({"kty": "RSA", "n": n, "e": "AQAB", "use": "sig"}), true),
            (json!({"kty": "EC", "crv": "P-256"}), true),
            (json!({"kty": "OKP", "crv": "Ed25519"}), true),
            (json!({"kty": "RSA", "n": short, "e": "AQAB"}), false),
            (json!({"kty": "RSA", "n": n, "e": "AQAB", "d": "x"}), false),
            (json!({"kty": "RSA", "n": n, "e": "AQAB", "use": "enc"}), false),
            (json!({"kty": "EC", "crv": "P-521"}), false),
            (json!({"kty": "oct", "k": "c2VjcmV0"}), false),
            (json!({"kty": "quantum"}), false),
            (json!("key"), false),
        ];
        for (key, usable) in table {
            assert_eq!(is_usable(&key), usable, "{key}");
        }
    }

    #[test]
    fn keys_live_as_long_as_the_provider_says_within_reason() {
        let of = |value: &str| {
            life(&http::Response::builder().header("cache-control", value).body(Vec::new()).unwrap())
        };
        assert_eq!(of("public, max-age=600"), 600);
        assert_eq!(of("max-age=0"), 60);
        assert_eq!(of("max-age=99999999"), 86_400);
        assert_eq!(of("no-cache"), 3_600);
    }
}
