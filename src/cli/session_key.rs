//! `lamplighter session-key …`.

use std::path::PathBuf;
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use secrecy::SecretString;
use secrecy::zeroize::Zeroize as _;

use super::{block_on, fail};
use crate::k8s::{self, KeyPlace, KubeconfigSource, SessionKey, Settings, ensure_session_key};
use crate::random;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a Secret with a fresh session key, unless it is there: then it is left as it is.
    ///
    /// As often as it is run, also by several at once, there is one key, and it is never printed.
    Create(Create),
}

#[derive(Args, Debug)]
pub(super) struct Create {
    /// The Secret's name.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    secret: String,
    /// Its namespace. Not given: that of the pod, or of the kubeconfig.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    namespace: Option<String>,
    /// The key in the Secret.
    #[arg(long, value_name = "NAME", default_value = "session-key", value_parser = NonEmptyStringValueParser::new())]
    key: String,
    /// A kubeconfig, outside of a cluster. Not given: the pod's own ServiceAccount.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

pub(super) fn run(command: Command) -> ExitCode {
    let Command::Create(args) = command;
    // As the server does: nobody else has chosen one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    block_on(create(args))
}

async fn create(args: Create) -> ExitCode {
    let kubeconfig = args.kubeconfig.map(KubeconfigSource::File);
    let client = match k8s::connect(&Settings { kubeconfig, ..Settings::default() }).await {
        Ok(client) => client,
        Err(error) => return fail(&error),
    };
    let namespace = args.namespace.unwrap_or_else(|| client.default_namespace().to_owned());
    let place = KeyPlace { namespace, secret: args.secret, key: args.key };
    match ensure_session_key(client, &place, &fresh()).await {
        Ok(SessionKey::Made) => eprintln!("the Secret {place} is made, with a session key"),
        Ok(SessionKey::Kept) => eprintln!("the Secret {place} has a session key already, which is kept"),
        Err(error) => return fail(&error),
    }
    ExitCode::SUCCESS
}

/// 32 random bytes as text, as `openssl rand -base64 32` writes them.
fn fresh() -> SecretString {
    let mut bytes = random::bytes::<32>();
    let key = SecretString::from(STANDARD.encode(bytes));
    bytes.zeroize();
    key
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_fresh_key_is_32_random_bytes_that_a_file_can_hold() {
        let (one, other) = (fresh(), fresh());
        assert_eq!(STANDARD.decode(one.expose_secret()).unwrap().len(), 32);
        assert_ne!(one.expose_secret(), other.expose_secret());
    }
}
