//! The configuration: one YAML file, and the environment over it.
//!
//! Written settings become a [`Config`] in four steps, and every step notes all that is wrong before the last one
//! gives up:
//!
//! ```text
//!  text ──▶ tree ──▶ + environment ──▶ fits the schema? ──▶ serde ──▶ makes sense? ──▶ Config
//!         (knows its lines)           (made from the structs)        (file per section)
//! ```

mod duration;
mod env;
mod error;
mod fallback;
mod file;
mod kubernetes;
mod listen;
mod matching;
mod nearest;
mod oidc;
mod origin;
mod path;
mod raw;
mod reference;
mod role;
mod schema;
mod session;
mod settings;
mod shape;
mod store;
mod text;
mod tree;
mod upstream;

#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use self::{
    error::{Files, Problems},
    raw::RawConfig,
    tree::Node,
};

pub use self::{
    env::{environment, is_on_host_network},
    error::{ConfigError, ConfigErrors},
    fallback::Fallback,
    file::{FileError, SecretSource, read_secret},
    kubernetes::Kubernetes,
    listen::Listen,
    matching::{Conditions, EmailPattern, Match},
    oidc::{Oidc, Preset, SigningAlgorithm, UserInfo},
    reference::reference,
    role::{Credential, Role, ServiceAccountRef},
    schema::schema,
    session::Session,
    store::Store,
    upstream::{Upstream, UpstreamAddress},
};

/// The largest configuration file, in bytes: that of a ConfigMap.
const MAX_SIZE: u64 = 1 << 20;

/// A configuration that lamplighter can start with.
///
/// Its `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Config {
    /// The origin where people open the UI: https, or http on this machine; no path.
    pub site: Url,
    /// The identity provider.
    pub oidc: Oidc,
    /// How long people stay signed in.
    pub session: Session,
    /// Who gets which credential: the first that matches holds. Never empty.
    pub roles: Vec<Role>,
    /// The UI upstream.
    pub ui: Ui,
    /// The API server that issues tokens.
    pub kubernetes: Kubernetes,
    /// Where to listen.
    pub listen: Listen,
    /// What several replicas share.
    pub store: Store,
    /// The UI that the public listener is a proxy for; `None`: an ingress asks.
    pub upstream: Option<Upstream>,
    /// A way in through `kubectl port-forward`; `None`: there is none.
    pub fallback: Option<Fallback>,
}

/// The UI upstream.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ui {
    /// Any other that takes a bearer token.
    Generic,
    /// Headlamp.
    #[default]
    Headlamp,
    /// The Kubernetes Dashboard.
    KubernetesDashboard,
}

impl Config {
    /// Reads the file at `path`, with the variables `env` over it; see [`environment`].
    ///
    /// # Errors
    ///
    /// When the file cannot be read, and as [`Config::parse`].
    pub fn load(path: &Path, env: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigErrors> {
        Self::load_with(path, env, Files::Here)
    }

    /// As [`load`](Self::load), but says nothing about the files that it names: for a machine on which lamplighter does
    /// not serve, and where they need not be.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_elsewhere(
        path: &Path,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        Self::load_with(path, env, Files::Elsewhere)
    }

    fn load_with(
        path: &Path,
        env: impl IntoIterator<Item = (String, String)>,
        files: Files,
    ) -> Result<Self, ConfigErrors> {
        let name = path.display().to_string();
        let text = read(path).map_err(|message| ConfigErrors::of_file(&name, None, message))?;
        Self::parse_with(&name, &text, env, files)
    }

    /// Reads `text`, which `name` names in messages, with the variables `env` over it.
    ///
    /// Looks at the files that it names: each must be there and hold what it should.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, at once. Text that is no YAML is one problem, and hides all others.
    pub fn parse(
        name: &str,
        text: &str,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        Self::parse_with(name, text, env, Files::Here)
    }

    fn parse_with(
        name: &str,
        text: &str,
        env: impl IntoIterator<Item = (String, String)>,
        files: Files,
    ) -> Result<Self, ConfigErrors> {
        let schema = schema();
        let settings = settings::settings(&schema);
        let mut tree = Node::parse(text).map_err(|error| {
            ConfigErrors::of_file(
                name,
                error.line,
                format!("is no YAML: {}; look at this line and the one above", error.message),
            )
        })?;
        let refused = env::overlay(&mut tree, env, &settings);

        let mut problems = Problems::new(name, &tree, files);
        for variable in refused {
            variable.note(&mut problems);
        }
        let fitting = shape::fit(&tree, &schema, &settings, &mut problems);
        // What serde would say could repeat a secret.
        let raw = serde_json::from_value::<RawConfig>(fitting).ok();
        let config = raw.and_then(|raw| raw.check(&mut problems));
        problems.into_result()?;
        config.ok_or_else(|| {
            ConfigErrors::of_file(name, None, "does not fit its own schema; please report this")
        })
    }
}

fn read(path: &Path) -> Result<String, String> {
    let refuse = |error: io::Error| format!("cannot be read: {error}; correct the path, or its permissions");
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_SIZE + 1).read_to_end(&mut bytes)).map_err(refuse)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err("is larger than 1 MiB, which is no configuration; correct the path".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.split(|&byte| byte == b'\n').count();
        format!("is not UTF-8 on line {line}; save it as UTF-8")
    })
}

/// The text as it may stand in a message: in backticks, on one line, and not too long.
fn quoted(text: &str) -> String {
    const LONGEST: usize = 64;
    let shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    let rest = if text.chars().nth(LONGEST).is_some() { "…" } else { "" };
    format!("`{shown}{rest}`")
}
