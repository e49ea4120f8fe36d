//! The way in when the provider is down and no ingress is there: `kubectl exec` and `kubectl port-forward`, for real.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use libtest_mimic::Trial;
use reqwest::{Client, StatusCode, redirect};

use crate::Parts;
use crate::cluster::Namespace;
use crate::house::{self, Plan};
use crate::in_cluster::{configure, image};
use crate::process::{Folder, Process};
use crate::rig::Rig;
use crate::wait;

/// Where nobody answers.
const DEAD: &str = "https://auth.rig.test:9";

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts.test("fallback::who_may_run_a_command_in_the_pod_gets_in_without_provider_and_ingress", way_in),
    ]
}

/// lamplighter as a pod beside the UI, with a fallback, a provider that is down, and no ingress.
fn build(rig: &Rig) -> Namespace {
    let image = image();
    let namespace = Namespace::new(rig, "fallback");
    let host = format!("{}.rig.test", namespace.name);
    namespace.apply(&std::fs::read_to_string(&rig.ui).unwrap());
    namespace.apply(&house::example(&namespace.name, &host, 443, false));
    let plan = Plan { issuer: Some(DEAD.to_owned()), ..Plan::usual(rig) };
    let config = house::configuration(&plan, &format!("https://{host}"), &namespace, "nobody");
    let upstream = format!("http://headlamp.{}.svc.cluster.local", namespace.name);
    let config = format!("{config}\nfallback: {{ role: viewer, upstream: \"{upstream}\" }}\n");
    configure(rig, &namespace, "unused", &config);
    namespace.apply(&namespace.fill(include_str!("manifests/pod.yaml")).replace("IMAGE", &image));
    namespace.wait_for_deployment("headlamp");
    namespace.wait_for_deployment("lamplighter");
    namespace
}

/// `kubectl port-forward` to the pod's loopback.
fn forward(rig: &Rig, namespace: &Namespace, folder: &Folder) -> (Process, u16) {
    let reserved = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = reserved.local_addr().unwrap().port();
    drop(reserved);
    let mut command = Command::new(&rig.kubectl);
    command.env("KUBECONFIG", &rig.kubeconfig);
    command.args(["-n", &namespace.name, "port-forward", "deploy/lamplighter", &format!("{port}:4467")]);
    let mut process = Process::start(&mut command, folder.0.join("port-forward.log"));
    process.wait_for("kubectl forwards", |log| log.contains("Forwarding from").then_some(()));
    (process, port)
}

async fn way_in(rig: Rig) {
    let namespace = build(&rig);
    let folder = Folder::new(&format!("{}-files", namespace.name));
    let (_forwarding, port) = forward(&rig, &namespace, &folder);
    let url = |path: &str| format!("http://localhost:{port}{path}");
    let client = Client::builder().no_proxy().redirect(redirect::Policy::none()).build().unwrap();
    let open = |path: &str| {
        client.get(url(path)).header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "document")
    };

    let page = open("/").send().await.unwrap();
    assert_eq!(page.status(), StatusCode::UNAUTHORIZED);
    let page = page.text().await.unwrap();
    let command =
        format!("kubectl exec -n {} deploy/lamplighter -- lamplighter fallback code", namespace.name);
    assert!(page.contains(&command), "{page}");
    assert_eq!(client.get(url("/clusters/main/api/v1/namespaces")).send().await.unwrap().status(), 401);

    let code = namespace.kubectl(&["exec", "deploy/lamplighter", "--", "lamplighter", "fallback", "code"]);
    let enter = client.post(url("/lamplighter/fallback")).header("sec-fetch-site", "same-origin");
    let answer = enter.body(format!("code={}&rd=%2F", code.trim())).send().await.unwrap();
    assert_eq!(
        (answer.status(), &answer.headers()["location"]),
        (StatusCode::SEE_OTHER, &url("/").parse().unwrap())
    );
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();

    let list = client.get(url("/clusters/main/api/v1/namespaces")).header("cookie", &cookie);
    let list = list.send().await.unwrap();
    assert_eq!(list.status(), StatusCode::OK);
    assert!(list.text().await.unwrap().contains("kube-system"));
    let delete = client.delete(url(&format!("/clusters/main/api/v1/namespaces/{}", namespace.name)));
    let delete = delete.header("cookie", &cookie).header("sec-fetch-site", "same-origin");
    assert_eq!(delete.send().await.unwrap().status(), StatusCode::FORBIDDEN, "a viewer deletes nothing");

    wait::until("the log says who came in", || {
        let log = namespace.kubectl(&["logs", "deploy/lamplighter"]);
        assert!(!log.contains(code.trim()), "the code is in the log");
        (log.contains(r#""via":"fallback""#) && log.contains("somebody came in by the fallback"))
            .then_some(())
    });
    let elsewhere =
        namespace.kubectl(&["get", "pods", "-l=app=lamplighter", "-o=jsonpath={.items[0].status.podIP}"]);
    let direct = client.get(format!("http://{elsewhere}:4467/")).send().await;
    assert!(direct.is_err(), "the fallback is reached on the pod's loopback alone");
}
