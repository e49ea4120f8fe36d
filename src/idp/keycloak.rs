//! Keycloak: a realm with one client in it.

use askama::Template;
use serde_json::{Value, json};

use super::escape::code;
use super::{Client, ForeignIssuer, Format, Known, text};

pub(super) const REALM: Format = Format { name: "realm-json", what: "a realm to import", render: realm };
pub(super) const STEPS: Format =
    Format { name: "steps", what: "what to fill in, in its admin console", render: steps };

const ISSUER: &str = "https://HOST/realms/REALM, without a last slash";

/// How long an access token lives, in seconds: lamplighter uses one at sign-in, and never again.
const TOKEN_SECONDS: u32 = 300;

/// How long a code lives, in seconds.
const CODE_SECONDS: u32 = 60;

#[derive(Template)]
#[template(path = "keycloak.md.txt", escape = "none", whitespace = "preserve")]
struct Steps {
    site: String,
    realm: String,
    issuer: String,
    client_id: String,
    redirect_uri: String,
    secret_file: Option<String>,
    session_minutes: u64,
}

fn steps(known: &Known, client: &Client) -> Result<String, ForeignIssuer> {
    let realm = realm_name(&client.issuer).ok_or_else(|| known.foreign(client, ISSUER))?;
    Ok(text(&Steps {
        site: code(&client.site),
        realm: code(realm),
        issuer: code(&client.issuer),
        client_id: code(&client.client_id),
        redirect_uri: code(&client.redirect_uri()),
        secret_file: client.secret_file.as_deref().map(code),
        session_minutes: client.session_seconds.div_ceil(60),
    }))
}

/// Without a secret in it: Keycloak makes one for a client that comes without.
fn realm(known: &Known, client: &Client) -> Result<String, ForeignIssuer> {
    let realm = realm_name(&client.issuer).ok_or_else(|| known.foreign(client, ISSUER))?;
    let groups: Vec<Value> = client.groups.iter().map(|name| json!({"name": name})).collect();
    let realm = json!({
        "realm": realm,
        "enabled": true,
        "sslRequired": "external",
        "defaultSignatureAlgorithm": "RS256",
        "accessTokenLifespan": TOKEN_SECONDS,
        "accessCodeLifespan": CODE_SECONDS,
        "ssoSessionMaxLifespan": client.session_seconds,
        "groups": groups,
        "clients": [realm_client(client)],
    });
    Ok(format!("{realm:#}\n"))
}

fn realm_client(client: &Client) -> Value {
    json!({
        "clientId": client.client_id,
        "name": client.client_id,
        "enabled": true,
        "protocol": "openid-connect",
        "publicClient": client.is_public(),
        "clientAuthenticatorType": "client-secret",
        "baseUrl": client.site,
        "redirectUris": [client.redirect_uri()],
        "webOrigins": [],
        "standardFlowEnabled": true,
        "implicitFlowEnabled": false,
        "directAccessGrantsEnabled": false,
        "serviceAccountsEnabled": false,
        // Roles that nobody asked for have no business in its tokens.
        "fullScopeAllowed": false,
        "attributes": {
            "pkce.code.challenge.method": "S256",
            "id.token.signed.response.alg": "RS256",
        },
        "protocolMappers": [{
            "name": "groups",
            "protocol": "openid-connect",
            "protocolMapper": "oidc-group-membership-mapper",
            "config": {
                "claim.name": "groups",
                "full.path": "false",
                "id.token.claim": "true",
                "userinfo.token.claim": "true",
                "access.token.claim": "false",
            },
        }],
    })
}

/// The realm, which the issuer ends in.
fn realm_name(issuer: &str) -> Option<&str> {
    let (_, realm) = issuer.split_once("/realms/")?;
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (!realm.is_empty() && realm.bytes().all(is_allowed)).then_some(realm)
}
