//! Proxy mode between real parts: what Headlamp's pages do with the cluster, through lamplighter's own listener.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use libtest_mimic::Trial;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use crate::Parts;
use crate::house::{House, Plan};
use crate::rig::Rig;
use crate::socket::{Exec, Message, Socket};
use crate::visitor::{Ask, Visitor};
use crate::wait;

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts.test("sidecar::lists_are_read_and_watches_bring_what_happens", watches),
        parts.test("sidecar::a_command_runs_with_its_input_its_output_and_its_end", command),
        parts.test("sidecar::each_role_may_do_what_it_may_do", roles),
        parts.test("sidecar::logs_are_followed", logs),
        parts.test("sidecar::signing_out_closes_what_is_open_and_ends_what_runs", sign_out),
    ]
}

/// lamplighter in front of the UI, and a pod to run commands in.
pub(crate) async fn build(rig: &Rig, purpose: &str) -> House {
    let house = House::build(rig, purpose, Plan::in_front(rig)).await;
    run_talker(&house);
    house
}

/// The pod in which commands run.
pub(crate) fn run_talker(house: &House) {
    house.namespace.apply(&house.namespace.fill(include_str!("manifests/talker.yaml")));
    house.namespace.kubectl(&["wait", "--for=condition=Ready", "pod/talker", "--timeout=60s"]);
}

/// A browser in which `login` signed in at the provider, and which sees the UI.
pub(crate) async fn signed_in(house: &House, login: &str) -> Visitor {
    let mut visitor = house.visitor().directly_at(&format!("http://{}", house.lamplighter.public));
    let page = visitor.sign_in("/lamplighter/whoami", login).await;
    assert_eq!((page.status(), page.url.path()), (200, "/lamplighter/whoami"), "{:?}", page.trail);
    // Before kube-proxy knows a Service, its address leads nowhere.
    wait::until_async("the UI is reached", async || {
        let page = visitor.ask(Ask::page("/")).await;
        if page.body.contains("The UI") { Ok(()) } else { Err(format!("{:?} {}", page.trail, page.body)) }
    })
    .await;
    visitor
}

/// A path of the house's own namespace.
pub(crate) fn own(house: &House, path: &str) -> String {
    format!("/clusters/main/api/v1/namespaces/{}/{path}", house.namespace.name)
}

/// The path at which `script` runs in the pod.
pub(crate) fn exec(house: &House, script: &str) -> String {
    let mut query = Serializer::new(String::new());
    for argument in ["/bin/busybox", "sh", "-c", script] {
        query.append_pair("command", argument);
    }
    for stream in ["stdin", "stdout", "stderr"] {
        query.append_pair(stream, "true");
    }
    own(house, &format!("pods/talker/exec?{}", query.finish()))
}

/// The pod's log, as it grows.
pub(crate) fn log(house: &House) -> String {
    own(house, "pods/talker/log?follow=true")
}

/// Makes the pod write a line to its log.
pub(crate) fn say(house: &House, line: &str) {
    let script = format!("echo {line} >/proc/1/fd/1");
    house.namespace.kubectl(&["exec", "talker", "--", "/bin/busybox", "sh", "-c", &script]);
}

/// Watches for a ConfigMap that is not there yet.
pub(crate) fn watch(house: &House) -> String {
    own(house, "configmaps?watch=1&fieldSelector=metadata.name%3Dnews")
}

/// A WebSocket of the visitor's at `address`.
pub(crate) async fn open(visitor: &Visitor, address: SocketAddr, target: &str, protocol: &str) -> Socket {
    let opened = Socket::open(visitor, address, (target, protocol)).await;
    opened.unwrap_or_else(|refusal| panic!("{target}: {refusal:?}"))
}

/// An answer that comes bit by bit.
pub(crate) struct Streamed {
    response: reqwest::Response,
    ahead: Vec<u8>,
}

impl Streamed {
    pub(crate) async fn open(visitor: &mut Visitor, target: &str) -> Self {
        let response = visitor.send(&Ask::script(Method::GET, target)).await;
        assert_eq!(response.status(), 200, "{target}");
        Self { response, ahead: Vec::new() }
    }

    /// The next line.
    pub(crate) async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.ahead.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.ahead.drain(..=end).collect();
                return String::from_utf8(line).unwrap().trim_end().to_owned();
            }
            let chunk = self.response.chunk().await.expect("the answer goes on").expect("another line");
            self.ahead.extend_from_slice(&chunk);
        }
    }

    /// The next event of a watch.
    pub(crate) async fn event(&mut self) -> Value {
        serde_json::from_str(&self.line().await).unwrap()
    }
}

async fn watches(rig: Rig) {
    let house = build(&rig, "watch").await;
    let mut victor = signed_in(&house, "victor").await;
    let list = victor.ask(Ask::script(Method::GET, "/clusters/main/api/v1/namespaces")).await;
    assert_eq!(list.status(), 200, "{}", list.body);
    let names = list.json()["items"].as_array().unwrap().clone();
    assert!(names.iter().any(|item| item["metadata"]["name"] == *house.namespace.name), "{}", list.body);

    let mut streamed = Streamed::open(&mut victor, &watch(&house)).await;
    let mut socket = open(&victor, house.lamplighter.public, &watch(&house), "").await;
    for (command, expected) in [
        (["create", "configmap", "news"], "ADDED"),
        (["label", "configmap/news", "a=b"], "MODIFIED"),
        (["delete", "configmap/news", "--wait=false"], "DELETED"),
    ] {
        house.namespace.kubectl(&command);
        for event in [streamed.event().await, socket.event().await] {
            assert_eq!(
                (&event["type"], &event["object"]["metadata"]["name"]),
                (&expected.into(), &"news".into())
            );
        }
    }
}

async fn command(rig: Rig) {
    let house = build(&rig, "exec").await;
    let alice = signed_in(&house, "alice").await;
    let script = exec(&house, "read name; echo \"hello $name\"; echo oops >&2; exit 3");
    for protocol in [Exec::V5, Exec::V4] {
        let mut exec = Exec::over(open(&alice, house.lamplighter.public, &script, protocol).await);
        assert_eq!(exec.socket.protocol, protocol);
        exec.write("ada\n").await;
        assert_eq!(exec.read_until(|_| false).await, Some(Message::Close(1000)));
        assert_eq!(exec.output, ["hello ada\n", "oops\n"], "{protocol}");
        let status = exec.status.unwrap();
        let exit = &status["details"]["causes"][0];
        assert_eq!(
            (&status["reason"], &exit["message"]),
            (&"NonZeroExitCode".into(), &"3".into()),
            "{status}"
        );
    }

    let cat = exec_cat(&house, &alice).await;
    assert_eq!((cat.output[0].as_str(), &cat.status.unwrap()["status"]), ("to the end", &"Success".into()));
}

/// A command that ends when its input does.
async fn exec_cat(house: &House, visitor: &Visitor) -> Exec {
    let target = exec(house, "/bin/busybox cat");
    let mut cat = Exec::over(open(visitor, house.lamplighter.public, &target, Exec::V5).await);
    cat.write("to the end").await;
    cat.read_until(|cat| cat.output[0] == "to the end").await;
    cat.end().await;
    cat.read_until(|_| false).await;
    cat
}

async fn roles(rig: Rig) {
    let house = build(&rig, "roles").await;
    let review = r#"{"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}"#;
    for (login, role) in [("alice", "admin"), ("victor", "viewer")] {
        let mut visitor = signed_in(&house, login).await;
        let path = "/clusters/main/apis/authentication.k8s.io/v1/selfsubjectreviews";
        let page = visitor.ask(Ask::script(Method::POST, path).json(review)).await;
        let account = format!("system:serviceaccount:{}:{role}", house.namespace.name);
        assert_eq!(page.json()["status"]["userInfo"]["username"], *account, "{}", page.body);

        let opened =
            Socket::open(&visitor, house.lamplighter.public, (&exec(&house, "exit"), Exec::V5)).await;
        if role == "admin" {
            opened.unwrap();
            continue;
        }
        let refusal = opened.unwrap_err();
        assert_eq!(refusal.status, 403);
        let said = format!("pods \\\"talker\\\" is forbidden: User \\\"{account}\\\" cannot");
        assert!(refusal.text.contains(&said), "{}", refusal.text);
        let secrets = visitor.ask(Ask::script(Method::GET, &own(&house, "secrets"))).await;
        assert_eq!(secrets.status(), 403, "{}", secrets.body);
    }
}

async fn logs(rig: Rig) {
    let house = build(&rig, "logs").await;
    let mut victor = signed_in(&house, "victor").await;
    say(&house, "first");
    let mut streamed = Streamed::open(&mut victor, &log(&house)).await;
    // As Headlamp asks for it.
    let mut socket = open(&victor, house.lamplighter.public, &log(&house), "base64.binary.k8s.io").await;
    let mut heard = String::new();
    for line in ["first", "second", "third"] {
        if line != "first" {
            say(&house, line);
        }
        assert_eq!(streamed.line().await, line);
        while !heard.ends_with(&format!("{line}\n")) {
            let Message::Data(data) = socket.hear().await else { panic!("the log ended after {heard:?}") };
            heard += &String::from_utf8(STANDARD.decode(data).unwrap()).unwrap();
        }
    }
    assert_eq!(heard, "first\nsecond\nthird\n");
}

async fn sign_out(rig: Rig) {
    let house = build(&rig, "leave").await;
    let runs = || {
        let ps = house.namespace.kubectl(&["exec", "talker", "--", "/bin/busybox", "ps"]);
        ps.contains("/bin/busybox cat")
    };
    for by_itself in [true, false] {
        let mut alice = signed_in(&house, "alice").await;
        let target = exec(&house, "/bin/busybox cat");
        let mut cat = Exec::over(open(&alice, house.lamplighter.public, &target, Exec::V5).await);
        let mut watching = open(&alice, house.lamplighter.public, &watch(&house), "").await;
        let mut following = Streamed::open(&mut alice, &log(&house)).await;
        cat.write("here").await;
        assert_eq!(cat.read_until(|cat| cat.output[0] == "here").await, None);
        assert!(runs());

        if by_itself {
            let log_out = Ask::script(Method::POST, "/clusters/main/set-token").json(r#"{"token":null}"#);
            assert_eq!(alice.ask(log_out).await.status(), 200);
        } else {
            assert_eq!(alice.follow(Ask::form("/lamplighter/logout", &[])).await.status(), 200);
        }
        assert_eq!(cat.read_until(|_| false).await, Some(Message::Close(1008)));
        assert_eq!(watching.hear().await, Message::Close(1008));
        wait::until("the command has ended", || (!runs()).then_some(()));
        let unheard = format!("nothing for her, {by_itself}");
        say(&house, &unheard);
        while let Ok(heard) = following.response.chunk().await {
            let heard = heard.expect("the log breaks off and does not end");
            assert!(!String::from_utf8_lossy(&heard).contains(&unheard), "the log goes on");
        }
    }
}
