//! Vaults as their owners, holders of grants and attackers meet them.
#![expect(
    clippy::disallowed_methods,
    reason = "tests look at what is on the disk"
)]
#![cfg(test)]

mod crashes;
mod damage;
mod desk;
mod grants;
mod marker;
mod tables;
mod tokens;
