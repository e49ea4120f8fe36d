//! `upstream` and what belongs to it: the UI that the public listener is a proxy for.

use std::path::PathBuf;

use url::Url;

use super::{error::Problems, file, path::KeyPath, text};

/// The UI that the public listener is a proxy for, checked.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Where it is.
    pub address: UpstreamAddress,
    /// A PEM file of certificate authorities to trust for it beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The UI's base path, without a slash at its end; empty at the root.
    pub base_path: String,
    /// Clusters that the token is for, as the UI names them; never empty.
    pub clusters: Vec<String>,
}

/// Where an upstream is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum UpstreamAddress {
    /// Plain HTTP, at `host:port`.
    Http(String),
    /// HTTP over TLS, for the name `host` at `address`.
    Https {
        /// The name in the certificate.
        host: String,
        /// `host:port`.
        address: String,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

/// As written.
#[derive(Clone)]
pub(super) struct RawUpstream {
    pub(super) address: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) base_path: Option<String>,
    pub(super) clusters: Vec<String>,
}

/// Something is wrong, and was noted.
pub(super) struct Noted;

impl RawUpstream {
    /// No upstream is fine: then an ingress asks.
    pub(super) fn check(self, top: &KeyPath, problems: &mut Problems<'_>) -> Result<Option<Upstream>, Noted> {
        if let Some(path) = &self.ca_file {
            problems.look(&top.key("upstreamCaFile"), || file::check_certificates(path));
        }
        if self.clusters.is_empty() {
            problems
                .add(&top.key("clusters"), "is empty, so the UI would get no token; remove it or name one");
        }
        problems.keep(&top.key("basePath"), self.base_path());
        problems.keep_all(&top.key("clusters"), &self.clusters, cluster);
        self.check_at(&top.key("upstream"), problems)
    }

    fn base_path(&self) -> Result<String, String> {
        self.base_path.as_deref().map_or(Ok(String::new()), base_path)
    }

    /// The same, where the address is the value of the key `at`.
    pub(super) fn check_at(
        self,
        at: &KeyPath,
        problems: &mut Problems<'_>,
    ) -> Result<Option<Upstream>, Noted> {
        let Some(address) = &self.address else { return Ok(None) };
        let address = problems.keep(at, address_of(address));
        let clusters: Result<Vec<String>, String> = self.clusters.iter().map(|name| cluster(name)).collect();
        match (address, self.base_path(), clusters) {
            (Some(address), Ok(base_path), Ok(clusters)) => {
                Ok(Some(Upstream { address, ca_file: self.ca_file, base_path, clusters }))
            }
            _ => Err(Noted),
        }
    }
}

fn address_of(text: &str) -> Result<UpstreamAddress, String> {
    const REMEDY: &str =
        "write it as in `http://127.0.0.1:4466`, `https://headlamp.svc` or `unix:/run/headlamp.sock`";
    if let Some(path) = text.strip_prefix("unix:") {
        let path = PathBuf::from(path);
        return if path.is_absolute() {
            Ok(UpstreamAddress::Unix(path))
        } else {
            Err(format!("has no absolute path behind `unix:`; {REMEDY}"))
        };
    }
    let url = Url::parse(text).map_err(|_| format!("is no address of an upstream; {REMEDY}"))?;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(format!("has no host; {REMEDY}"));
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user name or password in it; remove them".to_owned());
    }
    if (url.path(), url.query(), url.fragment()) != ("/", None, None) {
        return Err(
            "must be an address alone; remove what follows the port (a UI's base path is `basePath`)"
                .to_owned(),
        );
    }
    let address = format!("{host}:{port}");
    match url.scheme() {
        "http" => Ok(UpstreamAddress::Http(address)),
        "https" => Ok(UpstreamAddress::Https { host: host.to_owned(), address }),
        _ => Err(format!("is neither http nor https; {REMEDY}")),
    }
}

fn base_path(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let bare = text.trim_end_matches('/');
    if !text.starts_with('/') || text.contains("//") || !text.bytes().all(is_plain) || bare.contains("/.") {
        return Err("must be a plain path such as `/headlamp`; correct it".to_owned());
    }
    Ok(bare.to_owned())
}

fn cluster(text: &str) -> Result<String, String> {
    let name = text::filled(text)?;
    if name.contains('/') {
        Err("has a `/` in it; name a cluster as the UI does".to_owned())
    } else {
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_reached_in_three_ways() {
        let table = [
            ("http://127.0.0.1:4466", UpstreamAddress::Http("127.0.0.1:4466".into())),
            ("http://headlamp", UpstreamAddress::Http("headlamp:80".into())),
            ("http://[::1]:4466/", UpstreamAddress::Http("[::1]:4466".into())),
            (
                "https://headlamp.svc",
                UpstreamAddress::Https { host: "headlamp.svc".into(), address: "headlamp.svc:443".into() },
            ),
            ("unix:/run/headlamp.sock", UpstreamAddress::Unix("/run/headlamp.sock".into())),
        ];
        for (text, address) in table {
            assert_eq!(address_of(text), Ok(address), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "headlamp:80",
            "ftp://a",
            "http://",
            "http://a/b",
            "http://a?b",
            "http://u:p@a",
            "unix:run",
            "unix:",
        ] {
            assert!(address_of(text).is_err(), "{text}");
        }
        for path in ["headlamp", "//a", "/a//b", "/a/../b", "/a b", "/%2e"] {
            assert!(base_path(path).is_err(), "{path}");
        }
        assert_eq!(base_path("/headlamp/").as_deref(), Ok("/headlamp"));
    }
}
