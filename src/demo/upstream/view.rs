//! What the page shows.

use askama::Template;
use axum::extract::Request;
use http::uri::PathAndQuery;
use jiff::Timestamp;
use serde_json::Value;

use super::{NAMESPACES, bearer, fields};
use crate::demo::{jwt, page};

/// Characters of a token that are shown: those of its header, which are no secret.
const SHOWN: usize = 16;

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Demo upstream</title>
<link rel="icon" href="data:,">
<style>{{ style|safe }}</style>
</head>
<body>
<main>
<header class="bar">
<p class="brand"><span class="mark" aria-hidden="true">UI</span> Demo upstream</p>
<nav>
<a class="button" href="/lamplighter/whoami">Who am I?</a>
<form method="post" action="/lamplighter/logout"><button class="button">Sign out</button></form>
</nav>
</header>
<h1>{% if user.is_empty() %}Hello, stranger{% else %}Hello, {{ user }}{% endif %}</h1>
<p>This page stands where Headlamp would. It shows what reached it for
<code>{{ request }}</code>.</p>

<section>
<h2>Who you are</h2>
<dl>
{%- for (name, value) in person %}
<div><dt>{{ name }}</dt><dd>{% if value.is_empty() %}—{% else %}{{ value }}{% endif %}</dd></div>
{%- endfor %}
</dl>
</section>

<section>
<h2>The token</h2>
{%- if let Some(token) = token %}
<dl>
<div><dt>Acts as</dt><dd><code>{{ token.subject }}</code></dd></div>
<div><dt>Issued</dt><dd>{{ token.issued }}</dd></div>
<div><dt>Expires</dt><dd>{{ token.expires }}</dd></div>
<div><dt>Left</dt><dd>{{ token.left }} <meter min="0" max="{{ token.lifetime }}" value="{{ token.remaining }}">{{ token.remaining }} s</meter></dd></div>
</dl>
<details open><summary>Header and claims</summary>
<pre><code>{{ token.header }}</code></pre>
<pre><code>{{ token.claims }}</code></pre>
</details>
{%- else %}
<p>None came: there was no <code>Authorization: Bearer</code> with a JWT.</p>
{%- endif %}
</section>
{%- if let Some(answer) = namespaces %}

<section>
<h2>The API server</h2>
{%- match answer %}
{%- when Ok(names) %}
<p>It accepts the token and lists <a href="{{ link }}">its namespaces</a>:</p>
<p>{% for name in names %}<span class="chip">{{ name }}</span> {% endfor %}</p>
{%- when Err(refusal) %}
<p class="bad">It refuses: {{ refusal }}</p>
{%- endmatch %}
</section>
{%- endif %}

<section>
<h2>Headers received</h2>
<p class="quiet">Of tokens only the first characters are printed.</p>
<table>
{%- for (name, value) in headers %}
<tr><th scope="row">{{ name }}</th><td>{{ value }}</td></tr>
{%- endfor %}
</table>
</section>
</main>
</body>
</html>
"#
)]
pub(super) struct View {
    style: &'static str,
    link: &'static str,
    request: String,
    user: String,
    person: [(&'static str, String); 3],
    token: Option<Token>,
    namespaces: Option<Result<Vec<String>, String>>,
    headers: Vec<(String, String)>,
}

struct Token {
    subject: String,
    issued: String,
    expires: String,
    left: String,
    lifetime: i64,
    remaining: i64,
    header: String,
    claims: String,
}

impl View {
    pub(super) fn new(
        request: &Request,
        now: Timestamp,
        namespaces: Option<Result<Vec<String>, String>>,
    ) -> Self {
        let value = |name| super::joined(request.headers(), name);
        let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
        let mut headers = fields(request.headers());
        for (_, value) in &mut headers {
            *value = shorten(value);
        }
        Self {
            style: page::STYLE,
            link: NAMESPACES,
            request: format!("{} {path}", request.method()),
            user: value("x-forwarded-user"),
            person: [
                ("User", value("x-forwarded-user")),
                ("E-mail", value("x-forwarded-email")),
                ("Groups", value("x-forwarded-group")),
            ],
            token: bearer(request.headers()).and_then(|token| Token::read(&token, now)),
            namespaces,
            headers,
        }
    }

    pub(super) fn html(&self) -> String {
        self.render().expect(page::RENDERS)
    }
}

impl Token {
    fn read(token: &str, now: Timestamp) -> Option<Self> {
        let (header, claims) = (jwt::part(token, 0)?, jwt::part(token, 1)?);
        let seconds = |claim: &str| claims[claim].as_i64().unwrap_or_default();
        let remaining = (seconds("exp") - now.as_second()).max(0);
        Some(Self {
            subject: claims["sub"].as_str().unwrap_or_default().to_owned(),
            issued: time(seconds("iat")),
            expires: time(seconds("exp")),
            left: format!("{} min {:02} s", remaining / 60, remaining % 60),
            lifetime: (seconds("exp") - seconds("iat")).max(1),
            remaining,
            header: pretty(&header),
            claims: pretty(&claims),
        })
    }
}

/// Cuts every JWT in `value` after its first characters.
fn shorten(value: &str) -> String {
    let words = value.split(' ').map(|word| {
        let secret = jwt::part(word.rsplit(['=', ',']).next().unwrap_or(word), 0).is_some();
        if secret {
            format!("{}… ({} characters)", &word[..SHOWN.min(word.len())], word.len())
        } else {
            word.to_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn time(seconds: i64) -> String {
    let time = Timestamp::from_second(seconds).unwrap_or_default();
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn pretty(json: &Value) -> String {
    serde_json::to_string_pretty(json).unwrap_or_default()
}
