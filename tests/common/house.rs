//! lamplighter with all of its doors.

use std::net::SocketAddr;
use std::time::Duration;

use lamplighter::proxy::Target;
use lamplighter::web::Limits;

use super::files::Folder;
use super::upstream::Upstream;
use super::wire::{Answer, Wire};
use super::{App, Setup, proxied};

/// Long enough for what is good, on a machine that does much else, and short enough to wait for.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// Longer than a test takes.
pub(crate) const NEVER: Duration = Duration::from_hours(1);

/// A path below the one cluster that the token is for.
pub(crate) const PODS: &str = "/clusters/main/api/v1/pods";

/// lamplighter with every listener, in front of a UI or beside it.
pub(crate) struct House {
    pub(crate) app: App,
    pub(crate) upstream: Upstream,
    is_proxy: bool,
    _folder: Folder,
}

/// One listener, and a whole request that it answers.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) request: String,
}

impl House {
    /// Built, with other limits on every listener.
    pub(crate) async fn build(is_proxy: bool, limits: impl FnOnce(&mut Limits) + 'static) -> Self {
        let (upstream, folder) = (Upstream::start().await, Folder::new());
        let target = Target::Http(upstream.authority());
        let setup = Setup::default().with_fallback(&folder, target.clone()).limits(limits);
        let setup = setup.settings(move |settings| settings.upstream = is_proxy.then(|| proxied(target)));
        Self { app: setup.start().await, upstream, is_proxy, _folder: folder }
    }

    /// Its doors.
    pub(crate) fn doors(&self) -> Vec<Door> {
        let fallback = self.app.fallback.unwrap();
        let public = if self.is_proxy { PODS } else { "/lamplighter/whoami" };
        let asked = "X-Original-URL: https://headlamp.example.com/\r\nX-Original-Method: GET\r\n";
        [
            ("public", self.app.public, get(public, "headlamp.example.com", "")),
            ("authz", self.app.authz, get("/authz/auth-request", "lamplighter", asked)),
            ("admin", self.app.admin, get("/livez", "lamplighter", "")),
            (
                "fallback",
                fallback,
                get("/lamplighter/fallback", &format!("localhost:{}", fallback.port()), ""),
            ),
        ]
        .map(|(name, address, request)| Door { name, address, request })
        .to_vec()
    }

    /// The status of `/readyz`.
    pub(crate) async fn readyz(&self) -> u16 {
        ask(&mut Wire::to(self.app.admin).await, &get("/readyz", "lamplighter", "")).await.status
    }
}

/// A request without a body; `lines` are header lines, each with its end.
pub(crate) fn get(target: &str, host: &str, lines: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n")
}

/// Asks, and waits for the answer.
pub(crate) async fn ask(wire: &mut Wire, request: &str) -> Answer {
    wire.send(request).await;
    wire.answer_to("GET").await
}
