//! Rényi differential privacy accounting at integer orders (docs/protocols/accounting.md).

mod accountant;
pub(crate) mod convert;
mod curve;
mod event;
mod moments;
mod quadrature;
mod renyi;
mod tuning;

pub use accountant::Accountant;
pub use event::Event;
pub use renyi::Renyi;
pub use tuning::Trials;

/// The orders alpha at which Rényi divergences are tracked: 2..=64, 72, 96, 128, 192, 256, 512 and 1024 (AC-07).
///
/// Integers only: there the formula for the Poisson-sampled Gaussian is exact also for *discrete* Gaussian noise (AC-05).
#[derive(Clone, Copy, Debug)]
pub struct Orders;

impl Orders {
    /// How many orders there are.
    pub const COUNT: usize = 70;

    /// The orders, ascending.
    pub const ALL: [u32; Self::COUNT] = all_orders();
}

#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated at compile time; index below 70"
)]
const fn all_orders() -> [u32; Orders::COUNT] {
    const SPARSE: [u32; 7] = [72, 96, 128, 192, 256, 512, 1024];
    let mut orders = [0; Orders::COUNT];
    let mut index = 0;
    while index < Orders::COUNT {
        orders[index] = if index < 63 {
            index as u32 + 2
        } else {
            SPARSE[index - 63]
        };
        index += 1;
    }
    orders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_as_documented() {
        assert_eq!(Orders::ALL[..3], [2, 3, 4]);
        assert_eq!(Orders::ALL[62..], [64, 72, 96, 128, 192, 256, 512, 1024]);
        assert!(Orders::ALL.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
