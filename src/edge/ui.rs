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
    /// Cookies in which the UI keeps a token of its own, by the beginning of their name.
    ///
    /// Headlamp from 0.35 on lets its cookie win over the `Authorization` header.
    pub token_cookies: &'static [&'static str],
}

impl Ui {
    /// What is particular to this UI.
    pub fn traits(self) -> &'static Traits {
        match self {
            Self::Generic => &Traits { sign_out: None, token_cookies: &[] },
            Self::Headlamp => {
                &Traits { sign_out: Some(("/clusters/", "/set-token")), token_cookies: &["headlamp-auth-"] }
            }
            Self::KubernetesDashboard => &Traits { sign_out: None, token_cookies: &["token", "jweToken"] },
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
}
