//! The check's promise: nothing is allocated before there is an answer to build.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Request};
use lamplighter::app::Bound;
use lamplighter::auth::seal::MAX_SESSION;
use lamplighter::auth::session::Bounces;
use lamplighter::auth::{Decision, Session, SessionId};
use lamplighter::clock::{Clock, Stopwatch};
use lamplighter::demo::house::House;
use lamplighter::edge::Question;
use lamplighter::k8s::AtHand;
use lamplighter::web::Gateway;

/// A browser's request for a page of the UI, with a session and four cookies of others.
fn question(gateway: &Gateway) -> Request<()> {
    let role = gateway.policy.roles().next().expect("the demo has roles");
    let now = gateway.clock.now();
    let session = Session {
        id: SessionId([7; 16]),
        subject: "ada-id".into(),
        name: "Ada Lovelace".into(),
        email: "ada@example.com".into(),
        groups: "k8s-admins".into(),
        role: role.name.clone().into(),
        role_fingerprint: role.fingerprint(),
        provider_session: "".into(),
        auth_time: 0,
        issued_at: now.as_second(),
        expires_at: now.as_second() + 3_600,
        bounces: Bounces::default(),
    };
    let set_cookie = gateway.sessions.signed_in(session, now);
    let sealed = set_cookie.to_str().expect("plain ASCII").split(';').next().expect("a pair").to_owned();
    let lines = [
        ("x-original-url", format!("{}/clusters/main/api/v1/pods?limit=500", gateway.site.origin())),
        ("x-original-method", "GET".to_owned()),
        ("cookie", format!("theme=dark; lang=en; {sealed}; _ga=GA1.1.1; session_hint=1")),
        ("sec-fetch-site", "same-origin".to_owned()),
        ("sec-fetch-mode", "cors".to_owned()),
        ("sec-fetch-dest", "empty".to_owned()),
        ("accept", "application/json".to_owned()),
    ];
    let line = |(name, value): (&'static str, String)| {
        (HeaderName::from_static(name), HeaderValue::try_from(value).expect("a header value"))
    };
    let mut request = Request::new(());
    *request.uri_mut() = http::Uri::from_static("/authz/auth-request");
    *request.headers_mut() = lines.into_iter().map(line).collect();
    request
}

/// Opens, decides, counts, times, finds the token: everything before the answer.
fn check(gateway: &Arc<Gateway>, asked: &Request<()>) -> Option<HeaderValue> {
    let watch = Stopwatch::start();
    let question = Question::of(asked)?;
    let request = question.read(&gateway.site, gateway.ui.traits()).ok()?;
    let mut buffer = [0; MAX_SESSION];
    let now = gateway.clock.now();
    let Decision::Allow(grant) = gateway.decide(question.headers, &request, &mut buffer, now) else {
        return None;
    };
    gateway.metrics.auth_request.pass(watch.elapsed());
    gateway.metrics.auth_request.stop("cross-site", watch.elapsed());
    match gateway.tokens.at_hand(&grant, now) {
        AtHand::Token(token) => Some(token),
        AtHand::NotNeeded | AtHand::Missing => None,
    }
}

async fn mint(gateway: &Arc<Gateway>, asked: &Request<()>) {
    let question = Question::of(asked).expect("a dialect");
    let request = question.read(&gateway.site, gateway.ui.traits()).expect("a good question");
    let mut buffer = [0; MAX_SESSION];
    let now = gateway.clock.now();
    let Decision::Allow(grant) = gateway.decide(question.headers, &request, &mut buffer, now) else {
        panic!("the session is good")
    };
    gateway.tokens.obtain(&grant, now).await.expect("the demo's API server mints");
}

#[tokio::test]
async fn a_check_allocates_nothing_before_its_answer() {
    let House { bound, api_server, .. } = House::build(0, Clock::system()).await.expect("the demo starts");
    let gateway = Arc::clone(Bound::gateway(&bound));
    let asked = question(&gateway);
    mint(&gateway, &asked).await;
    assert!(check(&gateway, &asked).is_some(), "the first look warms what is lazy");

    let mut found = None;
    let counted = allocation_counter::measure(|| found = check(&gateway, &asked));

    assert!(found.is_some());
    assert_eq!(counted.count_total, 0, "{counted:?}");
    drop(api_server);
}
