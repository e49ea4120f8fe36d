//! Requests as a browser's script sends them, and how a person signs in.

use std::net::SocketAddr;

use url::Url;

use super::Done;
use super::wire::{Answer, exchange};

/// Where people open the UI. Nothing listens there.
pub(crate) const SITE: &str = "https://headlamp.example.com";

/// Its host.
pub(crate) const HOST: &str = "headlamp.example.com";

/// What a UI's page asks for most.
pub(crate) const PODS: &str = "/clusters/main/api/v1/pods?limit=500";

/// What a browser sends with each request of a script.
const USUAL: &str = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/156.0.0.0 Safari/537.36\r\n\
    Accept: application/json\r\n\
    Accept-Language: en-US,en;q=0.9,de;q=0.8\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: https://headlamp.example.com/c/main/pods\r\n\
    Sec-CH-UA: \"Chromium\";v=\"156\", \"Not)A;Brand\";v=\"24\"\r\n\
    Sec-CH-UA-Mobile: ?0\r\n\
    Sec-CH-UA-Platform: \"Linux\"\r\n\
    Sec-Fetch-Dest: empty\r\n\
    Sec-Fetch-Mode: cors\r\n\
    Sec-Fetch-Site: same-origin\r\n";

/// Cookies of others at the same site.
const FOREIGN_COOKIES: &str =
    "theme=dark; lang=en; _ga=GA1.1.1730000000.1760000000; hint=sidebar-expanded-and-namespace-default";

/// A script's GET of `target` at `host`; `cookie` is one session's, and may be empty.
pub(crate) fn get(host: &str, target: &str, cookie: &str) -> String {
    let between = if cookie.is_empty() { "" } else { "; " };
    format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\n{USUAL}Cookie: {FOREIGN_COOKIES}{between}{cookie}\r\n\r\n"
    )
}

/// The question of nginx about that request, at `host` and `target`.
pub(crate) fn ask(host: &str, target: &str, cookie: &str) -> String {
    let own = format!("X-Original-URL: {SITE}{PODS}\r\nX-Original-Method: GET\r\n\r\n");
    let mut request = get(host, target, cookie);
    request.truncate(request.len() - 2);
    request + &own
}

/// How a person opens a page.
fn open(host: &str, target: &str, jar: &[(String, String)]) -> String {
    let cookies: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let cookies =
        if cookies.is_empty() { String::new() } else { format!("Cookie: {}\r\n", cookies.join("; ")) };
    format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nSec-Fetch-Dest: document\r\n\
         Sec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\n{cookies}\r\n"
    )
}

/// Opens `target` at `address`, which leads to the provider; picks `user` there, and comes back. The cookies that
/// make the session, as a `Cookie` header has them.
pub(crate) fn sign_in(address: SocketAddr, host: &str, target: &str, user: &str) -> Done<String> {
    let mut jar = Vec::new();
    let there = location(&visit(address, host, target, &mut jar)?, target)?;
    let provider = there.socket_addrs(|| None)?[0];
    let picked = format!("{}?{}&user={user}", there.path(), there.query().unwrap_or_default());
    let back = visit(provider, there.authority(), &picked, &mut Vec::new())?;
    let back = location(&back, "the provider")?;
    let callback = format!("{}?{}", back.path(), back.query().unwrap_or_default());
    let end = visit(address, host, &callback, &mut jar)?;
    if jar.is_empty() {
        return Err(format!("signing in at {host} ended with {} and no cookie", end.head.status).into());
    }
    let cookies: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
    Ok(cookies.join("; "))
}

fn visit(address: SocketAddr, host: &str, target: &str, jar: &mut Vec<(String, String)>) -> Done<Answer> {
    let answer = exchange(address, &open(host, target, jar))?;
    for line in answer.values("set-cookie:") {
        let (cookie, attributes) = line.split_once(';').unwrap_or((&line, ""));
        let Some((name, value)) = cookie.split_once('=') else { continue };
        jar.retain(|(known, _)| known != name);
        let attributes = attributes.to_ascii_lowercase();
        if !attributes.contains("max-age=0") && !attributes.contains("01 jan 1970") {
            jar.push((name.to_owned(), value.to_owned()));
        }
    }
    Ok(answer)
}

fn location(answer: &Answer, whose: &str) -> Done<Url> {
    let line = answer.values("location:").pop();
    let line = line.ok_or_else(|| format!("{whose} answers {} and leads nowhere", answer.head.status))?;
    Ok(line.parse()?)
}
