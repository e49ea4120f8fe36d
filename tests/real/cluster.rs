//! The cluster, by kubectl: a namespace of a test's own.

use std::hash::{BuildHasher as _, Hasher as _};
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use crate::rig::Rig;
use crate::wait;

/// A namespace that goes with the test, and all that is bound to its ServiceAccounts with it.
#[derive(Debug)]
pub(crate) struct Namespace {
    rig: Rig,
    pub(crate) name: String,
}

impl Namespace {
    /// Makes one with the ServiceAccounts `admin` (may edit here, and look everywhere), `viewer` (may look everywhere),
    /// `stranger` (whom lamplighter may make no tokens for) and `lamplighter`.
    pub(crate) fn new(rig: &Rig, purpose: &str) -> Self {
        let name = format!("{purpose}-{}", random_suffix());
        let namespace = Self { rig: rig.clone(), name };
        namespace.apply(&namespace.fill(include_str!("manifests/namespace.yaml")));
        namespace
    }

    /// `template` with this namespace's name.
    pub(crate) fn fill(&self, template: &str) -> String {
        template.replace("NAMESPACE", &self.name)
    }

    /// Runs kubectl here, as the cluster's administrator.
    pub(crate) fn try_kubectl(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().expect("kubectl runs")
    }

    /// Runs kubectl here, as the cluster's administrator; its output.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.try_kubectl(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {}: {stderr}", arguments.join(" "));
        String::from_utf8(output.stdout).expect("kubectl writes UTF-8")
    }

    /// Runs kubectl here with nothing but `token`.
    pub(crate) fn kubectl_as(&self, token: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.rig.kubectl);
        command.env("KUBECONFIG", "/dev/null");
        command.arg(format!("--server={}", self.rig.api_server));
        command.arg(format!("--certificate-authority={}", self.rig.api_server_ca.display()));
        command.arg(format!("--token={token}")).arg(format!("--namespace={}", self.name));
        command.args(arguments).output().expect("kubectl runs")
    }

    /// Applies `manifest`. Objects of this or another namespace, as they say.
    pub(crate) fn apply(&self, manifest: &str) {
        let mut command = self.command();
        let command = command.args(["apply", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn().expect("kubectl runs");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        stdin.write_all(manifest.as_bytes()).expect("kubectl reads");
        drop(stdin);
        let output = child.wait_with_output().expect("kubectl ends");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl apply: {stderr}\n{manifest}");
    }

    /// A token of the ServiceAccount `account`.
    pub(crate) fn token_of(&self, account: &str) -> String {
        self.kubectl(&["create", "token", account]).trim().to_owned()
    }

    /// Waits until the Deployment `name` is there.
    pub(crate) fn wait_for_deployment(&self, name: &str) {
        let status = format!("deployment/{name}");
        let bound = format!("--timeout={}s", wait::BOUND.as_secs());
        let output = self.try_kubectl(&["rollout", "status", &status, &bound]);
        if !output.status.success() {
            let pods = self.kubectl(&["describe", "pods"]);
            let logs = self.try_kubectl(&["logs", &status]);
            panic!("{status} does not come up:\n{pods}\n{}", String::from_utf8_lossy(&logs.stdout));
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.rig.kubectl);
        command.env("KUBECONFIG", &self.rig.kubeconfig).arg(format!("--namespace={}", self.name));
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.try_kubectl(&["delete", "clusterrolebinding", &self.name, "--ignore-not-found"]);
        let _ = self.try_kubectl(&["delete", "namespace", &self.name, "--ignore-not-found", "--wait=false"]);
    }
}

/// Kinds that somebody else's program brings to a cluster. They go with the test.
pub(crate) struct Kinds<'n> {
    namespace: &'n Namespace,
    files: Vec<String>,
}

impl<'n> Kinds<'n> {
    /// Those of the rig's files that have `part` in their names.
    pub(crate) fn install(rig: &Rig, namespace: &'n Namespace, part: &str) -> Self {
        let files = std::fs::read_dir(&rig.crds).expect("the rig has a folder of CRDs");
        let files = files.map(|file| file.expect("a folder can be read").path());
        let files = files.map(|file| file.display().to_string()).filter(|file| file.contains(part));
        let kinds = Self { namespace, files: files.map(|file| format!("--filename={file}")).collect() };
        assert!(!kinds.files.is_empty(), "the rig has CRDs of {part}");
        let names = kinds.kubectl(&["apply", "--server-side", "--force-conflicts", "-o=name"]);
        kinds.kubectl(&["wait", "--for=condition=Established", "--timeout=60s"]);
        // Between its being established and its being told of there is a moment.
        wait::until("the API server tells of the kinds", || {
            let told = namespace.try_kubectl(&["api-resources", "--cached=false", "-o=name"]);
            let names_told = String::from_utf8_lossy(&told.stdout).into_owned();
            let is_told = |name: &str| names_told.lines().any(|line| Some(line) == name.rsplit('/').next());
            // It fails while a version of theirs is known to be out of date.
            (told.status.success() && names.lines().all(is_told)).then_some(())
        });
        kinds
    }

    /// Runs kubectl on these files.
    fn kubectl(&self, arguments: &[&str]) -> String {
        let files: Vec<&str> = self.files.iter().map(String::as_str).collect();
        self.namespace.kubectl(&[arguments, &files].concat())
    }
}

impl Drop for Kinds<'_> {
    fn drop(&mut self) {
        let delete = ["delete", "--ignore-not-found", "--wait=false"];
        let files: Vec<&str> = self.files.iter().map(String::as_str).collect();
        let _ = self.namespace.try_kubectl(&[&delete[..], &files].concat());
    }
}

fn random_suffix() -> String {
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    format!("{:06x}", random & 0x00ff_ffff)
}
