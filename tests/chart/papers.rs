//! What people read: values.yaml, its schema, the README. They say the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::helm::{Helm, chart, parse};
use crate::{Parts, trial};

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        trial("papers::the_schema_is_closed_and_explains_every_key", closed),
        trial("papers::the_schema_and_the_values_have_the_same_keys", same_keys),
        trial("papers::the_readme_has_every_value", readme),
        trial("papers::the_chart_is_of_this_version", version),
        parts.test("papers::what_the_readme_and_the_values_show_renders", shown),
    ]
}

fn read(name: &str) -> String {
    fs::read_to_string(chart().join(name)).unwrap()
}

fn schema() -> Value {
    serde_json::from_str(&read("values.schema.json")).unwrap()
}

fn values() -> Value {
    serde_saphyr::from_str(&read("values.yaml")).unwrap()
}

/// Maps whose keys are somebody else's: labels, a pod's own settings, claims of a provider.
const FREE: [&str; 17] = [
    "affinity",
    "env[].valueFrom",
    "global",
    "integration.annotations",
    "labels",
    "monitoring.labels",
    "networkPolicy.egress.dns.podLabels",
    "networkPolicy.egress.to[].podLabels",
    "networkPolicy.ingressFrom[].podLabels",
    "networkPolicy.metricsFrom[].podLabels",
    "nodeSelector",
    "podAnnotations",
    "podLabels",
    "resources",
    "roles[].match.claims",
    "serviceAccount.annotations",
    "uiPods.labels",
];

/// Each key of the schema, with what is said of it, and whether it holds further keys of ours.
fn keys(schema: &Value) -> BTreeMap<String, (String, bool)> {
    let mut found = BTreeMap::new();
    collect(schema, "", &mut found);
    found
}

fn collect(shape: &Value, at: &str, found: &mut BTreeMap<String, (String, bool)>) {
    let Some(properties) = shape["properties"].as_object() else { return };
    assert_eq!(shape["additionalProperties"], false, "{at} takes keys that nobody knows");
    for (key, shape) in properties {
        let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        let said = shape["description"].as_str().unwrap_or_else(|| panic!("{at} is not explained"));
        let is_section = shape["properties"].is_object();
        if shape["type"] == "object" && !is_section {
            assert!(FREE.contains(&at.as_str()), "{at} takes any key");
        }
        found.insert(at.clone(), (said.to_owned(), is_section));
        collect(shape, &at, found);
        collect(&shape["items"], &format!("{at}[]"), found);
    }
}

fn closed() {
    let schema = schema();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    // One that is fetched is not there where a cluster has no way out.
    assert!(!schema.to_string().contains("\"$ref\""));
    assert!(keys(&schema).len() > 100);
}

/// The keys of values.yaml, with what they are set to.
fn defaults(
    value: &Value,
    at: &str,
    known: &BTreeMap<String, (String, bool)>,
    found: &mut BTreeMap<String, String>,
) {
    for (key, value) in value.as_object().unwrap() {
        let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        let (_, is_section) = known.get(&at).unwrap_or_else(|| panic!("{at} is not in the schema"));
        if *is_section {
            defaults(value, &at, known, found);
        } else {
            found.insert(at, value.to_string());
        }
    }
}

fn same_keys() {
    let known = keys(&schema());
    let mut set = BTreeMap::new();
    defaults(&values(), "", &known, &mut set);
    for (key, (_, is_section)) in &known {
        let has_value = set.contains_key(key) || *is_section || key.contains("[]") || key == "global";
        assert!(has_value, "{key} is not in values.yaml");
    }
}

const BEGIN: &str = "<!-- values: written by `UPDATE_GOLDEN=1 cargo test --test chart` -->\n";
const END: &str = "<!-- end of values -->\n";

#[expect(clippy::disallowed_methods, reason = "asks whoever runs the tests, not the product's settings")]
fn readme() {
    let known = keys(&schema());
    let mut set = BTreeMap::new();
    defaults(&values(), "", &known, &mut set);
    let mut table = String::from("\n| key | default | meaning |\n|---|---|---|\n");
    for (key, (said, is_section)) in &known {
        if !is_section && key != "global" {
            let default = set.get(key).map_or_else(|| "–".to_owned(), |text| format!("`{text}`"));
            writeln!(table, "| `{key}` | {default} | {said} |").unwrap();
        }
    }
    let readme = read("README.md");
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let wanted = format!("{before}{BEGIN}{table}\n{END}{after}");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(chart().join("README.md"), &wanted).unwrap();
        return;
    }
    assert!(
        readme == wanted,
        "run `UPDATE_GOLDEN=1 cargo test --test chart` and commit helm/lamplighter/README.md"
    );
}

fn shown(helm: &Helm) {
    let readme = read("README.md");
    let example = readme.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(!parse(&helm.template(None, example, &[]).unwrap()).is_empty());

    let values = read("values.yaml");
    let (_, roles) = values.split_once("\n# roles:\n").unwrap();
    let (roles, _) = roles.split_once("\nroles: []").unwrap();
    let roles: Vec<_> = roles.lines().map(|line| line.trim_start_matches('#')).collect();
    helm.template(Some("gateway"), &format!("roles:\n{}", roles.join("\n")), &[]).unwrap();
}

fn version() {
    let chart: Value = serde_saphyr::from_str(&read("Chart.yaml")).unwrap();
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["kubeVersion"], ">=1.29.0-0");
}
