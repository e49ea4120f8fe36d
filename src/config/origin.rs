//! What is asked of every URL in the configuration.

use url::{Host, Url};

/// Reads an absolute URL: https, or http where traffic stays on this machine; no user in it.
///
/// No message repeats the text: a password may be in it.
pub(super) fn parse(text: &str) -> Result<Url, String> {
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("has a space, a backslash or a control character in it; remove it".to_owned());
    }
    if !text.starts_with("https://") && !text.starts_with("http://") {
        return Err("must begin with `https://`".to_owned());
    }
    if text.contains(":///") {
        return Err("has one `/` too many before the host; remove it".to_owned());
    }
    let url = Url::parse(text).map_err(|error| format!("is no URL ({error}); correct it"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user name or password in it; remove them".to_owned());
    }
    if url.scheme() == "http" && !url.host().as_ref().is_some_and(is_loopback) {
        return Err("must be https: over plain http, sessions and tokens can be read on the way".to_owned());
    }
    Ok(url)
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_this_machine() {
        for text in [
            "https://a.example",
            "https://10.0.0.1:8443/x",
            "http://localhost",
            "http://a.localhost:8080",
            "http://127.8.9.1",
            "http://[::1]:80/",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for text in [
            "http://a.example",
            "http://localhost.example",
            "http://notlocalhost",
            "http://10.0.0.1",
            "http://[::2]",
            "http://0.0.0.0",
            "http://[::ffff:127.0.0.1]",
        ] {
            assert!(parse(text).unwrap_err().starts_with("must be https"), "{text}");
        }
    }

    #[test]
    fn what_a_browser_would_mend_is_refused() {
        for text in [
            "",
            "a.example",
            "localhost:8080",
            "//a.example",
            "ftp://a.example",
            "https:a.example",
            "https:///a.example",
            " https://a.example",
            "https:\\\\a.example",
            "https://a.\texample",
            "https://",
            "https://a b",
            "https://u@a.example",
            "https://u:p@a.example",
            "https://:p@a.example",
            "HTTPS://a.example",
            "https://a.example:99999",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
