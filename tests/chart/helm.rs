//! Helm as a program, without a cluster and without anything of whoever runs the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

/// The oldest Kubernetes that the chart is for: what it renders must do there.
const KUBERNETES: &str = "1.29.0";

/// A Helm.
#[derive(Clone, Debug)]
pub(crate) struct Helm(PathBuf);

/// Our chart.
pub(crate) fn chart() -> PathBuf {
    checkout().join("helm/lamplighter")
}

pub(crate) fn checkout() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The names of the chart's examples, `ci/NAME.yaml`.
pub(crate) fn examples() -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(chart().join("ci"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

pub(crate) fn example(name: &str) -> PathBuf {
    chart().join(format!("ci/{name}.yaml"))
}

/// Whether a missing part is a failure, as `make test` has it.
#[expect(clippy::disallowed_methods, reason = "a test is told by its environment what has to be there")]
pub(crate) fn is_required() -> bool {
    std::env::var("LAMPLIGHTER_REQUIRE_RIG").is_ok_and(|value| value == "1")
}

impl Helm {
    /// The Helm of this version that is on the PATH as `name`, or the sentence that says what is missing.
    #[expect(clippy::disallowed_methods, reason = "programs are found by the PATH")]
    pub(crate) fn find(name: &str, version: &str) -> Result<Self, String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
        let remedy = r#"`tests/rig/rig build`, `tests/rig/rig up`, then `eval "$(tests/rig/rig env)"`"#;
        let helm = Self(found.ok_or_else(|| format!("there is no {name} on the PATH: {remedy}"))?);
        match helm.run(&["version", "--short"]) {
            Ok(said) if said.starts_with(&format!("v{version}.")) => Ok(helm),
            other => Err(format!("the {name} on the PATH is not Helm {version} ({other:?}): {remedy}")),
        }
    }

    /// What Helm prints, or what it complains of.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let home = Folder::new();
        let output = Command::new(&self.0).args(arguments).env_clear().env("HOME", &home.0).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// The manifests of our chart with these values over an example's, or over none.
    pub(crate) fn template(
        &self,
        example: Option<&str>,
        over: &str,
        more: &[&str],
    ) -> Result<String, String> {
        let folder = Folder::new();
        let over = folder.write("over.yaml", over);
        let (chart, example) = (chart(), example.map(self::example));
        let mut arguments = vec!["template", "lamplighter", path(&chart), "--namespace=headlamp"];
        arguments.extend(["--kube-version", KUBERNETES]);
        if let Some(example) = &example {
            arguments.extend(["--values", path(example)]);
        }
        arguments.extend(["--values", path(&over)]);
        arguments.extend(more);
        self.run(&arguments)
    }

    /// The objects of an example.
    pub(crate) fn objects(&self, example: &str) -> Vec<Object> {
        self.objects_with(example, "")
    }

    /// The objects of an example with these values over it.
    pub(crate) fn objects_with(&self, example: &str, over: &str) -> Vec<Object> {
        parse(&self.template(Some(example), over, &[]).unwrap_or_else(|error| panic!("{example}: {error}")))
    }
}

/// What Kubernetes is told of one thing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Object(pub(crate) Value);

impl Object {
    pub(crate) fn kind(&self) -> &str {
        self.0["kind"].as_str().unwrap()
    }

    pub(crate) fn name(&self) -> &str {
        self.0["metadata"]["name"].as_str().unwrap()
    }

    /// Kind, namespace and name: what makes it this one.
    pub(crate) fn title(&self) -> String {
        let namespace = self.0["metadata"]["namespace"].as_str().unwrap_or("-");
        format!("{} {namespace}/{}", self.kind(), self.name())
    }
}

/// The objects in a rendering, in an order that does not depend on Helm. A key that stands twice is an error.
pub(crate) fn parse(text: &str) -> Vec<Object> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut objects: Vec<_> = documents.into_iter().map(Object).collect();
    objects.sort_by_key(Object::title);
    objects
}

/// The one object of this kind and name.
pub(crate) fn pick<'a>(objects: &'a [Object], kind: &str, name: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object.kind() == kind && object.name() == name);
    let object = found.next().unwrap_or_else(|| panic!("there is no {kind} {name}"));
    assert!(found.next().is_none(), "there are two of {kind} {name}");
    &object.0
}

/// The pod that lamplighter's container is in: of the Deployment, or as Headlamp's chart is told to make it.
pub(crate) fn pod(objects: &[Object]) -> Value {
    let deployment = objects.iter().find(|object| object.kind() == "Deployment");
    deployment.map_or_else(|| headlamp_values(objects), |object| object.0["spec"]["template"]["spec"].clone())
}

/// The pods that come and go: whose each is, its metadata and its spec.
pub(crate) fn passing_pods(objects: &[Object]) -> Vec<(String, Value, Value)> {
    let own = |object: &Object| match object.kind() {
        "Pod" => Some(object.0.clone()),
        "Job" => Some(object.0["spec"]["template"].clone()),
        _ => None,
    };
    let pods = objects.iter().filter_map(|object| Some((object.title(), own(object)?)));
    pods.map(|(title, pod)| (title, pod["metadata"].clone(), pod["spec"].clone())).collect()
}

/// lamplighter's container in it.
pub(crate) fn container(pod: &Value) -> &Value {
    let containers =
        ["containers", "initContainers"].into_iter().filter_map(|key| pod[key].as_array()).flatten();
    containers.into_iter().find(|container| container["name"] == "lamplighter").unwrap()
}

/// What is in one of its projected volumes.
pub(crate) fn sources<'a>(pod: &'a Value, volume: &str) -> &'a [Value] {
    let mut volumes = pod["volumes"].as_array().unwrap().iter();
    let volume = volumes.find(|each| each["name"] == volume).unwrap();
    volume["projected"]["sources"].as_array().unwrap()
}

/// The values for Headlamp's own chart that our chart keeps.
pub(crate) fn headlamp_values(objects: &[Object]) -> Value {
    serde_saphyr::from_str(headlamp_text(objects)).unwrap()
}

pub(crate) fn headlamp_text(objects: &[Object]) -> &str {
    pick(objects, "ConfigMap", "lamplighter-headlamp")["data"]["values.yaml"].as_str().unwrap()
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A folder that ends with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("chart-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// Writes a file, in a folder of its own if its name has one.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.0.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        file
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
