//! Traefik, with the very files that the documentation shows.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;

use crate::Parts;
use crate::house::House;
use crate::process::Process;
use crate::proxies::{self, Kind};

const STATIC: &str = include_str!("../../docs/examples/traefik/traefik.yaml");
const EXAMPLE: &str = include_str!("../../docs/examples/traefik/headlamp.yaml");

const TRAEFIK: Kind = Kind {
    program: "traefik",
    page: include_str!("../../docs/traefik.md"),
    example: EXAMPLE,
    start,
    on_error: 500,
    relays_502: true,
    on_impersonation: 403,
};

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    proxies::tests(parts, &TRAEFIK)
}

fn start(program: &Path, house: &House, port: u16) -> Process {
    let (rig, folder) = (&house.rig, &house.folder);
    let site = EXAMPLE
        .replace("127.0.0.1:8080", &house.lamplighter.public.to_string())
        .replace("127.0.0.1:8081", &house.lamplighter.authz.to_string())
        .replace("127.0.0.1:4466", &house.upstream.address.to_string())
        .replace("headlamp.example.com", &house.host)
        .replace("/etc/traefik/tls/headlamp.crt", &rig.tls_cert.display().to_string())
        .replace("/etc/traefik/tls/headlamp.key", &rig.tls_key.display().to_string());
    let site = folder.write("headlamp.yaml", &site);
    let config = STATIC
        .replace(":443", &format!("{}:{port}", rig.node_address))
        .replace("/etc/traefik/headlamp.yaml", &site.display().to_string());
    let config = folder.write("traefik.yaml", &config);
    let mut command = Command::new(program);
    command.arg(format!("--configFile={}", config.display())).env_clear().current_dir(&folder.0);
    Process::start(&mut command, folder.0.join("traefik.log"))
}
