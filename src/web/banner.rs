//! The banner on the UI's pages, for whoever came in by the fallback.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap};
use http_body_util::{BodyExt as _, Limited};

/// Largest page that gets a banner, in bytes.
const MAX_PAGE: usize = 4 * 1024 * 1024;

/// Puts the banner on an answer that is a page; any other is returned as it is.
pub(super) async fn put_up(response: Response, role: &str) -> Response {
    if !is_plain_page(response.headers()) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let page = match Limited::new(body, MAX_PAGE).collect().await {
        Ok(page) => page.to_bytes(),
        Err(error) => {
            tracing::warn!(%error, "a page for the fallback broke off");
            return super::answer::not_a_page(
                crate::auth::Kind::Subresource,
                http::StatusCode::BAD_GATEWAY,
                "upstream-broke-off",
            );
        }
    };
    let page = with_banner(&page, role);
    head.headers.remove(ETAG);
    head.headers.insert(CONTENT_LENGTH, page.len().into());
    Response::from_parts(head, Body::from(page))
}

fn is_plain_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    kind.to_ascii_lowercase().starts_with("text/html") && !headers.contains_key(CONTENT_ENCODING)
}

/// Behind `<body …>`, or in front of everything where there is none.
fn with_banner(page: &Bytes, role: &str) -> Bytes {
    let lower = page.to_ascii_lowercase();
    let body = memchr::memmem::find(&lower, b"<body").unwrap_or(0);
    let at = memchr::memchr(b'>', &lower[body..]).filter(|_| lower[body..].starts_with(b"<body"));
    let at = at.map_or(0, |at| body + at + 1);
    let banner = format!(
        "<div role=\"status\" style=\"position:fixed;bottom:0;left:0;right:0;z-index:2147483647;padding:.5rem 1rem;\
         background:#f3b94b;color:#2a2013;font:600 14px/1.4 system-ui,sans-serif;text-align:center\">\
         lamplighter's fallback: you are here by a one-time code, with the role {role}. \
         <form method=\"post\" action=\"/lamplighter/logout\" style=\"display:inline\">\
         <button style=\"font:inherit;color:inherit;background:none;border:0;text-decoration:underline;cursor:pointer\">\
         Leave</button></form></div>"
    );
    Bytes::from([&page[..at], banner.as_bytes(), &page[at..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> String {
        String::from_utf8(with_banner(&Bytes::copy_from_slice(text.as_bytes()), "viewer").to_vec()).unwrap()
    }

    #[test]
    fn the_banner_is_the_first_thing_on_the_page() {
        let page = page("<!doctype html><html><BODY class=\"a\"><p>UI</p></BODY></html>");
        assert!(page.starts_with("<!doctype html><html><BODY class=\"a\"><div role=\"status\""), "{page}");
        assert!(
            page.ends_with("</div><p>UI</p></BODY></html>") && page.contains("with the role viewer"),
            "{page}"
        );
    }

    #[test]
    fn a_page_without_a_body_tag_has_it_in_front() {
        assert!(page("<p>UI").starts_with("<div role=\"status\""));
        assert!(page("<p>UI").ends_with("</div><p>UI"));
        assert!(page("").starts_with("<div"));
    }
}
