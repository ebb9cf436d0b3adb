//! `lepton bench`: what the parts cost on this machine.

pub mod masked_sum;
mod usage;
