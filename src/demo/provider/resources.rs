//! What the provider publishes, and what it knows of a person.

use serde_json::json;

use super::Seen;
use super::reply::Answer;
use super::state::State;

pub(super) fn discovery(state: &State) -> Answer {
    let body = json!({
        "issuer": state.issuer,
        "authorization_endpoint": state.endpoint("/authorize"),
        "token_endpoint": state.endpoint("/token"),
        "userinfo_endpoint": state.endpoint("/userinfo"),
        "jwks_uri": state.endpoint("/jwks"),
        "end_session_endpoint": state.endpoint("/end-session"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "PS256", "ES256", "ES384", "EdDSA"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["openid", "profile", "email", "groups", "offline_access"],
        "claims_supported": ["sub", "name", "preferred_username", "email", "email_verified", "groups"],
        "authorization_response_iss_parameter_supported": true,
    });
    state.faults().discovery.applied(Answer::json(200, &body))
}

pub(super) fn jwks(state: &State) -> Answer {
    let body = state.lock().keys.jwks();
    state.faults().jwks.applied(Answer::json(200, &body))
}

pub(super) fn userinfo(state: &State, seen: &Seen) -> Answer {
    let token = seen.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let login = token.and_then(|token| state.lock().login_with_access(token, state.now()));
    let Some(login) = login else {
        let challenge = r#"Bearer error="invalid_token""#;
        let refusal = Answer::json(401, &json!({"error": "invalid_token"}));
        return refusal.with("www-authenticate", challenge);
    };
    let faults = state.faults_of(&login);
    let mut claims = login.user.claims();
    let answer = match &faults.userinfo_jwt {
        None => Answer::json(200, &claims),
        Some(edit) => {
            claims["iss"] = json!(state.issuer);
            claims["aud"] = json!(login.client_id);
            edit.apply(&mut claims);
            let secret = state.secret(&login.client_id);
            Answer::new(200, "application/jwt", state.lock().keys.sign(&claims, &faults, secret))
        }
    };
    faults.userinfo.applied(answer)
}
