//! A store and a ledger in memory: what survives a simulated crash.

use std::collections::BTreeMap;

use lepton_protocol::ledger::{Charge, Ledger, LedgerError, Limit, accountant_of, admit};
use lepton_protocol::store::{Store, StoreError};

/// A store that outlives its process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryStore(BTreeMap<String, Vec<u8>>);

impl Store for MemoryStore {
    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.0.insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(key).cloned())
    }

    fn values(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let found = self.0.iter().filter_map(|(key, value)| {
            let rest = key.strip_prefix(prefix)?;
            Some((rest.to_owned(), value.clone()))
        });
        Ok(found.collect())
    }
}

/// A ledger that outlives its process. Without a limit it admits everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MemoryLedger {
    limit: Option<Limit>,
    charges: Vec<Charge>,
}

impl MemoryLedger {
    /// A ledger that holds `charges` already.
    #[must_use]
    pub fn new(limit: Option<Limit>, charges: Vec<Charge>) -> Self {
        Self { limit, charges }
    }
}

impl Ledger for MemoryLedger {
    fn reserve(&mut self, charge: &Charge) -> Result<(), LedgerError> {
        if let Some(limit) = &self.limit {
            let spent = accountant_of(&self.charges, charge.side)?;
            admit(&spent, charge, limit)?;
        }
        self.charges.push(charge.clone());
        Ok(())
    }

    fn charges(&self) -> &[Charge] {
        &self.charges
    }
}
