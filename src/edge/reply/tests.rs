use super::*;
use crate::auth::{Effect, Provenance, SessionId};

fn site() -> Site {
    Site::new(&url::Url::parse("https://ui.example").unwrap()).unwrap()
}

fn request(kind: Kind) -> Request<'static> {
    Request {
        kind,
        provenance: Provenance::Own,
        effect: Effect::Reads,
        is_for_site: true,
        has_foreign_credentials: false,
        target: "/c/main?a=b&c=d",
    }
}

fn session() -> Session<'static> {
    Session {
        id: SessionId([0; 16]),
        subject: "s".into(),
        name: "Ada Lövelace".into(),
        email: "".into(),
        groups: "k8s-admins,staff".into(),
        role: "admin".into(),
        role_fingerprint: 0,
        provider_session: "".into(),
        auth_time: 0,
        issued_at: 0,
        expires_at: 0,
        bounces: crate::auth::session::Bounces::default(),
    }
}

fn answer(outcome: Outcome, kind: Kind) -> Response<Bytes> {
    answer_in(Dialect::AuthRequest, outcome, kind)
}

fn answer_in(dialect: Dialect, outcome: Outcome, kind: Kind) -> Response<Bytes> {
    super::answer(dialect, outcome, &request(kind), &site())
}

fn pass() -> Response<Bytes> {
    pass_in(Dialect::AuthRequest)
}

fn pass_in(dialect: Dialect) -> Response<Bytes> {
    let managed = Managed::new(&session(), Some(HeaderValue::from_static("Bearer t")));
    let cookie = HeaderValue::from_static("a=b");
    answer_in(dialect, Outcome::Pass { managed: Arc::new(managed), cookie }, Kind::Script)
}

fn transcript(response: &Response<Bytes>) -> String {
    let mut lines: Vec<String> = response
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    lines.sort();
    format!("{}\n{}", response.status(), lines.join("\n"))
}

const MANAGED: [HeaderName; 6] =
    [AUTHORIZATION, COOKIE, X_FORWARDED_USER, X_FORWARDED_EMAIL, X_FORWARDED_GROUP, X_FORWARDED_ID_TOKEN];

#[test]
fn a_request_that_passes_gets_every_managed_header() {
    insta::assert_snapshot!(transcript(&pass()), @r"
    200 OK
    authorization: Bearer t
    cache-control: no-store
    cookie: a=b
    x-forwarded-email: 
    x-forwarded-group: k8s-admins,staff
    x-forwarded-id-token: 
    x-forwarded-user: Ada L%C3%B6velace
    ");
}

#[test]
fn a_navigation_is_led_to_login() {
    insta::assert_snapshot!(transcript(&answer(Outcome::SignIn("no-session"), Kind::Navigation)), @r"
    401 Unauthorized
    cache-control: no-store
    location: https://ui.example/lamplighter/login?rd=/c/main%3Fa%3Db%26c%3Dd
    x-lamplighter-reason: no-session
    ");
}

#[test]
fn a_script_is_told_to_reload() {
    insta::assert_snapshot!(transcript(&answer(Outcome::SignIn("no-session"), Kind::Script)), @r"
    401 Unauthorized
    cache-control: no-store
    content-type: application/json
    location: https://ui.example/lamplighter/login?rd=/c/main%3Fa%3Db%26c%3Dd
    x-lamplighter-reason: no-session
    x-reload: reload
    ");
}

type Row = (fn() -> Outcome, [u16; 4]);

#[test]
fn the_status_says_who_reads_it() {
    use Kind::{Navigation, Script, Subresource, WebSocket};
    let cookie = HeaderValue::from_static("c=d");
    let table: [Row; 3] = [
        (|| Outcome::SignIn("no-session"), [401, 401, 401, 401]),
        (|| Outcome::Refused("cross-site"), [401, 403, 403, 403]),
        (|| Outcome::PeerFailed("mint-failed"), [401, 502, 502, 502]),
    ];
    for (outcome, statuses) in table {
        for (kind, status) in [Navigation, Script, Subresource, WebSocket].into_iter().zip(statuses) {
            let response = answer(outcome(), kind);
            assert_eq!(response.status(), status, "{:?} {kind:?}", outcome());
            assert!(MANAGED.iter().all(|name| !response.headers().contains_key(name)));
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
            assert!(response.headers().contains_key(X_LAMPLIGHTER_REASON));
            assert_eq!(response.headers().contains_key(LOCATION), status == 401);
        }
    }
    assert_eq!(answer(Outcome::SignedOut(cookie), Script).headers()[SET_COOKIE], "c=d");
    assert!(!pass().headers().contains_key(SET_COOKIE));
}

#[test]
fn an_answer_fits_into_nginxs_buffer() {
    let token = HeaderValue::try_from(format!("Bearer {}", "t".repeat(1_500))).unwrap();
    let long = Session { name: "ö".repeat(127).into(), groups: "g".repeat(512).into(), ..session() };
    let managed = Managed::new(&long, Some(token));
    let cookie = HeaderValue::try_from("c".repeat(managed.room_for_cookie())).unwrap();
    let response = answer(Outcome::Pass { managed: Arc::new(managed), cookie }, Kind::Script);
    let size: usize = response.headers().iter().map(|(n, v)| n.as_str().len() + v.len() + 4).sum();
    assert!(size < 4_000, "{size}");
    let far = Request { target: &format!("/{}", "%".repeat(2_000)), ..request(Kind::Navigation) };
    let response = auth_request(Outcome::SignIn("no-session"), &far, &site());
    assert_eq!(response.headers()[LOCATION], "https://ui.example/lamplighter/login?rd=/");
}

#[test]
fn header_text_never_breaks_a_line() {
    for (text, value) in
        [("a b", "a b"), ("a\r\nb", "a%0D%0Ab"), ("100%", "100%25"), ("", ""), ("ß", "%C3%9F")]
    {
        assert_eq!(header_text(text), value);
    }
}

/// Who passes everything on, and turns nothing into a way to login.
const RELAYED: [Dialect; 2] = [Dialect::ForwardAuth, Dialect::ExtAuthz];

#[test]
fn whoever_asks_is_told_the_same_of_who_may_pass() {
    for dialect in RELAYED {
        assert_eq!(transcript(&pass_in(dialect)), transcript(&pass()), "{dialect:?}");
        assert!(pass_in(dialect).body().is_empty());
    }
}

#[test]
fn where_the_browser_reads_the_answer_a_navigation_is_sent_to_login_at_once() {
    for dialect in RELAYED {
        let response = answer_in(dialect, Outcome::SignIn("no-session"), Kind::Navigation);
        assert_eq!(
            transcript(&response),
            "302 Found\ncache-control: no-store\n\
             location: https://ui.example/lamplighter/login?rd=/c/main%3Fa%3Db%26c%3Dd\n\
             x-lamplighter-reason: no-session"
        );
    }
}

#[test]
fn where_the_browser_reads_the_answer_a_script_is_told_to_reload() {
    for dialect in RELAYED {
        let response = answer_in(dialect, Outcome::SignIn("no-session"), Kind::Script);
        assert_eq!(
            transcript(&response),
            "401 Unauthorized\ncache-control: no-store\ncontent-type: application/json\n\
             x-lamplighter-reason: no-session\nx-reload: reload"
        );
        let out = answer_in(dialect, Outcome::SignedOut(HeaderValue::from_static("c=d")), Kind::Script);
        assert_eq!(
            (out.status().as_u16(), &out.headers()[SET_COOKIE]),
            (401, &HeaderValue::from_static("c=d"))
        );
        assert_eq!(out.headers()[X_RELOAD], "reload");
    }
}

#[test]
fn where_the_browser_reads_the_answer_the_status_says_who_reads_it() {
    use Kind::{Navigation, Script, Subresource, WebSocket};
    let table: [Row; 3] = [
        (|| Outcome::SignIn("no-session"), [302, 401, 401, 401]),
        (|| Outcome::Refused("cross-site"), [302, 403, 403, 403]),
        (|| Outcome::PeerFailed("mint-failed"), [302, 502, 502, 502]),
    ];
    for (outcome, statuses) in table {
        for (kind, status) in [Navigation, Script, Subresource, WebSocket].into_iter().zip(statuses) {
            for dialect in RELAYED {
                let response = answer_in(dialect, outcome(), kind);
                let headers = response.headers();
                assert_eq!(response.status(), status, "{:?} {kind:?}", outcome());
                assert!(MANAGED.iter().all(|name| !headers.contains_key(name)));
                assert_eq!(headers[CACHE_CONTROL], "no-store");
                assert!(headers.contains_key(X_LAMPLIGHTER_REASON));
                assert_eq!(headers.contains_key(LOCATION), status == 302);
                assert_eq!(headers.contains_key(X_RELOAD), status == 401 && kind == Script);
            }
        }
    }
}

#[test]
fn nobody_waits_for_a_tunnel_through_the_authz_listener() {
    for dialect in Dialect::ALL {
        for outcome in [Outcome::SignIn("no-session"), Outcome::Refused("cross-site")] {
            assert_eq!(answer_in(dialect, outcome, Kind::WebSocket).headers()[CONNECTION], "close");
        }
        assert!(!pass_in(dialect).headers().contains_key(CONNECTION));
    }
}
