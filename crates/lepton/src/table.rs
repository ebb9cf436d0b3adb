//! `lepton table`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lepton_node::error::NodeError;
use lepton_table::quality::{ColumnQuality, Quality, Severity};
use lepton_table::{ReadOptions, Schema, Table};

use crate::output;

/// Flags of `lepton table`.
#[derive(Args)]
pub(crate) struct TableArgs {
    #[command(subcommand)]
    what: TableCommand,
}

#[derive(Subcommand)]
enum TableCommand {
    /// Say what a table holds, and what in it is missing, odd or not as its schema says
    #[command(
        after_help = "Example: lepton table check customers.parquet --schema customers.schema.toml\n\nWhat it prints is derived from the rows: keep it as you keep the table. Exit code 1 when the table is not what its schema says."
    )]
    Check(TableCheckArgs),
    /// Print a schema file to begin with: every column with the type it was read as
    #[command(after_help = "Example: lepton table schema customers.csv > customers.schema.toml")]
    Schema(TableSchemaArgs),
}

#[derive(Args)]
struct TableCheckArgs {
    /// CSV, Parquet, Arrow IPC (Feather) or JSON Lines
    table: PathBuf,
    /// What its columns are to hold
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// The column to predict, where the schema names no label or another one
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct TableSchemaArgs {
    /// CSV, Parquet, Arrow IPC (Feather) or JSON Lines
    table: PathBuf,
}

impl TableArgs {
    /// Does what was asked.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        match self.what {
            TableCommand::Check(args) => args.run(),
            TableCommand::Schema(args) => {
                let table = Table::from_path(args.table, &ReadOptions::default())?;
                output::text(&Schema::draft(&table))
            }
        }
    }
}

impl TableCheckArgs {
    fn run(self) -> Result<(), NodeError> {
        let schema = self.schema.as_ref().map(Schema::from_path).transpose()?;
        let schema = schema.unwrap_or_default();
        let table = Table::from_path(&self.table, &schema.read_options())?;
        let quality = Quality::of(&table, &schema, self.label.as_deref())?;
        if self.json {
            output::json(&quality)?;
        } else {
            output::text(&words(&quality))?;
        }
        if quality.fits() {
            return Ok(());
        }
        Err(NodeError::Data(format!(
            "{} is not what its schema says; correct the rows or the schema",
            self.table.display()
        )))
    }
}

fn words(quality: &Quality) -> String {
    let heading = ["column", "type", "role", "missing", "different", "range"];
    let mut lines = vec![heading.map(str::to_owned)];
    lines.extend(quality.columns.iter().map(line));
    let width = |at: usize| {
        let cells = lines.iter().filter_map(|line| line.get(at));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let mut text = format!(
        "{} rows, {} columns\n\n",
        quality.rows,
        quality.columns.len()
    );
    for line in &lines {
        let cells = line.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text.push('\n');
    for finding in &quality.findings {
        let mark = match finding.severity {
            Severity::Error => "ERROR    ",
            Severity::Warning => "warning  ",
        };
        let place = finding
            .column
            .as_ref()
            .map_or_else(String::new, |column| format!("{column}: "));
        text += &output::plain(&format!("{mark}{place}{}", finding.words));
        text.push('\n');
    }
    if quality.findings.is_empty() {
        text += "nothing stands out\n";
    }
    text
}

fn line(column: &ColumnQuality) -> [String; 6] {
    let unit = column
        .unit
        .as_ref()
        .map_or_else(String::new, |unit| format!(" {unit}"));
    let range = column
        .range
        .map_or_else(String::new, |(low, high)| format!("{low} to {high}{unit}"));
    let role = column
        .role
        .map_or_else(|| "-".to_owned(), |role| role.to_string());
    let name = output::plain(&column.name.replace('\n', " "));
    let (missing, distinct) = (column.missing.to_string(), column.distinct.to_string());
    [name, column.kind.to_owned(), role, missing, distinct, range]
}
