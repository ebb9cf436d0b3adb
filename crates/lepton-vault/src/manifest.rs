//! What is known of one version of a table (rule VA-07), and the keys that open it.

use std::collections::BTreeMap;

use lepton_crypto::{Digest, Seed};
use lepton_table::ColumnType;
use serde::{Deserialize, Serialize};

use crate::catalog::internal;
use crate::error::VaultError;
use crate::key::{hex, unhex};

/// The sealed part of a version.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) columns: Vec<ColumnEntry>,
    pub(crate) rows: u64,
    /// Length of the data file.
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    /// The hashes of its blocks, one after another.
    pub(crate) blocks: String,
    /// The table's Merkle root.
    pub(crate) root: String,
    /// When it was sealed, as the caller's clock says.
    pub(crate) sealed: String,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ColumnEntry {
    pub(crate) name: String,
    /// `number` or `category`.
    pub(crate) kind: String,
    /// Its Merkle root.
    pub(crate) root: String,
}

/// Which version of which table of which vault: what everything in it is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edition {
    pub(crate) vault: String,
    pub(crate) table: String,
    pub(crate) version: u64,
}

/// The keys of a version that are at hand: the footer's, and those of columns by their number.
pub(crate) struct Keys {
    pub(crate) footer: Seed,
    pub(crate) columns: BTreeMap<usize, Seed>,
}

impl Edition {
    /// `masterKeyID` of the footer's key (0) or of a column's (from 1).
    pub(crate) fn key_name(&self, place: usize) -> String {
        let what = match place {
            0 => "footer".to_owned(),
            column => format!("c{column}"),
        };
        format!(
            "lepton:{}:{}:{}:{what}",
            self.vault, self.table, self.version
        )
    }

    /// The AAD prefix of the data file.
    pub(crate) fn aad_prefix(&self) -> Vec<u8> {
        let Self {
            vault,
            table,
            version,
        } = self;
        format!("lepton/1/{vault}/{table}/{version}").into_bytes()
    }

    /// The list that a sealed value of this version is bound to.
    pub(crate) fn bound<T>(&self, purpose: &str, what: &str, then: impl FnOnce(&[&str]) -> T) -> T {
        let version = self.version.to_string();
        then(&[purpose, &self.vault, &self.table, &version, what])
    }
}

impl Manifest {
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, VaultError> {
        serde_json::to_vec(self).map_err(internal)
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, VaultError> {
        serde_json::from_slice(bytes).map_err(internal)
    }

    /// A column's number, from 0.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    pub(crate) fn blocks(&self) -> Option<Vec<Digest>> {
        let chunk = |at: usize| self.blocks.get(at * 64..(at + 1) * 64);
        let whole = self.blocks.len().is_multiple_of(64);
        let digests =
            (0..self.blocks.len() / 64).map(|at| Some(Digest::from_bytes(*unhex(chunk(at)?)?)));
        whole.then(|| digests.collect::<Option<Vec<_>>>())?
    }
}

impl ColumnEntry {
    pub(crate) fn kind(&self) -> ColumnType {
        if self.kind == ColumnType::Number.word() {
            ColumnType::Number
        } else {
            ColumnType::Category
        }
    }
}

/// Digests as one text.
pub(crate) fn joined(digests: &[Digest]) -> String {
    digests
        .iter()
        .map(|digest| hex(digest.as_bytes()))
        .collect()
}
