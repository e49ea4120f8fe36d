//! RP-initiated logout, and the tokens of back-channel logout.

use serde_json::{Value, json};
use url::Url;

use super::authorize::{html, is_listed};
use super::reply::Answer;
use super::state::State;
use super::{Params, Seen};
use crate::demo::{jwt, page};

pub(super) fn end_session(state: &State, seen: &Seen) -> Answer {
    let params = if seen.method == http::Method::POST { seen.form() } else { seen.query() };
    let hint = params.get("id_token_hint").and_then(|token| jwt::part(token, 1)).unwrap_or_default();
    if let Some(sid) = hint["sid"].as_str() {
        state.lock().end_session(sid);
    }
    let answer = match back_to(state, &params, &hint) {
        Some(url) => Answer::redirect(url.as_str()),
        None => html(200, page::message("You are signed out", "You can close this page.")),
    };
    state.faults().end_session.applied(answer)
}

fn back_to(state: &State, params: &Params, hint: &Value) -> Option<Url> {
    let client = state.client(params.get("client_id").or(hint["aud"].as_str())?)?;
    let uri = params.get("post_logout_redirect_uri")?;
    let mut url = Url::parse(uri).ok().filter(|_| is_listed(&client.post_logout_redirect_uris, uri))?;
    if let Some(given) = params.get("state") {
        url.query_pairs_mut().append_pair("state", given);
    }
    Some(url)
}

/// The claims of a logout token for one session of a person.
pub(super) fn logout_claims(state: &State, client_id: &str, subject: &str, sid: &str) -> Value {
    let now = state.now();
    json!({
        "iss": state.issuer,
        "aud": client_id,
        "sub": subject,
        "sid": sid,
        "iat": now,
        "exp": now + 120,
        "jti": state.fresh_id(),
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    })
}
