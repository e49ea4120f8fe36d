//! A person at a browser, as far as HTTP goes: keeps cookies, follows redirects, says what Fetch Metadata says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use cookie::Cookie;
use http::header::{COOKIE, HOST, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

use crate::rig::Rig;
use crate::wait;

/// Redirects that a browser bears.
const MAX_REDIRECTS: usize = 12;

/// A browser of its own.
#[derive(Debug)]
pub(crate) struct Visitor {
    client: reqwest::Client,
    pub(crate) site: Url,
    /// Where the site really is, if not where its name leads: for a lamplighter without an ingress.
    direct: Option<Url>,
    jar: BTreeMap<(String, String), String>,
    /// Headers that go with every request to the site.
    pub(crate) always: Vec<(&'static str, String)>,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    method: Method,
    target: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

/// An answer, and the statuses on the way to it.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) url: Url,
    pub(crate) trail: Vec<u16>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Ask {
    fn new(method: Method, target: &str, headers: &[(&'static str, &str)]) -> Self {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { method, target: target.to_owned(), headers, body: String::new() }
    }

    /// A person opens a page.
    pub(crate) fn page(target: &str) -> Self {
        Self::new(
            Method::GET,
            target,
            &[
                ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
                ("sec-fetch-dest", "document"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-site", "none"),
                ("upgrade-insecure-requests", "1"),
            ],
        )
    }

    /// The page's own script asks.
    pub(crate) fn script(method: Method, target: &str) -> Self {
        Self::new(
            method,
            target,
            &[
                ("accept", "*/*"),
                ("sec-fetch-dest", "empty"),
                ("sec-fetch-mode", "cors"),
                ("sec-fetch-site", "same-origin"),
            ],
        )
    }

    /// The page shows a picture.
    pub(crate) fn image(target: &str) -> Self {
        Self::new(
            Method::GET,
            target,
            &[
                ("accept", "image/*"),
                ("sec-fetch-dest", "image"),
                ("sec-fetch-mode", "no-cors"),
                ("sec-fetch-site", "same-origin"),
            ],
        )
    }

    /// A script of `origin` opens a WebSocket.
    pub(crate) fn socket(target: &str, origin: &str) -> Self {
        Self::new(
            Method::GET,
            target,
            &[
                ("connection", "Upgrade"),
                ("origin", origin),
                ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
                ("sec-websocket-version", "13"),
                ("upgrade", "websocket"),
            ],
        )
    }

    /// A person sends a form.
    pub(crate) fn form(target: &str, fields: &[(&str, &str)]) -> Self {
        let mut ask = Self::page(target).with("sec-fetch-site", "same-origin");
        ask.method = Method::POST;
        ask.headers.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
        ask.body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        ask
    }

    /// The same, with another header. What stands there under that name already goes.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The same, with JSON to send.
    pub(crate) fn json(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self.with("content-type", "application/json")
    }

    fn redirected(mut self, target: &Url) -> Self {
        if self.method != Method::HEAD {
            self.method = Method::GET;
        }
        self.body.clear();
        self.headers.retain(|(name, _)| *name != "content-type" && *name != "origin");
        target.as_str().clone_into(&mut self.target);
        self
    }
}

impl Visitor {
    /// A browser that nobody used yet, for `site`.
    pub(crate) fn new(rig: &Rig, site: &str) -> Self {
        let site = Url::parse(site).expect("a site is a URL");
        let ca = std::fs::read(&rig.ca).expect("the rig's CA can be read");
        let node = SocketAddr::from((rig.node_address, 0));
        let client = reqwest::Client::builder()
            .no_proxy()
            // An ingress that reloads closes idle connections, and only a browser would try again.
            .pool_max_idle_per_host(0)
            .redirect(reqwest::redirect::Policy::none())
            // Not for a whole answer: a watch may last.
            .read_timeout(Duration::from_secs(30))
            .tls_certs_only(reqwest::Certificate::from_pem_bundle(&ca).expect("the rig's CA is PEM"))
            .resolve(site.host_str().expect("a site has a host"), node)
            .resolve("auth.rig.test", node);
        let client = client.build().expect("a client can be made");
        Self { client, site, direct: None, jar: BTreeMap::new(), always: Vec::new() }
    }

    /// The same, for a site that is not where its name leads.
    pub(crate) fn directly_at(mut self, address: &str) -> Self {
        self.direct = Some(Url::parse(address).expect("an address is a URL"));
        self
    }

    /// The value of a cookie of the site.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        let host = self.site.host_str()?.to_owned();
        self.jar.get(&(host, name.to_owned())).map(String::as_str)
    }

    /// Keeps a cookie of the site.
    pub(crate) fn keep(&mut self, name: &str, value: &str) {
        let host = self.site.host_str().expect("a site has a host").to_owned();
        self.jar.insert((host, name.to_owned()), value.to_owned());
    }

    /// The `Cookie` header for the site.
    pub(crate) fn cookies(&self) -> String {
        self.cookies_for(self.site.host_str().unwrap_or_default())
    }

    /// Sends one request and takes what comes.
    pub(crate) async fn send(&mut self, ask: &Ask) -> reqwest::Response {
        let url = self.site.join(&ask.target).expect("a target is part of a URL");
        let mut headers = HeaderMap::new();
        let is_site = url.origin() == self.site.origin();
        for (name, value) in ask.headers.iter().chain(self.always.iter().filter(|_| is_site)) {
            let value = HeaderValue::from_str(value).expect("a header's value");
            headers.append(HeaderName::from_bytes(name.as_bytes()).expect("a header's name"), value);
        }
        if is_site && ask.method != Method::GET && !headers.contains_key("origin") {
            let origin = self.site.origin().ascii_serialization();
            headers.insert("origin", HeaderValue::try_from(origin).expect("an origin is ASCII"));
        }
        let cookies = self.cookies_for(url.host_str().unwrap_or_default());
        if !cookies.is_empty() {
            headers.append(COOKIE, HeaderValue::try_from(cookies).expect("cookies are ASCII"));
        }
        let address = self.address_of(&url, &mut headers);
        let request = self.client.request(ask.method.clone(), address).headers(headers);
        let response = request.body(ask.body.clone()).send().await.expect("an answer");
        self.keep_cookies(url.host_str().unwrap_or_default(), response.headers());
        response
    }

    /// Sends a request and does not follow.
    pub(crate) async fn ask(&mut self, ask: Ask) -> Page {
        let url = self.site.join(&ask.target).expect("a target is part of a URL");
        Page::read(url, Vec::new(), self.send(&ask).await).await
    }

    /// Reads what is at `target`, as the UI's script, and again where a peer had no time for it: on a busy machine the API
    /// server takes longer than lamplighter waits.
    pub(crate) async fn read(&mut self, target: &str) -> Page {
        wait::until_async("the UI's script is answered", async || {
            let page = self.ask(Ask::script(Method::GET, target)).await;
            if page.status() < 500 { Ok(page) } else { Err(format!("{} {}", page.status(), page.body)) }
        })
        .await
    }

    /// Sends a request and follows, to the end.
    pub(crate) async fn follow(&mut self, ask: Ask) -> Page {
        let mut page = self.ask(ask.clone()).await;
        let mut ask = ask;
        while let Some(location) = page.location() {
            assert!(page.trail.len() < MAX_REDIRECTS, "in circles: {:?} to {location}", page.trail);
            ask = ask.redirected(&location);
            let trail = std::mem::take(&mut page.trail);
            page = Page::read(location, trail, self.send(&ask).await).await;
        }
        page
    }

    /// Opens `target` and signs in as `login` at the provider, whatever it asks.
    pub(crate) async fn sign_in(&mut self, target: &str, login: &str) -> Page {
        let page = self.follow(Ask::page(target)).await;
        self.finish_sign_in(page, login).await
    }

    /// Signs in as `login` at the provider's page.
    pub(crate) async fn finish_sign_in(&mut self, mut page: Page, login: &str) -> Page {
        while page.url.host_str() == Some("auth.rig.test") {
            let fields: &[(&str, &str)] = if page.body.contains("name=\"login\"") {
                &[("login", login), ("password", "any")]
            } else if page.body.contains("name=\"consent\"") {
                &[("consent", "yes")]
            } else {
                panic!("the provider shows no form: {:?} {}", page.trail, page.body)
            };
            page = self.follow(Ask::form(page.url.as_str(), fields)).await;
        }
        page
    }

    fn address_of(&self, url: &Url, headers: &mut HeaderMap) -> Url {
        let Some(direct) = self.direct.as_ref().filter(|_| url.origin() == self.site.origin()) else {
            return url.clone();
        };
        let authority = self.site.authority();
        headers.insert(HOST, HeaderValue::from_str(authority).expect("an authority is ASCII"));
        let target = &url[url::Position::BeforePath..];
        direct.join(target).expect("a target is part of a URL")
    }

    fn cookies_for(&self, host: &str) -> String {
        let of_host = self.jar.iter().filter(|((known, _), _)| known == host);
        let pairs: Vec<String> = of_host.map(|((_, name), value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    fn keep_cookies(&mut self, host: &str, headers: &HeaderMap) {
        for line in headers.get_all(SET_COOKIE) {
            let line = line.to_str().expect("cookies are ASCII").to_owned();
            let cookie = Cookie::parse(line).expect("a cookie can be read");
            let key = (host.to_owned(), cookie.name().to_owned());
            let is_past = cookie.expires_datetime().is_some_and(|at| at.unix_timestamp() == 0);
            if is_past || cookie.max_age() == Some(cookie::time::Duration::ZERO) {
                self.jar.remove(&key);
            } else {
                self.jar.insert(key, cookie.value().to_owned());
            }
        }
    }
}

impl Page {
    async fn read(url: Url, mut trail: Vec<u16>, response: reqwest::Response) -> Self {
        trail.push(response.status().as_u16());
        let headers = response.headers().clone();
        let body =
            if response.status() == 101 { String::new() } else { response.text().await.expect("a body") };
        Self { url, trail, headers, body }
    }

    /// The last status.
    pub(crate) fn status(&self) -> u16 {
        self.trail.last().copied().unwrap_or_default()
    }

    /// A header, empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    /// Why lamplighter refused, in its one word.
    pub(crate) fn reason(&self) -> &str {
        self.header("x-lamplighter-reason")
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    fn location(&self) -> Option<Url> {
        let is_redirect = matches!(self.status(), 301 | 302 | 303 | 307 | 308);
        let location = self.headers.get(LOCATION).filter(|_| is_redirect)?;
        Some(self.url.join(location.to_str().expect("a location is ASCII")).expect("a location is a URL"))
    }
}
