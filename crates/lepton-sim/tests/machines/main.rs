//! The protocol machines under faults and forgers; rule ids are those of `docs/protocols`.

mod frames;
mod insiders;
mod kit;
mod open_faults;
mod preparation;
mod random_networks;
mod resume;
mod training;
