//! Where Flux takes charts from: a Git repository with lamplighter's, and a repository of charts with a stand-in for Headlamp's.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::release::Release;

/// Both, over HTTP. End when this is dropped.
pub(crate) struct Sources {
    address: SocketAddr,
    /// The Git repository, with its work tree.
    repository: PathBuf,
    task: JoinHandle<()>,
}

impl Sources {
    /// Serves this checkout's chart, as it is in the work tree, and the stand-in, at `address` on any port.
    pub(crate) async fn start(address: IpAddr, release: &Release) -> Self {
        let repository = release.folder.0.join("repository");
        std::fs::create_dir_all(repository.join("helm")).expect("a folder can be made");
        run(Command::new("cp").arg("-r").arg(CHART).arg(repository.join("helm")), b"");
        git(&repository, &["init", "--quiet", "--initial-branch=main"]);
        let charts = pack_stand_in(release);

        let listener = TcpListener::bind((address, 0)).await.expect("the node's address can be listened on");
        let address = listener.local_addr().expect("a listener has an address");
        let router = Router::new()
            .route("/lamplighter.git/info/refs", get(references))
            .route("/lamplighter.git/git-upload-pack", post(upload_pack))
            .with_state(repository.clone())
            .route("/charts/{file}", get(chart).with_state(charts));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
        let sources = Self { address, repository, task };
        sources.commit("begin");
        sources
    }

    /// The URL of the Git repository.
    pub(crate) fn git_url(&self) -> String {
        format!("http://{}/lamplighter.git", self.address)
    }

    /// The URL of the repository of charts.
    pub(crate) fn charts_url(&self) -> String {
        format!("http://{}/charts/", self.address)
    }

    /// Changes a line of the chart that says nothing to its templates, and commits it to `main`.
    pub(crate) fn commit(&self, what: &str) {
        let file = self.repository.join("helm/lamplighter/README.md");
        std::fs::write(file, what).expect("the chart can be changed");
        git(&self.repository, &["add", "--all"]);
        let nobody = ["-c", "user.name=test", "-c", "user.email=test@rig.test"];
        git(&self.repository, &[&nobody[..], &["commit", "--quiet", "--message", what]].concat());
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/helm/lamplighter");

/// A folder of charts with one in it that has the name of Headlamp's: the rig's UI, and a ConfigMap with the values that came.
fn pack_stand_in(release: &Release) -> PathBuf {
    let (chart, charts) = (release.folder.0.join("headlamp"), release.folder.0.join("charts"));
    std::fs::create_dir_all(chart.join("templates")).expect("a folder can be made");
    let text = json!({"apiVersion": "v2", "name": "headlamp", "version": "0.45.0"});
    std::fs::write(chart.join("Chart.yaml"), text.to_string()).expect("a chart can be written");
    std::fs::copy(&release.rig.ui, chart.join("templates/ui.yaml")).expect("the rig has a stand-in");
    std::fs::write(chart.join("templates/values.yaml"), SEEN).expect("a chart can be written");
    let (chart, charts_name) = (chart.display().to_string(), charts.display().to_string());
    release.helm(&["package", &chart, "--destination", &charts_name]);
    release.helm(&["repo", "index", &charts_name]);
    charts
}

const SEEN: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: headlamp-values}
data: {values: {{ .Values | toJson | quote }}}
";

/// A file of the folder, or 404.
async fn chart(State(folder): State<PathBuf>, file: axum::extract::Path<String>) -> impl IntoResponse {
    std::fs::read(folder.join(file.as_str())).map_err(|_| StatusCode::NOT_FOUND)
}

/// The branches, as Git's protocol has them over HTTP (gitprotocol-http, "Smart Clients").
async fn references(State(repository): State<PathBuf>) -> impl IntoResponse {
    let mut command = Command::new("git");
    command.args(["upload-pack", "--http-backend-info-refs"]).arg(repository);
    let references = run(&mut command, b"");
    let kind = [(CONTENT_TYPE, "application/x-git-upload-pack-advertisement")];
    (kind, [&b"001e# service=git-upload-pack\n0000"[..], &references].concat())
}

/// The objects that are asked for.
async fn upload_pack(State(repository): State<PathBuf>, wanted: Bytes) -> impl IntoResponse {
    let mut command = Command::new("git");
    command.args(["upload-pack", "--stateless-rpc"]).arg(repository);
    ([(CONTENT_TYPE, "application/x-git-upload-pack-result")], run(&mut command, &wanted))
}

/// Git, with nobody's settings.
fn git(repository: &Path, arguments: &[&str]) {
    run(Command::new("git").arg("-C").arg(repository).args(arguments), b"");
}

fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program runs");
    // Closed at once; one that does not read breaks the pipe.
    let _ = child.stdin.take().expect("stdin is piped").write_all(input);
    let output = child.wait_with_output().expect("the program ends");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
