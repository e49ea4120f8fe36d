//! What the tests of the parts share.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use super::Clock;
use super::jwt::SigningKey;

/// Any free port on loopback.
pub(super) fn anywhere() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// The machine's own randomness.
pub(super) fn random(buffer: &mut [u8]) {
    use aws_lc_rs::rand::{SecureRandom, SystemRandom};
    SystemRandom::new().fill(buffer).unwrap();
}

/// One key for all tests, for generating RSA keys takes its time.
pub(super) fn rsa_key() -> SigningKey {
    static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::rsa(random));
    KEY.clone()
}

/// A clock that stands still.
pub(super) fn clock_at(time: &str) -> Clock {
    let time = time.parse().unwrap();
    Arc::new(move || time)
}

/// A client that neither follows redirects nor uses a proxy.
pub(super) fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}
