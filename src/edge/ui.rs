//! What an upstream wants, as data.

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
    /// The UI's own "log out" is a POST to `<prefix><one segment><suffix>`, below any base path.
    pub sign_out: Option<(&'static str, &'static str)>,
    /// The UI asks for a token on the pages `<parent>/<one segment>/<one of these>`, below any base path.
    pub prompts: (&'static str, &'static [&'static str]),
    /// Cookies in which the UI keeps a token of its own, by the beginning of their name.
    ///
    /// Headlamp from 0.35 on lets its cookie win over the `Authorization` header.
    pub token_cookies: &'static [&'static str],
}

impl Ui {
    /// What is particular to this UI.
    pub fn traits(self) -> &'static Traits {
        match self {
            Self::Generic => &Traits { sign_out: None, prompts: ("", &[]), token_cookies: &[] },
            Self::Headlamp => &Traits {
                sign_out: Some(("/clusters/", "/set-token")),
                prompts: ("/c", &["login", "token"]),
                token_cookies: &["headlamp-auth-"],
            },
            Self::KubernetesDashboard => {
                &Traits { sign_out: None, prompts: ("", &[]), token_cookies: &["token", "jweToken"] }
            }
        }
    }
}

impl Traits {
    /// Whether a POST to `path` (still percent-encoded) is the UI's "log out".
    ///
    /// The UI's server decodes and cleans the path before it matches, so this does too: a spelling that it
    /// reads as "log out" and we do not would plant a token of the client's choice.
    pub fn is_sign_out(&self, path: &str) -> bool {
        let Some((prefix, suffix)) = self.sign_out else { return false };
        let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
        let mut segments: Vec<&str> = Vec::new();
        for segment in decoded.split('/') {
            match segment {
                "" | "." => {}
                ".." => drop(segments.pop()),
                other => segments.push(other),
            }
        }
        let [.., first, _cluster, last] = segments[..] else { return false };
        first == prefix.trim_matches('/') && last == suffix.trim_matches('/')
    }

    /// The page to open instead of `target`, where the UI would ask for a token there.
    ///
    /// Headlamp's running page goes there by itself when a session is over, and loads itself anew there.
    pub fn instead_of_prompt<'t>(&self, target: &'t str) -> Option<&'t str> {
        let (parent, pages) = self.prompts;
        let path = target.split('?').next().unwrap_or(target);
        let (cluster, page) = path.trim_end_matches('/').rsplit_once('/')?;
        let (above, name) = cluster.rsplit_once('/')?;
        let asks = pages.contains(&page) && above.ends_with(parent) && !name.is_empty();
        asks.then(|| &path[..=cluster.len()])
    }
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
}
