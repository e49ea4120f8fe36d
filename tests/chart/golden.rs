//! What each example renders, as a whole: a change that nobody meant shows here.

use std::fs;

use libtest_mimic::Trial;

use crate::Parts;
use crate::helm::{Helm, chart, checkout, example, examples, headlamp_text, parse, path};

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts.test("golden::each_example_renders_what_it_did", renders),
        parts.test("golden::the_values_for_headlamps_chart_are_those_that_are_printed", headlamp),
        parts.test("golden::helm_finds_no_fault_with_the_chart", lint),
        parts.test("golden::the_notes_say_what_to_do_and_how_to_see_that_all_is_well", notes),
    ]
}

#[expect(clippy::disallowed_methods, reason = "asks whoever runs the tests, not the product's settings")]
fn is_update() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

const REMEDY: &str = "look at what changed, then run `UPDATE_GOLDEN=1 cargo test --test chart` and commit it";

fn renders(helm: &Helm) {
    for name in examples() {
        let file = checkout().join(format!("tests/chart/golden/{name}.yaml"));
        let rendered = helm.template(Some(&name), "", &[]).unwrap();
        if is_update() {
            fs::write(&file, &rendered).unwrap();
        }
        let golden = parse(&fs::read_to_string(&file).unwrap_or_default());
        let rendered = parse(&rendered);
        let titles = |objects: &[_]| objects.iter().map(crate::helm::Object::title).collect::<Vec<_>>();
        assert_eq!(titles(&rendered), titles(&golden), "{name}: {REMEDY}");
        for (rendered, golden) in rendered.iter().zip(&golden) {
            assert_eq!(rendered, golden, "{name}: {}: {REMEDY}", rendered.title());
        }
    }
}

fn headlamp(helm: &Helm) {
    for name in ["gateway", "proxy", "sidecar"] {
        let file = checkout().join(format!("helm/headlamp/{name}.yaml"));
        let objects = helm.objects(name);
        let values = format!(
            "# For Headlamp's own chart, where lamplighter runs as in helm/lamplighter/ci/{name}.yaml.\n{}",
            headlamp_text(&objects)
        );
        if is_update() {
            fs::write(&file, &values).unwrap();
        }
        assert!(
            fs::read_to_string(&file).unwrap_or_default() == values,
            "helm/headlamp/{name}.yaml: {REMEDY}"
        );
    }
}

pub(crate) fn lint(helm: &Helm) {
    let chart = chart();
    helm.run(&["lint", "--strict", path(&chart)]).unwrap();
    for name in examples() {
        helm.run(&["lint", "--strict", "--values", path(&example(&name)), path(&chart)]).unwrap();
    }
}

/// What Helm says after an installation.
fn notes_of(helm: &Helm, name: &str, over: &str) -> String {
    let (chart, example) = (chart(), example(name));
    let install = ["install", "lamplighter", path(&chart), "--namespace=headlamp", "--dry-run=client"];
    let arguments = [&install[..], &["--values", path(&example), "--set", over]].concat();
    let said = helm.run(&arguments).unwrap();
    said.split_once("NOTES:").expect("there are notes").1.to_owned()
}

/// A UI whose chart we do not know.
const GENERIC: &str = "ui=generic,uiPods.labels.app=ui";

fn notes(helm: &Helm) {
    let table = [
        (
            "gateway",
            "ui=headlamp",
            "  auth-url: http://lamplighter.headlamp.svc.cluster.local:8081/authz/auth-request",
        ),
        (
            "gateway",
            GENERIC,
            "  auth-signin: https://headlamp.example.com/lamplighter/login?rd=$escaped_request_uri",
        ),
        ("gateway", GENERIC, "On the UI's own Ingress, set exactly these annotations"),
        (
            "gateway",
            "integration.kind=none",
            "lead /lamplighter/ on the same host to the Service lamplighter, port 8080",
        ),
        ("gateway", "networkPolicy.enabled=false", "authz port 8081, which answers with tokens"),
        ("gateway", "session.existingSecret=", "each start makes a new key"),
        ("gateway", "monitoring.podMonitor=true", "Prometheus does not reach the admin port"),
        ("gateway", "replicas=2", "a replica does not hear of sign-outs at another"),
        ("gateway", GENERIC, "https://headlamp.example.com/lamplighter/callback"),
        ("gateway", GENERIC, "kubectl -n headlamp rollout status deploy/lamplighter"),
        ("gateway", GENERIC, "exec deploy/lamplighter -c lamplighter -- lamplighter config check"),
        ("gateway", GENERIC, "auth can-i create serviceaccounts/admin --subresource=token"),
        ("sidecar", "ui=headlamp", "  initContainers:\n    - restartPolicy: Always\n      name: lamplighter"),
        ("sidecar", "ui=headlamp", "rollout status deploy/headlamp"),
        (
            "proxy",
            "integration.kind=none",
            "lead the site to the Service lamplighter, port 8080, and nothing to the UI itself",
        ),
    ];
    for (name, over, said) in table {
        let notes = notes_of(helm, name, over).replace("nginx.ingress.kubernetes.io/", "");
        assert!(notes.contains(said), "{name}, {over}: {said}\n{notes}");
    }
    assert!(!notes_of(helm, "gateway", "ui=headlamp").contains("WARNING"));
}
