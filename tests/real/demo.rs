//! `lamplighter demo` in a real browser.

use libtest_mimic::Trial;

use crate::process::{Folder, PROGRAM, Process};
use crate::rig::Rig;
use crate::{Parts, browser};

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![parts.test("demo::somebody_picks_a_person_and_sees_what_the_upstream_received", demo)]
}

async fn demo(rig: Rig) {
    let folder = Folder::new(&format!("lamplighter-demo-{}", std::process::id()));
    let mut command = rig.in_browser_network(PROGRAM);
    command.args(["demo", "--port", "0"]).env_clear().env("PATH", "/usr/bin:/bin");
    let mut demo = Process::start(&mut command, folder.0.join("demo.log"));
    let site = demo.wait_for("the demo is open", |log| {
        let line = log.lines().find_map(|line| line.strip_prefix("lamplighter's demo is open at "))?;
        log.contains("Ctrl-C").then(|| line.to_owned())
    });
    browser::play(&rig, "demo.mjs", &site, &[]);
}
