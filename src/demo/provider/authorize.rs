//! The authorization endpoint, and the page on which a person picks who they are.

use askama::Template;
use url::Url;

use super::reply::Answer;
use super::state::{Login, State};
use super::{Client, Faults, Params, Seen, User};
use crate::demo::page;

/// Seconds until a code is worthless.
const CODE_SECONDS: i64 = 60;

pub(super) fn authorize(state: &State, seen: &Seen) -> Answer {
    let query = seen.query();
    let Some(client) = state.client(query.get("client_id").unwrap_or_default()) else {
        return refusal("The application that sent you here is unknown: its client_id is not registered.");
    };
    let Some(back) = redirect_uri(client, &query) else {
        return refusal(
            "The application that sent you here wants you sent to an address that is not registered.",
        );
    };
    match decide(state, &query) {
        Next::Ask => ask(state, client, seen),
        Next::Refuse(error) => {
            let faults = state.lock().next_login.take();
            send_back(state, back, &query, ("error", error), faults)
        }
        Next::SignIn(user) => {
            let faults = state.lock().next_login.take();
            let code = sign_in(state, user.clone(), &query, faults.clone());
            send_back(state, back, &query, ("code", &code), faults)
        }
    }
}

enum Next<'s> {
    Ask,
    Refuse(&'static str),
    SignIn(&'s User),
}

fn decide<'s>(state: &'s State, query: &Params) -> Next<'s> {
    let scopes: Vec<_> = query.get("scope").unwrap_or_default().split(' ').collect();
    if query.get("response_type") != Some("code") {
        Next::Refuse("unsupported_response_type")
    } else if !scopes.contains(&"openid") {
        Next::Refuse("invalid_scope")
    } else if query.get("code_challenge_method") != Some("S256") || query.get("code_challenge").is_none() {
        Next::Refuse("invalid_request")
    } else if query.get("cancel").is_some() {
        Next::Refuse("access_denied")
    } else if let Some(user) = query.get("user").and_then(|login| state.user(login)) {
        Next::SignIn(user)
    } else if query.get("prompt") == Some("none") {
        Next::Refuse("login_required")
    } else {
        Next::Ask
    }
}

fn redirect_uri(client: &Client, query: &Params) -> Option<Url> {
    let uri = query.get("redirect_uri")?;
    is_listed(&client.redirect_uris, uri).then(|| Url::parse(uri).ok())?
}

/// Whether `uri` is in `list`, to the letter. An empty list allows all.
pub(super) fn is_listed(list: &[String], uri: &str) -> bool {
    list.is_empty() || list.iter().any(|listed| listed == uri)
}

fn sign_in(state: &State, user: User, query: &Params, faults: Option<Faults>) -> String {
    let text = |name| query.get(name).unwrap_or_default().to_owned();
    let (code, now) = (state.fresh_id(), state.now());
    let sid = state.fresh_id();
    let login = Login {
        client_id: text("client_id"),
        redirect_uri: text("redirect_uri"),
        challenge: text("code_challenge"),
        nonce: query.get("nonce").map(str::to_owned),
        scope: text("scope"),
        user,
        sid,
        auth_time: now,
        expires_at: now + CODE_SECONDS,
        faults,
    };
    state.lock().keep_code(code.clone(), login, now);
    code
}

fn send_back(
    state: &State,
    mut back: Url,
    query: &Params,
    outcome: (&str, &str),
    faults: Option<Faults>,
) -> Answer {
    let mut params = Params::default();
    params.append(outcome.0, outcome.1);
    if let Some(given) = query.get("state") {
        params.append("state", given);
    }
    params.append("iss", &state.issuer);
    faults.unwrap_or_else(|| state.faults()).callback.apply(&mut params);
    let encoded = params.encode();
    let whole = back.query().map_or(encoded.clone(), |own| format!("{own}&{encoded}"));
    back.set_query(Some(&whole));
    Answer::redirect(back.as_str()).with("cache-control", "no-store")
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in · demo identity provider</title>
<link rel="icon" href="data:,">
<style>{{ style|safe }}</style>
</head>
<body>
<main class="narrow">
<header>
<p class="brand"><span class="mark" aria-hidden="true">ID</span> Demo identity provider</p>
<h1>Who are you today?</h1>
<p><strong>{{ client }}</strong> wants to know. There are no passwords here: pick a person.</p>
</header>
<ul class="people">
{%- for user in users %}
<li><a class="person" href="?{{ query }}&amp;user={{ user.login|urlencode }}">
<span class="avatar" aria-hidden="true">{{ user.name.chars().next().unwrap_or('?') }}</span>
<span class="who"><strong>{{ user.name }}</strong> <span class="quiet">{{ user.email }}</span></span>
<span class="groups">
{%- for group in user.groups %}<span class="chip">{{ group }}</span>{% else %}<span class="quiet">in no group</span>{% endfor -%}
</span>
</a></li>
{%- endfor %}
</ul>
<p><a class="plain" href="?{{ query }}&amp;cancel=1">Cancel and go back</a></p>
</main>
</body>
</html>
"#
)]
struct Picker<'a> {
    style: &'a str,
    client: &'a str,
    query: &'a str,
    users: &'a [User],
}

fn ask(state: &State, client: &Client, seen: &Seen) -> Answer {
    let picker = Picker {
        style: page::STYLE,
        client: &client.id,
        query: seen.uri.query().unwrap_or_default(),
        users: &state.settings.users,
    };
    html(200, picker.render().expect(page::RENDERS))
}

fn refusal(why: &str) -> Answer {
    html(400, page::message("This sign-in cannot go on", why))
}

/// A page of the provider's.
pub(super) fn html(status: u16, body: String) -> Answer {
    let answer = Answer::new(status, "text/html; charset=utf-8", body);
    page::headers().into_iter().fold(answer, |answer, (name, value)| answer.with(name, &value))
}
