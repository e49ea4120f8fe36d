//! Caddy, with the very file that the documentation shows.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;

use crate::Parts;
use crate::house::House;
use crate::process::Process;
use crate::proxies::{self, Kind};

const EXAMPLE: &str = include_str!("../../docs/examples/Caddyfile");

const CADDY: Kind = Kind {
    program: "caddy",
    page: include_str!("../../docs/caddy.md"),
    example: EXAMPLE,
    start,
    on_error: 502,
    relays_502: true,
    on_impersonation: 200,
};

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    proxies::tests(parts, &CADDY)
}

fn start(program: &Path, house: &House, port: u16) -> Process {
    let (rig, folder) = (&house.rig, &house.folder);
    let site = EXAMPLE
        .replace("127.0.0.1:8080", &house.lamplighter.public.to_string())
        .replace("127.0.0.1:8081", &house.lamplighter.authz.to_string())
        .replace("127.0.0.1:4466", &house.upstream.address.to_string())
        .replace("headlamp.example.com", &format!("{}:{port}", house.host))
        .replace("/etc/caddy/tls/headlamp.crt", &rig.tls_cert.display().to_string())
        .replace("/etc/caddy/tls/headlamp.key", &rig.tls_key.display().to_string());
    let site = folder.write("headlamp.caddyfile", &site);
    let config = include_str!("manifests/Caddyfile")
        .replace("ADDRESS", &rig.node_address.to_string())
        .replace("FOLDER", &folder.0.display().to_string())
        .replace("SITE", &site.display().to_string());
    let config = folder.write("Caddyfile", &config);
    let mut command = Command::new(program);
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(config);
    command.env_clear().env("HOME", &folder.0).current_dir(&folder.0);
    Process::start(&mut command, folder.0.join("caddy.log"))
}
