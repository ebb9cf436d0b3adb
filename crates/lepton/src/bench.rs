//! `lepton bench`.

use std::num::NonZeroUsize;

use clap::{Args, Subcommand};
use lepton_node::bench::masked_sum::{Costs, Setting, measure};
use lepton_node::error::NodeError;

use crate::output;

/// Flags of `lepton bench`.
#[derive(Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// One masked sum among simulated parties: CPU time, bytes, memory
    #[command(
        after_help = "Example: lepton bench masked-sum --parties 100 --neighbours 99 --dim 1000000 --dropouts 10 --bits 32 --json"
    )]
    MaskedSum(MaskedSumArgs),
}

/// Flags of `lepton bench masked-sum`.
#[derive(Args)]
struct MaskedSumArgs {
    /// Number of parties
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(2..))]
    parties: u16,
    /// Neighbours of each party; more than the others there are stands for all. A number of your own makes a random graph whose security is only
    /// reported, not demanded; without it the graph fits the number of parties and keeps a security of 40 bits
    #[arg(long)]
    neighbours: Option<u16>,
    /// Entries of the vector
    #[arg(long, default_value_t = 1_000_000)]
    dim: usize,
    /// Parties lost before they send
    #[arg(long, default_value_t = 0)]
    dropouts: u16,
    /// Colluders that the parameters allow for [default: a tenth of the parties]
    #[arg(long)]
    colluders: Option<u16>,
    /// Bits of an entry
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u8).range(8..=64))]
    bits: u8,
    /// Threads of the coordinator [default: all cores]
    #[arg(long)]
    workers: Option<NonZeroUsize>,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

impl BenchArgs {
    /// Measures and prints.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        let What::MaskedSum(args) = self.what;
        let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let costs = measure(Setting {
            parties: args.parties,
            neighbours: args.neighbours,
            dim: args.dim,
            dropouts: args.dropouts,
            colluders: args.colluders,
            bits: args.bits,
            workers: args.workers.unwrap_or_else(cores),
        })?;
        if args.json {
            return output::json(&costs);
        }
        output::text(&table(&costs))
    }
}

/// The figures in words.
fn table(costs: &Costs) -> String {
    let graph = match costs.security_bits {
        None => "complete graph".to_owned(),
        Some(bits) => format!(
            "random graph of {} neighbours, {:.0} bits of security",
            costs.neighbours,
            bits.max(0.0)
        ),
    };
    let milli = |seconds: f64| format!("{:.2} ms", seconds * 1e3);
    let rows = [
        ("graph", graph),
        (
            "protocol",
            format!(
                "threshold {}, quorum {} of {}, {} colluders, {} drops",
                costs.threshold, costs.quorum, costs.committee, costs.colluders, costs.dropouts
            ),
        ),
        ("party, CPU", milli(costs.party_cpu_s)),
        ("  its masks alone", milli(costs.generator_s)),
        ("coordinator, CPU", milli(costs.coordinator_cpu_s)),
        ("party's set-up, CPU", milli(costs.set_up_party_cpu_s)),
        (
            "up",
            format!(
                "{} bytes, the vector {}",
                costs.up_bytes, costs.vector_bytes
            ),
        ),
        ("down", format!("{} bytes", costs.down_bytes)),
        (
            "sum",
            if costs.exact { "exact" } else { "WRONG" }.to_owned(),
        ),
    ];
    rows.iter()
        .map(|(name, value)| format!("{name:<20} {value}\n"))
        .collect()
}
