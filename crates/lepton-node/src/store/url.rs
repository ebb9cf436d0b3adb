//! Store URLs: what is connected to, and how the place is called in messages.

use crate::error::NodeError;

/// Which SQL is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

/// What to connect to.
pub(super) struct Target {
    pub(super) dialect: Dialect,
    /// With the password, if there is one: never printed.
    pub(super) url: zeroize::Zeroizing<String>,
    /// Without it.
    pub(super) place: String,
}

/// Reads `sqlite:PATH` or `postgres://…`.
pub(super) fn target(url: &str, password: Option<&str>) -> Result<Target, NodeError> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        return Ok(Target {
            dialect: Dialect::Sqlite,
            url: format!("sqlite:{}?mode=rwc", percent(path, b"/")).into(),
            place: path.to_owned(),
        });
    }
    let rest = url
        .strip_prefix("postgres://")
        .or_else(|| url.strip_prefix("postgresql://"));
    let Some(rest) = rest else {
        return Err(NodeError::Use(
            "a store's URL is sqlite:PATH or postgres://USER@HOST:PORT/DATABASE".to_owned(),
        ));
    };
    let full = match (password, rest.split_once('@')) {
        (None, _) => format!("postgres://{rest}"),
        (Some(password), Some((user, host))) => {
            format!("postgres://{user}:{}@{host}", percent(password, b""))
        }
        (Some(_), None) => {
            return Err(NodeError::Use(
                "the store has a password and its URL names no user; write postgres://USER@HOST"
                    .to_owned(),
            ));
        }
    };
    Ok(Target {
        dialect: Dialect::Postgres,
        url: full.into(),
        place: format!("postgres://{rest}"),
    })
}

/// Percent-encodes everything that could mean something in a URL.
fn percent(text: &str, keep: &[u8]) -> String {
    let encode = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(encode).collect()
}
