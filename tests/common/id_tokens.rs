//! Sign-ins with an ID token that is not as usual.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lamplighter::app::Settings;
use lamplighter::demo::provider::Faults;
use serde_json::{Value, json};

use super::{App, Browser, CLIENT_SECRET, Page, Setup};

/// It cannot be believed, and a new one would be the same.
pub(crate) const REJECTED: (u16, &str) = (502, "id-token-rejected");

/// It cannot be believed, but the next one may be.
pub(crate) const TRY_AGAIN: (u16, &str) = (400, "id-token-rejected");

/// A claim has another type than it should.
pub(crate) const MISUNDERSTOOD: (u16, &str) = (502, "provider-misconfigured");

/// A token whose claim `name` is so many seconds after its claim `base`.
pub(crate) fn shifted(name: &'static str, base: &'static str, seconds: i64) -> Faults {
    Faults::claims(move |claims| claims[name] = json!(second(claims, base) + seconds))
}

pub(crate) fn second(claims: &Value, name: &str) -> i64 {
    claims[name].as_i64().unwrap()
}

pub(crate) async fn accepted(faults: Faults) {
    accepted_with(|_| {}, faults).await;
}

pub(crate) async fn accepted_with(edit: impl FnOnce(&mut Settings) + 'static, faults: Faults) {
    let app = Setup::default().settings(edit).start().await;
    let (browser, page) = app.sign_in_despite(faults).await;
    assert_eq!(page.status, 303, "{page:?}");
    assert_eq!(browser.check("/").await.header("x-forwarded-user"), "ada");
}

pub(crate) async fn refused(faults: Faults) -> Page {
    refused_with(|_| {}, faults).await
}

pub(crate) async fn refused_with(edit: impl FnOnce(&mut Settings) + 'static, faults: Faults) -> Page {
    let app = Setup::default().settings(edit).start().await;
    let (browser, page) = app.sign_in_despite(faults).await;
    assert_refused(&app, &browser, &page);
    page
}

/// No session, nothing asked about the person, and a page that says why without saying too much.
pub(crate) fn assert_refused(app: &App, browser: &Browser, page: &Page) {
    assert!([REJECTED.0, TRY_AGAIN.0].contains(&page.status.as_u16()), "{page:?}");
    let reasons = [REJECTED.1, MISUNDERSTOOD.1, "id-token-hs256", "id-token-encrypted"];
    assert!(reasons.contains(&page.reason()), "{page:?}");
    assert!(!page.sets_session() && browser.session().is_none(), "{page:?}");
    assert!(browser.attempts().is_empty(), "the attempt is over");
    assert_eq!(app.provider.requests().userinfo, 0);
    assert_eq!(app.api_server.token_requests(), 0);
    let form = app.provider.last_token_request().unwrap().form();
    let jwt_start = URL_SAFE_NO_PAD.encode(r#"{"al"#);
    let secrets = [CLIENT_SECRET, form.get("code").unwrap(), form.get("code_verifier").unwrap(), &jwt_start];
    for secret in secrets {
        assert!(!page.body.contains(secret) && !format!("{:?}", page.headers).contains(secret), "{page:?}");
    }
}
