//! Prints the reference of the policy file: `cargo run -p lepton-protocol --example policy_reference > docs/policy.md`.

fn main() {
    print!("{}", lepton_protocol::policy::reference_markdown());
}
