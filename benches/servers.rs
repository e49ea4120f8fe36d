//! nginx, HAProxy and Apache, configured for this run alone.

use std::net::SocketAddr;
use std::path::Path;

use super::browser::{SITE, sign_in};
use super::house::{Bench, CLIENT_SECRET};
use super::process::{Part, free_address, pinned};
use super::{Done, proc};

/// Where Debian has what only root looks for.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];

/// The program `name`.
pub(crate) fn find(name: &str) -> Done<std::path::PathBuf> {
    let places = FOLDERS.map(|folder| Path::new(folder).join(name));
    let found = places.into_iter().find(|place| place.exists());
    found.ok_or_else(|| format!("{name} is not installed: benches/install does that").into())
}

/// A token as long as a real one, where a server adds one by itself.
pub(crate) fn token() -> String {
    format!("Bearer {}", "x".repeat(862))
}

/// Starts nginx with one worker; `http` is what stands in its `http` block.
pub(crate) fn nginx(
    bench: &Bench,
    name: &'static str,
    core: usize,
    http: &str,
    addresses: &[SocketAddr],
) -> Done<Part> {
    let folder = bench.folder().join(name);
    std::fs::create_dir_all(&folder)?;
    let folder = folder.display();
    let user = if is_root() { "user root;" } else { "" };
    let files = proc::max_files();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("{what}_temp_path {folder}/{what};"))
        .join(" ");
    let text = format!(
        "daemon off; worker_processes 1; pid {folder}/pid; error_log stderr error; {user}
worker_rlimit_nofile {files};
events {{ worker_connections {files}; }}
http {{
  {temporary}
  access_log off; sendfile on; tcp_nopush on;
  keepalive_requests 1000000000; keepalive_timeout 1h;
  {http}
}}
"
    );
    let config = bench.write(&format!("{name}.conf"), &text)?;
    let mut command = pinned(core, &find("nginx")?);
    command.arg("-p").arg(bench.folder()).arg("-c").arg(config);
    bench.part(name, command, addresses)
}

/// An nginx `upstream` block; with or without connections that are kept.
pub(crate) fn upstream(name: &str, address: SocketAddr, is_kept: bool) -> String {
    let kept = if is_kept { "keepalive 64; keepalive_requests 1000000000;" } else { "" };
    format!("upstream {name} {{ server {address}; {kept} }}\n")
}

/// What makes nginx keep connections to an upstream.
pub(crate) const KEPT: &str = "proxy_http_version 1.1; proxy_set_header Connection \"\";";

/// Starts HAProxy in front of `upstream`.
pub(crate) fn haproxy(bench: &Bench, core: usize, upstream: SocketAddr) -> Done<(Part, SocketAddr)> {
    let address = free_address()?;
    let token = token();
    let text = format!(
        "global
  nbthread 1
  maxconn 2000
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend public
  bind {address}
  default_backend upstream
backend upstream
  http-reuse always
  http-request set-header Authorization \"{token}\"
  server upstream {upstream}
"
    );
    let config = bench.write("haproxy.cfg", &text)?;
    let mut command = pinned(core, &find("haproxy")?);
    command.arg("-db").arg("-f").arg(config);
    Ok((bench.part("haproxy", command, &[address])?, address))
}

/// Apache with `mod_auth_openidc`, and a session of each kind, signed in at the same provider.
pub(crate) struct Apache {
    pub(crate) part: Part,
    /// Address and cookies, where the session is in the server's memory.
    pub(crate) server_cache: (SocketAddr, String),
    /// Address and cookies, where the session is in the cookie.
    pub(crate) client_cookie: (SocketAddr, String),
}

/// What Apache's protected answer is asked for by.
pub(crate) const APACHE_TARGET: &str = "/check";

/// Starts Apache, and signs Ada in twice.
pub(crate) fn apache(bench: &Bench, core: usize) -> Done<Apache> {
    let (cache, cookie) = (free_address()?, free_address()?);
    std::fs::create_dir_all(bench.folder().join("apache"))?;
    bench.write("apache/check", "")?;
    let config = bench.write("apache.conf", &apache_config(bench, cache, cookie))?;
    let mut command = pinned(core, &find("apache2")?);
    command.arg("-DFOREGROUND").arg("-f").arg(config);
    let part = bench.part("apache", command, &[cache, cookie])?;
    let session = |address: SocketAddr| sign_in(address, &address.to_string(), APACHE_TARGET, "ada");
    Ok(Apache { part, server_cache: (cache, session(cache)?), client_cookie: (cookie, session(cookie)?) })
}

fn apache_config(bench: &Bench, cache: SocketAddr, cookie: SocketAddr) -> String {
    let folder = bench.folder().display();
    let (issuer, token) = (bench.issuer(), token());
    let user = if is_root() { "User www-data\nGroup www-data" } else { "" };
    let modules = ["mpm_event", "authn_core", "authz_core", "authz_user", "auth_openidc", "headers"]
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
        .concat();
    let host = |address: SocketAddr, session: &str| {
        format!(
            "Listen {address}
<VirtualHost {address}>
  OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration
  OIDCClientID apache
  OIDCClientSecret \"{CLIENT_SECRET}\"
  OIDCScope \"openid profile email groups\"
  OIDCPKCEMethod S256
  OIDCRedirectURI http://{address}/callback
  OIDCCryptoPassphrase \"{CLIENT_SECRET}\"
  OIDCSessionType {session}
  OIDCSessionInactivityTimeout 36000
  <Location />
    AuthType openid-connect
    Require valid-user
    Header set Authorization \"{token}\"
  </Location>
</VirtualHost>
"
        )
    };
    let hosts = host(cache, "server-cache") + &host(cookie, "client-cookie");
    format!(
        "{modules}ServerRoot {folder}
ServerName 127.0.0.1
DefaultRuntimeDir {folder}/apache
PidFile {folder}/apache.pid
ErrorLog {folder}/apache-error.log
LogLevel error
DocumentRoot {folder}/apache
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 600
StartServers 1
ServerLimit 1
ThreadLimit 64
ThreadsPerChild 64
MinSpareThreads 64
MaxSpareThreads 64
MaxRequestWorkers 64
MaxConnectionsPerChild 0
{user}
{hosts}"
    )
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}

/// The lines by which nginx asks an auth service, at `upstream`.
pub(crate) fn question(upstream: &str, more: &str) -> String {
    format!(
        "internal; proxy_pass http://{upstream}/authz/auth-request; proxy_pass_request_body off; \
         proxy_set_header Content-Length \"\"; proxy_set_header X-Original-URL {SITE}$request_uri; \
         proxy_set_header X-Original-Method $request_method; {more}"
    )
}
