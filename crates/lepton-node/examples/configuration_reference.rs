//! Prints the reference of the configuration: `cargo run -p lepton-node --example configuration_reference > docs/configuration.md`.

fn main() {
    print!("{}", lepton_node::config::reference_markdown());
}
