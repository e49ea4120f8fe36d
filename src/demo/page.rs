//! The look of the demo's pages, and the headers that they travel with.

use askama::Template;
use aws_lc_rs::digest::{SHA256, digest};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, StatusCode};

/// The one style sheet, which each page carries inside.
pub(super) const STYLE: &str = include_str!("style.css");

/// Why rendering is not expected to fail.
pub(super) const RENDERS: &str = "the templates write to memory and call nothing that fails";

/// The headers of every page.
///
/// Without `form-action`: Chromium applies it to the redirects that follow a submission, and
/// signing out leads to other origins. And not with the referrer policy `no-referrer`: under
/// it browsers submit a form with `Origin: null`, which the gateway rightly refuses.
pub(super) fn headers() -> [(&'static str, String); 5] {
    let style = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src data:; base-uri 'none'; frame-ancestors 'none'"
    );
    [
        ("content-security-policy", policy),
        ("cache-control", "no-store".to_owned()),
        ("referrer-policy", "same-origin".to_owned()),
        ("x-content-type-options", "nosniff".to_owned()),
        ("x-frame-options", "DENY".to_owned()),
    ]
}

/// `html` with the headers of a page.
pub(super) fn response(status: StatusCode, html: String) -> Response {
    let mut response = (status, Html(html)).into_response();
    for (name, value) in headers() {
        let value = HeaderValue::try_from(value).expect("the headers of a page are visible ASCII");
        response.headers_mut().insert(name, value);
    }
    response
}

/// A page that says one thing.
pub(super) fn message(title: &str, text: &str) -> String {
    Message { style: STYLE, title, text }.render().expect(RENDERS)
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<link rel="icon" href="data:,">
<style>{{ style|safe }}</style>
</head>
<body>
<main class="narrow">
<h1>{{ title }}</h1>
<p>{{ text }}</p>
</main>
</body>
</html>
"#
)]
struct Message<'a> {
    style: &'a str,
    title: &'a str,
    text: &'a str,
}
