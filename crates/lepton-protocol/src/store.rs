//! Where machines keep what must survive a crash. The shell implements it on files, on SQLite and on PostgreSQL.

/// Durable keys and append-only logs of one actor (a party or a coordinator).
///
/// Contract: when a method returns `Ok`, a killed process no longer loses the data; whether a power cut may is the implementation's
/// stated choice. A failed call leaves the previous content readable.
pub trait Store: Send {
    /// Replaces the value of `key`.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be made durable; the old value then still stands.
    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), StoreError>;

    /// Replaces several values, in their order. A store that can does so all or nothing; after a failure of another any number of them, counted from the
    /// first, may have been replaced.
    ///
    /// # Errors
    /// [`StoreError`] when one could not be made durable.
    fn put_all(&mut self, records: &[Record]) -> Result<(), StoreError> {
        records
            .iter()
            .try_for_each(|record| self.put(&record.key, &record.value))
    }

    /// Reads the value of `key`.
    ///
    /// # Errors
    /// [`StoreError`] when it exists but cannot be read.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// All values whose key begins with `prefix`, each with the rest of its key, in the byte order of the keys.
    ///
    /// # Errors
    /// [`StoreError`] when one of them cannot be read.
    fn values(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError>;
}

/// One thing to persist before anything is sent (rule FT-14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where.
    pub key: String,
    /// What.
    pub value: Vec<u8>,
}

/// The store failed; nothing was lost, but the job cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}; {remedy}")]
pub struct StoreError {
    /// File or address.
    pub place: String,
    /// What went wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}
