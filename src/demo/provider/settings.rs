//! What a provider is started with.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Map, Value, json};

use crate::demo::jwt::SigningKey;
use crate::demo::{Clock, Random};

/// What a provider is started with.
#[derive(Clone)]
pub struct ProviderSettings {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The host name in the issuer: `127.0.0.1` or `localhost`.
    pub host: String,
    /// The path of the issuer, as it is: empty, `/realms/demo`, `/application/o/headlamp/`.
    pub path: String,
    /// Tells the time.
    pub clock: Clock,
    /// Draws codes, tokens and key names.
    pub random: Random,
    /// Who can sign in.
    pub users: Vec<User>,
    /// Which clients may ask.
    pub clients: Vec<Client>,
    /// The key for RS256; none generates one, which takes a moment that many tests can share.
    pub rsa_key: Option<SigningKey>,
    /// Seconds that an ID token and its access token live.
    pub token_seconds: i64,
}

impl ProviderSettings {
    /// The demo's people, one client, and an issuer without a path on a free port.
    pub fn new(clock: Clock, random: Random) -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            host: "127.0.0.1".to_owned(),
            path: String::new(),
            clock,
            random,
            users: User::demo(),
            clients: vec![Client::confidential("lamplighter", "a secret that everyone knows")],
            rsa_key: None,
            token_seconds: 300,
        }
    }
}

/// A client that the provider knows.
#[derive(Clone, Debug)]
pub struct Client {
    /// The `client_id`.
    pub id: String,
    /// The secret; none makes it a public client.
    pub secret: Option<String>,
    /// Where the provider may send the browser back to; empty allows any place.
    pub redirect_uris: Vec<String>,
    /// The same after a logout.
    pub post_logout_redirect_uris: Vec<String>,
}

impl Client {
    /// A client with a secret that may return anywhere.
    pub fn confidential(id: &str, secret: &str) -> Self {
        Self { secret: Some(secret.to_owned()), ..Self::public(id) }
    }

    /// A client without a secret that may return anywhere.
    pub fn public(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            secret: None,
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
        }
    }
}

/// A person who can sign in.
#[derive(Clone, Debug)]
pub struct User {
    /// What `&user=` and the links of the picker name, and `preferred_username`.
    pub login: String,
    /// The `sub`.
    pub subject: String,
    /// The `name`.
    pub name: String,
    /// The `email`, verified.
    pub email: String,
    /// The `groups`.
    pub groups: Vec<String>,
    /// Further claims; they replace those above.
    pub claims: Map<String, Value>,
}

impl User {
    /// A person at example.com with the subject `<login>-id`.
    pub fn new(login: &str, name: &str, groups: &[&str]) -> Self {
        Self {
            login: login.to_owned(),
            subject: format!("{login}-id"),
            name: name.to_owned(),
            email: format!("{login}@example.com"),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
            claims: Map::new(),
        }
    }

    /// The demo's people: an admin, a viewer, and one who may do nothing.
    pub fn demo() -> Vec<Self> {
        vec![
            Self::new("ada", "Ada Admin", &["k8s-admins"]),
            Self::new("victor", "Victor Viewer", &["k8s-viewers"]),
            Self::new("nora", "Nora Nogroup", &[]),
        ]
    }

    pub(super) fn claims(&self) -> Value {
        let mut claims = json!({
            "sub": self.subject,
            "name": self.name,
            "preferred_username": self.login,
            "email": self.email,
            "email_verified": true,
            "groups": self.groups,
        });
        let object = claims.as_object_mut().expect("it is one, just above");
        object.extend(self.claims.clone());
        claims
    }
}
