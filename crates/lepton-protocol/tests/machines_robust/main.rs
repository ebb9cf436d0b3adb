//! Robust combination over groups (FT-17 to FT-21).
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a test that does not find what it needs has failed"
)]

mod kit;
mod survivors;
mod updates;
