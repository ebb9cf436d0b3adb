//! Generators for keys, masks, samples and noise, seeded by the operating system (rule FT-15), or, in simulations only, by `insecure_seed`.

use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use zeroize::Zeroizing;

/// Where an actor's randomness comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entropy {
    /// The operating system, through a generator of 256-bit seed.
    System,
    /// A number anybody may know: repeatable, and without any privacy. Simulation and tests only.
    InsecureSeed(u64),
}

/// The operating system gave no randomness.
#[derive(Debug, thiserror::Error)]
#[error(
    "the operating system gave no random bytes ({0}); check /dev/urandom or the sandbox's rules"
)]
pub struct NoEntropy(String);

impl Entropy {
    /// A generator of its own for one actor and epoch.
    ///
    /// # Errors
    /// [`NoEntropy`] when the operating system refuses.
    pub fn generator(self, actor: &str, epoch: u64) -> Result<ChaCha20Rng, NoEntropy> {
        let mut seed = Zeroizing::new([0_u8; 32]);
        match self {
            Self::System => {
                getrandom::fill(seed.as_mut()).map_err(|error| NoEntropy(error.to_string()))?
            }
            Self::InsecureSeed(number) => {
                let parts = [
                    &number.to_be_bytes()[..],
                    actor.as_bytes(),
                    &epoch.to_be_bytes(),
                ];
                *seed = *lepton_crypto::hash("lepton insecure seed", &parts).as_bytes();
            }
        }
        Ok(ChaCha20Rng::from_seed(*seed))
    }
}

/// Replaces a generator by one seeded from its next output and wipes the old state, so that memory seized later does not give back what was drawn before
/// (fast key erasure; Bernstein 2017). Called after every step of a party: masks and noise of past exchanges cannot be recomputed.
pub fn ratchet(generator: &mut ChaCha20Rng) {
    let mut seed = Zeroizing::new([0_u8; 32]);
    generator.fill_bytes(seed.as_mut());
    *generator = ChaCha20Rng::from_seed(*seed);
}

/// A repeatable generator for what is public anyway: which simulated party gets which row, which rows are held out.
#[must_use]
pub fn public_generator(seed: u64, purpose: &str) -> ChaCha20Rng {
    let digest = lepton_crypto::hash(
        "lepton public seed",
        &[&seed.to_be_bytes(), purpose.as_bytes()],
    );
    ChaCha20Rng::from_seed(*digest.as_bytes())
}
