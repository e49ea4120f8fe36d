//! authentik itself, where somebody runs one: set up by the blueprint that is printed for it, and with nothing else of ours.

use http::Method;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::browser::play;
use crate::house::{Client, House, Plan};
use crate::idp::{assert_is_in, printed};
use crate::plain_nginx::nginx;
use crate::process::Process;
use crate::rig::{self, Authentik, Provider, Rig};
use crate::visitor::{Ask, Page, Visitor};
use crate::{Parts, left_out, wait};

/// The application's slug, and the client's id.
const NAME: &str = "lamplighter-test";

/// Whom the test makes at authentik, and in which group.
const PEOPLE: [(&str, Option<&str>); 3] =
    [("alice", Some("k8s-admins")), ("victor", Some("k8s-viewers")), ("nora", None)];

const PASSWORD: &str = "a password that tests know";

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    let name = "authentik::authentik_signs_people_in_with_the_blueprint_that_is_printed_for_it";
    // No part of the rig: nobody has to have one.
    vec![match rig::authentik() {
        Ok(authentik) => parts.test(name, move |rig| people_sign_in(rig, authentik)),
        Err(_) => left_out(name),
    }]
}

async fn people_sign_in(rig: Rig, authentik: Authentik) {
    let port = rig.free_port();
    let issuer = format!("https://auth.rig.test:{port}/application/o/{NAME}/");
    let provider = Provider { issuer, registration: String::new() };
    let client = Client { id: NAME, secret: "not known yet", preset: "authentik" };
    let plan = Plan { provider, client: Some(client), ..Plan::usual(&rig) };
    let house = House::build(&rig, "authentik", plan).await;
    let _front = front(&house, &authentik, port);

    let mut api = Api { visitor: house.visitor(), authentik };
    for (login, group) in PEOPLE {
        api.make_person(login, group).await;
    }
    api.apply_blueprint(&printed(&house, "authentik", "blueprint")).await;
    let provider =
        api.find("/providers/oauth2/", "client_id", NAME).await.expect("the blueprint makes a provider");
    house.folder.write("client-secret", provider["client_secret"].as_str().expect("a client has a secret"));

    for (login, person) in
        [("alice", ("alice", "k8s-admins", "admin")), ("victor", ("victor", "k8s-viewers", "viewer"))]
    {
        let (visitor, page) = sign_in(&house, login).await;
        assert_eq!((page.status(), page.url.path()), (200, "/lamplighter/whoami"), "{}", page.body);
        assert_is_in(&house, &visitor, person).await;
    }
    let (visitor, page) = sign_in(&house, "nora").await;
    assert_eq!((page.status(), page.reason()), (403, "no-role"), "{}", page.body);
    assert_eq!(visitor.cookie("__Host-lamplighter"), None);

    play(&rig, "authentik.mjs", &house.site, &[("password", PASSWORD)]);
}

/// TLS with the rig's certificate in front of authentik. Ends when it is dropped.
fn front(house: &House, authentik: &Authentik, port: u16) -> Process {
    let rig = &house.rig;
    let listen = format!("{}:{port}", rig.node_address);
    let site = include_str!("manifests/authentik.conf")
        .replace("LISTEN", &listen)
        .replace("TLS_CERT", &rig.tls_cert.display().to_string())
        .replace("TLS_KEY", &rig.tls_key.display().to_string())
        .replace("AUTHENTIK", &authentik.url);
    let nginx = nginx(rig, &house.folder, &site);
    wait::until("nginx listens", || std::net::TcpStream::connect(&listen).ok());
    nginx
}

/// Signs `login` in; the page where that led.
async fn sign_in(house: &House, login: &str) -> (Visitor, Page) {
    let mut visitor = house.visitor();
    let mut page = visitor.follow(Ask::page("/lamplighter/login?rd=%2Flamplighter%2Fwhoami")).await;
    while let Some(executor) = executor(&page) {
        let there = answer_flow(&mut visitor, &executor, login).await;
        page = visitor.follow(Ask::page(page.url.join(&there).unwrap().as_str())).await;
    }
    (visitor, page)
}

/// Where the script of authentik's page asks what to show, if that is what the page is.
fn executor(page: &Page) -> Option<String> {
    let flow = page.url.path().strip_prefix("/if/flow/")?;
    let query = [("query", page.url.query().unwrap_or_default())];
    let mut url = page.url.clone();
    url.set_path(&format!("/api/v3/flows/executor/{flow}"));
    url.query_pairs_mut().clear().extend_pairs(query);
    Some(url.into())
}

/// Answers what a flow asks, as the page's script does; where it leads then.
async fn answer_flow(visitor: &mut Visitor, executor: &str, login: &str) -> String {
    let mut challenge = visitor.follow(Ask::script(Method::GET, executor)).await.json();
    loop {
        let component = challenge["component"].as_str().unwrap_or_default().to_owned();
        let answer = match component.as_str() {
            "ak-stage-identification" => json!({"component": component, "uid_field": login}),
            "ak-stage-password" => json!({"component": component, "password": PASSWORD}),
            "xak-flow-redirect" => return challenge["to"].as_str().expect("it leads somewhere").to_owned(),
            _ => panic!("authentik asks for something else: {challenge}"),
        };
        let ask = Ask::script(Method::POST, executor).json(&answer.to_string());
        challenge = visitor.follow(ask).await.json();
    }
}

/// authentik, as an administrator's script has it.
struct Api {
    visitor: Visitor,
    authentik: Authentik,
}

impl Api {
    async fn ask(&mut self, method: Method, path: &str, body: Option<&Value>) -> Page {
        let ask = Ask::script(method, &format!("{}/api/v3{path}", self.authentik.url));
        let ask = ask.with("authorization", &format!("Bearer {}", self.authentik.token));
        let page =
            self.visitor.ask(body.into_iter().fold(ask, |ask, body| ask.json(&body.to_string()))).await;
        assert!((200..300).contains(&page.status()), "{path}: {}", page.body);
        page
    }

    /// The object of a collection whose `field` is `value`.
    async fn find(&mut self, path: &str, field: &str, value: &str) -> Option<Value> {
        let found = self.ask(Method::GET, &format!("{path}?{field}={value}"), None).await.json();
        found["results"].as_array()?.iter().find(|object| object[field] == value).cloned()
    }

    /// Makes an object, or changes the one that is there; its key.
    async fn make(&mut self, path: &str, field: &str, object: &Value) -> String {
        let name = object[field].as_str().unwrap();
        let page = match self.find(path, field, name).await {
            Some(found) => {
                self.ask(
                    Method::PATCH,
                    &format!("{path}{}/", found["pk"].to_string().trim_matches('"')),
                    Some(object),
                )
                .await
            }
            None => self.ask(Method::POST, path, Some(object)).await,
        };
        page.json()["pk"].to_string().trim_matches('"').to_owned()
    }

    async fn make_person(&mut self, login: &str, group: Option<&str>) {
        let mut groups = Vec::new();
        if let Some(group) = group {
            groups.push(self.make("/core/groups/", "name", &json!({"name": group})).await);
        }
        let person = json!({
            "username": login, "name": login, "email": format!("{login}@rig.test"), "groups": groups,
        });
        let person = self.make("/core/users/", "username", &person).await;
        let password = json!({"password": PASSWORD});
        self.ask(Method::POST, &format!("/core/users/{person}/set_password/"), Some(&password)).await;
    }

    /// Has authentik's worker apply `blueprint`, as one that was pasted into the admin interface.
    async fn apply_blueprint(&mut self, blueprint: &str) {
        let instance =
            json!({"name": NAME, "path": "", "context": {}, "enabled": true, "content": blueprint});
        let instance = self.make("/managed/blueprints/", "name", &instance).await;
        let path = format!("/managed/blueprints/{instance}/");
        let before = self.ask(Method::GET, &path, None).await.json()["last_applied"].clone();
        self.ask(Method::POST, &format!("{path}apply/"), None).await;
        wait::until_async("the worker applies the blueprint", async || {
            let seen = self.ask(Method::GET, &path, None).await.json();
            assert_ne!(seen["status"], "error", "the worker's log says why");
            if seen["status"] == "successful" && seen["last_applied"] != before {
                Ok(())
            } else {
                Err(seen.to_string())
            }
        })
        .await;
    }
}
