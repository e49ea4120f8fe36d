//! Providers that people run themselves, set up with what `lamplighter idp` prints and with nothing else of ours.

use std::path::{Path, PathBuf};
use std::process::Command;

use http::Method;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::Parts;
use crate::house::{self, Client, House, Plan};
use crate::process::{PROGRAM, Process};
use crate::rig::{Provider, Rig};
use crate::visitor::{Ask, Page, Visitor};

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts.test_with("dex", "idp::dex_signs_people_in_with_the_client_that_is_printed_for_it", dex),
        parts.test_with(
            "kc.sh",
            "idp::keycloak_signs_people_in_in_the_realm_that_is_printed_for_it",
            keycloak,
        ),
    ]
}

/// A lamplighter for the provider that will be at `issuer`, which knows its client by what is printed here.
async fn build(rig: &Rig, issuer: String, client: Client) -> House {
    let provider = Provider { issuer, registration: String::new() };
    let plan = Plan { provider, client: Some(client), is_public: false, ..Plan::usual(rig) };
    House::build(rig, "idp", plan).await
}

/// What `lamplighter idp` prints of the house's own configuration.
pub(crate) fn printed(house: &House, name: &str, format: &str) -> String {
    let mut command = Command::new(PROGRAM);
    command.args(["idp", name, "--format", format, "--config"]).arg(house.folder.0.join("config.yaml"));
    let output = command.env_clear().output().expect("the program starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Signs `login` in, where the site is lamplighter itself; the page where that led.
async fn sign_in(house: &House, login: &str) -> (Visitor, Page) {
    let mut visitor = house.visitor().directly_at(&format!("http://{}", house.lamplighter.public));
    let form = visitor.follow(Ask::page("/lamplighter/login?rd=%2Flamplighter%2Fwhoami")).await;
    let page = match keycloaks_form(&form) {
        Some(action) => visitor.follow(Ask::form(&action, &[("username", login), ("password", "any")])).await,
        None => visitor.finish_sign_in(form, login).await,
    };
    (visitor, page)
}

/// Where Keycloak's form goes, if that is what the page shows.
fn keycloaks_form(page: &Page) -> Option<String> {
    let (_, form) = page.body.split_once("kc-form-login")?;
    let (_, action) = form.split_once("action=\"")?;
    Some(action.split('"').next()?.replace("&amp;", "&"))
}

/// Asks the check as an ingress does, and the API server whose token that is.
pub(crate) async fn assert_is_in(house: &House, visitor: &Visitor, (user, groups, role): (&str, &str, &str)) {
    let authz = format!("http://{}/authz/auth-request", house.lamplighter.authz);
    let answer = house::check(&authz, &format!("{}/config", house.site), &visitor.cookies()).await;
    assert_eq!(answer.status(), 200);
    let header = |name: &str| answer.headers()[name].to_str().unwrap();
    assert_eq!((header("x-forwarded-user"), header("x-forwarded-group")), (user, groups));

    let token = header("authorization").strip_prefix("Bearer ").unwrap();
    let output = house.namespace.kubectl_as(token, &["auth", "whoami", "-o", "json"]);
    let review: Value = serde_json::from_slice(&output.stdout).unwrap();
    let account = format!("system:serviceaccount:{}:{role}", house.namespace.name);
    assert_eq!(review["status"]["userInfo"]["username"], account);
}

async fn assert_people_sign_in(house: &House, logins: [&str; 3]) {
    let [alice, victor, nora] = logins;
    for (login, person) in
        [(alice, ("alice", "k8s-admins", "admin")), (victor, ("victor", "k8s-viewers", "viewer"))]
    {
        let (visitor, page) = sign_in(house, login).await;
        assert_eq!((page.status(), page.url.path()), (200, "/lamplighter/whoami"), "{}", page.body);
        assert_is_in(house, &visitor, person).await;
    }
    let (visitor, page) = sign_in(house, nora).await;
    assert_eq!((page.status(), page.reason()), (403, "no-role"), "{}", page.body);
    assert_eq!(visitor.cookie("__Host-lamplighter"), None);
}

async fn dex(rig: Rig, program: PathBuf) {
    let port = rig.free_port();
    let client = Client { id: "the-ui", secret: "a secret that Dex is told", preset: "dex" };
    let secret = client.secret;
    let house = build(&rig, format!("https://auth.rig.test:{port}/dex"), client).await;
    let config = printed(&house, "dex", "static-client") + &dex_rest(&rig, port);
    let config = house.folder.write("dex.yaml", &config);
    let _dex = start_dex(&house, &program, &config, secret);
    assert_people_sign_in(&house, ["alice@rig.test", "victor@rig.test", "nora@rig.test"]).await;
}

fn dex_rest(rig: &Rig, port: u16) -> String {
    include_str!("manifests/dex.yaml")
        .replace("ADDRESS", &rig.node_address.to_string())
        .replace("PORT", &port.to_string())
        .replace("TLS_CERT", &rig.tls_cert.display().to_string())
        .replace("TLS_KEY", &rig.tls_key.display().to_string())
}

fn start_dex(house: &House, program: &Path, config: &Path, secret: &str) -> Process {
    let mut command = Command::new(program);
    command.arg("serve").arg(config).env_clear().env("LAMPLIGHTER_CLIENT_SECRET", secret);
    let mut dex = Process::start(&mut command, house.folder.0.join("dex.log"));
    dex.wait_for("Dex listens", |log| log.contains("listening on").then_some(()));
    dex
}

async fn keycloak(rig: Rig, program: PathBuf) {
    let port = rig.free_port();
    let base = format!("https://auth.rig.test:{port}");
    let client = Client { id: "the-ui", secret: "not known yet", preset: "keycloak" };
    let house = build(&rig, format!("{base}/realms/the-realm"), client).await;
    let _keycloak = start_keycloak(&house, &program, port);
    let mut console = Console::open(&house, base).await;
    let realm = printed(&house, "keycloak", "realm-json");
    assert_eq!(console.ask(Method::POST, "", Some(&realm)).await.status(), 201);
    for (login, group) in [("alice", Some("/k8s-admins")), ("victor", Some("/k8s-viewers")), ("nora", None)] {
        let user = json!({
            "username": login, "email": format!("{login}@rig.test"), "firstName": login, "lastName": "Example",
            "enabled": true, "groups": group.into_iter().collect::<Vec<_>>(),
            "credentials": [{"type": "password", "value": "any", "temporary": false}],
        });
        let page = console.ask(Method::POST, "/the-realm/users", Some(&user.to_string())).await;
        assert_eq!(page.status(), 201, "{}", page.body);
    }
    let known = console.ask(Method::GET, "/the-realm/clients?clientId=the-ui", None).await.json();
    let secret = known[0]["secret"].as_str().expect("Keycloak makes a secret");
    house.folder.write("client-secret", secret);

    assert_people_sign_in(&house, ["alice", "victor", "nora"]).await;
    assert_takes_no_plain_code(&house, &known[0]).await;
}

/// Keycloak, as an administrator has it.
struct Console {
    base: String,
    token: String,
    visitor: Visitor,
}

impl Console {
    async fn open(house: &House, base: String) -> Self {
        let mut visitor = house.visitor();
        let token = format!("{base}/realms/master/protocol/openid-connect/token");
        let fields = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", "admin"),
            ("password", "any"),
        ];
        let page = visitor.ask(Ask::form(&token, &fields)).await;
        let token = page.json()["access_token"].as_str().expect("the administrator gets a token").to_owned();
        Self { base, token, visitor }
    }

    async fn ask(&mut self, method: Method, path: &str, body: Option<&str>) -> Page {
        let ask = Ask::script(method, &format!("{}/admin/realms{path}", self.base));
        let ask = ask.with("authorization", &format!("Bearer {}", self.token));
        self.visitor.ask(body.into_iter().fold(ask, Ask::json)).await
    }
}

/// Without PKCE, or with its plain method, the realm starts no login.
async fn assert_takes_no_plain_code(house: &House, client: &Value) {
    let redirect_uri = client["redirectUris"][0].as_str().unwrap();
    let mut visitor = house.visitor().directly_at(&format!("http://{}", house.lamplighter.public));
    let login = visitor.ask(Ask::page("/lamplighter/login?rd=/")).await;
    for without in ["code_challenge_method", "code_challenge"] {
        let mut url = url::Url::parse(login.header("location")).unwrap();
        let pairs = url.query_pairs().into_owned();
        let kept: Vec<_> = pairs.filter(|(name, _)| !name.starts_with(without)).collect();
        url.query_pairs_mut().clear().extend_pairs(kept);
        let page = visitor.ask(Ask::page(url.as_str())).await;
        let location = page.header("location");
        assert!(
            location.starts_with(redirect_uri) && location.contains("error=invalid_request"),
            "{location}"
        );
    }
}

fn start_keycloak(house: &House, program: &Path, port: u16) -> Process {
    let rig = &house.rig;
    // kc.sh has Java as a child, which only goes along with it where their first process is ours to end.
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "sh"]);
    command.arg(program).args(["start", "--optimized", "--http-enabled=false", "--cache=local"]);
    command.arg(format!("--hostname=https://auth.rig.test:{port}")).arg(format!("--https-port={port}"));
    command.arg(format!("--http-host={}", rig.node_address));
    command.arg(format!("--https-certificate-file={}", rig.tls_cert.display()));
    command.arg(format!("--https-certificate-key-file={}", rig.tls_key.display()));
    command.env("KC_BOOTSTRAP_ADMIN_USERNAME", "admin").env("KC_BOOTSTRAP_ADMIN_PASSWORD", "any");
    command.env("JAVA_OPTS_KC_HEAP", "-Xms64m -Xmx512m");
    let mut keycloak = Process::start(&mut command, house.folder.0.join("keycloak.log"));
    keycloak.wait_for("Keycloak listens", |log| log.contains("Listening on:").then_some(()));
    keycloak
}
