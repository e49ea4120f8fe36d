//! Which compiler made it, for `lamplighter_build_info`.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=LAMPLIGHTER_RUSTC={}", rustc().as_deref().unwrap_or("unknown"));
}

/// What `rustc --version` says, as far as its number: `1.95.0`.
#[expect(clippy::disallowed_methods, reason = "cargo says by a variable which compiler it runs")]
fn rustc() -> Option<String> {
    let output = Command::new(std::env::var_os("RUSTC")?).arg("--version").output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    said.split_whitespace().nth(1).map(str::to_owned)
}
