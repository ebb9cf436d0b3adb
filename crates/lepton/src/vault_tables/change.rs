//! Verbs that change a vault.

use std::collections::BTreeMap;
use std::path::Path;

use lepton_node::error::NodeError;
use lepton_table::{ColumnType, ReadOptions, Table};
use lepton_vault::{
    ForeignKeys, GrantFile, KeyFile, RootOfTrust, Vault, read_foreign, write_secret,
};

use super::{
    GrantTable, InitVault, PruneTable, RevokeTable, RotateVault, SealTable, ShredTable, place,
};
use crate::{clock, output};

pub(crate) fn init(args: &InitVault) -> Result<(), NodeError> {
    let root: Box<dyn RootOfTrust> = match &args.root.key_file {
        Some(path) => Box::new(made(path)?),
        None => args.root.root()?,
    };
    Vault::init(&args.vault, root.as_ref())?;
    let vault = args.vault.display();
    output::text(&format!(
        "{vault} is a vault. Without its passphrase or key file nothing in it can be read: keep a copy, apart from its backups.\nNext:\n\n  lepton vault seal TABLE.csv --vault {vault} {}\n",
        flags(args)
    ))
}

fn flags(args: &InitVault) -> String {
    match (&args.root.passphrase_file, &args.root.key_file) {
        (Some(path), _) => format!("--passphrase-file {}", path.display()),
        (None, Some(path)) => format!("--key-file {}", path.display()),
        (None, None) => "--pkcs11 …".to_owned(),
    }
}

/// A key file that may be there already.
pub(super) fn made(path: &Path) -> Result<KeyFile, NodeError> {
    if path.exists() {
        return Ok(KeyFile::open(path)?);
    }
    let key = KeyFile::create(path)?;
    output::note(&format!("{} is a new key file", path.display()));
    Ok(key)
}

pub(crate) fn seal(args: &SealTable) -> Result<(), NodeError> {
    let stem = args.table.file_stem().map(|stem| stem.to_string_lossy());
    let name = args
        .name
        .clone()
        .unwrap_or_else(|| stem.unwrap_or_default().into_owned());
    let root = args.root.root()?;
    let party = args.sign.signer()?;
    let table = match &args.parquet_keys {
        Some(keys) => read_foreign(&args.table, ForeignKeys::from_file(keys)?)?,
        None => Table::from_path(&args.table, &ReadOptions::with_types(types(&args.types)?))?,
    };
    let mut vault = Vault::open(&args.vault, root.as_ref())?;
    let when = clock::now().0;
    let statement = vault.seal(&name, &table, &when, party.as_ref())?;
    let mut text = format!(
        "sealed {} as version {} of {}: {} rows, {} columns\n",
        args.table.display(),
        statement.version,
        args.vault.join(&name).display(),
        table.rows(),
        statement.columns
    );
    for (column, kind) in table.columns() {
        text += &format!("  {:<10} {}\n", kind.word(), output::plain(&column));
    }
    text += &format!("Merkle root {}\n", statement.merkle_root);
    output::note(&format!(
        "{} is still there in the clear: remove it when it is not needed any more",
        args.table.display()
    ));
    output::text(&text)
}

fn types(texts: &[String]) -> Result<BTreeMap<String, ColumnType>, NodeError> {
    let parse = |text: &String| {
        let (column, kind) = text.rsplit_once('=').unwrap_or((text, ""));
        let kinds = [ColumnType::Number, ColumnType::Category];
        let kind = kinds.into_iter().find(|known| known.word() == kind);
        kind.map(|kind| (column.to_owned(), kind)).ok_or_else(|| {
            NodeError::Use(format!(
                "--type {text}: write COLUMN=number or COLUMN=category"
            ))
        })
    };
    texts.iter().map(parse).collect()
}

pub(crate) fn grant(args: &GrantTable) -> Result<(), NodeError> {
    let (folder, table) = place(&args.table)?;
    let mut vault = Vault::open(&folder, args.root.root()?.as_ref())?;
    if let Some(path) = &args.parquet_keys {
        let keys = vault.parquet_keys(&table, &args.columns)?;
        write_secret(path, keys.as_bytes())?;
        return output::text(&format!(
            "{} opens {} of version {} for ever, also in other tools: it cannot be revoked\n",
            path.display(),
            args.columns.join(", "),
            vault.last_version(&table)?
        ));
    }
    let name = args.to.clone().unwrap_or_default();
    let known = args.holder.as_deref().map(KeyFile::open).transpose()?;
    let (file, path) = match (&known, &args.out) {
        (Some(known), _) => (GrantFile::Known(known), known.path()),
        (None, Some(path)) => (GrantFile::New(path), path.as_path()),
        (None, None) => {
            return Err(NodeError::Use(
                "say where the holder's key goes: --out for a new file, or --holder".to_owned(),
            ));
        }
    };
    vault.grant(&table, &name, &args.columns, &file)?;
    output::text(&format!(
        "{} opens {} of {}, and nothing else. Its holder also learns the names and types of the other columns.\n",
        path.display(),
        args.columns.join(", "),
        args.table.display()
    ))
}

pub(crate) fn revoke(args: &RevokeTable) -> Result<(), NodeError> {
    let (folder, table) = place(&args.table)?;
    let party = args.sign.signer()?;
    let mut vault = Vault::open(&folder, args.root.root()?.as_ref())?;
    if args.reencrypt {
        let when = clock::now().0;
        vault.reencrypt(&table, Some(&args.from), &when, party.as_ref())?;
        return output::text(&format!(
            "{} is revoked, and {} is under fresh keys, its older versions deleted; copies of the old files stay readable to whoever kept keys and files\n",
            args.from,
            args.table.display()
        ));
    }
    vault.revoke(&table, &args.from)?;
    output::text(&format!(
        "{} is revoked. Keys that its holder kept still open the file as it is: --reencrypt the table, or seal a new version\n",
        args.from
    ))
}

pub(crate) fn rotate(args: &RotateVault) -> Result<(), NodeError> {
    let root = args.root.root()?;
    let mut vault = Vault::open(&args.vault, root.as_ref())?;
    let add = args.add.root()?;
    vault.change_roots(root.as_ref(), add.as_deref(), &args.remove_root)?;
    output::text(&format!(
        "{}: new keys from the vault's down to the tables'; column keys and data are as they were\n",
        args.vault.display()
    ))
}

pub(crate) fn prune(args: &PruneTable) -> Result<(), NodeError> {
    let (folder, table) = place(&args.table)?;
    if !args.yes {
        return Err(NodeError::Use(format!(
            "all versions of {} but the last {} would go for good; say --yes",
            args.table.display(),
            args.keep
        )));
    }
    let mut vault = Vault::open(&folder, args.root.root()?.as_ref())?;
    let gone = vault.prune(&table, args.keep)?;
    let gone: Vec<String> = gone.iter().map(u64::to_string).collect();
    output::text(&match gone.as_slice() {
        [] => format!("{} has no older versions\n", args.table.display()),
        gone => format!(
            "{}: dropped the versions {}. Copies of their files stay readable to whoever has them with their keys\n",
            args.table.display(),
            gone.join(", ")
        ),
    })
}

pub(crate) fn shred(args: &ShredTable) -> Result<(), NodeError> {
    let (folder, table) = place(&args.table)?;
    if !args.yes {
        return Err(NodeError::Use(format!(
            "{} would be destroyed for good; say --yes",
            args.table.display()
        )));
    }
    let party = args.sign.signer()?;
    let mut vault = Vault::open(&folder, args.root.root()?.as_ref())?;
    let when = clock::now().0;
    let (certificate, path) = vault.shred(&table, &when, party.as_ref())?;
    let mut text = format!(
        "{} is destroyed: {} versions. The certificate is {}\nNot reached:\n",
        args.table.display(),
        certificate.versions.len(),
        path.display()
    );
    for line in &certificate.not_reached {
        text += &format!("  - {line}\n");
    }
    output::text(&text)
}
