//! The token endpoint.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::keys::at_hash;
use super::reply::Answer;
use super::state::{Login, State};
use super::{Client, Faults, Params, Seen};

pub(super) fn token(state: &State, seen: &Seen) -> Answer {
    match redeem(state, seen) {
        Ok(login) => {
            let faults = state.faults_of(&login);
            let answer = Answer::json(200, &tokens(state, login, &faults));
            faults.token.applied(answer.with("cache-control", "no-store"))
        }
        Err(refusal) => state.faults().token.applied(refusal.answer()),
    }
}

/// Why no token is given, in the words of RFC 6749 5.2.
struct Refusal(&'static str, &'static str);

impl Refusal {
    fn answer(&self) -> Answer {
        let status = if self.0 == "invalid_client" { 401 } else { 400 };
        let answer = Answer::json(status, &json!({"error": self.0, "error_description": self.1}));
        if status == 401 { answer.with("www-authenticate", "Basic realm=\"token\"") } else { answer }
    }
}

fn redeem(state: &State, seen: &Seen) -> Result<Login, Refusal> {
    let form = seen.form();
    let client = authenticate(state, seen, &form)?;
    let login = match form.get("grant_type") {
        Some("authorization_code") => redeem_code(state, &form),
        Some("refresh_token") => redeem_refresh(state, &form),
        _ => Err(Refusal("unsupported_grant_type", "neither a code nor a refresh token")),
    }?;
    if login.client_id != client.id {
        return Err(Refusal("invalid_grant", "it was given to another client"));
    }
    Ok(login)
}

fn redeem_code(state: &State, form: &Params) -> Result<Login, Refusal> {
    let code = form.get("code").ok_or(Refusal("invalid_request", "no code"))?;
    let login = state.lock().take_code(code, state.now());
    let login = login.ok_or(Refusal("invalid_grant", "the code is unknown, used or expired"))?;
    if form.get("redirect_uri") != Some(&login.redirect_uri) {
        return Err(Refusal("invalid_grant", "another redirect_uri than at the start"));
    }
    let verifier = form.get("code_verifier").unwrap_or_default();
    if challenge(verifier) != login.challenge {
        return Err(Refusal("invalid_grant", "the code_verifier does not fit"));
    }
    Ok(login)
}

fn redeem_refresh(state: &State, form: &Params) -> Result<Login, Refusal> {
    let token = form.get("refresh_token").ok_or(Refusal("invalid_request", "no refresh_token"))?;
    let login = state.lock().take_refresh(token);
    // An ID token from a refresh should have no nonce (OpenID Connect Core 12.2).
    let login = login.map(|login| Login { nonce: None, ..login });
    login.ok_or(Refusal("invalid_grant", "the refresh token is unknown or used, or the person is disabled"))
}

fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}

fn authenticate<'s>(state: &'s State, seen: &Seen, form: &Params) -> Result<&'s Client, Refusal> {
    let basic = seen.header("authorization").map(read_basic);
    let (id, secret) = match (basic, form.get("client_secret")) {
        (Some(_), Some(_)) => return Err(Refusal("invalid_request", "two ways to authenticate at once")),
        (Some(None), None) => return Err(Refusal("invalid_client", "the Authorization is not Basic")),
        (Some(Some((id, secret))), None) => (id, Some(secret)),
        (None, secret) => (form.get("client_id").unwrap_or_default().to_owned(), secret.map(str::to_owned)),
    };
    let client = state.client(&id).ok_or(Refusal("invalid_client", "unknown client"))?;
    if client.secret != secret {
        return Err(Refusal("invalid_client", "wrong secret"));
    }
    Ok(client)
}

/// RFC 6749 2.3.1: each half is form-encoded before the two are joined.
fn read_basic(header: &str) -> Option<(String, String)> {
    let pair = String::from_utf8(STANDARD.decode(header.strip_prefix("Basic ")?).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    Some((form_decode(id)?, form_decode(secret)?))
}

fn form_decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    Some(percent_decode_str(&spaced).decode_utf8().ok()?.into_owned())
}

fn tokens(state: &State, login: Login, faults: &Faults) -> Value {
    let now = state.now();
    let (access, refresh) = (state.fresh_id(), state.fresh_id());
    let mut claims = id_token_claims(state, &login);
    claims["at_hash"] = json!(at_hash(&access, faults.signing.algorithm()));
    faults.claims.apply(&mut claims);
    let mut shared = state.lock();
    let id_token = shared.keys.sign(&claims, faults, state.secret(&login.client_id));
    let scope = login.scope.clone();
    let expires_at = now + state.settings.token_seconds;
    shared.keep_tokens(access.clone(), refresh.clone(), Login { expires_at, ..login }, now);
    json!({
        "access_token": access,
        "token_type": "Bearer",
        "expires_in": state.settings.token_seconds,
        "refresh_token": refresh,
        "scope": scope,
        "id_token": id_token,
    })
}

fn id_token_claims(state: &State, login: &Login) -> Value {
    let now = state.now();
    let mut claims = login.user.claims();
    claims["iss"] = json!(state.issuer);
    claims["aud"] = json!(login.client_id);
    claims["exp"] = json!(now + state.settings.token_seconds);
    claims["iat"] = json!(now);
    claims["auth_time"] = json!(login.auth_time);
    claims["sid"] = json!(login.sid);
    if let Some(nonce) = &login.nonce {
        claims["nonce"] = json!(nonce);
    }
    claims
}
