//! Tables of a store and how older ones become today's.

use lepton_protocol::store::StoreError;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor};

use super::core::failed;
use super::url::Dialect;

/// Statements that lead from one version of the tables to the next; `{bytes}` is the dialect's type for bytes. What is written here once is never changed.
const STEPS: [&[&str]; 2] = [
    &[
        "CREATE TABLE lepton_values (owner TEXT NOT NULL, actor TEXT NOT NULL, name TEXT NOT NULL, value {bytes} NOT NULL, PRIMARY KEY (owner, actor, name))",
    ],
    &[
        "CREATE TABLE lepton_owners (owner TEXT NOT NULL PRIMARY KEY, incarnation TEXT NOT NULL, restores BIGINT NOT NULL, generation BIGINT NOT NULL, restored BIGINT NOT NULL, probe {bytes} NOT NULL)",
    ],
];

/// Brings the tables to today's version.
pub(super) async fn migrate(
    connection: &mut AnyConnection,
    dialect: Dialect,
    place: &str,
) -> Result<(), StoreError> {
    let sql = |error: sqlx::Error| failed(place, &error);
    let ready = "CREATE TABLE IF NOT EXISTS lepton_schema (version BIGINT NOT NULL PRIMARY KEY)";
    connection.execute(ready).await.map_err(sql)?;
    let mut transaction = connection.begin().await.map_err(sql)?;
    // A write that changes nothing: from here on no other process migrates too.
    let lock = match dialect {
        Dialect::Sqlite => "DELETE FROM lepton_schema WHERE version < 0",
        Dialect::Postgres => "LOCK TABLE lepton_schema IN EXCLUSIVE MODE",
    };
    transaction.execute(lock).await.map_err(sql)?;
    let version: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM lepton_schema")
        .fetch_one(&mut *transaction)
        .await
        .map_err(sql)?;
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    let Some(missing) = STEPS.get(done..) else {
        return Err(StoreError {
            place: place.to_owned(),
            problem: format!("its tables are of version {version}, made by a newer program"),
            remedy: "use that program, or another store".to_owned(),
        });
    };
    let bytes = match dialect {
        Dialect::Sqlite => "BLOB",
        Dialect::Postgres => "BYTEA",
    };
    for (at, step) in missing.iter().enumerate() {
        for statement in *step {
            let statement = statement.replace("{bytes}", bytes);
            let run = transaction.execute(AssertSqlSafe(statement)).await;
            run.map_err(sql)?;
        }
        let reached = i64::try_from(done + at + 1).unwrap_or(i64::MAX);
        sqlx::query("INSERT INTO lepton_schema (version) VALUES ($1)")
            .bind(reached)
            .execute(&mut *transaction)
            .await
            .map_err(sql)?;
    }
    transaction.commit().await.map_err(sql)
}
