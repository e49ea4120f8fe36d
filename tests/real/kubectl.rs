//! kubectl itself through proxy mode, as far as Headlamp's path of the cluster leads: no client of Kubernetes is stricter.
//!
//! kubectl has no cookies; nginx says of its requests what a browser would.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use libtest_mimic::Trial;

use crate::Parts;
use crate::house::House;
use crate::plain_nginx::nginx;
use crate::process::Process;
use crate::rig::Rig;
use crate::sidecar::{self, say};
use crate::visitor::Visitor;
use crate::wait;

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![parts.test("kubectl::reads_follows_and_runs_commands_through_the_uis_path", kubectl)]
}

/// A house, and nginx in the place of a browser.
struct Seat {
    house: House,
    server: String,
    _nginx: Process,
}

impl Seat {
    fn take(house: House, visitor: &Visitor) -> Self {
        let listen = format!("{}:{}", house.rig.node_address, house.rig.free_port());
        let site = include_str!("manifests/browser.conf")
            .replace("LISTEN", &listen)
            .replace("LAMPLIGHTER", &house.lamplighter.public.to_string())
            .replace("AUTHORITY", visitor.site.authority())
            .replace("ORIGIN", &house.site)
            .replace("COOKIES", &visitor.cookies());
        let nginx = nginx(&house.rig, &house.folder, &site);
        wait::until("nginx listens", || std::net::TcpStream::connect(&listen).ok());
        Self { server: format!("http://{listen}/clusters/main"), house, _nginx: nginx }
    }

    /// kubectl, with a token of its own that is worth nothing.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.house.rig.kubectl);
        command.env("KUBECONFIG", "/dev/null").arg(format!("--server={}", self.server));
        command.arg("--token=none").arg(format!("--namespace={}", self.house.namespace.name));
        command.args(arguments);
        command
    }

    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Runs it beside the test.
    fn start(&self, name: &str, arguments: &[&str]) -> Process {
        Process::start(&mut self.command(arguments), self.house.folder.0.join(name))
    }
}

async fn kubectl(rig: Rig) {
    let house = sidecar::build(&rig, "kubectl").await;
    let alice = sidecar::signed_in(&house, "alice").await;
    let seat = Seat::take(house, &alice);
    let whoami = seat.run(&["auth", "whoami", "-o=jsonpath={.status.userInfo.username}"], "");
    let account = format!("system:serviceaccount:{}:admin", seat.house.namespace.name);
    assert_eq!(String::from_utf8_lossy(&whoami.stdout), account, "{whoami:?}");

    let mut watching = seat.start("watch.log", &["get", "configmaps", "--watch", "-o=name"]);
    let precious = |log: &str| log.contains("configmap/precious").then_some(());
    watching.wait_for("kubectl lists", precious);
    let created = seat.run(&["create", "configmap", "news"], "");
    assert!(created.status.success(), "{created:?}");
    watching.wait_for("kubectl hears of it", |log| log.contains("configmap/news").then_some(()));

    let mut following = seat.start("logs.log", &["logs", "--follow", "talker"]);
    for line in ["first", "second"] {
        say(&seat.house, line);
        following.wait_for("kubectl hears the pod", |log| log.ends_with(&format!("{line}\n")).then_some(()));
    }

    let script = "read name; echo \"hello $name\"; echo oops >&2; exit 3";
    let ran = seat.run(&["exec", "-i", "talker", "--", "/bin/busybox", "sh", "-c", script], "ada\n");
    assert_eq!(
        (ran.status.code(), String::from_utf8_lossy(&ran.stdout).as_ref()),
        (Some(3), "hello ada\n"),
        "{ran:?}"
    );
    assert!(String::from_utf8_lossy(&ran.stderr).starts_with("oops\n"), "{ran:?}");
}
