//! The one place that draws random bytes.

/// `N` random bytes that nobody can guess.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// Fills `bytes` with random bytes that nobody can guess.
#[expect(clippy::disallowed_methods, reason = "this is where randomness is drawn")]
pub fn fill(bytes: &mut [u8]) {
    // Without randomness no secret is one: going on would be worse than ending here.
    aws_lc_rs::rand::fill(bytes).expect("the system has random bytes");
}
