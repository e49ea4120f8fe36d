//! Edits that a test makes to what the provider is about to say.

use std::sync::Arc;

/// A change to a value, made just before the value is used. The default changes nothing.
///
/// ```
/// # use lamplighter::demo::provider::Hook;
/// # use serde_json::{Value, json};
/// let forged: Hook<Value> = Hook::new(|claims: &mut Value| claims["sub"] = json!("mallory"));
/// ```
pub struct Hook<T>(Option<Arc<Edit<T>>>);

type Edit<T> = dyn Fn(&mut T) + Send + Sync;

impl<T: 'static> Hook<T> {
    /// Makes a hook of a closure.
    pub fn new(edit: impl Fn(&mut T) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(edit)))
    }

    /// This change, and then `next`.
    #[must_use]
    pub fn and(self, next: Self) -> Self {
        Self::new(move |value| {
            self.apply(value);
            next.apply(value);
        })
    }

    pub(super) fn apply(&self, value: &mut T) {
        if let Some(edit) = &self.0 {
            edit(value);
        }
    }

    pub(super) fn applied(&self, mut value: T) -> T {
        self.apply(&mut value);
        value
    }
}

impl<T> Clone for Hook<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Hook<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> std::fmt::Debug for Hook<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(if self.0.is_some() { "Hook(edits)" } else { "Hook(none)" })
    }
}
