//! The environment over the file: `LAMPLIGHTER_OIDC__CLIENT_ID` sets `oidc.clientId`.

use super::{
    error::Problems,
    nearest::nearest,
    path::KeyPath,
    quoted,
    schema::Kind,
    settings::Setting,
    tree::{Entry, Node, Origin, Value},
};

/// What the names of all our variables begin with.
pub(super) const PREFIX: &str = "LAMPLIGHTER_";

/// Variables that are read elsewhere and are no settings.
const RESERVED: [&str; 5] = ["CONFIG", "HOST_IP", "LOG", "LOG_FORMAT", "POD_IP"];

/// Whether this is a pod on its node's own network, as far as `LAMPLIGHTER_POD_IP` and `LAMPLIGHTER_HOST_IP` say it,
/// which the downward API fills in (`status.podIP`, `status.hostIP`).
#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
pub fn is_on_host_network() -> bool {
    let address = |name: &str| std::env::var(format!("{PREFIX}{name}")).ok().filter(|text| !text.is_empty());
    address("POD_IP").is_some() && address("POD_IP") == address("HOST_IP")
}

/// Returns the variables of this process that may be settings, as `(name, value)`.
///
/// A value that is not UTF-8 has replacement characters in it, which [`Config::parse`](super::Config::parse) refuses.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect()
}

/// A variable that could not be laid over the file.
pub(super) struct Refused {
    variable: String,
    key: KeyPath,
    message: String,
}

impl Refused {
    pub(super) fn note(self, problems: &mut Problems<'_>) {
        problems.add_at(&Origin::Environment(self.variable), &self.key, self.message);
    }
}

/// Lays the variables over `tree`, and returns those that are no settings.
pub(super) fn overlay(
    tree: &mut Node,
    variables: impl IntoIterator<Item = (String, String)>,
    settings: &[Setting<'_>],
) -> Vec<Refused> {
    let mut variables: Vec<_> = variables.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    variables.sort();
    variables.into_iter().filter_map(|(name, value)| set(tree, name, &value, settings).err()).collect()
}

fn set(tree: &mut Node, variable: String, value: &str, settings: &[Setting<'_>]) -> Result<(), Refused> {
    let Some(setting) = settings.iter().find(|setting| setting.variable().as_ref() == Some(&variable)) else {
        return if is_foreign(&variable) { Ok(()) } else { Err(unknown(&variable, settings)) };
    };
    if value.contains(char::REPLACEMENT_CHARACTER) {
        let key = setting.steps().iter().fold(KeyPath::default(), |path, step| path.key(step));
        return Err(Refused { variable, key, message: "is not UTF-8; set it to text".to_owned() });
    }
    let origin = Origin::Environment(variable);
    let node = Node { value: read(setting, value, &origin), origin };
    put(tree, setting.steps(), node);
    Ok(())
}

fn read(setting: &Setting<'_>, text: &str, origin: &Origin) -> Value {
    match setting.shape.kind() {
        Kind::Bool => text.parse().map_or_else(|_| Value::Text(text.to_owned()), Value::Bool),
        Kind::List => Value::List(
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| Node { origin: origin.clone(), value: Value::Text(item.to_owned()) })
                .collect(),
        ),
        Kind::Map | Kind::Text => Value::Text(text.to_owned()),
    }
}

/// Puts `node` at `steps`, in place of what the file has there.
///
/// Where the file has no mapping on the way, it is left as it is: that is an error of the file, and noted as such.
fn put(tree: &mut Node, steps: &[String], node: Node) {
    let Some((key, rest)) = steps.split_first() else {
        *tree = node;
        return;
    };
    if matches!(tree.value, Value::Null) {
        tree.value = Value::Map(Vec::new());
    }
    let Value::Map(entries) = &mut tree.value else { return };
    let position = entries.iter().position(|entry| entry.key == *key).unwrap_or_else(|| {
        let node = Node::map(node.origin.clone());
        entries.push(Entry { key: key.clone(), origin: node.origin.clone(), node });
        entries.len() - 1
    });
    let entry = &mut entries[position];
    if rest.is_empty() {
        entry.origin = node.origin.clone();
    }
    put(&mut entry.node, rest, node);
}

/// Whether the variable is not meant as a setting: read elsewhere, or made by Kubernetes.
fn is_foreign(variable: &str) -> bool {
    let name = variable.strip_prefix(PREFIX).unwrap_or(variable);
    RESERVED.contains(&name) || name.starts_with("RIG") || is_service_link(name)
}

/// Whether `name` is one that the kubelet sets for a Service whose name begins with ours.
///
/// A Service `lamplighter` makes `LAMPLIGHTER_PORT_8080_TCP_ADDR` and its like in every Pod of the namespace, ours
/// too; `lamplighter-authz` makes `LAMPLIGHTER_AUTHZ_SERVICE_HOST`.
fn is_service_link(name: &str) -> bool {
    let parts: Vec<_> = name.split('_').collect();
    parts.ends_with(&["PORT"])
        || parts.ends_with(&["SERVICE", "HOST"])
        || parts.windows(2).any(|pair| pair == ["SERVICE", "PORT"])
        || parts.windows(3).any(|three| {
            three[0] == "PORT"
                && three[1].parse::<u16>().is_ok()
                && ["SCTP", "TCP", "UDP"].contains(&three[2])
        })
}

fn unknown(variable: &str, settings: &[Setting<'_>]) -> Refused {
    let variables: Vec<_> = settings.iter().filter_map(Setting::variable).collect();
    let names = variables.iter().filter_map(|name| name.strip_prefix(PREFIX));
    let written = variable.strip_prefix(PREFIX).unwrap_or_default();
    let message = match nearest(written, names) {
        Some(name) => format!("is no setting; did you mean {PREFIX}{name}?"),
        None if in_the_file_only(written, settings) => {
            "can only be set in the file; move it there".to_owned()
        }
        None => "is no setting; unset it".to_owned(),
    };
    let variable = quoted(variable).trim_matches('`').to_owned();
    Refused { variable, key: KeyPath::default(), message }
}

fn in_the_file_only(written: &str, settings: &[Setting<'_>]) -> bool {
    let section = written.split("__").next().unwrap_or_default();
    settings
        .iter()
        .any(|setting| setting.variable().is_none() && setting.path().eq_ignore_ascii_case(section))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubernetes_sets_is_left_alone() {
        let foreign = [
            "CONFIG",
            "LOG",
            "LOG_FORMAT",
            "RIG",
            "RIG_CACHE",
            "SERVICE_HOST",
            "SERVICE_PORT",
            "SERVICE_PORT_HTTP",
            "PORT",
            "PORT_8080_TCP",
            "PORT_8080_TCP_ADDR",
            "PORT_53_UDP_PROTO",
            "AUTHZ_SERVICE_HOST",
            "AUTHZ_SERVICE_PORT_HTTP_METRICS",
            "AUTHZ_PORT",
            "AUTHZ_PORT_8081_TCP_PORT",
        ];
        for name in foreign {
            assert!(is_foreign(&format!("{PREFIX}{name}")), "{name}");
        }
        for name in ["LOGS", "SITE", "HOST", "REPORT", "PORT_X_TCP", "PORTS", "SERVICE", "CONFIGURATION"] {
            assert!(!is_foreign(&format!("{PREFIX}{name}")), "{name}");
        }
    }
}
