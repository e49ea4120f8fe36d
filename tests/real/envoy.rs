//! Envoy, with the very file that the documentation shows.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;

use crate::Parts;
use crate::house::House;
use crate::process::Process;
use crate::proxies::{self, Kind};

const EXAMPLE: &str = include_str!("../../docs/examples/envoy.yaml");

const ENVOY: Kind = Kind {
    program: "envoy",
    page: include_str!("../../docs/envoy.md"),
    example: EXAMPLE,
    start,
    on_error: 502,
    relays_502: false,
    on_impersonation: 200,
};

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    proxies::tests(parts, &ENVOY)
}

fn start(program: &Path, house: &House, port: u16) -> Process {
    let (rig, folder) = (&house.rig, &house.folder);
    let place = |address: &str, port: u16| format!("address: {address}, port_value: {port}}}");
    let local = |port: u16| place("127.0.0.1", port);
    let node = |port: u16| place(&rig.node_address.to_string(), port);
    let config = EXAMPLE
        .replace(&place("0.0.0.0", 443), &node(port))
        .replace(&local(8080), &node(house.lamplighter.public.port()))
        .replace(&local(8081), &node(house.lamplighter.authz.port()))
        .replace(&local(4466), &node(house.upstream.address.port()))
        .replace("headlamp.example.com", &house.host)
        .replace("/etc/envoy/tls/headlamp.crt", &rig.tls_cert.display().to_string())
        .replace("/etc/envoy/tls/headlamp.key", &rig.tls_key.display().to_string());
    let config = folder.write("envoy.yaml", &config);
    let mut command = Command::new(program);
    command.arg("--config-path").arg(config);
    command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]);
    command.env_clear().current_dir(&folder.0);
    Process::start(&mut command, folder.0.join("envoy.log"))
}
