//! The way in when the provider is down and no ingress is there: `kubectl exec` and `kubectl port-forward`, for real.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Trial;
use reqwest::{Client, StatusCode, redirect};

use crate::cluster::Namespace;
use crate::house::{self, Plan};
use crate::in_cluster::{configure, image, wait_for};
use crate::process::{Folder, Process};
use crate::provider::OwnProvider;
use crate::rig::Rig;
use crate::visitor::{Ask, Page, Visitor};
use crate::{Parts, browser, wait};

/// Where nobody answers.
const DEAD: &str = "https://auth.rig.test:9";

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts.test("fallback::who_may_run_a_command_in_the_pod_gets_in_without_provider_and_ingress", way_in),
        parts.test("fallback::in_a_browser_the_way_in_is_the_one_that_the_pages_show", walk),
    ]
}

/// Where people would open the UI. No ingress leads there.
fn site(namespace: &Namespace) -> String {
    format!("https://{}.rig.test", namespace.name)
}

/// lamplighter as a pod beside the UI, with a fallback, and no ingress.
fn build(rig: &Rig, namespace: &Namespace, plan: &Plan, (client_id, secret): (&str, &str)) {
    let image = image();
    namespace.apply(&std::fs::read_to_string(&rig.ui).unwrap());
    let host = format!("{}.rig.test", namespace.name);
    namespace.apply(&house::example(&namespace.name, &host, 443, false));
    let config = house::configuration(plan, &site(namespace), namespace, client_id);
    let upstream = format!("http://headlamp.{}.svc.cluster.local", namespace.name);
    let config = format!("{config}\nfallback: {{ role: viewer, upstream: \"{upstream}\" }}\n");
    configure(rig, namespace, secret, &config);
    namespace.apply(&namespace.fill(include_str!("manifests/pod.yaml")).replace("IMAGE", &image));
    namespace.wait_for_deployment("headlamp");
    namespace.wait_for_deployment("lamplighter");
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
    let namespace = Namespace::new(&rig, "fallback");
    let plan = Plan { issuer: Some(DEAD.to_owned()), ..Plan::usual(&rig) };
    build(&rig, &namespace, &plan, ("nobody", "unused"));
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

/// A kubeconfig for the browser's network, in which the API server has another address.
fn kubeconfig(rig: &Rig, folder: &Folder) -> PathBuf {
    let path = folder.0.join("kubeconfig");
    std::fs::copy(&rig.kubeconfig, &path).unwrap();
    let port = rig.api_server.rsplit(':').next().unwrap();
    let server = format!("--server=https://{}:{port}", rig.node_address);
    let mut command = Command::new(&rig.kubectl);
    command.arg(format!("--kubeconfig={}", path.display())).args(["config", "set-cluster", "rig", &server]);
    let output = command.arg("--tls-server-name=localhost").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    path
}

/// The command that a page of lamplighter's shows.
fn command_of(page: &Page) -> String {
    let from = page.body.find("kubectl port-forward").unwrap_or_else(|| panic!("no command: {}", page.body));
    page.body[from..].split('<').next().unwrap().to_owned()
}

/// Runs `command` as a person does who sits at the browser.
fn at_the_browser(rig: &Rig, command: &str, kubeconfig: &Path, folder: &Folder) -> Process {
    // One at a time has the port in that network: a second one of these tests waits.
    let turn = std::env::temp_dir().join("lamplighter-fallback-port");
    let mut shell = rig.in_browser_network("flock");
    shell.arg("--no-fork").arg(turn).args(["sh", "-c", &format!("exec {command}")]);
    shell.env("KUBECONFIG", kubeconfig).env("PATH", format!("{}:/usr/bin:/bin", kubectl_folder(rig)));
    let mut process = Process::start(&mut shell, folder.0.join("port-forward.log"));
    process.wait_for("kubectl forwards", |log| log.contains("Forwarding from").then_some(()));
    process
}

fn kubectl_folder(rig: &Rig) -> String {
    rig.kubectl.parent().unwrap().display().to_string()
}

async fn walk(rig: Rig) {
    let provider = OwnProvider::start(&rig);
    let namespace = Namespace::new(&rig, "walk");
    let plan = Plan { provider: provider.provider.clone(), ..Plan::usual(&rig) };
    let client = house::register(&rig, &plan.provider, &site(&namespace)).await;
    build(&rig, &namespace, &plan, (&client.0, &client.1));
    let service = namespace.kubectl(&["get", "service", "lamplighter", "-o=jsonpath={.spec.clusterIP}"]);
    let public = format!("http://{service}:8080");
    wait_for(&format!("{public}/lamplighter/whoami")).await;
    let visitor = || Visitor::new(&rig, &site(&namespace)).directly_at(&public);
    let page = visitor().sign_in("/lamplighter/login?rd=%2Flamplighter%2Fwhoami", "victor").await;
    assert_eq!((page.status(), page.url.path()), (200, "/lamplighter/whoami"), "{}", page.body);

    drop(provider);
    // A lamplighter that starts now finds no provider.
    namespace.kubectl(&["delete", "pod", "--selector=app=lamplighter"]);
    namespace.wait_for_deployment("lamplighter");
    wait_for(&format!("{public}/lamplighter/whoami")).await;
    let page = visitor().follow(Ask::page("/lamplighter/login?rd=%2F")).await;
    assert_eq!((page.status(), page.reason()), (503, "provider-unreachable"));
    let command = command_of(&page);
    assert_eq!(command, format!("kubectl port-forward -n {} deploy/lamplighter 4467", namespace.name));

    let folder = Folder::new(&format!("{}-files", namespace.name));
    let kubeconfig = kubeconfig(&rig, &folder);
    let _forwarding = at_the_browser(&rig, &command, &kubeconfig, &folder);
    let more = [
        ("namespace", namespace.name.as_str()),
        ("kubeconfig", &kubeconfig.display().to_string()),
        ("kubectlFolder", &kubectl_folder(&rig)),
    ];
    browser::play(&rig, "fallback.mjs", "http://localhost:4467", &more);
}
