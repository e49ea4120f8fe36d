//! lamplighter as a pod, by the rules of restricted pod security, with the credentials that a pod has.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::Trial;
use reqwest::Method;

use crate::Parts;
use crate::cluster::Namespace;
use crate::house::{self, Plan, SESSION_KEY};
use crate::ingress_nginx::claims;
use crate::process::{Folder, PROGRAM};
use crate::rig::{self, Rig};
use crate::visitor::{Ask, Visitor};
use crate::wait;

const IMAGE: &str = "rig.local/lamplighter:real-tests";

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts.test("in_cluster::a_pod_signs_people_in_and_mints_with_its_own_service_account", sign_in),
        parts.test("in_cluster::a_sidecar_carries_people_to_the_ui_in_its_pod", sidecar),
    ]
}

/// The image to run: one of the program under test, made now in the node's containerd, or the one that was named.
pub(crate) fn image() -> String {
    if let Some(image) = rig::image() {
        return image;
    }
    pack(IMAGE, Path::new(PROGRAM), "/bin/lamplighter");
    IMAGE.to_owned()
}

/// Makes an image with nothing but `program`, and what it is linked with, in the node's containerd.
pub(crate) fn pack(name: &str, program: &Path, inside: &str) {
    let rig = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rig/rig");
    let (entry, file) = (format!("[{inside:?}]"), format!("{}={inside}", program.display()));
    let output = Command::new(rig).args(["image", "--with-libs", name, &entry, &file]).output();
    let output = output.expect("the rig's script runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The Secret with lamplighter's configuration and all that it names.
pub(crate) fn configure(rig: &Rig, namespace: &Namespace, secret: &str, config: &str) {
    let config = config
        .replace("FOLDER", "/etc/lamplighter")
        .replace("KUBERNETES", "{}")
        .replace("LISTEN", "0.0.0.0")
        .replace("PUBLIC_PORT", "8080")
        .replace("AUTHZ_PORT", "8081")
        .replace("ADMIN_PORT", "9090")
        .replace("TRUSTED", &house::own_addresses(rig));
    let folder = Folder::new(&namespace.name);
    let files = [
        ("config.yaml", folder.write("config.yaml", &config)),
        ("client-secret", folder.write("client-secret", secret)),
        ("session-key", folder.write("session-key", SESSION_KEY)),
        ("ca.crt", rig.ca.clone()),
    ];
    let files = files.map(|(name, path)| format!("--from-file={name}={}", path.display()));
    let mut arguments = vec!["create", "secret", "generic", "lamplighter"];
    arguments.extend(files.iter().map(String::as_str));
    namespace.kubectl(&arguments);
}

/// Waits until lamplighter answers at `url`. Before kube-proxy knows a Service, its address leads anywhere, and a
/// connection that was made then stays there.
pub(crate) async fn wait_for(url: &str) {
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0);
    let client = client.timeout(Duration::from_secs(1)).build().unwrap();
    wait::until_async("the Service leads to the pod", async || match client.get(url).send().await {
        Ok(answer) if answer.headers().contains_key("x-lamplighter-reason") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

async fn sign_in(rig: Rig) {
    let image = image();
    let namespace = Namespace::new(&rig, "pod");
    let host = format!("{}.rig.test", namespace.name);
    let site = format!("https://{host}:{}", rig.https_port());
    let plan = Plan::usual(&rig);
    let (client_id, secret) = house::register(&rig, &plan.provider, &site).await;
    namespace.apply(&house::example(&namespace.name, &host, rig.https_port(), false));
    configure(&rig, &namespace, &secret, &house::configuration(&plan, &site, &namespace, &client_id));
    namespace.apply(&namespace.fill(include_str!("manifests/pod.yaml")).replace("IMAGE", &image));
    namespace.wait_for_deployment("lamplighter");

    let address = namespace.kubectl(&["get", "service", "lamplighter", "-o=jsonpath={.spec.clusterIP}"]);
    wait_for(&format!("http://{address}:8080/lamplighter/whoami")).await;
    wait_for(&format!("http://{address}:8081/authz/auth-request")).await;
    let mut victor = Visitor::new(&rig, &site).directly_at(&format!("http://{address}:8080"));
    let page = victor.sign_in("/lamplighter/login?rd=%2Flamplighter%2Fwhoami", "victor").await;
    assert_eq!(
        (page.status(), page.url.path()),
        (200, "/lamplighter/whoami"),
        "{:?} {}",
        page.trail,
        page.body
    );
    assert!(page.body.contains("with the role <bdi class=\"name\">viewer</bdi>"), "{}", page.body);

    let authz = format!("http://{address}:8081/authz/auth-request");
    let answer = house::check(&authz, &format!("{site}/config"), &victor.cookies()).await;
    assert_eq!(answer.status(), 200);
    let authorization = answer.headers()["authorization"].to_str().unwrap();
    assert_eq!(claims(authorization)["sub"], format!("system:serviceaccount:{}:viewer", namespace.name));
    let token = authorization.strip_prefix("Bearer ").unwrap();
    assert!(namespace.kubectl_as(token, &["get", "configmap", "precious"]).status.success());
}

async fn sidecar(rig: Rig) {
    let image = image();
    let namespace = Namespace::new(&rig, "sidecar");
    let host = format!("{}.rig.test", namespace.name);
    let site = format!("https://{host}:{}", rig.https_port());
    let plan = Plan { upstream: Some("http://127.0.0.1:4466".to_owned()), ..Plan::usual(&rig) };
    let (client_id, secret) = house::register(&rig, &plan.provider, &site).await;
    namespace.apply(&house::example(&namespace.name, &host, rig.https_port(), false));
    configure(&rig, &namespace, &secret, &house::configuration(&plan, &site, &namespace, &client_id));
    namespace.apply(&namespace.fill(include_str!("manifests/sidecar.yaml")).replace("IMAGE", &image));
    namespace.wait_for_deployment("headlamp");

    let address = namespace.kubectl(&["get", "service", "lamplighter", "-o=jsonpath={.spec.clusterIP}"]);
    wait_for(&format!("http://{address}:8080/lamplighter/login")).await;
    let mut victor = Visitor::new(&rig, &site).directly_at(&format!("http://{address}:8080"));
    let list = victor.sign_in("/clusters/main/api/v1/namespaces", "victor").await;
    assert_eq!(list.status(), 200, "{:?} {}", list.trail, list.body);
    assert!(list.body.contains("kube-system"), "{}", list.body);
    let own = format!("/clusters/main/api/v1/namespaces/{}/configmaps/precious", namespace.name);
    let delete = victor.ask(Ask::script(Method::DELETE, &own)).await;
    assert_eq!(delete.status(), 403, "{}", delete.body);
    assert!(
        delete.body.contains(&format!("system:serviceaccount:{}:viewer", namespace.name)),
        "{}",
        delete.body
    );
}
