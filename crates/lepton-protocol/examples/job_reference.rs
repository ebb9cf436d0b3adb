//! Prints the reference of the job file: `cargo run -p lepton-protocol --example job_reference > docs/job.md`.

fn main() {
    print!("{}", lepton_protocol::job::reference_markdown());
}
