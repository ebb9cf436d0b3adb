//! The connection of a store and what is done on it.

use std::path::PathBuf;

use lepton_protocol::store::{Record, StoreError};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Connection, Executor, Row};

use super::Opened;
use super::anchor::{Anchor, Conclusion, State, conclude};
use super::key::{StoreKey, random};
use super::schema::migrate;
use super::url::{Dialect, Target};
use crate::error::NodeError;
use crate::hex::hex;

/// What the owner's probe says when it is opened with the right key.
pub(super) const PROBE: &[u8] = b"lepton store";

/// What a store is opened with.
pub(super) struct Setup {
    pub(super) target: Target,
    pub(super) owner: String,
    pub(super) key_file: PathBuf,
    pub(super) anchor: Anchor,
}

/// An open store.
pub(crate) struct Core {
    /// None after the connection failed, until the next call makes a new one.
    connection: Option<AnyConnection>,
    target: Target,
    anchor: Anchor,
    key: StoreKey,
    state: State,
}

impl Core {
    /// Connects, brings the tables up to date, and holds the database against the anchor.
    pub(super) async fn open(mut setup: Setup) -> Result<(Self, Opened), NodeError> {
        sqlx::any::install_default_drivers();
        let place = setup.target.place.clone();
        let mut connection = connect(&setup.target).await?;
        migrate(&mut connection, setup.target.dialect, &place).await?;
        let known = owner_row(&mut connection, &setup.owner, &place).await?;
        let has_values = has_values(&mut connection, &setup.owner, &place).await?;
        let key = StoreKey::load(&setup.key_file, known.is_none() && !has_values)?;
        if let Some(row) = &known
            && key.open(&[&setup.owner, "probe"], &row.probe).as_deref() != Some(PROBE)
        {
            return Err(wrong_key(&place).into());
        }
        let stored = known.as_ref().map(|row| row.state.clone());
        let anchored = setup.anchor.read(&key)?;
        if anchored
            .as_ref()
            .is_some_and(|state| state.owner != setup.owner)
        {
            return Err(NodeError::Use(format!(
                "{}: this anchor belongs to another owner's store",
                setup.anchor.path().display()
            )));
        }
        let conclusion = conclude(stored.as_ref(), anchored.as_ref(), has_values);
        let (state, pending) = match (&conclusion, stored.clone()) {
            (Conclusion::GoOn, Some(state)) => {
                (state, known.as_ref().is_some_and(|row| row.restored))
            }
            (Conclusion::Restored(_), _) => (after(&setup.owner, [stored, anchored])?, true),
            _ => (first(&setup.owner)?, false),
        };
        let mut core = Self {
            connection: Some(connection),
            target: setup.target,
            anchor: setup.anchor,
            key,
            state,
        };
        if conclusion != Conclusion::GoOn {
            core.write_owner(pending).await?;
        }
        core.anchor_now()?;
        let why = match conclusion {
            Conclusion::Restored(why) => Some(why),
            _ if pending => Some("it was found restored earlier, and nobody has acted on it"),
            _ => None,
        };
        let opened = Opened {
            restores: core.state.restores,
            restored: why.map(str::to_owned),
        };
        Ok((core, opened))
    }

    pub(super) async fn close(self) {
        if let Some(connection) = self.connection {
            // What was answered with success is on the disk already.
            let _ = connection.close().await;
        }
    }

    pub(super) async fn put(&mut self, actor: &str, records: &[Record]) -> Result<(), StoreError> {
        self.check_name(actor)?;
        let mut sealed = Vec::with_capacity(records.len());
        for Record { key: name, value } in records {
            self.check_name(name)?;
            let value = self.key.seal(&[&self.state.owner, actor, name], value);
            let value = value.map_err(|error| self.trouble(&error.to_string()))?;
            sealed.push((name.as_str(), value));
        }
        self.reconnect().await?;
        let written = self.write(actor, sealed).await;
        self.settle(written)?;
        self.state.generation += 1;
        self.anchor_now()
    }

    pub(super) async fn get(
        &mut self,
        actor: &str,
        name: &str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.check_name(name)?;
        self.reconnect().await?;
        let query = sqlx::query(
            "SELECT value FROM lepton_values WHERE owner = $1 AND actor = $2 AND name = $3",
        )
        .bind(self.state.owner.clone())
        .bind(actor.to_owned())
        .bind(name.to_owned());
        let row = query.fetch_optional(self.connection()?).await;
        let row = self.settle(row)?;
        row.map(|row| self.value(actor, name, &row)).transpose()
    }

    pub(super) async fn values(
        &mut self,
        actor: &str,
        prefix: &str,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.check_name(prefix)?;
        self.reconnect().await?;
        let query = sqlx::query(
            "SELECT name, value FROM lepton_values WHERE owner = $1 AND actor = $2 AND substr(name, 1, length($3)) = $4",
        )
        .bind(self.state.owner.clone())
        .bind(actor.to_owned())
        .bind(prefix.to_owned())
        .bind(prefix.to_owned());
        let rows = query.fetch_all(self.connection()?).await;
        let rows = self.settle(rows)?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let name: String = row.try_get("name").map_err(|error| self.failed(&error))?;
            let value = self.value(actor, &name, row)?;
            let rest = name.strip_prefix(prefix).unwrap_or(&name);
            found.push((rest.to_owned(), value));
        }
        // Databases have orders of their own.
        found.sort();
        Ok(found)
    }

    pub(super) async fn acknowledge(&mut self) -> Result<(), StoreError> {
        self.reconnect().await?;
        let query = sqlx::query("UPDATE lepton_owners SET restored = 0 WHERE owner = $1")
            .bind(self.state.owner.clone());
        let done = query.execute(self.connection()?).await;
        self.settle(done).map(drop)
    }

    /// Counts the write and makes it, all together. Counting first takes the database's lock, and finds out whether somebody else was here.
    async fn write(
        &mut self,
        actor: &str,
        sealed: Vec<(&str, Vec<u8>)>,
    ) -> Result<(), sqlx::Error> {
        let (state, next) = (self.state.clone(), number(self.state.generation + 1));
        let Some(connection) = self.connection.as_mut() else {
            return Err(sqlx::Error::PoolClosed);
        };
        let mut transaction = connection.begin().await?;
        let counted = sqlx::query(
            "UPDATE lepton_owners SET generation = $1 WHERE owner = $2 AND incarnation = $3 AND generation = $4",
        )
        .bind(next)
        .bind(state.owner.clone())
        .bind(state.incarnation)
        .bind(number(state.generation))
        .execute(&mut *transaction)
        .await?;
        if counted.rows_affected() != 1 {
            return Err(sqlx::Error::RowNotFound);
        }
        for (name, value) in sealed {
            sqlx::query(
                "INSERT INTO lepton_values (owner, actor, name, value) VALUES ($1, $2, $3, $4) ON CONFLICT (owner, actor, name) DO UPDATE SET value = excluded.value",
            )
            .bind(state.owner.clone())
            .bind(actor.to_owned())
            .bind(name.to_owned())
            .bind(value)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await
    }

    async fn write_owner(&mut self, pending: bool) -> Result<(), NodeError> {
        let probe = self.key.seal(&[&self.state.owner, "probe"], PROBE)?;
        let query = sqlx::query(
            "INSERT INTO lepton_owners (owner, incarnation, restores, generation, restored, probe) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (owner) DO UPDATE SET incarnation = excluded.incarnation, restores = excluded.restores, generation = excluded.generation, restored = excluded.restored, probe = excluded.probe",
        )
        .bind(self.state.owner.clone())
        .bind(self.state.incarnation.clone())
        .bind(number(self.state.restores))
        .bind(number(self.state.generation))
        .bind(i64::from(pending))
        .bind(probe);
        let done = query.execute(self.connection()?).await;
        Ok(self.settle(done).map(drop)?)
    }

    fn anchor_now(&mut self) -> Result<(), StoreError> {
        let written = self.anchor.write(&self.key, &self.state);
        written.map_err(|error| crate::files::failed(self.anchor.path(), &error))
    }

    /// A new connection in place of a failed one. The write that failed with it may have been made or not: both are taken, since it was answered with an error.
    async fn reconnect(&mut self) -> Result<(), StoreError> {
        if self.connection.is_some() {
            return Ok(());
        }
        let mut connection = connect(&self.target).await?;
        let row = owner_row(&mut connection, &self.state.owner, &self.target.place).await?;
        let state = row.map(|row| row.state);
        let same = state.filter(|state| {
            let ahead = state.generation.checked_sub(self.state.generation);
            state.incarnation == self.state.incarnation && ahead.is_some_and(|ahead| ahead <= 1)
        });
        let Some(state) = same else {
            return Err(self.elsewhere());
        };
        self.state = state;
        self.connection = Some(connection);
        self.anchor_now()
    }

    fn connection(&mut self) -> Result<&mut AnyConnection, StoreError> {
        let place = &self.target.place;
        let lost = || failed(place, &sqlx::Error::PoolClosed);
        self.connection.as_mut().ok_or_else(lost)
    }

    fn settle<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        result.map_err(|error| {
            // After any other failure than the database's own word the connection is not to be trusted.
            if !matches!(error, sqlx::Error::Database(_)) {
                self.connection = None;
            }
            match error {
                sqlx::Error::RowNotFound => self.elsewhere(),
                error => self.failed(&error),
            }
        })
    }

    fn value(&self, actor: &str, name: &str, row: &AnyRow) -> Result<Vec<u8>, StoreError> {
        let stored: Vec<u8> = row.try_get("value").map_err(|error| self.failed(&error))?;
        self.key
            .open(&[&self.state.owner, actor, name], &stored)
            .ok_or_else(|| StoreError {
                place: format!("{}: {actor}/{name}", self.target.place),
                problem: "the value was changed, or belongs to another place".to_owned(),
                remedy: "restore the store from a backup; the job goes on in a new epoch"
                    .to_owned(),
            })
    }

    /// PostgreSQL takes no zero character in a text.
    fn check_name(&self, name: &str) -> Result<(), StoreError> {
        if name.contains('\0') {
            return Err(self.trouble("a key has a zero character"));
        }
        Ok(())
    }

    fn elsewhere(&self) -> StoreError {
        StoreError {
            place: self.target.place.clone(),
            problem: format!(
                "somebody else writes to the store of {}, or it was replaced while in use",
                self.state.owner
            ),
            remedy: "stop all programs of this owner but one, and start that anew".to_owned(),
        }
    }

    fn trouble(&self, problem: &str) -> StoreError {
        StoreError {
            place: self.target.place.clone(),
            problem: problem.to_owned(),
            remedy: "this is a defect, please report it".to_owned(),
        }
    }

    fn failed(&self, error: &sqlx::Error) -> StoreError {
        failed(&self.target.place, error)
    }
}

/// The life of a store that was never used.
fn first(owner: &str) -> Result<State, NodeError> {
    Ok(State {
        owner: owner.to_owned(),
        incarnation: hex(random::<16>()?.as_ref()),
        restores: 0,
        generation: 0,
    })
}

/// The life after a restore: beyond everything that either side remembers.
fn after(owner: &str, known: [Option<State>; 2]) -> Result<State, NodeError> {
    let known = known.into_iter().flatten();
    let latest = known.fold((0, 0), |(restores, generation), state| {
        (
            restores.max(state.restores),
            generation.max(state.generation),
        )
    });
    Ok(State {
        restores: latest.0 + 1,
        generation: latest.1 + 1,
        ..first(owner)?
    })
}

pub(super) struct OwnerRow {
    pub(super) state: State,
    pub(super) restored: bool,
    pub(super) probe: Vec<u8>,
}

pub(super) async fn owner_row(
    connection: &mut AnyConnection,
    owner: &str,
    place: &str,
) -> Result<Option<OwnerRow>, StoreError> {
    let sql = |error: sqlx::Error| failed(place, &error);
    let row = sqlx::query(
        "SELECT incarnation, restores, generation, restored, probe FROM lepton_owners WHERE owner = $1",
    )
    .bind(owner.to_owned())
    .fetch_optional(connection)
    .await
    .map_err(sql)?;
    let Some(row) = row else { return Ok(None) };
    let count = |column: &str| -> Result<u64, StoreError> {
        let found: i64 = row.try_get(column).map_err(sql)?;
        Ok(u64::try_from(found).unwrap_or(0))
    };
    Ok(Some(OwnerRow {
        state: State {
            owner: owner.to_owned(),
            incarnation: row.try_get("incarnation").map_err(sql)?,
            restores: count("restores")?,
            generation: count("generation")?,
        },
        restored: count("restored")? != 0,
        probe: row.try_get("probe").map_err(sql)?,
    }))
}

pub(super) async fn has_values(
    connection: &mut AnyConnection,
    owner: &str,
    place: &str,
) -> Result<bool, StoreError> {
    let found: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM lepton_values WHERE owner = $1")
        .bind(owner.to_owned())
        .fetch_one(connection)
        .await
        .map_err(|error| failed(place, &error))?;
    Ok(found > 0)
}

/// Connects, and asks for writes that survive a power cut.
async fn connect(target: &Target) -> Result<AnyConnection, StoreError> {
    let sql = |error: sqlx::Error| failed(&target.place, &error);
    #[cfg(unix)]
    if target.dialect == Dialect::Sqlite {
        make_private(&target.place)?;
    }
    let mut connection = AnyConnection::connect(&target.url).await.map_err(sql)?;
    let settings: &[&'static str] = match target.dialect {
        Dialect::Sqlite => &[
            "PRAGMA busy_timeout = 60000",
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
        ],
        Dialect::Postgres => &["SET synchronous_commit = on"],
    };
    for setting in settings {
        connection.execute(*setting).await.map_err(sql)?;
    }
    if target.dialect == Dialect::Postgres {
        let fsync: String = sqlx::query_scalar("SELECT current_setting('fsync')")
            .fetch_one(&mut connection)
            .await
            .map_err(sql)?;
        if fsync != "on" {
            return Err(StoreError {
                place: target.place.clone(),
                problem: "the server runs with fsync = off: it forgets at a power cut what it said was stored".to_owned(),
                remedy: "set fsync = on in postgresql.conf".to_owned(),
            });
        }
    }
    Ok(connection)
}

/// The file is made here, so that nobody else can read it from its first moment.
#[cfg(unix)]
fn make_private(path: &str) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = std::path::Path::new(path);
    let made = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path);
    made.map(drop)
        .map_err(|error| crate::files::failed(path, &error))
}

pub(super) fn wrong_key(place: &str) -> StoreError {
    StoreError {
        place: place.to_owned(),
        problem: "the key file is not the one that this store is encrypted under".to_owned(),
        remedy: "restore the key file that belongs to it".to_owned(),
    }
}

/// Counters stay far below 2^63.
fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A database failure with a remedy.
pub(super) fn failed(place: &str, error: &sqlx::Error) -> StoreError {
    let text = error.to_string();
    let remedy = match error {
        _ if text.contains("full") => "free some space and start again",
        sqlx::Error::Io(_) | sqlx::Error::PoolClosed => {
            "check that the database runs and can be reached"
        }
        sqlx::Error::Tls(_) => "check the server's certificate",
        sqlx::Error::Database(_) => "check the database, its user's rights, and its disk",
        _ => "check the database",
    };
    StoreError {
        place: place.to_owned(),
        problem: text,
        remedy: remedy.to_owned(),
    }
}
