//! What replicas share over a real Redis: a sign-out at one holds at all.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use libtest_mimic::Trial;

use crate::Parts;
use crate::house::{self, House, Plan};
use crate::process::{Folder, Lamplighter, Process};
use crate::rig::Rig;
use crate::visitor::{Ask, Visitor};
use crate::wait;

const PASSWORD: &str = "a password that only tests know";

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts.test("store::a_sign_out_at_one_replica_holds_at_all", shared),
        parts.test("store::a_replica_that_was_cut_off_catches_up", cut_off),
    ]
}

/// A Redis of the test's own.
struct Redis {
    folder: Folder,
    port: u16,
    process: Option<Process>,
}

impl Redis {
    fn start(name: &str) -> Self {
        let reserved = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = reserved.local_addr().unwrap().port();
        drop(reserved);
        let mut redis = Self { folder: Folder::new(&format!("{name}-redis")), port, process: None };
        redis.resume();
        redis
    }

    fn resume(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--port"]).arg(self.port.to_string());
        command.args(["--requirepass", PASSWORD, "--dir"]).arg(&self.folder.0);
        let mut process = Process::start(&mut command, self.folder.0.join("redis.log"));
        process.wait_for("Redis takes connections", |log| log.contains("Ready to accept").then_some(()));
        self.process = Some(process);
    }

    fn stop(&mut self) {
        self.process = None;
    }

    fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}/0", PASSWORD.replace(' ', "%20"), self.port)
    }
}

/// A replica of the house's lamplighter that shares by `redis`.
fn replica(house: &House, redis: &Redis, name: &str) -> (Lamplighter, Folder) {
    let config = std::fs::read_to_string(house.folder.0.join("config.yaml")).unwrap();
    let folder = Folder::new(&format!("{}-{name}", house.namespace.name));
    let url = folder.write("redis-url", &redis.url());
    let config = format!("{config}\nstore: {{ redis: {{ urlFile: {} }} }}\n", url.display());
    (Lamplighter::start(&folder, &folder.write("config.yaml", &config), "info"), folder)
}

async fn build(rig: &Rig, purpose: &str) -> House {
    House::build(rig, purpose, Plan { is_public: false, ..Plan::usual(rig) }).await
}

async fn victor_at(house: &House, lamplighter: &Lamplighter) -> Visitor {
    let mut victor = house.visitor().directly_at(&format!("http://{}", lamplighter.public));
    assert_eq!(victor.sign_in("/lamplighter/whoami", "victor").await.status(), 200);
    victor
}

async fn is_let_in(lamplighter: &Lamplighter, house: &House, cookies: &str) -> bool {
    let authz = format!("http://{}/authz/auth-request", lamplighter.authz);
    let answer = house::check(&authz, &format!("{}/config", house.site), cookies).await;
    match answer.status().as_u16() {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

async fn becomes_unwelcome(what: &str, lamplighter: &Lamplighter, house: &House, cookies: &str) {
    wait::until_async(what, async || {
        let is_in = is_let_in(lamplighter, house, cookies).await;
        if is_in { Err("it still lets the session in".to_owned()) } else { Ok(()) }
    })
    .await;
}

async fn signs_out(victor: &mut Visitor) {
    let page = victor.ask(Ask::form("/lamplighter/logout", &[])).await;
    assert_eq!(page.status(), 303);
}

async fn shared(rig: Rig) {
    let house = build(&rig, "store").await;
    let redis = Redis::start(&house.namespace.name);
    let (first, _folder) = replica(&house, &redis, "first");
    let (second, _folder) = replica(&house, &redis, "second");
    let mut victor = victor_at(&house, &first).await;
    let cookies = victor.cookies();
    assert!(is_let_in(&first, &house, &cookies).await && is_let_in(&second, &house, &cookies).await);

    signs_out(&mut victor).await;
    assert!(!is_let_in(&first, &house, &cookies).await);
    becomes_unwelcome("the second replica knows", &second, &house, &cookies).await;
    let (third, _folder) = replica(&house, &redis, "third");
    becomes_unwelcome("a replica that starts later knows", &third, &house, &cookies).await;
    for log in [first.log(), second.log(), third.log()] {
        assert!(!log.contains("password") && log.contains("connected to the store"), "{log}");
    }
}

async fn cut_off(rig: Rig) {
    let house = build(&rig, "cut-off").await;
    let mut redis = Redis::start(&house.namespace.name);
    let (first, _folder) = replica(&house, &redis, "first");
    let (second, _folder) = replica(&house, &redis, "second");
    let mut victor = victor_at(&house, &first).await;
    let cookies = victor.cookies();

    redis.stop();
    signs_out(&mut victor).await;
    assert!(!is_let_in(&first, &house, &cookies).await, "where it happened, it holds at once");
    assert!(is_let_in(&second, &house, &cookies).await, "nobody could tell");
    redis.resume();
    becomes_unwelcome("the second replica catches up", &second, &house, &cookies).await;
}
