//! Which sampler draws a party's noise, and what the fast one takes of delta (rule FT-22).

use lepton_dp::{Delta, DiscreteGaussian, DpError, Epsilon, MAX_TABLE_SIGMA, TableGaussian};
use rand_core::CryptoRng;

use crate::plan::Plan;
use crate::privacy::PrivacyPlan;

/// Draws from tables that a job's share of delta covers, over all its parties.
const JOB_DRAWS: u64 = 1 << 50;
/// The same for all jobs that ever touch a data set.
const LIFETIME_DRAWS: u64 = 1 << 56;
/// Draws from tables that the workers of a job make together before each goes on exactly; a restarted worker counts anew, so sixteen lives of all parties
/// are covered.
const WORKER_DRAWS: u64 = JOB_DRAWS / 16;
/// Upper bound on the statistical distance of a table's draw for every sigma (DG-12): 2^-106.
const DISTANCE: f64 = 1.232_595_164_407_831e-32;
/// Largest part of a job's delta that tables may take.
const LARGEST_PART: f64 = 1e-3;

/// What `draws` draws from tables add to delta at `epsilon`, rounded up (DG-15).
fn share(draws: u64, epsilon: Epsilon) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a power of two")]
    let distance = DISTANCE * draws as f64;
    (1.0 + libm::exp(epsilon.get())) * distance * (1.0 + 1e-9)
}

/// What the tables take of a job's delta; `None` where it would be too much, so that all noise of the job is drawn exactly.
#[must_use]
pub fn table_share(epsilon: Epsilon, delta: Delta) -> Option<f64> {
    Some(share(JOB_DRAWS, epsilon)).filter(|share| *share <= LARGEST_PART * delta.get())
}

/// The delta that a job's noise is calibrated to and its ledger enforces: what is left of the goal's after the tables' share.
///
/// # Errors
/// [`DpError`] never for a valid delta.
pub fn exact_delta(epsilon: Epsilon, delta: Delta) -> Result<Delta, DpError> {
    match table_share(epsilon, delta) {
        Some(share) => Delta::new((delta.get() - share).next_down()),
        None => Ok(delta),
    }
}

/// The delta that a lifetime budget's capacity is for: what is left after the share of every table draw there may ever be, or half of it, if that is more.
#[must_use]
pub(crate) fn lifetime_delta(epsilon: Epsilon, delta: Delta) -> Delta {
    let left = delta.get() - share(LIFETIME_DRAWS, epsilon);
    Delta::new(left.max(delta.get() / 2.0).next_down()).unwrap_or(delta)
}

impl PrivacyPlan {
    /// The part of delta that is set aside for noise from tables; `None` where all noise is exact.
    #[must_use]
    pub fn table_share(&self) -> Option<f64> {
        table_share(self.goal.epsilon, self.goal.delta)
    }

    /// Epsilon at `delta`, the tables' share included; `epsilon_at` gives it for exact noise.
    ///
    /// # Errors
    /// Those of `epsilon_at`. Infinite where the tables' share is too much of this delta.
    pub fn with_tables<E: From<DpError>>(
        &self,
        delta: Delta,
        epsilon_at: impl Fn(Delta) -> Result<f64, E>,
    ) -> Result<f64, E> {
        if self.table_share().is_none() {
            return epsilon_at(delta);
        }
        let exact = if delta == self.goal.delta {
            self.limit.delta
        } else {
            Delta::new(delta.get() * (1.0 - LARGEST_PART)).map_err(E::from)?
        };
        let epsilon = epsilon_at(exact)?;
        if epsilon <= 0.0 {
            return Ok(epsilon);
        }
        // A bound at a larger epsilon is none of this goal: check it for itself.
        let share = Epsilon::new(epsilon).map(|epsilon| share(JOB_DRAWS, epsilon));
        let covered = share.is_ok_and(|share| exact.get() + share <= delta.get());
        Ok(if covered { epsilon } else { f64::INFINITY })
    }
}

/// A party's source of noise: tables where the plan's sigma and the count of draws allow, exact draws everywhere else.
#[derive(Default)]
pub(crate) struct NoiseSource {
    table: Option<TableGaussian>,
    drawn: u64,
}

impl NoiseSource {
    /// Adds a discrete Gaussian of standard deviation `sigma` to each entry. Sums wrap, as the ring does: noise is never cut off.
    pub(crate) fn add(
        &mut self,
        vector: &mut [i64],
        sigma: u64,
        plan: &Plan,
        rng: &mut impl CryptoRng,
    ) -> Result<(), DpError> {
        let mut draws = vec![0_i64; vector.len()];
        match self.table(sigma, vector.len(), plan)? {
            Some(table) => table.fill(&mut draws, rng),
            None => DiscreteGaussian::new(sigma)?.fill(&mut draws, rng),
        }
        for (value, draw) in vector.iter_mut().zip(draws) {
            *value = value.wrapping_add(draw);
        }
        Ok(())
    }

    /// The table for `sigma`, where it may be used for `len` further draws.
    fn table(
        &mut self,
        sigma: u64,
        len: usize,
        plan: &Plan,
    ) -> Result<Option<&TableGaussian>, DpError> {
        let allowed = plan.privacy().and_then(PrivacyPlan::table_share).is_some();
        let most = WORKER_DRAWS / u64::from(plan.parties().max(1));
        let drawn = self.drawn.saturating_add(len as u64);
        if !allowed || drawn > most || !(1..=MAX_TABLE_SIGMA).contains(&sigma) {
            return Ok(None);
        }
        self.drawn = drawn;
        if self
            .table
            .as_ref()
            .is_none_or(|table| table.sigma() != sigma)
        {
            self.table = Some(TableGaussian::new(sigma)?);
        }
        Ok(self.table.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goal(epsilon: f64, delta: f64) -> (Epsilon, Delta) {
        (Epsilon::new(epsilon).unwrap(), Delta::new(delta).unwrap())
    }

    /// FT-22: the constant covers every table there is, and the share is (1 + e^epsilon) times the distance of all draws.
    #[test]
    fn the_share_covers_every_sigma() {
        for sigma in (0..=20).flat_map(|power| [1 << power, (1 << power) + (1 << power) / 3]) {
            if let Ok(table) = TableGaussian::new(sigma) {
                assert!(table.statistical_distance() <= DISTANCE, "{sigma}");
                let (epsilon, delta) = goal(3.0, 1e-5);
                let told = (1.0 + 3.0_f64.exp()) * table.delta_for(JOB_DRAWS);
                assert!(table_share(epsilon, delta).unwrap() >= told);
            }
        }
    }

    /// FT-22: calibration gets the rest of delta; where the rest would be too little, there are no tables, and delta is whole.
    #[test]
    fn calibration_gets_the_rest_of_delta() {
        let (epsilon, delta) = goal(3.0, 1e-5);
        let exact = exact_delta(epsilon, delta).unwrap().get();
        let share = table_share(epsilon, delta).unwrap();
        assert!(exact + share <= 1e-5 && exact > 1e-5 * (1.0 - 1e-9));
        for (epsilon, delta) in [goal(25.0, 1e-5), goal(3.0, 1e-15)] {
            assert_eq!(table_share(epsilon, delta), None);
            assert_eq!(exact_delta(epsilon, delta).unwrap(), delta);
        }
        let (epsilon, delta) = goal(1000.0, 1e-5);
        assert!(lifetime_delta(epsilon, delta).get() < 0.500_001e-5);
        assert!(lifetime_delta(goal(3.0, 1e-5).0, delta).get() < 1e-5);
    }

    fn plan(epsilon: f64) -> Plan {
        let text = format!(
            "[job]\nname = \"n\"\n[data]\ntable = \"n.csv\"\nlabel = \"y\"\nclasses = [\"a\", \"b\"]\nfeatures = [\"x\"]\n\
             types = {{ x = \"number\", y = \"category\" }}\n[prepare]\nbounds = {{ x = [0, 1] }}\n[model]\nkind = \"logistic\"\n\
             [training]\nsampling_rate = 0.5\n[privacy]\nepsilon = {epsilon:?}\n"
        );
        Plan::new(crate::job::Job::parse("n.toml", &text, &[]).unwrap(), 3).unwrap()
    }

    fn added(source: &mut NoiseSource, sigma: u64, plan: &Plan) -> Vec<i64> {
        let mut vector = vec![i64::MAX, 0, 5];
        let mut rng = <chacha20::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(4);
        source.add(&mut vector, sigma, plan, &mut rng).unwrap();
        let start = [i64::MAX, 0, 5];
        vector
            .iter()
            .zip(start)
            .map(|(now, before)| now.wrapping_sub(before))
            .collect()
    }

    /// FT-22: tables up to their largest sigma, as long as their share of delta lasts; exact draws otherwise.
    #[test]
    fn the_plan_decides_which_sampler_draws() {
        let rng = || <chacha20::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(4);
        let table = |sigma| {
            let mut draws = vec![0; 3];
            TableGaussian::new(sigma)
                .unwrap()
                .fill(&mut draws, &mut rng());
            draws
        };
        let exact = |sigma| {
            let mut draws = vec![0; 3];
            DiscreteGaussian::new(sigma)
                .unwrap()
                .fill(&mut draws, &mut rng());
            draws
        };
        let (usual, weak) = (plan(3.0), plan(25.0));
        let mut source = NoiseSource::default();
        for sigma in [2, 1000, MAX_TABLE_SIGMA] {
            assert_ne!(table(sigma), exact(sigma));
            assert_eq!(added(&mut source, sigma, &usual), table(sigma));
            assert_eq!(added(&mut source, sigma, &weak), exact(sigma));
        }
        assert_eq!(source.drawn, 9);
        let beyond = MAX_TABLE_SIGMA + 1;
        assert_eq!(added(&mut source, beyond, &usual), exact(beyond));
        source.drawn = WORKER_DRAWS / 3 - 2;
        assert_eq!(added(&mut source, 1000, &usual), exact(1000));
    }

    /// FT-22: the goal's noise is calibrated to, and its ledger enforces, what is left of delta.
    #[test]
    fn the_limit_leaves_room_for_tables() {
        let plan = plan(3.0);
        let privacy = plan.privacy().unwrap();
        let (limit, goal) = (privacy.limit.delta.get(), privacy.goal.delta.get());
        assert!(limit + privacy.table_share().unwrap() <= goal && limit < goal);
        let at = |delta: f64| {
            let constant = |_| Ok::<_, DpError>(2.0);
            privacy
                .with_tables(Delta::new(delta).unwrap(), constant)
                .unwrap()
        };
        assert_eq!((at(goal), at(1e-11)), (2.0, 2.0));
        assert_eq!(at(1e-13), f64::INFINITY);
    }
}
