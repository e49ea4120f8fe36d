//! Proxy mode: what Headlamp gets, path by path. Whoever asks brings credentials of their own: none of them arrives.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use common::upstream::{Arrived, Upstream};
use common::wire::{HANDSHAKE, Wire};
use common::{App, Browser, NAVIGATE, SCRIPT, SITE, Setup};

use Ask::{Foreign, ForeignSocket, Page, Script, Socket};
use Gets::{Bare, Bearer, Led, Nameless, Nothing, Ours, Refused};

/// Who asks, and for what.
#[derive(Clone, Copy, Debug)]
enum Ask {
    /// A person opens it.
    Page(&'static str),
    /// The UI's script asks with this method.
    Script(&'static str, &'static str),
    /// The UI's script opens a WebSocket.
    Socket(&'static str),
    /// Another site's page sends a form.
    Foreign(&'static str),
    /// Another site's page opens a WebSocket.
    ForeignSocket(&'static str),
}

/// What becomes of it.
#[derive(Clone, Copy, Debug)]
enum Gets {
    /// It arrives with `Authorization: Bearer` and the token.
    Bearer,
    /// It arrives with the token alone as `Authorization`.
    Bare,
    /// It arrives without any credential, and without a word of who asks.
    Nameless,
    /// It arrives without any credential.
    Nothing,
    /// It does not arrive, and is answered with 200.
    Ours,
    /// It does not arrive, and leads elsewhere on the site.
    Led(&'static str),
    /// It does not arrive, and this is the status and the reason.
    Refused(u16, &'static str),
}

const CROSS_SITE: Gets = Refused(403, "cross-site");
const NOT_SERVED: Gets = Refused(404, "not-served");

/// Who asks, as the upstream is told.
const NAMES: [&str; 3] = ["x-forwarded-user", "x-forwarded-email", "x-forwarded-group"];

const SIGN_OUT: &str = "POST /clusters/*/set-token";

/// Rows by the paths that they are about.
const TABLE: &[(&str, &[(Ask, Gets)])] = &[
    (
        SIGN_OUT,
        &[
            (Script("POST", "/clusters/main/set-token"), Ours),
            (Script("POST", "/clusters/other/set-token"), Ours),
            (Script("POST", "/clusters/main/%73et-token"), Ours),
            (Foreign("/clusters/main/set-token"), CROSS_SITE),
        ],
    ),
    (
        "GET /c/*/token, /c/*/login",
        &[
            (Page("/c/main/token"), Led("/c/main/")),
            (Page("/c/main/login"), Led("/c/main/")),
            (Page("/c/other/login?cluster=x"), Led("/c/other/")),
        ],
    ),
    ("GET /clusters/<configured>/me", &[(Script("GET", "/clusters/main/me"), Ours)]),
    (
        "/clusters/<configured>/**",
        &[
            (Script("GET", "/clusters/main/api/v1/pods?watch=1"), Bearer),
            (Script("POST", "/clusters/main/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"), Bearer),
            (Script("PUT", "/clusters/main/api/v1/namespaces/a/pods/b"), Bearer),
            (Script("PATCH", "/clusters/main/api/v1/namespaces/a/pods/b"), Bearer),
            (Script("DELETE", "/clusters/main/api/v1/namespaces/a/pods/b"), Bearer),
            (Script("GET", "/clusters/main/helm/releases/list"), Bearer),
            (Script("GET", "/clusters/%6dain/api/v1/pods"), Bearer),
            (Script("GET", "/clusters/main"), Bearer),
            (Script("GET", "/clusters/main/serviceproxy/a/b?request=%2F"), Bearer),
            (Socket("/clusters/main/api/v1/pods?watch=1"), Bearer),
            (Socket("/clusters/main/api/v1/namespaces/a/pods/b/exec?command=sh"), Bearer),
            (Foreign("/clusters/main/api/v1/pods"), CROSS_SITE),
            (ForeignSocket("/clusters/main/api/v1/namespaces/a/pods/b/exec?command=sh"), CROSS_SITE),
        ],
    ),
    (
        "/clusters/<configured>/portforward*",
        &[
            (Script("POST", "/clusters/main/portforward"), NOT_SERVED),
            (Script("GET", "/clusters/main/portforward?id=1"), NOT_SERVED),
            (Script("DELETE", "/clusters/main/portforward"), NOT_SERVED),
            (Script("GET", "/clusters/main/portforward/list"), NOT_SERVED),
            (Script("GET", "/clusters/main//port%66orward/"), NOT_SERVED),
            (Socket("/clusters/main/portforward"), NOT_SERVED),
        ],
    ),
    (
        "/clusters/<other>/**",
        &[
            (Script("GET", "/clusters/other/api/v1/pods"), Nothing),
            (Script("DELETE", "/clusters/other/api/v1/namespaces/a"), Nothing),
            (Script("GET", "/clusters/main/../other/api"), Nothing),
            (Script("GET", "/clusters/main%2F..%2Fother/api"), Nothing),
            (Script("GET", "/clusters/MAIN/api"), Nothing),
            (Script("GET", "/clusters/mainx/api"), Nothing),
            (Script("POST", "/clusters/other/portforward"), Nothing),
            (Socket("/clusters/other/api/v1/pods?watch=1"), Nothing),
            (ForeignSocket("/clusters/other/api/v1/pods?watch=1"), CROSS_SITE),
        ],
    ),
    (
        "POST /drain-node",
        &[
            (Script("POST", "/drain-node"), Bare),
            (Script("POST", "/drain%2Dnode/"), Bare),
            (Script("GET", "/drain-node"), Nothing),
            (Socket("/drain-node"), Nothing),
            (Script("GET", "/drain-node-status?cluster=main"), Nothing),
            (Foreign("/drain-node"), CROSS_SITE),
            (ForeignSocket("/drain-node"), CROSS_SITE),
        ],
    ),
    (
        "/wsMultiplexer",
        &[
            (Socket("/wsMultiplexer"), Nothing),
            (Script("GET", "/wsMultiplexer"), Nothing),
            (ForeignSocket("/wsMultiplexer"), CROSS_SITE),
        ],
    ),
    (
        "/externalproxy",
        &[
            (Script("GET", "/externalproxy"), Nameless),
            (Script("POST", "/externalproxy?x=/clusters/main/api"), Nameless),
            (Foreign("/externalproxy"), CROSS_SITE),
        ],
    ),
    (
        "everything else",
        &[
            (Page("/"), Nothing),
            (Page("/c/main/pods?namespace=a"), Nothing),
            (Script("GET", "/config"), Nothing),
            (Script("GET", "/plugins/a/main.js"), Nothing),
            (Script("GET", "/static-plugins/a/main.js"), Nothing),
            (Script("POST", "/parseKubeConfig"), Nothing),
            (Script("GET", "/oidc?cluster=main"), Nothing),
            (Script("GET", "/metrics"), Nothing),
            (Script("GET", "/x/clusters/main/api"), Nothing),
            (Script("GET", "/c/main/token"), Nothing),
            (Script("GET", "/lamplighterx"), Nothing),
            (Script("GET", "/LAMPLIGHTER/login"), Nothing),
            (Socket("/anything"), Nothing),
            (ForeignSocket("/anything"), CROSS_SITE),
        ],
    ),
];

/// What a client plants in each of its requests.
const PLANTED: &[(&str, &str)] = &[
    ("authorization", "Bearer planted"),
    ("impersonate-user", "planted"),
    ("kubeconfig", "planted"),
    ("x-forwarded-id-token", "planted"),
    ("x-forwarded-user", "planted"),
    ("x-headlamp-backend-token", "planted"),
    ("x-headlamp-user-id", "planted"),
    ("x-headlamp_backend-token", "planted"),
];

struct House {
    app: App,
    upstream: Upstream,
    base: &'static str,
}

/// An answer: its status, its reason, and where it leads.
type Answer = (u16, String, String);

impl House {
    async fn at(base: &'static str) -> Self {
        let upstream = Upstream::start().await;
        let setup = Setup::default().in_front_of(&upstream).settings(move |settings| {
            base.clone_into(&mut settings.upstream.as_mut().unwrap().base);
        });
        Self { app: setup.start().await, upstream, base }
    }

    /// Asks with the cookies of `browser`; the answer, and what arrived.
    async fn ask(&self, browser: &mut Browser, ask: Ask) -> (Answer, Option<Arrived>) {
        let before = self.upstream.count();
        let form = [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
        let answer = match ask {
            Page(path) => self.send(browser, ("GET", path), NAVIGATE).await,
            Script(method, path) => self.send(browser, (method, path), SCRIPT).await,
            Foreign(path) => self.send(browser, ("POST", path), &form).await,
            Socket(path) => self.open(browser, path, SITE).await,
            ForeignSocket(path) => self.open(browser, path, "https://evil.example").await,
        };
        (answer, (self.upstream.count() > before).then(|| self.upstream.last()))
    }

    async fn send(
        &self,
        browser: &mut Browser,
        (method, path): (&str, &str),
        lines: &[(&str, &str)],
    ) -> Answer {
        browser.set_cookie("headlamp-auth-main.0", "planted");
        let target = format!("{}{path}", self.base);
        let page = browser.request(&method.parse().unwrap(), &target, &[lines, PLANTED].concat()).await;
        (page.status.as_u16(), page.reason().to_owned(), page.location())
    }

    async fn open(&self, browser: &Browser, path: &str, origin: &str) -> Answer {
        let mut wire = Wire::open(&self.app, browser).await;
        let cookie = [("cookie", "headlamp-auth-main.0=planted")];
        let planted = PLANTED.iter().chain(&cookie).map(|(name, value)| format!("{name}: {value}\r\n"));
        let lines = HANDSHAKE.replace(SITE, origin) + &planted.collect::<Vec<_>>().concat();
        wire.ask(&format!("GET {}{path}", self.base), &lines, "").await;
        let answer = wire.answer_to("GET").await;
        let text = |name| answer.head.value(name).to_owned();
        (answer.status, text("x-lamplighter-reason"), text("location"))
    }

    /// What arrived is what `gets` says.
    fn compare(&self, gets: Gets, answer: &Answer, arrived: Option<Arrived>) -> Result<(), String> {
        let authorization = arrived.as_ref().map(|arrived| arrived.head.value("authorization").to_owned());
        let token = authorization.as_deref().map(|value| match gets {
            Bearer => value.strip_prefix("Bearer ").unwrap_or(""),
            _ => value,
        });
        let led = |to| format!("{SITE}{}{to}", self.base);
        let is_upstreams = matches!(answer.0, 200 | 101);
        let is_so = match (gets, token) {
            (Bearer | Bare, Some(token)) if is_upstreams => {
                let claims = self.app.api_server.verify(token);
                let subject = "system:serviceaccount:headlamp:admin";
                claims.is_some_and(|claims| claims["sub"] == subject)
            }
            (Nothing | Nameless, Some(token)) => is_upstreams && token.is_empty(),
            (Ours, None) => answer.0 == 200,
            (Led(to), None) => (answer.0, &answer.2) == (303, &led(to)),
            (Refused(status, reason), None) => (answer.0, answer.1.as_str()) == (status, reason),
            _ => false,
        };
        let bad = arrived.filter(|arrived| {
            let lines = &arrived.head.lines;
            lines.iter().any(|(_, value)| value.contains("planted"))
                || !arrived.head.values("cookie").is_empty()
                || NAMES.iter().any(|name| arrived.head.values(name).is_empty() != matches!(gets, Nameless))
        });
        if is_so && bad.is_none() {
            return Ok(());
        }
        Err(format!("is to get {gets:?}, got {answer:?}, with the authorization {authorization:?}; {bad:?}"))
    }
}

/// Every request of the table, with its row.
fn asks() -> impl Iterator<Item = (&'static str, Ask, Gets)> {
    TABLE.iter().flat_map(|(row, asks)| asks.iter().map(move |&(ask, gets)| (*row, ask, gets)))
}

async fn holds_at(base: &'static str) {
    let house = House::at(base).await;
    let mut wrong = Vec::new();
    for (row, ask, gets) in asks() {
        let mut browser = house.app.signed_in("ada").await;
        let (answer, arrived) = house.ask(&mut browser, ask).await;
        let found = house.compare(gets, &answer, arrived);
        wrong.extend(found.err().map(|what| format!("{row}: {ask:?} {what}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn each_path_gets_what_it_needs_and_no_more() {
    holds_at("").await;
}

#[tokio::test]
async fn each_path_gets_the_same_below_a_base_path() {
    holds_at("/headlamp").await;
}

#[tokio::test]
async fn without_a_session_no_path_is_reached() {
    let house = House::at("").await;
    for (row, ask, _) in asks() {
        let (answer, arrived) = house.ask(&mut house.app.browser(), ask).await;
        assert!(arrived.is_none(), "{row}: {ask:?} arrived");
        let refused = (answer.0, answer.1.as_str());
        match ask {
            Page(_) => {
                let login = answer.2.starts_with(&format!("{SITE}/lamplighter/login?rd=/"));
                assert!(answer.0 == 303 && login, "{row}: {ask:?} {answer:?}");
            }
            // Who is signed out already may say so once more.
            Script(..) if row == SIGN_OUT => assert_eq!(answer.0, 200, "{row}: {ask:?}"),
            Script(..) | Socket(_) => assert_eq!(refused, (401, "no-session"), "{row}: {ask:?}"),
            Foreign(_) | ForeignSocket(_) => assert_eq!(refused, (403, "cross-site"), "{row}: {ask:?}"),
        }
    }
}

/// Headlamp takes 403, 500 and 503 for a reason to ask for a token.
#[tokio::test]
async fn without_a_token_no_path_that_needs_one_is_reached() {
    let house = House::at("").await;
    house.app.api_server.delete_account("headlamp", "admin");
    for (row, ask, gets) in asks().filter(|(_, _, gets)| matches!(gets, Bearer | Bare)) {
        let mut browser = house.app.signed_in("ada").await;
        let (answer, arrived) = house.ask(&mut browser, ask).await;
        assert!(arrived.is_none() && answer.0 == 502, "{row}: {ask:?} is to get {gets:?}, got {answer:?}");
    }
}

#[tokio::test]
async fn where_no_token_is_needed_none_is_minted() {
    let house = House::at("").await;
    let mut browser = house.app.signed_in("ada").await;
    for (_, ask, _) in asks().filter(|(_, _, gets)| !matches!(gets, Bearer | Bare | Ours)) {
        house.ask(&mut browser, ask).await;
    }
    assert_eq!(house.app.api_server.token_requests(), 0);
}
