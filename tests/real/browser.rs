//! The product in a real browser: Chromium, through the real ingress-nginx.

use std::net::SocketAddr;
use std::path::Path;

use libtest_mimic::Trial;
use serde_json::json;

use crate::house::{House, Plan};
use crate::rig::{self, Rig};
use crate::sidecar::run_talker;
use crate::{Parts, left_out};

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    // No part of the rig: nobody has to have one.
    let headlamp = |name: &str, is_asked: bool| match rig::headlamp() {
        Ok(address) => parts.test(name, move |rig| headlamp_itself(rig, address, is_asked)),
        Err(_) => left_out(name),
    };
    vec![
        parts.test("browser::a_viewer_signs_in_looks_and_changes_nothing", sign_in),
        parts.test("browser::who_has_no_role_is_told_so_and_comes_back_as_another", denied),
        parts.test("browser::what_failed_is_named_on_a_page", failures),
        parts.test("browser::signing_out_ends_every_tab", sign_out),
        parts.test("browser::a_sidecar_carries_watches_and_commands_until_the_person_signs_out", sidecar),
        headlamp("browser::headlamp_itself_asks_for_no_token_and_goes_with_the_session", true),
        headlamp(
            "browser::headlamp_itself_behind_a_sidecar_asks_for_no_token_and_goes_with_the_session",
            false,
        ),
    ]
}

/// Plays a scenario of `tests/real/browser`, which is told `more` beside where everything is.
pub(crate) fn play(rig: &Rig, scenario: &str, site: &str, more: &[(&str, &str)]) {
    let mut told = json!({
        "address": rig.node_address, "artifacts": rig::artifacts(), "chromium": rig.chromium,
        "nodeModules": rig.node_modules, "site": site, "tlsKeyHash": rig.tls_key_hash,
    });
    for (name, value) in more {
        told[name] = (*value).into();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/browser").join(scenario);
    let output =
        rig.in_browser_network("node").arg(script).arg(told.to_string()).output().expect("node runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{scenario}: {said}");
}

fn play_in(house: &House, scenario: &str) {
    play(&house.rig, scenario, &house.site, &[("namespace", &house.namespace.name)]);
}

async fn sign_in(rig: Rig) {
    let provider = rig.providers.authentik.clone();
    let house = House::build(&rig, "chromium", Plan { provider, ..Plan::with_api(&rig) }).await;
    play_in(&house, "sign_in.mjs");
}

async fn denied(rig: Rig) {
    let house = House::build(&rig, "chromium", Plan::usual(&rig)).await;
    play_in(&house, "denied.mjs");
}

async fn failures(rig: Rig) {
    let issuer = Some("https://auth.rig.test:9/".to_owned());
    for (name, heading, plan) in [
        ("provider", "The identity provider does not answer", Plan { issuer, ..Plan::usual(&rig) }),
        ("token", "There is no token for you", Plan { viewer: "stranger", ..Plan::usual(&rig) }),
    ] {
        let house = House::build(&rig, "chromium", plan).await;
        play(&rig, "failures.mjs", &house.site, &[("name", name), ("expected", heading)]);
    }
}

async fn sign_out(rig: Rig) {
    let house = House::build(&rig, "chromium", Plan::usual(&rig)).await;
    play_in(&house, "sign_out.mjs");
}

async fn sidecar(rig: Rig) {
    let house = House::build(&rig, "chromium", Plan { is_public: true, ..Plan::in_front(&rig) }).await;
    run_talker(&house);
    play_in(&house, "sidecar.mjs");
}

/// The same walk, whether an ingress asks or lamplighter is in front.
async fn headlamp_itself(rig: Rig, address: SocketAddr, is_asked: bool) {
    let usual = Plan::usual(&rig);
    let (shape, plan) = if is_asked {
        ("headlamp", Plan { ui: Some(address), ..usual })
    } else {
        ("headlamp-sidecar", Plan { upstream: Some(format!("http://{address}")), ..usual })
    };
    let house = House::build(&rig, "headlamp", plan).await;
    play(&rig, "headlamp.mjs", &house.site, &[("namespace", &house.namespace.name), ("shape", shape)]);
}
