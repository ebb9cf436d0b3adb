//! Verbs that only read. What they print of cells goes to the terminal and nowhere else (rule VA-16).

use std::io::{self, Write};

use lepton_node::error::NodeError;
use lepton_table::Table;
use lepton_vault::{ColumnSummary, Listing, Scan, SealedTable, Vault, describe as summaries};
use serde_json::json;

use super::{HeadTable, ListVault, ReadTable, ShowTable, place};
use crate::output;

pub(crate) fn ls(args: &ListVault) -> Result<(), NodeError> {
    let listing = Vault::list(&args.vault)?;
    if args.json {
        return output::json(&listing);
    }
    output::text(&listed(&listing))
}

fn listed(listing: &Listing) -> String {
    let mut text = format!("vault {}\n", listing.vault);
    for root in &listing.roots {
        text += &format!("  root {root}\n");
    }
    for table in &listing.tables {
        let versions: Vec<String> = table.versions.iter().map(u64::to_string).collect();
        text += &format!(
            "  table {:<24} {} columns, versions {}\n",
            table.name,
            table.columns,
            versions.join(", ")
        );
        for grant in &table.grants {
            text += &format!("    grant {:<20} key {}\n", grant.name, grant.holder);
        }
    }
    text
}

pub(crate) fn show(args: &ShowTable) -> Result<(), NodeError> {
    let (folder, name) = place(&args.table)?;
    let root = args.root.root()?;
    let sealed = SealedTable::open(&args.table, root.as_ref(), None)?;
    let grants = Vault::open(&folder, root.as_ref())?.granted(&name)?;
    let checked = args.check.then(|| sealed.check_roots()).transpose()?;
    if checked == Some(false) {
        return Err(NodeError::Data(format!(
            "{}: its cells are not those that its Merkle root stands for",
            args.table.display()
        )));
    }
    let columns = sealed.columns();
    if args.json {
        let columns: Vec<_> = columns
            .iter()
            .map(|(name, kind)| json!({ "name": name, "type": kind.word() }))
            .collect();
        return output::json(&json!({
            "table": name, "version": sealed.version(), "rows": sealed.rows(), "sealed": sealed.sealed(),
            "merkle_root": sealed.merkle_root(), "checked": checked, "columns": columns, "grants": grants,
        }));
    }
    let mut text = format!(
        "{name}, version {}, sealed {}\n{} rows, Merkle root {}{}\n",
        sealed.version(),
        sealed.sealed(),
        sealed.rows(),
        sealed.merkle_root(),
        if checked.is_some() { " (checked)" } else { "" }
    );
    for (column, kind) in columns {
        text += &format!("  {:<10} {}\n", kind.word(), output::plain(&column));
    }
    for (grant, columns) in grants {
        text += &format!(
            "granted to {grant}: {}\n",
            output::plain(&columns.join(", "))
        );
    }
    output::text(&text)
}

/// Batch by batch: no more of the table is in memory than that.
pub(crate) fn open(args: &ReadTable) -> Result<(), NodeError> {
    let sealed = SealedTable::open(&args.table, args.root.root()?.as_ref(), None)?;
    let scan = args.scan(0);
    let mut first = true;
    for batch in sealed.batches(&scan)? {
        let table = Table::from_batch(&args.table.display().to_string(), batch?)?;
        let mut csv = Vec::new();
        table.write_csv(&mut csv)?;
        let text = if first {
            csv.as_slice()
        } else {
            after_header(&csv, &table)?
        };
        first = false;
        match io::stdout().lock().write_all(text) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            done => done.map_err(|error| {
                NodeError::file(std::path::Path::new("standard output"), &error)
            })?,
        }
    }
    Ok(())
}

/// The rows alone. The header is as long as that of a table without rows.
fn after_header<'a>(csv: &'a [u8], table: &Table) -> Result<&'a [u8], NodeError> {
    let mut header = Vec::new();
    table.select_rows(&[])?.write_csv(&mut header)?;
    Ok(csv.get(header.len()..).unwrap_or_default())
}

pub(crate) fn head(args: &HeadTable) -> Result<(), NodeError> {
    let sealed = SealedTable::open(&args.read.table, args.read.root.root()?.as_ref(), None)?;
    let mut rows: Vec<Vec<Option<String>>> = Vec::new();
    let mut names = Vec::new();
    for batch in sealed.batches(&args.read.scan(args.rows.max(1)))? {
        let table = Table::from_batch("head", batch?)?;
        names = table.column_names();
        let columns: Vec<_> = names
            .iter()
            .map(|name| table.texts(name))
            .collect::<Result<_, _>>()?;
        for row in 0..table.rows() {
            let cell = |column: &Vec<Option<String>>| column.get(row).cloned().flatten();
            rows.push(columns.iter().map(cell).collect());
        }
        if rows.len() >= args.rows {
            break;
        }
    }
    rows.truncate(args.rows);
    if args.read.json {
        return output::json(&json!({ "columns": names, "rows": rows }));
    }
    let mut text = output::plain(&names.join("\t"));
    for row in rows {
        let cells: Vec<String> = row.into_iter().map(Option::unwrap_or_default).collect();
        text += &format!("\n{}", output::plain(&cells.join("\t")).replace('\n', " "));
    }
    output::text(&(text + "\n"))
}

pub(crate) fn describe(args: &ReadTable) -> Result<(), NodeError> {
    let sealed = SealedTable::open(&args.table, args.root.root()?.as_ref(), None)?;
    let table = sealed.read(&args.scan(0))?;
    let found = summaries(&table)?;
    if args.json {
        return output::json(&json!({ "rows": table.rows(), "columns": found }));
    }
    let mut text = format!("{} rows; from raw cells: for you alone\n", table.rows());
    for column in &found {
        text += &described(column);
    }
    output::text(&text)
}

fn described(column: &ColumnSummary) -> String {
    let name = output::plain(&column.name);
    let mut text = format!(
        "{name}  {}, {} missing, {} different",
        column.kind, column.missing, column.distinct
    );
    if let (Some(least), Some(largest), Some(mean)) = (column.least, column.largest, column.mean) {
        text += &format!(", {least} to {largest}, mean {mean}");
    }
    for (value, count) in &column.most {
        text += &format!(
            "\n    {count:>8}  {}",
            output::plain(value).replace('\n', " ")
        );
    }
    text + "\n"
}

impl ReadTable {
    fn scan(&self, batch_rows: usize) -> Scan {
        Scan {
            columns: (!self.columns.is_empty()).then(|| self.columns.clone()),
            batch_rows,
            ..Scan::default()
        }
    }
}
