//! Files that the configuration names, and the secrets in them.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretSlice, SecretString, zeroize::Zeroize};

/// The largest file of secrets or certificates, in bytes: that of a Secret in Kubernetes.
const MAX_SIZE: u64 = 1 << 20;

/// Where a secret is.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// In this file, read anew each time: it may be rotated.
    File(PathBuf),
    /// Here.
    Inline(SecretString),
}

/// Why a file that the configuration names cannot be used.
///
/// Does not name the file: where a path belongs, people paste the secret itself.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum FileError {
    /// Nothing in it but white space.
    #[error("is empty; put the secret in it")]
    Empty,
    /// No such file.
    #[error("names a file that does not exist; mount it, or correct the path")]
    Missing,
    /// A directory, a device, a pipe.
    #[error("names something other than a regular file; correct the path")]
    NotAFile,
    /// A secret that no one can have typed or received as text.
    #[error("is not UTF-8; write the secret as text")]
    NotText,
    /// More than a mebibyte.
    #[error("names a file of more than 1 MiB, which is no secret; correct the path")]
    TooLarge,
    /// The system refuses to read it.
    #[error("names a file that cannot be read ({0}); give lamplighter's user the right to")]
    Unreadable(io::ErrorKind),
}

impl SecretSource {
    /// Reads the secret, without the ASCII white space around it.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or the secret is empty or no text.
    pub fn read(&self) -> Result<SecretString, FileError> {
        match self {
            Self::File(path) => {
                let bytes = read_secret(path)?;
                let text = str::from_utf8(bytes.expose_secret()).map_err(|_| FileError::NotText)?;
                Ok(SecretString::from(text))
            }
            Self::Inline(secret) => match secret.expose_secret().trim_ascii() {
                "" => Err(FileError::Empty),
                text => Ok(SecretString::from(text)),
            },
        }
    }
}

/// Reads the secret in the file at `path`, without the ASCII white space around it.
///
/// # Errors
///
/// When the file cannot be read, is no regular file, is larger than a mebibyte, or has nothing in it.
pub fn read_secret(path: &Path) -> Result<SecretSlice<u8>, FileError> {
    let mut bytes = read(path)?;
    let secret = bytes.trim_ascii().to_vec();
    bytes.zeroize();
    if secret.is_empty() { Err(FileError::Empty) } else { Ok(secret.into()) }
}

/// Checks that there is a certificate in the file at `path`.
pub(super) fn check_certificates(path: &Path) -> Result<(), String> {
    let bytes = read(path).map_err(|error| error.to_string())?;
    if memchr::memmem::find(&bytes, b"-----BEGIN CERTIFICATE-----").is_none() {
        return Err("names a file without a certificate in PEM form; correct the path".to_owned());
    }
    Ok(())
}

/// Checks that the file at `path` can be read and has something in it.
pub(super) fn check_filled(path: &Path) -> Result<(), String> {
    match read(path) {
        Ok(bytes) if bytes.trim_ascii().is_empty() => {
            Err("names a file with nothing in it; correct the path".to_owned())
        }
        read => read.map(|_| ()).map_err(|error| error.to_string()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    // Asked before it is opened: to open a pipe waits for its writer.
    if !fs::metadata(path).map_err(|error| FileError::new(&error))?.is_file() {
        return Err(FileError::NotAFile);
    }
    let file = File::open(path).map_err(|error| FileError::new(&error))?;
    let mut bytes = Vec::new();
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(|error| FileError::new(&error))?;
    if bytes.len() as u64 > MAX_SIZE { Err(FileError::TooLarge) } else { Ok(bytes) }
}

impl FileError {
    fn new(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Missing,
            kind => Self::Unreadable(kind),
        }
    }
}
