//! Sessions and login attempts as cookies.

use std::sync::Arc;

use arc_swap::ArcSwap;
use cookie::{Cookie, SameSite};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;

use crate::auth::login::{ATTEMPT_NAME_LEN, ATTEMPT_SECONDS, MAX_ATTEMPTS};
use crate::auth::seal::{MAX_SEALED, MAX_SESSION};
use crate::auth::session::{SIGNED_OUT_SECONDS, SealedState};
use crate::auth::{Context, KeyRing, LoginAttempt, Presented, Session, Site};
use crate::edge::CookieNames;
use crate::edge::cookies::Found;
use crate::random;

/// Room for the cookies of all login attempts together, in bytes: nginx reads 8 KiB of cookies.
const MAX_ATTEMPT_BYTES: usize = 4 * 1024;

/// How sessions and login attempts are kept in cookies.
#[derive(Debug)]
pub struct Sessions {
    keys: ArcSwap<KeyRing>,
    names: CookieNames,
    context: Context,
    site: String,
    client_id: String,
    scope: Scope,
}

/// Where a cookie is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scope {
    /// To this very host, by https or on localhost; also where a link leads here from elsewhere.
    Host,
    /// To the loopback by plain http, and never when another site's page leads here.
    Loopback,
}

impl Sessions {
    /// Seals with `keys`, for `site` and our `client_id` at the provider.
    pub fn new(keys: KeyRing, site: &Site, client_id: &str) -> Self {
        let names = CookieNames::host();
        Self {
            keys: ArcSwap::from_pointee(keys),
            context: Context::new("session", names.session(), site.origin(), client_id),
            names,
            site: site.origin().to_owned(),
            client_id: client_id.to_owned(),
            scope: Scope::Host,
        }
    }

    /// For the fallback: with a cookie that only this process knows by name, and that opens nothing elsewhere.
    pub fn for_fallback(keys: KeyRing, tag: &str) -> Self {
        let names = CookieNames::loopback(tag);
        Self {
            keys: ArcSwap::from_pointee(keys),
            context: Context::new("fallback session", names.session(), "", ""),
            names,
            site: String::new(),
            client_id: String::new(),
            scope: Scope::Loopback,
        }
    }

    /// The cookies' names.
    pub fn names(&self) -> &CookieNames {
        &self.names
    }

    /// Seals with other keys from now on.
    pub fn replace_keys(&self, keys: KeyRing) {
        self.keys.store(Arc::new(keys));
    }

    /// Opens the session cookie, without allocating.
    pub fn open<'b>(
        &self,
        headers: &HeaderMap,
        buffer: &'b mut [u8; MAX_SESSION],
        now: Timestamp,
    ) -> Presented<'b> {
        match self.names.find_session(headers) {
            Found::Nothing => Presented::Nothing,
            Found::Several => Presented::Malformed,
            Found::One(sealed) => match self.keys.load().open(&self.context, sealed, buffer) {
                Ok(plain) => Presented::read(plain, now),
                Err(_) => Presented::Malformed,
            },
        }
    }

    /// The cookie that says who is signed in.
    pub fn signed_in(&self, session: Session<'_>, now: Timestamp) -> HeaderValue {
        let life = session.expires_at.saturating_sub(now.as_second());
        self.session_cookie(&SealedState::SignedIn(session), life)
    }

    /// The cookie that says that somebody signed out.
    pub fn signed_out(&self, now: Timestamp) -> HeaderValue {
        self.session_cookie(&SealedState::signed_out(now), SIGNED_OUT_SECONDS)
    }

    fn session_cookie(&self, state: &SealedState<'_>, life: i64) -> HeaderValue {
        let sealed = self.keys.load().seal(&self.context, &state.to_bytes(), random::bytes());
        set_cookie(self.scope, self.names.session(), &sealed, life)
    }

    /// The cookies that begin `attempt`: its own, and those that make room for it.
    pub fn begin_attempt(
        &self,
        headers: &HeaderMap,
        attempt: &LoginAttempt,
        now: Timestamp,
    ) -> Vec<HeaderValue> {
        let state = attempt.state();
        let name = &state[..ATTEMPT_NAME_LEN];
        let sealed = self.keys.load().seal(&self.attempt_context(name), &attempt.to_bytes(), random::bytes());
        let mut cookies = self.evict(headers, sealed.len(), now);
        cookies.push(set_cookie(self.scope, &self.names.attempt(name), &sealed, ATTEMPT_SECONDS));
        cookies
    }

    /// The login attempt `name`, if this browser has it.
    pub fn attempt(&self, headers: &HeaderMap, name: &str) -> Option<LoginAttempt> {
        let mut found = self.names.attempts(headers).into_iter().filter(|(known, _)| *known == name);
        let (_, sealed) = found.next()?;
        if found.next().is_some() {
            return None;
        }
        self.open_attempt(name, sealed)
    }

    /// The cookie that ends the login attempt `name`.
    pub fn end_attempt(&self, name: &str) -> HeaderValue {
        set_cookie(self.scope, &self.names.attempt(name), "", 0)
    }

    fn open_attempt(&self, name: &str, sealed: &[u8]) -> Option<LoginAttempt> {
        let mut buffer = [0; MAX_SEALED];
        let plain = self.keys.load().open(&self.attempt_context(name), sealed, &mut buffer).ok()?;
        LoginAttempt::read(plain)
    }

    fn attempt_context(&self, name: &str) -> Context {
        Context::new("attempt", &self.names.attempt(name), &self.site, &self.client_id)
    }

    /// Ends attempts that are over or unreadable, and the oldest of the others, until there is room for one
    /// more of `size` bytes.
    fn evict(&self, headers: &HeaderMap, size: usize, now: Timestamp) -> Vec<HeaderValue> {
        let mut ended = Vec::new();
        let mut kept = Vec::new();
        for (name, sealed) in self.names.attempts(headers) {
            match self.open_attempt(name, sealed) {
                Some(attempt) if !attempt.is_over(now) => {
                    kept.push((attempt.started_at(), name, sealed.len()));
                }
                Some(_) | None => ended.push(name),
            }
        }
        kept.sort_unstable();
        let mut bytes: usize = size + kept.iter().map(|(_, _, size)| size).sum::<usize>();
        while kept.len() >= MAX_ATTEMPTS || (bytes > MAX_ATTEMPT_BYTES && !kept.is_empty()) {
            let (_, name, size) = kept.remove(0);
            bytes -= size;
            ended.push(name);
        }
        let is_plain =
            |name: &&str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        ended.into_iter().filter(is_plain).map(|name| self.end_attempt(name)).collect()
    }
}

fn set_cookie(scope: Scope, name: &str, value: &str, life_seconds: i64) -> HeaderValue {
    let cookie = Cookie::build((name, value))
        .path("/")
        .secure(scope == Scope::Host)
        .http_only(true)
        .same_site(if scope == Scope::Host { SameSite::Lax } else { SameSite::Strict })
        .max_age(cookie::time::Duration::seconds(life_seconds.max(0)))
        .build();
    let mut value =
        HeaderValue::try_from(cookie.to_string()).expect("names and sealed values are plain ASCII");
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::session::Bounces;
    use crate::auth::{ReturnTo, Secrets, SessionId};

    fn sessions() -> Sessions {
        let site = Site::new(&url::Url::parse("https://ui.example").unwrap()).unwrap();
        Sessions::new(KeyRing::new(&[[1_u8; 32]]).unwrap(), &site, "client")
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn session() -> Session<'static> {
        Session {
            id: SessionId([1; 16]),
            subject: "s".repeat(255).into(),
            name: "n".repeat(96).into(),
            email: "e".repeat(192).into(),
            groups: "g".repeat(256).into(),
            role: "r".repeat(63).into(),
            role_fingerprint: 1,
            provider_session: "p".repeat(96).into(),
            auth_time: 0,
            issued_at: 0,
            expires_at: 28_800,
            bounces: Bounces::default(),
        }
    }

    /// A browser: keeps what it is told to keep.
    fn keep(jar: &mut HeaderMap, cookies: &[HeaderValue]) {
        let mut kept: Vec<(String, String)> = jar
            .get(http::header::COOKIE)
            .map(|line| {
                line.to_str().unwrap().split("; ").map(|p| p.split_once('=').unwrap()).map(own).collect()
            })
            .unwrap_or_default();
        for cookie in cookies {
            let cookie = Cookie::parse(cookie.to_str().unwrap()).unwrap();
            kept.retain(|(name, _)| name != cookie.name());
            if cookie.max_age() != Some(cookie::time::Duration::ZERO) {
                kept.push((cookie.name().to_owned(), cookie.value().to_owned()));
            }
        }
        let line: Vec<String> = kept.iter().map(|(name, value)| format!("{name}={value}")).collect();
        jar.insert(http::header::COOKIE, HeaderValue::try_from(line.join("; ")).unwrap());
    }

    fn own((name, value): (&str, &str)) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    fn attempt(seed: u8, target: &str, now: i64) -> LoginAttempt {
        let site = Site::new(&url::Url::parse("https://ui.example").unwrap()).unwrap();
        let secrets = Secrets { state: [seed; 32], nonce: [0; 32], verifier: [0; 32] };
        LoginAttempt::new(secrets, &ReturnTo::parse(target, &site).unwrap(), at(now))
    }

    #[test]
    fn the_session_cookie_is_small_and_locked_to_the_host() {
        let cookie = sessions().signed_in(session(), at(0));
        let cookie = cookie.to_str().unwrap();
        assert!(cookie.len() < 1_536, "{}", cookie.len());
        assert!(cookie.starts_with("__Host-lamplighter="));
        assert!(cookie.ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=28800"), "{cookie}");
    }

    #[test]
    fn the_cookie_that_was_set_opens() {
        let sessions = sessions();
        let mut jar = HeaderMap::new();
        keep(&mut jar, &[sessions.signed_in(session(), at(0))]);
        assert_eq!(sessions.open(&jar, &mut [0; MAX_SESSION], at(1)), Presented::Session(session()));
        keep(&mut jar, &[sessions.signed_out(at(1))]);
        assert_eq!(sessions.open(&jar, &mut [0; MAX_SESSION], at(2)), Presented::SignedOut);
    }

    #[test]
    fn the_sixth_login_attempt_evicts_the_oldest() {
        let sessions = sessions();
        let mut jar = HeaderMap::new();
        for seed in 1..=6 {
            let cookies = sessions.begin_attempt(&jar, &attempt(seed, "/c/main", i64::from(seed)), at(10));
            keep(&mut jar, &cookies);
        }
        let has = |seed| sessions.attempt(&jar, &attempt(seed, "/", 0).state()[..8]).is_some();
        assert!(!has(1) && (2..=6).all(has));
    }

    #[test]
    fn attempts_never_fill_the_cookie_header() {
        let sessions = sessions();
        let mut jar = HeaderMap::new();
        for seed in 1..=20 {
            let target = format!("/{}", "p".repeat(1_500));
            let cookies = sessions.begin_attempt(&jar, &attempt(seed, &target, i64::from(seed)), at(30));
            keep(&mut jar, &cookies);
            assert!(jar[http::header::COOKIE].len() < 5_000);
        }
        assert!(sessions.attempt(&jar, &attempt(20, "/", 0).state()[..8]).is_some());
    }

    #[test]
    fn an_attempts_value_is_worth_nothing_under_another_name() {
        let sessions = sessions();
        let cookies = sessions.begin_attempt(&HeaderMap::new(), &attempt(1, "/", 0), at(0));
        let value = Cookie::parse(cookies[0].to_str().unwrap()).unwrap().value().to_owned();
        let moved = format!("__Host-lamplighter-attempt-abcdefgh={value}; __Host-lamplighter={value}");
        let jar: HeaderMap =
            [(http::header::COOKIE, HeaderValue::try_from(moved).unwrap())].into_iter().collect();
        assert!(sessions.attempt(&jar, "abcdefgh").is_none());
        assert_eq!(sessions.open(&jar, &mut [0; MAX_SESSION], at(0)), Presented::Malformed);
    }
}
