//! The file of a durable ledger: one SQLite database, append-only and hash-chained (LG-06).

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lepton_crypto::{Digest, IdentityPublic, Signature, Zeroizing};
use lepton_protocol::ledger::{Book, Entry, FORMAT, Head, LedgerError, What};
use lepton_protocol::store::StoreError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{Connection, Executor, Row, SqliteConnection};

use super::cells::{self, Key};
use super::witness::SignedHead;
use crate::hex::hex;

/// How long a process waits for another's transaction.
const PATIENCE: Duration = Duration::from_secs(60);

/// Nothing stored is ever changed: not by this program, and not by a statement that somebody types.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS secret (id INTEGER PRIMARY KEY CHECK (id = 1), key BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS entries (number INTEGER PRIMARY KEY, previous BLOB NOT NULL, body TEXT NOT NULL, hash BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS fingerprints (entry INTEGER PRIMARY KEY REFERENCES entries (number), prints BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS witnesses (count INTEGER NOT NULL, hash BLOB NOT NULL, signer BLOB NOT NULL, signature BLOB NOT NULL, PRIMARY KEY (count, signer)) STRICT;
CREATE TRIGGER IF NOT EXISTS entries_u BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS entries_d BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS fingerprints_u BEFORE UPDATE ON fingerprints BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS fingerprints_d BEFORE DELETE ON fingerprints BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS witnesses_u BEFORE UPDATE ON witnesses BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS witnesses_d BEFORE DELETE ON witnesses BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS secret_u BEFORE UPDATE ON secret BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS secret_d BEFORE DELETE ON secret BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
";

/// An open ledger: the connection, and what the chain read so far amounts to.
pub(super) struct Core {
    connection: SqliteConnection,
    pub(super) path: PathBuf,
    pub(super) book: Book,
    pub(super) head: Head,
    pub(super) key: Key,
    clock: fn() -> String,
}

/// An entry to append, with the fingerprints of rows that are new with it.
pub(super) struct Draft {
    pub(super) what: What,
    pub(super) prints: Option<Vec<u64>>,
}

/// A stored entry.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its number, from 1.
    pub number: u64,
    /// Its bytes, as hashed.
    pub body: String,
    /// What they say.
    pub entry: Entry,
    /// The chain's hash after it.
    pub hash: Digest,
}

impl Core {
    /// Opens a ledger, and makes it where `new` is given: its random name and its key.
    pub(super) async fn open(
        path: &Path,
        new: Option<([u8; 16], [u8; 32])>,
        clock: fn() -> String,
    ) -> Result<Self, LedgerError> {
        private(path, new.is_some())?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE);
        let mut connection = SqliteConnection::connect_with(&options)
            .await
            .map_err(|error| failed(path, &error))?;
        if let Some((name, key)) = new {
            begin(&mut connection, path, &name, (&key, clock)).await?;
        }
        let key = sqlx::query("SELECT key FROM secret")
            .fetch_optional(&mut connection)
            .await
            .map_err(|error| failed(path, &error))?
            .map(|row| bytes::<32>(&row, "key"));
        let Some(Some(key)) = key else {
            return Err(broken(path, "it has no key").into());
        };
        let mut core = Self {
            connection,
            path: path.to_owned(),
            book: Book::new(),
            head: Head::empty(),
            key: Zeroizing::new(key),
            clock,
        };
        core.refresh().await?;
        // Under another key every row would look new.
        if core.book.key_sha256() != key_sha256(&core.key) {
            return Err(broken(path, "its key is not the one it was made with").into());
        }
        Ok(core)
    }

    /// Time of the next entry.
    pub(super) fn now(&self) -> String {
        (self.clock)()
    }

    /// Closes the file in order; one that is not closed is as whole.
    pub(super) async fn close(self) {
        // What was answered with success is on the disk already.
        let _ = self.connection.close().await;
    }

    /// Reads what other processes appended.
    pub(super) async fn refresh(&mut self) -> Result<(), LedgerError> {
        catch_up(
            &mut self.connection,
            &self.path,
            (&mut self.book, &mut self.head),
        )
        .await?;
        if self.head.count == 0 {
            return Err(broken(&self.path, "it has no entries").into());
        }
        Ok(())
    }

    /// Decides on the newest state and appends, in one transaction that no other process can come between.
    pub(super) async fn append(
        &mut self,
        decide: impl FnOnce(&Book, &[(u32, Vec<u64>)]) -> Result<Vec<Draft>, LedgerError>,
        with_prints: bool,
    ) -> Result<(), LedgerError> {
        let path = self.path.clone();
        let sql = |error: sqlx::Error| failed(&path, &error);
        // Deferred transactions would let two processes decide on the same state.
        let mut transaction = self
            .connection
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(sql)?;
        catch_up(&mut transaction, &path, (&mut self.book, &mut self.head)).await?;
        let prints = if with_prints {
            prints(&mut transaction, &path, &self.book).await?
        } else {
            Vec::new()
        };
        let drafts = decide(&self.book, &prints)?;
        let (mut entries, mut head) = (Vec::new(), self.head);
        for draft in drafts {
            let entry = Entry {
                at: (self.clock)(),
                what: draft.what,
            };
            // Entries of one append do not bear on each other: a table that was seen, and the job that reads it.
            self.book.check(&entry)?;
            let body =
                serde_json::to_string(&entry).map_err(|error| broken(&path, &error.to_string()))?;
            let before = head;
            head = before.after(body.as_bytes());
            sqlx::query("INSERT INTO entries (number, previous, body, hash) VALUES (?, ?, ?, ?)")
                .bind(number(head.count))
                .bind(before.hash.as_ref().to_vec())
                .bind(body)
                .bind(head.hash.as_ref().to_vec())
                .execute(&mut *transaction)
                .await
                .map_err(sql)?;
            if let Some(prints) = draft.prints {
                sqlx::query("INSERT INTO fingerprints (entry, prints) VALUES (?, ?)")
                    .bind(number(head.count))
                    .bind(cells::to_bytes(&prints))
                    .execute(&mut *transaction)
                    .await
                    .map_err(sql)?;
            }
            entries.push(entry);
        }
        transaction.commit().await.map_err(sql)?;
        for entry in entries {
            self.book.apply(entry)?;
        }
        self.head = head;
        Ok(())
    }

    /// Every entry.
    pub(super) async fn history(&mut self) -> Result<Vec<Stored>, LedgerError> {
        self.refresh().await?;
        let path = self.path.clone();
        let rows = sqlx::query("SELECT number, previous, body, hash FROM entries ORDER BY number")
            .fetch_all(&mut self.connection)
            .await
            .map_err(|error| failed(&path, &error))?;
        let mut head = Head::empty();
        rows.iter()
            .map(|row| {
                let stored = follow(&path, &head, row)?;
                head = Head {
                    count: stored.number,
                    hash: stored.hash,
                };
                Ok(stored)
            })
            .collect()
    }

    /// Stored fingerprints against the digests in the chain.
    pub(super) async fn check_prints(&mut self) -> Result<(), LedgerError> {
        prints(&mut self.connection, &self.path, &self.book).await?;
        Ok(())
    }

    /// Keeps a signature on a head.
    pub(super) async fn record(&mut self, signed: &SignedHead) -> Result<(), LedgerError> {
        sqlx::query(
            "INSERT OR IGNORE INTO witnesses (count, hash, signer, signature) VALUES (?, ?, ?, ?)",
        )
        .bind(number(signed.head.count))
        .bind(signed.head.hash.as_ref().to_vec())
        .bind(signed.signer.to_bytes().to_vec())
        .bind(signed.signature.to_bytes().to_vec())
        .execute(&mut self.connection)
        .await
        .map_err(|error| failed(&self.path, &error))?;
        Ok(())
    }

    /// Signatures kept.
    pub(super) async fn witnesses(&mut self) -> Result<Vec<SignedHead>, LedgerError> {
        let rows =
            sqlx::query("SELECT count, hash, signer, signature FROM witnesses ORDER BY count")
                .fetch_all(&mut self.connection)
                .await
                .map_err(|error| failed(&self.path, &error))?;
        let read = |row: &SqliteRow| {
            let count: i64 = row.try_get("count").ok()?;
            Some(SignedHead {
                ledger: self.book.ledger().to_owned(),
                head: Head {
                    count: u64::try_from(count).ok()?,
                    hash: Digest::from_bytes(bytes(row, "hash")?),
                },
                signer: IdentityPublic::from_bytes(bytes(row, "signer")?),
                signature: Signature::from_bytes(bytes(row, "signature")?),
            })
        };
        let all: Option<Vec<_>> = rows.iter().map(read).collect();
        all.ok_or_else(|| broken(&self.path, "its countersignatures cannot be read").into())
    }
}

/// Tables, key and first entry, unless another process was faster.
async fn begin(
    connection: &mut SqliteConnection,
    path: &Path,
    name: &[u8; 16],
    (key, clock): (&[u8; 32], fn() -> String),
) -> Result<(), LedgerError> {
    let sql = |error: sqlx::Error| failed(path, &error);
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(sql)?;
    transaction.execute(SCHEMA).await.map_err(sql)?;
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM entries")
        .fetch_one(&mut *transaction)
        .await
        .map_err(sql)?;
    if count == 0 {
        let what = What::Created {
            format: FORMAT.to_owned(),
            ledger: hex(name),
            key_sha256: key_sha256(key),
        };
        let body = serde_json::to_string(&Entry { at: clock(), what });
        let body = body.map_err(|error| broken(path, &error.to_string()))?;
        let (before, head) = (Head::empty(), Head::empty().after(body.as_bytes()));
        sqlx::query("INSERT INTO secret (id, key) VALUES (1, ?)")
            .bind(key.to_vec())
            .execute(&mut *transaction)
            .await
            .map_err(sql)?;
        sqlx::query("INSERT INTO entries (number, previous, body, hash) VALUES (1, ?, ?, ?)")
            .bind(before.hash.as_ref().to_vec())
            .bind(body)
            .bind(head.hash.as_ref().to_vec())
            .execute(&mut *transaction)
            .await
            .map_err(sql)?;
    }
    Ok(transaction.commit().await.map_err(sql)?)
}

/// Follows the chain from where it was last read: every link is checked, and so is that what was read is still there.
async fn catch_up(
    connection: &mut SqliteConnection,
    path: &Path,
    (book, head): (&mut Book, &mut Head),
) -> Result<(), LedgerError> {
    let rows = sqlx::query(
        "SELECT number, previous, body, hash FROM entries WHERE number >= ? ORDER BY number",
    )
    .bind(number(head.count))
    .fetch_all(connection)
    .await
    .map_err(|error| failed(path, &error))?;
    let mut rows = rows.iter();
    if head.count > 0 {
        let last = rows.next().and_then(|row| bytes::<32>(row, "hash"));
        if last != Some(*head.hash.as_bytes()) {
            return Err(broken(
                path,
                "entries that were there before are gone: it was replaced or rolled back",
            )
            .into());
        }
    }
    for row in rows {
        let stored = follow(path, head, row)?;
        book.apply(stored.entry).map_err(|error| {
            broken(
                path,
                &format!(
                    "entry {} could not have been admitted ({error})",
                    stored.number
                ),
            )
        })?;
        *head = Head {
            count: stored.number,
            hash: stored.hash,
        };
    }
    Ok(())
}

/// The entry in `row`, if it follows `head`.
fn follow(path: &Path, head: &Head, row: &SqliteRow) -> Result<Stored, LedgerError> {
    let wanted = head.count + 1;
    let damaged = |what: &str| LedgerError::from(broken(path, &format!("entry {wanted} {what}")));
    let found: i64 = row
        .try_get("number")
        .map_err(|_| damaged("cannot be read"))?;
    let body: String = row.try_get("body").map_err(|_| damaged("cannot be read"))?;
    let next = head.after(body.as_bytes());
    if found != number(wanted) || bytes::<32>(row, "previous") != Some(*head.hash.as_bytes()) {
        return Err(damaged(
            "is missing, or does not follow from the one before",
        ));
    }
    if bytes::<32>(row, "hash") != Some(*next.hash.as_bytes()) {
        return Err(damaged("does not have the hash it was stored with"));
    }
    let entry = serde_json::from_str(&body)
        .map_err(|error| damaged(&format!("is not one this version can read ({error})")))?;
    Ok(Stored {
        number: wanted,
        body,
        entry,
        hash: next.hash,
    })
}

/// Every stored list with the block that the chain puts it in; each must be the one whose digest the chain holds, and none may be missing.
async fn prints(
    connection: &mut SqliteConnection,
    path: &Path,
    book: &Book,
) -> Result<Vec<(u32, Vec<u64>)>, StoreError> {
    let rows = sqlx::query("SELECT entry, prints FROM fingerprints ORDER BY entry")
        .fetch_all(connection)
        .await
        .map_err(|error| failed(path, &error))?;
    let changed = |entry: u64| {
        broken(
            path,
            &format!("the fingerprints of entry {entry} were changed"),
        )
    };
    let mut due = book.fingerprints().iter();
    let mut all = Vec::new();
    for row in &rows {
        let entry: i64 = row.try_get("entry").unwrap_or_default();
        let prints: Vec<u8> = row.try_get("prints").unwrap_or_default();
        let digest = lepton_crypto::sha256(&prints).to_string();
        match due.next() {
            Some((wanted, (block, due))) if number(*wanted) == entry && *due == digest => {
                all.push((*block, cells::from_bytes(&prints)));
            }
            Some((wanted, _)) => return Err(changed(*wanted)),
            None => return Err(changed(u64::try_from(entry).unwrap_or_default())),
        }
    }
    match due.next() {
        None => Ok(all),
        Some((missing, _)) => Err(changed(*missing)),
    }
}

/// What the first entry says of the key of the fingerprints.
fn key_sha256(key: &[u8; 32]) -> String {
    lepton_crypto::hash("lepton ledger key", &[key]).to_string()
}

fn bytes<const N: usize>(row: &SqliteRow, column: &str) -> Option<[u8; N]> {
    let bytes: Vec<u8> = row.try_get(column).ok()?;
    bytes.try_into().ok()
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The file is its owner's alone: it tells which rows there are to whoever can guess a row.
fn private(path: &Path, create: bool) -> Result<(), LedgerError> {
    let io = |error: &std::io::Error| LedgerError::from(crate::files::failed(path, error));
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    if create && !path.exists() {
        options.create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    let file = match options.open(path) {
        // Another process made it in between.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(StoreError {
                place: path.display().to_string(),
                problem: "there is no ledger here".to_owned(),
                remedy: "check the path, or make one with `lepton budget set`".to_owned(),
            }
            .into());
        }
        result => result.map_err(|error| io(&error))?,
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = file
            .metadata()
            .map_err(|error| io(&error))?
            .permissions()
            .mode();
        if mode & 0o077 != 0 {
            return Err(StoreError {
                place: path.display().to_string(),
                problem: "other users of this machine can read this ledger".to_owned(),
                remedy: format!("keep it to yourself with `chmod 600 {}`", path.display()),
            }
            .into());
        }
    }
    Ok(())
}

fn broken(path: &Path, what: &str) -> StoreError {
    StoreError {
        place: path.display().to_string(),
        problem: format!("this ledger is damaged or was changed: {what}"),
        remedy: "nothing is released on it; restore the file from a copy that has every entry"
            .to_owned(),
    }
}

/// What SQLite reports, with a remedy (<https://www.sqlite.org/rescode.html>).
fn failed(path: &Path, error: &sqlx::Error) -> StoreError {
    let code = error
        .as_database_error()
        .and_then(|error| error.code()?.parse::<u32>().ok());
    let (problem, remedy) = match code.map(|code| code & 0xff) {
        Some(5 | 6) => (
            "another process has held the ledger for a minute",
            "wait for it, or end it",
        ),
        Some(8 | 14) => (
            "the ledger cannot be written",
            "give this user the right to write the file and its folder",
        ),
        Some(10) => (
            "the disk failed, or takes no more",
            "free some space (or raise the file-size limit) and try again",
        ),
        Some(11) => (
            "this ledger is damaged",
            "restore the file from a copy that has every entry",
        ),
        Some(13) => ("the disk is full", "free some space and try again"),
        Some(26) => ("this is not a ledger", "check the path"),
        _ => ("the ledger cannot be used", "check the file"),
    };
    StoreError {
        place: path.display().to_string(),
        problem: format!("{problem} ({error}); nothing was released"),
        remedy: remedy.to_owned(),
    }
}
