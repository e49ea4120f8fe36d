use http::HeaderName;
use http::HeaderValue;
use http::header::ORIGIN;
use proptest::prelude::*;

use super::*;
use crate::auth::{Effect, Kind, Provenance};
use crate::edge::Ui;

const X_ORIGINAL_URL: HeaderName = HeaderName::from_static("x-original-url");
const X_ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
const URL: (&str, &str) = ("x-original-url", "https://ui.example/c/main?a=b");
const GET: (&str, &str) = ("x-original-method", "GET");

fn site() -> Site {
    Site::new(&url::Url::parse("https://ui.example").unwrap()).unwrap()
}

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let line = |&(name, value): &(&str, &str)| {
        (HeaderName::try_from(name).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    lines.iter().map(line).collect()
}

/// What `dialect` makes of `headers`, of a question that is asked by POST at its path followed by `behind`.
fn read_at<'h>(
    (dialect, behind): (Dialect, &'h str),
    headers: &'h HeaderMap,
) -> Result<Request<'h>, Malformed> {
    Question { dialect, headers, method: "POST", target: behind }.read(&site(), Ui::Headlamp.traits())
}

fn read(headers: &HeaderMap) -> Result<Request<'_>, Malformed> {
    read_at((Dialect::AuthRequest, ""), headers)
}

fn of(lines: &[(&str, &str)]) -> Request<'static> {
    let headers = headers(&[&[URL, GET], lines].concat());
    Request { target: "", ..read(&headers).unwrap() }
}

#[test]
fn the_target_is_kept_to_the_byte() {
    for target in ["/", "/c/main?a=%2F&b=1", "/a/../b//c;d", "/%2e%2e/x", "/p#frag?x", "/ä"] {
        let url = format!("http://ui.example{target}");
        let headers = headers(&[("x-original-url", &url), GET]);
        assert_eq!(read(&headers).unwrap().target, target);
    }
}

/// Security reference: HH-6.
#[test]
fn what_makes_no_sense_is_malformed() {
    let url = |value| headers(&[("x-original-url", value), GET]);
    let long = format!("https://ui.example/{}", "a".repeat(MAX_URL));
    let failure = |headers: &HeaderMap| read(headers).map(|_| ());
    let absent = ["", "/c/main", "ui.example/", "ftp://ui.example/", "https://ui.example", &long];
    let within = ["https://ui.example/a b", "https://ui.example/a\tb", "https://ui.example/?a=b\t"];
    for value in absent.into_iter().chain(within) {
        assert_eq!(failure(&url(value)), Err(Malformed::Url("X-Original-URL")), "{value}");
    }
    assert_eq!(failure(&headers(&[GET])), Err(Malformed::Url("X-Original-URL")));
    assert_eq!(failure(&headers(&[URL, URL, GET])), Err(Malformed::Url("X-Original-URL")));
    assert_eq!(failure(&headers(&[URL])), Err(Malformed::Method("X-Original-Method")));
    assert_eq!(failure(&headers(&[URL, GET, GET])), Err(Malformed::Method("X-Original-Method")));
    for method in ["", "GE T", "GET,POST", "G\u{e4}T"] {
        assert_eq!(
            read(&headers(&[URL, ("x-original-method", method)])),
            Err(Malformed::Method("X-Original-Method"))
        );
    }
    let mut not_utf8 = headers(&[GET]);
    not_utf8.insert(X_ORIGINAL_URL, HeaderValue::from_bytes(b"https://ui.example/\xff").unwrap());
    assert_eq!(failure(&not_utf8), Err(Malformed::Url("X-Original-URL")));
}

/// Security reference: HH-1.
#[test]
fn what_the_client_says_of_itself_changes_nothing() {
    let forged = [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-uri", "/clusters/main/set-token"),
        ("x-forwarded-method", "POST"),
        ("x-forwarded-proto", "gopher"),
        ("forwarded", "host=evil.example"),
        ("x-original-uri", "/evil"),
        ("x-scheme", "http"),
        ("x-auth-request-redirect", "/evil"),
        ("authorization", "Bearer stolen"),
    ];
    assert_eq!(of(&forged), of(&[]));
}

#[test]
fn another_host_is_another_site() {
    let at = |url: &str| {
        let headers = headers(&[("x-original-url", url), GET]);
        read(&headers).unwrap().is_for_site
    };
    assert!(at("http://ui.example/") && at("https://UI.example:443/"));
    for url in ["http:///p", "https://evil.example/", "https://ui.example.evil/", "https://a@ui.example/"] {
        assert!(!at(url), "{url}");
    }
}

#[test]
fn who_reads_the_answer_is_told_by_fetch_metadata() {
    let table: [(&[(&str, &str)], Kind); 12] = [
        (&[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")], Kind::Navigation),
        (&[("sec-fetch-mode", "navigate")], Kind::Navigation),
        (&[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")], Kind::Subresource),
        (&[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")], Kind::Script),
        (&[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")], Kind::Subresource),
        (&[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "manifest")], Kind::Subresource),
        (&[("sec-fetch-mode", "cors"), ("accept", "text/html")], Kind::Script),
        (&[("accept", "text/html,*/*")], Kind::Navigation),
        (&[("accept", "text/html"), ("x-requested-with", "XMLHttpRequest")], Kind::Script),
        (&[("accept", "*/*")], Kind::Script),
        (&[], Kind::Script),
        (&[("sec-websocket-key", "k"), ("sec-fetch-mode", "websocket")], Kind::WebSocket),
    ];
    for (lines, kind) in table {
        assert_eq!(of(lines).kind, kind, "{lines:?}");
    }
}

#[test]
fn where_it_comes_from_is_told_by_fetch_metadata_and_origin() {
    let own = ("origin", "https://ui.example");
    let same = ("sec-fetch-site", "same-origin");
    let table: [(&[(&str, &str)], Provenance); 15] = [
        (&[], Provenance::Unknown),
        (&[same], Provenance::Own),
        (&[("sec-fetch-site", "none")], Provenance::Own),
        (&[own], Provenance::Own),
        (&[same, own], Provenance::Own),
        (&[("sec-fetch-site", "same-site")], Provenance::Foreign),
        (&[("sec-fetch-site", "cross-site")], Provenance::Foreign),
        (&[("sec-fetch-site", "cross-site"), own], Provenance::Foreign),
        (&[same, ("origin", "https://evil.example")], Provenance::Foreign),
        (&[("origin", "null")], Provenance::Foreign),
        (&[("origin", "null"), ("sec-fetch-site", "cross-site")], Provenance::Foreign),
        (&[("origin", "null"), same], Provenance::Own),
        (&[("origin", "http://ui.example")], Provenance::Foreign),
        (&[("origin", "https://ui.example:8443")], Provenance::Foreign),
        (&[same, same], Provenance::Foreign),
    ];
    for (lines, provenance) in table {
        assert_eq!(of(lines).provenance, provenance, "{lines:?}");
    }
}

#[test]
fn only_a_post_signs_out() {
    let with = |method| {
        let headers = headers(&[
            ("x-original-url", "https://ui.example/clusters/main/set-token?x=1"),
            ("x-original-method", method),
        ]);
        read(&headers).unwrap().effect == Effect::SignsOut
    };
    assert!(with("POST") && !with("GET") && !with("PUT"));
}

proptest! {
    #[test]
    fn no_header_panics(
        url in proptest::collection::vec(any::<u8>(), 0..80),
        method in proptest::collection::vec(any::<u8>(), 0..8),
        origin in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in [(X_ORIGINAL_URL, url), (X_ORIGINAL_METHOD, method), (ORIGIN, origin)] {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                headers.append(name, value);
            }
        }
        let _ = read(&headers);
    }

    #[test]
    fn only_the_sites_own_authority_is_the_site(authority in "[a-z.:@0-9]{0,20}") {
        let url = format!("https://{authority}/");
        let headers = headers(&[("x-original-url", &url), GET]);
        if let Ok(request) = read(&headers) {
            prop_assert_eq!(request.is_for_site, authority == "ui.example" || authority == "ui.example:443");
        }
    }
}

const FORWARD: (Dialect, &str) = (Dialect::ForwardAuth, "/authz/forward-auth?theirs=1");
const FORWARDED: [(&str, &str); 3] =
    [("x-forwarded-method", "GET"), ("x-forwarded-host", "ui.example"), ("x-forwarded-uri", "/c/main?a=b")];

/// `FORWARDED`, with another line in the place of the one of that name.
fn forwarded(name: &str, value: &str) -> HeaderMap {
    let mut headers = headers(&FORWARDED);
    headers.insert(HeaderName::try_from(name).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    headers
}

#[test]
fn traefik_and_caddy_say_method_host_and_uri() {
    let headers = headers(&FORWARDED);
    let request = read_at(FORWARD, &headers).unwrap();
    assert_eq!((request.target, request.effect, request.is_for_site), ("/c/main?a=b", Effect::Reads, true));

    let post = forwarded("x-forwarded-method", "POST");
    assert_eq!(read_at(FORWARD, &post).unwrap().effect, Effect::Changes);
    let mut out = post.clone();
    out.insert("x-forwarded-uri", HeaderValue::from_static("/clusters/main/set-token"));
    assert_eq!(read_at(FORWARD, &out).unwrap().effect, Effect::SignsOut);
}

#[test]
fn what_traefik_and_caddy_do_not_say_is_malformed() {
    type Said = (&'static str, Malformed, &'static [&'static str]);
    let table: [Said; 3] = [
        (
            "x-forwarded-method",
            Malformed::Method("X-Forwarded-Method"),
            &["", "GE T", "GET, POST", "G\u{e4}T"],
        ),
        (
            "x-forwarded-uri",
            Malformed::Path("X-Forwarded-Uri"),
            &["", "c/main", "https://ui.example/", "/a b", "/\t"],
        ),
        ("x-forwarded-host", Malformed::Host("X-Forwarded-Host"), &[]),
    ];
    for (name, error, values) in table {
        for value in values {
            assert_eq!(read_at(FORWARD, &forwarded(name, value)), Err(error), "{name}: {value}");
        }
        let mut absent = headers(&FORWARDED);
        absent.remove(name);
        assert_eq!(read_at(FORWARD, &absent), Err(error), "no {name}");
        let mut twice = headers(&FORWARDED);
        twice.append(HeaderName::from_static(name), twice[name].clone());
        assert_eq!(read_at(FORWARD, &twice), Err(error), "{name} twice");
    }
    let long = format!("/{}", "a".repeat(MAX_URL));
    assert_eq!(
        read_at(FORWARD, &forwarded("x-forwarded-uri", &long)),
        Err(Malformed::Path("X-Forwarded-Uri"))
    );
}

#[test]
fn traefik_says_websocket_by_its_key_or_by_the_scheme() {
    for (name, value, kind) in [
        ("x-forwarded-proto", "wss", Kind::WebSocket),
        ("x-forwarded-proto", "ws", Kind::WebSocket),
        ("x-forwarded-proto", "https", Kind::Script),
        ("sec-websocket-key", "k", Kind::WebSocket),
    ] {
        assert_eq!(read_at(FORWARD, &forwarded(name, value)).unwrap().kind, kind, "{name}: {value}");
    }
    assert_eq!(of(&[("x-forwarded-proto", "wss")]).kind, Kind::Script, "at nginx it is the client's word");
}

const ENVOYS: (Dialect, &str) = (Dialect::ExtAuthz, "/authz/ext-authz/clusters/main/set-token?a=b");

#[test]
fn envoy_says_it_by_the_request_itself() {
    let headers = headers(&[("host", "ui.example")]);
    let request = read_at(ENVOYS, &headers).unwrap();
    assert_eq!(
        (request.target, request.effect, request.is_for_site),
        ("/clusters/main/set-token?a=b", Effect::SignsOut, true)
    );
    for target in ["/", "//x", "/../../x", "/%2e%2e/authz/ext-authz/", "/authz/ext-authz/x", "/a?b?c", "/;a"]
    {
        let asked = format!("/authz/ext-authz{target}");
        assert_eq!(read_at((Dialect::ExtAuthz, &asked), &headers).unwrap().target, target);
    }
}

#[test]
fn two_hosts_are_no_host_of_ours() {
    let is_for_site = |hosts: &[(&str, &str)]| {
        let headers = headers(hosts);
        read_at(ENVOYS, &headers).map(|request| request.is_for_site)
    };
    assert_eq!(is_for_site(&[("host", "ui.example")]), Ok(true));
    assert_eq!(is_for_site(&[("host", "ui.example,evil.example")]), Ok(false), "so Envoy joins them");
    assert_eq!(is_for_site(&[("host", "evil.example")]), Ok(false));
    assert_eq!(is_for_site(&[("host", ""), ("host", "ui.example")]), Err(Malformed::Host("Host")));
    assert_eq!(is_for_site(&[]), Err(Malformed::Host("Host")));
}

/// Security reference: HH-2, HH-3. A header that one ingress sets is a header that another lets the client set.
#[test]
fn a_dialect_reads_no_header_of_another() {
    let theirs = [
        ("host", "evil.example"),
        ("x-original-url", "https://evil.example/clusters/main/set-token"),
        ("x-original-method", "DELETE"),
        ("x-original-uri", "/evil"),
        ("forwarded", "host=evil.example"),
        ("x-forwarded-port", "1"),
        ("x-forwarded-prefix", "/evil"),
        ("x-forwarded-server", "evil.example"),
        ("x-rewrite-url", "/evil"),
        ("path", "/evil"),
        ("method", "DELETE"),
    ];
    let told = headers(&FORWARDED);
    let forged = headers(&[&FORWARDED[..], &theirs].concat());
    assert_eq!(read_at(FORWARD, &forged), read_at(FORWARD, &told));

    let own = ("host", "ui.example");
    let forwarded = [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-uri", "/evil"),
        ("x-forwarded-method", "DELETE"),
        ("x-forwarded-proto", "wss"),
        ("x-envoy-original-path", "/evil"),
        ("x-http-method-override", "DELETE"),
    ];
    let told = headers(&[own]);
    let forged = headers(&[&[own], &theirs[1..], &forwarded].concat());
    assert_eq!(read_at(ENVOYS, &forged), read_at(ENVOYS, &told));
}

proptest! {
    #[test]
    fn no_word_of_an_ingress_panics(
        dialect in prop::sample::select(&Dialect::ALL[..]),
        behind in "[ -~]{0,40}",
        lines in prop::collection::vec((0..7_usize, prop::collection::vec(any::<u8>(), 0..40)), 0..9),
    ) {
        const NAMES: [&str; 7] = [
            "x-forwarded-method", "x-forwarded-host", "x-forwarded-uri", "x-forwarded-proto", "host", "origin", "accept",
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                headers.append(NAMES[name], value);
            }
        }
        let _ = read_at((dialect, &behind), &headers);
    }

    #[test]
    fn a_uri_that_is_read_is_kept_to_the_byte(uri in "/[!-~]{0,60}") {
        let headers = forwarded("x-forwarded-uri", &uri);
        prop_assert_eq!(read_at(FORWARD, &headers).unwrap().target, &uri);
        let asked = format!("/authz/ext-authz{uri}");
        let host = self::headers(&[("host", "ui.example")]);
        prop_assert_eq!(read_at((Dialect::ExtAuthz, &asked), &host).unwrap().target, &uri);
    }

    #[test]
    fn only_the_sites_own_host_is_the_site(host in "[a-z.:@0-9,]{0,20}") {
        let headers = forwarded("x-forwarded-host", &host);
        let is_own = host == "ui.example" || host == "ui.example:443";
        prop_assert_eq!(read_at(FORWARD, &headers).unwrap().is_for_site, is_own);
    }
}
