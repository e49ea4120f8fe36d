//! A browser: keeps cookies, follows nothing by itself, and is asked about as nginx would.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use lamplighter::demo::provider::Params;

use super::{App, SITE};

/// Header lines of a request.
pub(crate) type Lines<'a> = &'a [(&'a str, &'a str)];

/// What a browser sends when a person opens a page.
pub(crate) const NAVIGATE: Lines<'static> = &[
    ("accept", "text/html"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "none"),
];

/// What a browser sends when the UI's own script asks.
pub(crate) const SCRIPT: Lines<'static> = &[
    ("accept", "application/json"),
    ("sec-fetch-dest", "empty"),
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-site", "same-origin"),
];

/// A browser. A clone goes on by itself, with the cookies of that moment.
#[derive(Clone)]
pub(crate) struct Browser {
    /// Cookies, by name, in the order in which they came.
    pub(crate) jar: Vec<(String, String)>,
    client: Client<HttpConnector, Full<Bytes>>,
    public: SocketAddr,
    authz: SocketAddr,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Browser {
    pub(crate) fn new(app: &App) -> Self {
        Self::at(app.public, app.authz)
    }

    pub(crate) fn at(public: SocketAddr, authz: SocketAddr) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { jar: Vec::new(), client, public, authz }
    }

    /// The same browser, where the site is served by `app` now.
    pub(crate) fn moved_to(&self, app: &App) -> Self {
        Self { jar: self.jar.clone(), ..Self::new(app) }
    }

    /// A person opens a page of lamplighter's.
    pub(crate) async fn open(&mut self, path: &str) -> Page {
        self.request(&Method::GET, path, NAVIGATE).await
    }

    /// Any request to the public listener.
    pub(crate) async fn request(&mut self, method: &Method, path: &str, lines: Lines<'_>) -> Page {
        let host = ("host", SITE.trim_start_matches("https://"));
        let lines = [&[host], lines].concat();
        let page = self.send(self.public, method, path, &lines).await;
        self.keep(&page);
        page
    }

    /// A person opens a page at another host.
    pub(crate) async fn request_at(&mut self, host: &str, path: &str) -> Page {
        self.send(self.public, &Method::GET, path, &[&[("host", host)], NAVIGATE].concat()).await
    }

    /// nginx asks about a page that this browser opens.
    pub(crate) async fn check(&self, path: &str) -> Page {
        self.ask(&Method::GET, path, NAVIGATE).await
    }

    /// nginx asks about a request of the UI's script in this browser.
    pub(crate) async fn check_script(&self, path: &str) -> Page {
        self.ask(&Method::GET, path, SCRIPT).await
    }

    /// nginx asks about any request of this browser.
    pub(crate) async fn ask(&self, method: &Method, path: &str, lines: Lines<'_>) -> Page {
        let url = format!("{SITE}{path}");
        let own = [("x-original-url", url.as_str()), ("x-original-method", method.as_str())];
        self.ask_raw(&[&own, lines].concat()).await
    }

    /// nginx asks with these header lines and no others, but for the cookies.
    pub(crate) async fn ask_raw(&self, lines: Lines<'_>) -> Page {
        self.send(self.authz, &Method::GET, "/authz/auth-request", lines).await
    }

    /// Traefik or Caddy asks about any request of this browser.
    pub(crate) async fn ask_forward_auth(&self, method: &Method, path: &str, lines: Lines<'_>) -> Page {
        let own = [
            ("x-forwarded-host", SITE.trim_start_matches("https://")),
            ("x-forwarded-method", method.as_str()),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-uri", path),
        ];
        self.send(self.authz, &Method::GET, "/authz/forward-auth", &[&own, lines].concat()).await
    }

    /// Envoy asks about any request of this browser.
    pub(crate) async fn ask_ext_authz(&self, method: &Method, path: &str, lines: Lines<'_>) -> Page {
        let own = [("host", SITE.trim_start_matches("https://")), ("x-forwarded-proto", "https")];
        self.send(self.authz, method, &format!("/authz/ext-authz{path}"), &[&own, lines].concat()).await
    }

    /// Somebody asks the authz listener anything.
    pub(crate) async fn ask_authz(&self, path: &str, lines: Lines<'_>) -> Page {
        self.send(self.authz, &Method::GET, path, lines).await
    }

    /// Signs in as `who`, and leaves at the answer to the callback.
    pub(crate) async fn sign_in(&mut self, who: &str) -> Page {
        let callback = self.callback_for("/lamplighter/login?rd=/c/main", who).await;
        self.open(&callback).await
    }

    /// Goes from `login` to the provider, picks `who`, and stops short of the callback, whose address it is.
    pub(crate) async fn callback_for(&mut self, login: &str, who: &str) -> String {
        let there = self.open(login).await.location();
        self.pick(&there, who).await
    }

    /// Picks `who` at the provider's address `there`; the address of the callback.
    pub(crate) async fn pick(&self, there: &str, who: &str) -> String {
        let picked = self.visit(&format!("{there}&user={who}")).await;
        path_at_site(&picked.location())
    }

    /// Opens a page elsewhere.
    pub(crate) async fn visit(&self, url: &str) -> Page {
        let request = Request::get(url).body(Full::default()).unwrap();
        self.exchange(request).await
    }

    /// The session cookie's value.
    pub(crate) fn session(&self) -> Option<&str> {
        self.cookie("__Host-lamplighter")
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.jar.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Replaces a cookie, whatever the site says.
    pub(crate) fn set_cookie(&mut self, name: &str, value: &str) {
        self.jar.retain(|(known, _)| known != name);
        self.jar.push((name.to_owned(), value.to_owned()));
    }

    /// The cookies of login attempts.
    pub(crate) fn attempts(&self) -> Vec<String> {
        let names = self.jar.iter().map(|(name, _)| name.clone());
        names.filter(|name| name.starts_with("__Host-lamplighter-attempt-")).collect()
    }

    async fn send(&self, to: SocketAddr, method: &Method, path: &str, lines: Lines<'_>) -> Page {
        let mut request = Request::new(Full::default());
        *request.method_mut() = method.clone();
        *request.uri_mut() = format!("http://{to}{path}").parse().unwrap();
        if !self.jar.is_empty() {
            let cookies: Vec<_> = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request.headers_mut().insert("cookie", HeaderValue::try_from(cookies.join("; ")).unwrap());
        }
        for (name, value) in lines {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            request.headers_mut().append(HeaderName::try_from(*name).unwrap(), value);
        }
        self.exchange(request).await
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Page {
        let (head, body) = self.client.request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Page { status: head.status, headers: head.headers, body: String::from_utf8_lossy(&body).into_owned() }
    }

    /// Cookies go and come by `Max-Age` alone; that time passes is the test's affair.
    fn keep(&mut self, page: &Page) {
        for line in page.set_cookies() {
            let cookie = cookie::Cookie::parse(line).unwrap();
            self.jar.retain(|(known, _)| known != cookie.name());
            if cookie.max_age() != Some(cookie::time::Duration::ZERO) {
                self.jar.push((cookie.name().to_owned(), cookie.value().to_owned()));
            }
        }
    }
}

impl Page {
    /// A header as text; empty where it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Where it leads.
    pub(crate) fn location(&self) -> String {
        self.header("location").to_owned()
    }

    /// Why it is a refusal, in one word.
    pub(crate) fn reason(&self) -> &str {
        self.header("x-lamplighter-reason")
    }

    /// Status and reason.
    pub(crate) fn refusal(&self) -> (u16, &str) {
        (self.status.as_u16(), self.reason())
    }

    pub(crate) fn set_cookies(&self) -> Vec<String> {
        let lines = self.headers.get_all("set-cookie").iter();
        lines.map(|line| line.to_str().unwrap().to_owned()).collect()
    }

    /// Whether it sets a session cookie, of either kind.
    pub(crate) fn sets_session(&self) -> bool {
        self.set_cookies().iter().any(|line| line.starts_with("__Host-lamplighter="))
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// The parameters of an address.
pub(crate) fn params(url: &str) -> Params {
    Params::parse(url.split_once('?').map_or("", |(_, query)| query).as_bytes())
}

/// The path and query of an address at the site.
pub(crate) fn path_at_site(url: &str) -> String {
    url.strip_prefix(SITE).unwrap_or_else(|| panic!("{url:?} is not at the site")).to_owned()
}

/// `callback` with edited parameters.
pub(crate) fn edited(callback: &str, edit: impl FnOnce(&mut Params)) -> String {
    let mut params = params(callback);
    edit(&mut params);
    format!("/lamplighter/callback?{}", params.encode())
}
