//! The Secret with the session key: made once, by whoever comes first, and kept.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};
use secrecy::{ExposeSecret as _, SecretString};

use super::client::chain;
use crate::auth::KeyRing;

/// Where a session key is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyPlace {
    /// The Secret's namespace.
    pub namespace: String,
    /// The Secret's name.
    pub secret: String,
    /// The key in the Secret's data.
    pub key: String,
}

/// What came of asking for a session key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SessionKey {
    /// There was none.
    Made,
    /// There is one, and it is as it was.
    Kept,
}

/// Why there is no session key. Says nothing of what is in a Secret.
#[derive(Debug, thiserror::Error)]
pub enum SessionKeyError {
    /// RBAC does not let us.
    #[error("not allowed to {verb} the Secret {place}: grant `get` on it, and `create` on secrets there")]
    Forbidden {
        /// What we wanted to do.
        verb: &'static str,
        /// With which Secret.
        place: KeyPlace,
    },
    /// The Secret is there for something else.
    #[error(
        "the Secret {place} has no `{key}`: put a key of 32 bytes or more there, as by `openssl rand -base64 32`, or \
         delete the Secret, and it is made anew", key = .place.key
    )]
    NoKey {
        /// Which Secret.
        place: KeyPlace,
    },
    /// Whoever knows one cookie can guess it.
    #[error(
        "`{key}` in the Secret {place} has fewer than 32 bytes, which can be guessed: put a longer one there, as by \
         `openssl rand -base64 32`, or delete the Secret, and it is made anew", key = .place.key
    )]
    Guessable {
        /// Which Secret.
        place: KeyPlace,
    },
    /// The API server does not want such a Secret, or us.
    #[error("the API server refused the Secret {place} ({status}): {message}")]
    Refused {
        /// Which Secret.
        place: KeyPlace,
        /// The HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// The API server cannot be reached, or has no time.
    #[error("could not ask the API server for the Secret {place}: {cause}")]
    Unavailable {
        /// Which Secret.
        place: KeyPlace,
        /// What happened.
        cause: String,
    },
}

impl fmt::Display for KeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.secret)
    }
}

/// Puts `fresh` at `place`, unless a key is there. Never changes what is there.
///
/// # Errors
///
/// When a Secret is there without a key of 32 bytes or more, or the API server does not do as it is asked.
pub async fn ensure_session_key(
    client: Client,
    place: &KeyPlace,
    fresh: &SecretString,
) -> Result<SessionKey, SessionKeyError> {
    let api: Api<Secret> = Api::namespaced(client, &place.namespace);
    if is_there(&api, place).await? {
        return Ok(SessionKey::Kept);
    }
    match api.create(&PostParams::default(), &secret(place, fresh)).await {
        Ok(_) => return Ok(SessionKey::Made),
        // Somebody was faster: the API server makes a name once.
        Err(kube::Error::Api(status)) if status.code == 409 => {}
        Err(error) => return Err(from_kube(&error, "create", place)),
    }
    if is_there(&api, place).await? {
        Ok(SessionKey::Kept)
    } else {
        Err(unavailable(place, "it comes and goes".to_owned()))
    }
}

/// Whether the key is there. A Secret without one is an error.
async fn is_there(api: &Api<Secret>, place: &KeyPlace) -> Result<bool, SessionKeyError> {
    let found = api.get_opt(&place.secret).await.map_err(|error| from_kube(&error, "get", place))?;
    let Some(secret) = found else { return Ok(false) };
    let data = secret.data.unwrap_or_default();
    let key = data.get(&place.key).map(|bytes| bytes.0.trim_ascii()).unwrap_or_default();
    if key.is_empty() {
        return Err(SessionKeyError::NoKey { place: place.clone() });
    }
    KeyRing::new(&[key]).map_err(|_| SessionKeyError::Guessable { place: place.clone() })?;
    Ok(true)
}

fn secret(place: &KeyPlace, fresh: &SecretString) -> Secret {
    let key = ByteString(fresh.expose_secret().as_bytes().to_vec());
    // Not the labels of a release: Argo CD removes what bears its own and is not in what it renders.
    let labels = ["managed-by", "part-of"];
    let labels = labels.map(|label| (format!("app.kubernetes.io/{label}"), "lamplighter".to_owned()));
    Secret {
        metadata: ObjectMeta {
            name: Some(place.secret.clone()),
            namespace: Some(place.namespace.clone()),
            labels: Some(BTreeMap::from(labels)),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(place.key.clone(), key)])),
        ..Secret::default()
    }
}

fn unavailable(place: &KeyPlace, cause: String) -> SessionKeyError {
    SessionKeyError::Unavailable { place: place.clone(), cause }
}

fn from_kube(error: &kube::Error, verb: &'static str, place: &KeyPlace) -> SessionKeyError {
    match error {
        kube::Error::Api(status) => match status.code {
            403 => SessionKeyError::Forbidden { verb, place: place.clone() },
            429 | 500.. => unavailable(place, format!("it answered {}", status.code)),
            code => SessionKeyError::Refused {
                place: place.clone(),
                status: code,
                message: status.message.clone(),
            },
        },
        // Its words quote what it read.
        kube::Error::SerdeError(_) => unavailable(place, "the answer is no Secret".to_owned()),
        other => unavailable(place, chain(other)),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use http::{Method, Request, Response};
    use http_body_util::BodyExt as _;
    use kube::client::Body;
    use serde_json::{Value, json};
    use tower::service_fn;

    use super::*;

    const FRESH: &str = "fresh and long enough to be a session's key";
    const OLD: &str = "old, and as long as a session's key has to be";

    fn place() -> KeyPlace {
        KeyPlace { namespace: "ns".into(), secret: "session".into(), key: "session-key".into() }
    }

    /// Asks for a key where the API server gives these answers: what comes of it, and what was sent.
    async fn ensure(answers: &[(u16, Value)]) -> (Result<SessionKey, SessionKeyError>, Vec<(Method, Value)>) {
        let answers = Arc::new(Mutex::new(answers.to_vec()));
        let sent = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&sent);
        let server = service_fn(move |request: Request<Body>| {
            let (status, answer) = answers.lock().unwrap().remove(0);
            let heard = Arc::clone(&heard);
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let body = serde_json::from_slice(&body).unwrap_or_default();
                heard.lock().unwrap().push((parts.method, body));
                let answer = Body::from(answer.to_string().into_bytes());
                Ok::<_, Infallible>(Response::builder().status(status).body(answer).unwrap())
            }
        });
        let client = Client::new(server, "default");
        let came = ensure_session_key(client, &place(), &SecretString::from(FRESH)).await;
        let sent = sent.lock().unwrap().clone();
        (came, sent)
    }

    fn there(data: &Value) -> (u16, Value) {
        (200, json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "session"}, "data": data}))
    }

    fn refused(status: u16) -> (u16, Value) {
        let reason = if status == 404 { "NotFound" } else { "" };
        let answer = json!({"status": "Failure", "code": status, "reason": reason, "message": "its words"});
        (status, answer)
    }

    #[tokio::test]
    async fn a_key_is_made_where_there_is_none() {
        let (came, sent) = ensure(&[refused(404), there(&json!({}))]).await;
        assert_eq!(came.unwrap(), SessionKey::Made);
        let (method, secret) = &sent[1];
        assert_eq!((method, &secret["type"]), (&Method::POST, &json!("Opaque")));
        assert_eq!(secret["data"], json!({"session-key": STANDARD.encode(FRESH)}));
        assert_eq!(secret["metadata"]["labels"].get("app.kubernetes.io/instance"), None, "Argo CD's");
    }

    #[tokio::test]
    async fn a_key_that_is_there_is_looked_at_and_left_alone() {
        let (came, sent) = ensure(&[there(&json!({"session-key": STANDARD.encode(OLD)}))]).await;
        assert_eq!(came.unwrap(), SessionKey::Kept);
        assert_eq!(sent.iter().map(|(method, _)| method).collect::<Vec<_>>(), [Method::GET]);
    }

    #[tokio::test]
    async fn who_comes_second_keeps_the_key_of_the_first() {
        let old = there(&json!({"session-key": STANDARD.encode(OLD)}));
        let (came, _) = ensure(&[refused(404), refused(409), old]).await;
        assert_eq!(came.unwrap(), SessionKey::Kept);
    }

    #[tokio::test]
    async fn a_secret_without_a_usable_key_is_named_with_the_remedy() {
        for (data, said) in [
            (json!({}), "the Secret ns/session has no `session-key`: put a key of 32 bytes or more there"),
            (json!({"other": STANDARD.encode(OLD)}), "the Secret ns/session has no `session-key`"),
            (json!({"session-key": STANDARD.encode(" \n")}), "the Secret ns/session has no `session-key`"),
            (
                json!({"session-key": STANDARD.encode("short")}),
                "`session-key` in the Secret ns/session has fewer than 32 bytes",
            ),
        ] {
            let (came, sent) = ensure(&[there(&data)]).await;
            let error = came.unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
            assert_eq!(sent.len(), 1, "nothing is changed");
        }
    }

    #[tokio::test]
    async fn what_the_api_server_has_against_it_is_told() {
        for (answers, said) in [
            (vec![refused(403)], "not allowed to get the Secret ns/session: grant `get` on it, and `create`"),
            (vec![refused(404), refused(403)], "not allowed to create the Secret ns/session"),
            (vec![refused(401)], "the API server refused the Secret ns/session (401): its words"),
            (
                vec![refused(404), refused(422)],
                "the API server refused the Secret ns/session (422): its words",
            ),
            (
                vec![refused(404), refused(404)],
                "the API server refused the Secret ns/session (404): its words",
            ),
            (vec![refused(503)], "could not ask the API server for the Secret ns/session: it answered 503"),
            (
                vec![refused(404), refused(409), refused(404)],
                "could not ask the API server for the Secret ns/session: it comes and goes",
            ),
        ] {
            let error = ensure(&answers).await.0.unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
    }

    #[tokio::test]
    async fn what_is_in_a_secret_is_never_said() {
        let odd = there(&json!({"session-key": OLD}));
        let error = ensure(&[odd]).await.0.unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(said.contains("the answer is no Secret") && !said.contains("old"), "{said}");
    }
}
