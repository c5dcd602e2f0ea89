//! What a run's page and the history's site share: inert text, the policy, and in base.css, elements.js and rows.js their
//! style, and how they make elements and long tables.

pub(super) mod inert;
pub(super) mod links;
pub(super) mod once;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// Allows a page this script and this style, by their hashes (Content Security Policy Level 3, section 2.3.1), and nothing
/// else. `more` is allowed for scripts.
pub(super) fn policy(script: &str, style: &str, more: &str) -> String {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    let (script, style) = (hash(script), hash(style));
    format!("default-src 'none'; script-src {script}{more}; style-src {style}; base-uri 'none'; form-action 'none'")
}
