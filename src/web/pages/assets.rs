//! The stylesheet and the mark, served with the pages.

use std::{borrow::Cow, fmt::Write as _};

use rust_embed::{EmbeddedFile, RustEmbed};

pub(super) const ASSET_PATH: &str = "/lamplighter/static/";

/// A file that pages load.
#[derive(Debug)]
pub struct Asset {
    /// Its content.
    pub bytes: Cow<'static, [u8]>,
    /// For how long it may be kept.
    pub cache_control: &'static str,
    /// For `Content-Type`.
    pub content_type: &'static str,
    /// For `ETag`, with its quotes.
    pub etag: String,
}

/// The file under `/lamplighter/static/`, if there is one: `lamplighter.css`, or with its hash,
/// `lamplighter.0123456789abcdef.css`.
///
/// Only the right hash may be kept for long. During a rollout the new page can ask the old replica,
/// which must not plant its stylesheet under the new address; it answers with what it has.
pub fn asset(name: &str) -> Option<Asset> {
    let (plain, asked) = split_hash(name);
    let content_type = content_type(&plain)?;
    let file = Files::get(&plain)?;
    let hash = short_hash(&file);
    Some(Asset {
        cache_control: match asked {
            Some(asked) if asked == hash => "public, max-age=31536000, immutable",
            _ => "no-cache",
        },
        content_type,
        etag: format!("\"{hash}\""),
        bytes: file.data,
    })
}

/// Where pages load the file from; the address changes with the content.
pub fn asset_url(name: &str) -> String {
    let hashed = Files::get(name).zip(name.rsplit_once('.'));
    match hashed {
        Some((file, (stem, extension))) => format!("{ASSET_PATH}{stem}.{}.{extension}", short_hash(&file)),
        None => format!("{ASSET_PATH}{name}"),
    }
}

#[derive(RustEmbed)]
#[folder = "static/"]
struct Files;

/// `stem.hash.extension` → (`stem.extension`, `hash`).
fn split_hash(name: &str) -> (Cow<'_, str>, Option<&str>) {
    match name.split('.').collect::<Vec<_>>()[..] {
        [stem, hash, extension] => (format!("{stem}.{extension}").into(), Some(hash)),
        _ => (name.into(), None),
    }
}

/// Templates are embedded beside the assets, but have no type here: they are not for serving.
fn content_type(name: &str) -> Option<&'static str> {
    match name.rsplit_once('.')?.1 {
        "css" => Some("text/css; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

fn short_hash(file: &EmbeddedFile) -> String {
    file.metadata.sha256_hash()[..8].iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}"); // a String takes every write
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stylesheet_and_the_mark_load_nothing() {
        for name in ["lamplighter.css", "lamplighter.svg"] {
            let text = String::from_utf8(asset(name).unwrap().bytes.into_owned()).unwrap();
            let text = text.replace(r#"xmlns="http://www.w3.org/2000/svg""#, "");
            for loads in ["url(", "@import", "http:", "https:", "href", "<style", "<script"] {
                assert!(!text.contains(loads), "{name}: {loads}");
            }
        }
    }

    #[test]
    fn only_the_right_hash_is_kept_for_long() {
        let url = asset_url("lamplighter.css");
        let hashed = url.strip_prefix(ASSET_PATH).unwrap();
        let long = asset(hashed).unwrap();
        assert_eq!(long.cache_control, "public, max-age=31536000, immutable");
        assert_eq!(long.content_type, "text/css; charset=utf-8");

        for name in ["lamplighter.css", "lamplighter.0123456789abcdef.css"] {
            let short = asset(name).unwrap();
            assert_eq!(short.cache_control, "no-cache", "{name}");
            assert_eq!((short.bytes, short.etag), (long.bytes.clone(), long.etag.clone()), "{name}");
        }
    }

    #[test]
    fn nothing_else_is_served() {
        for name in
            ["", ".", "pages/layout.html", "layout.html", "../Cargo.toml", "x.css", "a.b.c.css", "é.svg"]
        {
            assert!(asset(name).is_none(), "{name}");
        }
    }
}
