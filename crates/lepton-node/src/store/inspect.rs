//! A look at a store that changes nothing: no file, no table, no count (`lepton doctor`).

use std::path::Path;

use sqlx::{AnyConnection, Connection, Executor};

use super::anchor::{Anchor, Conclusion, conclude};
use super::core::{PROBE, failed, has_values, owner_row, wrong_key};
use super::key::StoreKey;
use super::url::{self, Dialect, Target};
use crate::config::StoreConfig;
use crate::error::NodeError;

/// What [`inspect`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Another process has it open; it was left alone.
    InUse,
    /// It was never used; the first start makes it.
    Unused,
    /// Key, anchor and values belong together.
    Sound {
        /// Writes so far.
        writes: u64,
        /// Times that it was found restored.
        restores: u64,
    },
    /// It is not where its anchor says it has been (docs/store.md); why.
    Restored(String),
}

/// Looks at the owner's part of a store.
///
/// # Errors
/// [`NodeError`] when it cannot be reached or read, or the key or the anchor is not the one that belongs to it.
pub async fn inspect(config: &StoreConfig, owner: &str) -> Result<Found, NodeError> {
    let password = config.password.as_ref().map(|source| source.read());
    let password = password.transpose()?;
    let target = url::target(&config.url, password.as_deref().map(String::as_str))?;
    let Some(mut anchor) = Anchor::look(&config.anchor)? else {
        return Ok(Found::InUse);
    };
    if target.dialect == Dialect::Sqlite && !Path::new(&target.place).exists() {
        return without_values(&config.key_file, &mut anchor);
    }
    let mut connection = connect(&target).await?;
    let found = held(&mut connection, &target, (config, owner, &mut anchor)).await;
    // Nothing was written: how it closes does not matter.
    let _ = connection.close().await;
    found
}

async fn held(
    connection: &mut AnyConnection,
    target: &Target,
    (config, owner, anchor): (&StoreConfig, &str, &mut Anchor),
) -> Result<Found, NodeError> {
    if !has_tables(connection, target).await? {
        return without_values(&config.key_file, anchor);
    }
    let known = owner_row(connection, owner, &target.place).await?;
    let has_values = has_values(connection, owner, &target.place).await?;
    if known.is_none() && !has_values {
        return without_values(&config.key_file, anchor);
    }
    let key = StoreKey::load(&config.key_file, false)?;
    if let Some(row) = &known
        && key.open(&[owner, "probe"], &row.probe).as_deref() != Some(PROBE)
    {
        return Err(wrong_key(&target.place).into());
    }
    let anchored = anchor.read(&key)?;
    let stored = known.as_ref().map(|row| &row.state);
    let pending = known.as_ref().is_some_and(|row| row.restored);
    Ok(match conclude(stored, anchored.as_ref(), has_values) {
        Conclusion::Restored(why) => Found::Restored(why.to_owned()),
        Conclusion::GoOn if pending => {
            Found::Restored("it was found restored earlier, and nobody has acted on it".to_owned())
        }
        Conclusion::New => Found::Unused,
        Conclusion::GoOn => Found::Sound {
            writes: stored.map_or(0, |state| state.generation),
            restores: stored.map_or(0, |state| state.restores),
        },
    })
}

/// A store without values was never used, or is not the one that its anchor remembers.
fn without_values(key_file: &Path, anchor: &mut Anchor) -> Result<Found, NodeError> {
    if !anchor.path().exists() {
        return Ok(Found::Unused);
    }
    let anchored = anchor.read(&StoreKey::load(key_file, false)?)?;
    Ok(match conclude(None, anchored.as_ref(), false) {
        Conclusion::Restored(why) => Found::Restored(why.to_owned()),
        _ => Found::Unused,
    })
}

/// Connects so that nothing can be written.
async fn connect(target: &Target) -> Result<AnyConnection, NodeError> {
    sqlx::any::install_default_drivers();
    let sql = |error: sqlx::Error| failed(&target.place, &error);
    let (url, setting) = match target.dialect {
        // A file that is only read could not be followed through the log of its last writes.
        Dialect::Sqlite => (
            target.url.replace("?mode=rwc", "?mode=rw"),
            "PRAGMA query_only = ON",
        ),
        Dialect::Postgres => (
            target.url.to_string(),
            "SET default_transaction_read_only = on",
        ),
    };
    let url = zeroize::Zeroizing::new(url);
    let mut connection = AnyConnection::connect(&url).await.map_err(sql)?;
    connection.execute(setting).await.map_err(sql)?;
    Ok(connection)
}

/// Whether any program has made its tables, those of owners included.
async fn has_tables(connection: &mut AnyConnection, target: &Target) -> Result<bool, NodeError> {
    let query = match target.dialect {
        Dialect::Sqlite => "SELECT COUNT(*) FROM sqlite_master WHERE name = 'lepton_owners'",
        Dialect::Postgres => {
            "SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 'lepton_owners'"
        }
    };
    let found: i64 = sqlx::query_scalar(query)
        .fetch_one(connection)
        .await
        .map_err(|error| failed(&target.place, &error))?;
    Ok(found > 0)
}
