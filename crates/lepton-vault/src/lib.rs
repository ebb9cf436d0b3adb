//! A party's encrypted tables: a folder with a key tree and, for each version of a table, one Parquet file with Modular Encryption
//! that jobs read where it lies. The rules are `docs/protocols/vault.md`.
//!
//! Nothing here writes a plaintext cell to a disk, and no key but inside another. Clocks are the caller's.
#![expect(
    clippy::disallowed_methods,
    reason = "this crate is the shell's door to encrypted tables: it opens files and asks the operating system for keys"
)]

mod blocks;
mod catalog;
mod change;
mod disk;
mod document;
mod error;
mod foreign;
mod grant;
mod key;
mod manifest;
mod merkle;
mod owner;
mod pkmt;
mod read;
mod root;
mod seal;
mod shred;
mod summary;
mod token;

pub use catalog::{CATALOG, GrantShown, Listing, TableShown, table_place};
pub use disk::write_secret;
pub use document::{
    CERTIFICATE, Certificate, Document, SignedBy, Signer, Statement, TABLE_STATEMENT, verify,
};
pub use error::VaultError;
pub use foreign::{ForeignKeys, read_foreign};
pub use grant::{GrantFile, parquet_keys};
pub use owner::Vault;
pub use read::{Between, Scan, SealedTable};
pub use root::{KeyFile, Passphrase, RootOfTrust, Slot};
pub use summary::{ColumnSummary, describe};
pub use token::TokenKey;
