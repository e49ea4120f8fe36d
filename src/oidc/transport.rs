//! The one HTTP client: no redirects, bounded time, bounded bodies, JSON only.

use std::error::Error as _;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use openidconnect::{HttpRequest, HttpResponse};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Certificate, Client, Response, redirect};

use super::{Endpoint, ProviderError, Remedy, Settings, is_safe};
use crate::clock::Stopwatch;
use crate::metrics::{Failure, ProviderCalls};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest discovery document or key set, in bytes.
const MAX_DOCUMENT: usize = 1024 * 1024;

/// Largest answer about one person, in bytes.
const MAX_ANSWER: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Transport {
    client: Client,
    calls: ProviderCalls,
}

impl Transport {
    pub(super) fn new(settings: &Settings, calls: ProviderCalls) -> Result<Self, ProviderError> {
        let unusable =
            |what: &str, error: &reqwest::Error| ProviderError::Settings(format!("{what}: {}", chain(error)));
        let certificates = match &settings.ca_pem {
            Some(pem) => Certificate::from_pem_bundle(pem).map_err(|e| unusable("oidc.caFile", &e))?,
            None => Vec::new(),
        };
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            .tls_certs_merge(certificates)
            .user_agent(concat!("lamplighter/", env!("CARGO_PKG_VERSION")))
            .build();
        client
            .map(|client| Self { client, calls })
            .map_err(|e| unusable("could not prepare an HTTP client", &e))
    }

    /// Notes what came of a call at `now`. What a person has to mend is none of the provider's failures.
    pub(super) fn note<T>(&self, endpoint: Endpoint, result: &Result<T, ProviderError>, now: Timestamp) {
        let error = result.as_ref().err().filter(|error| error.remedy() != Remedy::Person);
        let failure = error.map(|error| Failure {
            call: endpoint.word(),
            is_answered: error.remedy() != Remedy::Wait,
            reason: error.reason(),
        });
        self.calls.answered(endpoint.word(), failure, now);
    }

    /// The provider's keys were read at `now`.
    pub(super) fn note_keys(&self, now: Timestamp) {
        self.calls.keys_read(now);
    }

    /// Sends `request` and reads a JSON answer: 200, or a 4xx whose body says why.
    pub(super) async fn send(
        &self,
        endpoint: Endpoint,
        request: HttpRequest,
    ) -> Result<HttpResponse, ProviderError> {
        let watch = Stopwatch::start();
        let answered = self.execute(endpoint, request).await;
        let code = answered.as_ref().ok().map(Response::status);
        let read = match answered {
            Ok(response) => read(endpoint, response).await,
            Err(error) => Err(error),
        };
        self.calls.took(endpoint.word(), code, watch.seconds());
        read
    }

    async fn execute(&self, endpoint: Endpoint, request: HttpRequest) -> Result<Response, ProviderError> {
        let request =
            reqwest::Request::try_from(request).map_err(|error| unreachable_by(endpoint, &error))?;
        if !is_safe(request.url()) {
            return Err(ProviderError::InsecureEndpoint("endpoint"));
        }
        self.client.execute(request).await.map_err(|error| unreachable_by(endpoint, &error))
    }

    /// Gets a JSON document: 200 or an error.
    pub(super) async fn get(&self, endpoint: Endpoint, url: &str) -> Result<HttpResponse, ProviderError> {
        let request = http::Request::get(url).header("accept", "application/json").body(Vec::new());
        let request = request.map_err(|_| ProviderError::Malformed(endpoint, "its address is no URL"))?;
        let response = self.send(endpoint, request).await?;
        match response.status().as_u16() {
            200 => Ok(response),
            other => Err(ProviderError::Refused(endpoint, format!("status {other}"))),
        }
    }
}

async fn read(endpoint: Endpoint, response: Response) -> Result<HttpResponse, ProviderError> {
    let status = response.status();
    if status.is_redirection() {
        return Err(ProviderError::Redirected(endpoint));
    }
    if status.is_server_error() || status.as_u16() == 429 {
        return Err(ProviderError::Unavailable(endpoint, status.as_u16()));
    }
    if !is_json(&response) && status.is_success() {
        return Err(ProviderError::Malformed(endpoint, "its Content-Type is not JSON"));
    }
    let mut answer = http::Response::builder().status(status);
    if let Some(kind) = response.headers().get(CONTENT_TYPE) {
        answer = answer.header(CONTENT_TYPE, kind);
    }
    if let Some(caching) = response.headers().get(http::header::CACHE_CONTROL) {
        answer = answer.header(http::header::CACHE_CONTROL, caching);
    }
    let body = read_bounded(endpoint, response).await?;
    answer.body(body).map_err(|_| ProviderError::Malformed(endpoint, "its headers are malformed"))
}

fn is_json(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let essence = kind.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

async fn read_bounded(endpoint: Endpoint, mut response: Response) -> Result<Vec<u8>, ProviderError> {
    let most = match endpoint {
        Endpoint::Discovery | Endpoint::Keys => MAX_DOCUMENT,
        Endpoint::Token | Endpoint::Userinfo => MAX_ANSWER,
    };
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable_by(endpoint, &error))? {
        if body.len() + chunk.len() > most {
            return Err(ProviderError::TooLarge(endpoint));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn unreachable_by(endpoint: Endpoint, error: &reqwest::Error) -> ProviderError {
    ProviderError::Unreachable { endpoint, cause: chain(error).into() }
}

/// The causes of an error, outermost first, without the URL: a query may hold what nobody should read.
fn chain(error: &reqwest::Error) -> String {
    let mut text = match (error.is_timeout(), error.is_connect()) {
        (true, _) => "timed out".to_owned(),
        (false, true) => "no connection".to_owned(),
        (false, false) => "the exchange broke off".to_owned(),
    };
    let mut cause = error.source();
    while let Some(inner) = cause {
        let _ = write!(text, ": {inner}");
        cause = inner.source();
    }
    text
}
