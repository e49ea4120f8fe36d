//! What an upstream wants, as data.

use Segment::{Any, Configured, Is};

/// Which UI is upstream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ui {
    /// Any other web UI that takes a bearer token.
    Generic,
    /// Headlamp.
    Headlamp,
    /// Kubernetes Dashboard.
    KubernetesDashboard,
}

/// What is particular to one UI.
#[derive(Debug)]
pub struct Traits {
    /// Cookies in which the UI keeps a token of its own, by the beginning of their name.
    ///
    /// Headlamp from 0.35 on lets its cookie win over the `Authorization` header.
    pub token_cookies: &'static [&'static str],
    /// Whether the UI needs any cookie of the client's.
    pub wants_cookies: bool,
    /// What becomes of a request, by its path: the first route that fits. Without one, it gets no token.
    routes: &'static [Route],
}

/// What becomes of a request in proxy mode.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Treatment {
    /// Upstream, with `Authorization: Bearer` and the token.
    Bearer,
    /// Upstream, with the token alone as `Authorization`.
    ///
    /// Headlamp's node drain up to 0.42 writes `Bearer` before what it finds; later ones take both.
    BareToken,
    /// Answered from the session: who is signed in.
    Me,
    /// Upstream, without any credential, and without saying who asks: the UI hands the headers on to an address
    /// outside.
    Nameless,
    /// Upstream, without any credential.
    Nothing,
    /// Not served: the UI could only do it without a credential.
    Refuse,
    /// The UI's own "log out".
    SignOut,
    /// A page that asks for a token: back to the cluster's first page.
    ToCluster,
}

/// A path, and what becomes of it.
#[derive(Debug)]
struct Route {
    method: Option<&'static str>,
    path: &'static [Segment],
    /// Whether more may follow.
    is_prefix: bool,
    treatment: Treatment,
}

/// One segment of a path.
#[derive(Debug)]
enum Segment {
    /// Whatever it is.
    Any,
    /// The name of a cluster that the token is for.
    Configured,
    /// Exactly this.
    Is(&'static str),
}

const fn exact(method: &'static str, path: &'static [Segment], treatment: Treatment) -> Route {
    Route { method: Some(method), path, is_prefix: false, treatment }
}

const fn below(path: &'static [Segment], treatment: Treatment) -> Route {
    Route { method: None, path, is_prefix: true, treatment }
}

static HEADLAMP: Traits = Traits {
    token_cookies: &["headlamp-auth-"],
    wants_cookies: false,
    routes: &[
        exact("POST", &[Is("clusters"), Any, Is("set-token")], Treatment::SignOut),
        exact("GET", &[Is("c"), Any, Is("token")], Treatment::ToCluster),
        exact("GET", &[Is("c"), Any, Is("login")], Treatment::ToCluster),
        exact("GET", &[Is("clusters"), Configured, Is("me")], Treatment::Me),
        below(&[Is("clusters"), Configured, Is("portforward")], Treatment::Refuse),
        below(&[Is("clusters"), Configured], Treatment::Bearer),
        exact("POST", &[Is("drain-node")], Treatment::BareToken),
        below(&[Is("externalproxy")], Treatment::Nameless),
    ],
};

static DASHBOARD: Traits = Traits {
    token_cookies: &["token", "jweToken"],
    wants_cookies: true,
    routes: &[below(&[Is("api")], Treatment::Bearer)],
};

static GENERIC: Traits =
    Traits { token_cookies: &[], wants_cookies: true, routes: &[below(&[], Treatment::Bearer)] };

impl Ui {
    /// What is particular to this UI.
    pub fn traits(self) -> &'static Traits {
        match self {
            Self::Generic => &GENERIC,
            Self::Headlamp => &HEADLAMP,
            Self::KubernetesDashboard => &DASHBOARD,
        }
    }
}

impl Traits {
    /// Whether a POST to `path` (still percent-encoded) is the UI's "log out", below any base path.
    ///
    /// The UI's server decodes and cleans the path before it matches, so this does too: a spelling that it
    /// reads as "log out" and we do not would plant a token of the client's choice.
    pub fn is_sign_out(&self, path: &str) -> bool {
        let Some(route) = self.routes.iter().find(|route| route.treatment == Treatment::SignOut) else {
            return false;
        };
        with_segments(path, |segments| {
            let start = segments.len().saturating_sub(route.path.len());
            route.fits("POST", &segments[start..], &[])
        })
    }

    /// The page to open instead of `target`, where the UI would ask for a token there, below any base path.
    ///
    /// Headlamp's running page goes there by itself when a session is over, and loads itself anew there.
    pub fn instead_of_prompt<'t>(&self, target: &'t str) -> Option<&'t str> {
        let path = target.split('?').next().unwrap_or(target);
        let (cluster, _) = path.trim_end_matches('/').rsplit_once('/')?;
        let asks = with_segments(path, |segments| {
            self.routes.iter().filter(|route| route.treatment == Treatment::ToCluster).any(|route| {
                let start = segments.len().saturating_sub(route.path.len());
                route.fits("GET", &segments[start..], &[])
            })
        });
        asks.then(|| &path[..=cluster.len()])
    }

    /// What becomes of a request for `path` (still percent-encoded), below `base`, where the token is for
    /// `clusters`.
    pub fn treatment(&self, method: &str, path: &str, base: &str, clusters: &[String]) -> Treatment {
        with_segments(path, |segments| {
            let below_base = with_segments(base, |base| segments.strip_prefix(base).map(<[&str]>::len));
            let Some(len) = below_base else { return Treatment::Nothing };
            let segments = &segments[segments.len() - len..];
            let route = self.routes.iter().find(|route| route.fits(method, segments, clusters));
            route.map_or(Treatment::Nothing, |route| route.treatment)
        })
    }
}

impl Route {
    fn fits(&self, method: &str, segments: &[&str], clusters: &[String]) -> bool {
        let fits = |(wanted, segment): (&Segment, &&str)| match wanted {
            Any => true,
            Configured => clusters.iter().any(|cluster| cluster == segment),
            Is(text) => text == segment,
        };
        self.method.is_none_or(|wanted| wanted == method)
            && (segments.len() == self.path.len() || (self.is_prefix && segments.len() > self.path.len()))
            && self.path.iter().zip(segments).all(fits)
    }
}

/// Decodes and cleans a path as Go's `ServeMux` and gorilla's do, and hands on its segments.
fn with_segments<T>(path: &str, use_them: impl FnOnce(&[&str]) -> T) -> T {
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    let mut segments: Vec<&str> = Vec::with_capacity(16);
    for segment in decoded.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    use_them(&segments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headlamps_log_out_is_known_in_every_spelling() {
        let headlamp = Ui::Headlamp.traits();
        for path in [
            "/clusters/main/set-token",
            "/headlamp/clusters/main/set-token",
            "/clusters/main/%73et-token",
            "/clusters//main/./set-token/",
            "/clusters/x/../main/set-token",
            "/clusters%2Fmain%2Fset-token",
        ] {
            assert!(headlamp.is_sign_out(path), "{path}");
        }
        for path in [
            "/",
            "/clusters/main/api/v1/pods",
            "/set-token",
            "/clusters/set-token",
            "/clusters/a/b/set-token",
        ] {
            assert!(!headlamp.is_sign_out(path), "{path}");
        }
        assert!(!Ui::Generic.traits().is_sign_out("/clusters/main/set-token"));
    }
    #[test]
    fn where_headlamp_would_ask_for_a_token_its_cluster_is_opened() {
        let headlamp = Ui::Headlamp.traits();
        for (target, instead) in [
            ("/c/main/token", Some("/c/main/")),
            ("/c/main/login", Some("/c/main/")),
            ("/c/main/token/", Some("/c/main/")),
            ("/c/main/login?cluster=x/y", Some("/c/main/")),
            ("/headlamp/c/main/token", Some("/headlamp/c/main/")),
            ("/c/main", None),
            ("/c/main/", None),
            ("/c/main/tokens", None),
            ("/c/main/pods?filter=/c/main/token", None),
            ("/c/main/secrets/dev/token", None),
            ("/c//token", None),
            ("/c/token", None),
            ("/token", None),
            ("/", None),
        ] {
            assert_eq!(headlamp.instead_of_prompt(target), instead, "{target}");
        }
        assert_eq!(Ui::Generic.traits().instead_of_prompt("/c/main/token"), None);
    }

    #[test]
    fn headlamp_gets_a_token_where_it_needs_one_and_nowhere_else() {
        let table = [
            ("GET", "/", Treatment::Nothing),
            ("GET", "/config", Treatment::Nothing),
            ("GET", "/plugins/a.js", Treatment::Nothing),
            ("GET", "/externalproxy", Treatment::Nameless),
            ("POST", "/externalproxy/x", Treatment::Nameless),
            ("GET", "/%65xternalproxy", Treatment::Nameless),
            ("GET", "/externalproxyx", Treatment::Nothing),
            ("GET", "/wsMultiplexer", Treatment::Nothing),
            ("POST", "/drain-node", Treatment::BareToken),
            ("GET", "/drain-node", Treatment::Nothing),
            ("GET", "/drain-node-status", Treatment::Nothing),
            ("GET", "/clusters/main/api/v1/pods", Treatment::Bearer),
            ("GET", "/clusters/main", Treatment::Bearer),
            ("DELETE", "/clusters/main/api/v1/namespaces/a/pods/b", Treatment::Bearer),
            ("GET", "/clusters/%6dain/api/v1/pods", Treatment::Bearer),
            ("GET", "/clusters/main/../other/api", Treatment::Nothing),
            ("GET", "/clusters/other/api/v1/pods", Treatment::Nothing),
            ("GET", "/clusters/mainx/api", Treatment::Nothing),
            ("GET", "/clusters/main/helm/releases/list", Treatment::Bearer),
            ("POST", "/clusters/main/portforward", Treatment::Refuse),
            ("GET", "/clusters/main/portforward/list", Treatment::Refuse),
            ("GET", "/clusters/main/me", Treatment::Me),
            ("POST", "/clusters/main/set-token", Treatment::SignOut),
            ("POST", "/clusters/other/set-token", Treatment::SignOut),
            ("GET", "/c/main/token", Treatment::ToCluster),
            ("GET", "/c/main/login", Treatment::ToCluster),
            ("GET", "/c/main/pods", Treatment::Nothing),
        ];
        for (method, path, treatment) in table {
            let found = Ui::Headlamp.traits().treatment(method, path, "", &["main".to_owned()]);
            assert_eq!(found, treatment, "{method} {path}");
        }
    }

    #[test]
    fn a_base_path_comes_before_every_route() {
        let of = |path| Ui::Headlamp.traits().treatment("GET", path, "/headlamp", &["main".to_owned()]);
        assert_eq!(of("/headlamp/clusters/main/api"), Treatment::Bearer);
        assert_eq!(of("/clusters/main/api"), Treatment::Nothing);
        assert_eq!(of("/headlampx/clusters/main/api"), Treatment::Nothing);
    }

    #[test]
    fn other_uis_have_other_routes() {
        let of = |ui: Ui, path| ui.traits().treatment("GET", path, "", &[]);
        assert_eq!(of(Ui::KubernetesDashboard, "/api/v1/pod"), Treatment::Bearer);
        assert_eq!(of(Ui::KubernetesDashboard, "/assets/x"), Treatment::Nothing);
        assert_eq!(of(Ui::Generic, "/anything"), Treatment::Bearer);
    }
}
