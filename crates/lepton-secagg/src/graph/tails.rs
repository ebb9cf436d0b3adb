//! Exact tails of what a random graph and a random committee contain (SG-05, SG-06), computed so that rounding only raises them (SG-12).

/// `log2(i!)` for `i` up to the number of parties.
pub(super) struct LogFactorials(Vec<f64>);

impl LogFactorials {
    /// The table up to `n!`, by compensated summation (Neumaier): each entry is within 2e-10 of the truth for `n < 2^16`.
    pub(super) fn new(n: u32) -> Self {
        let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
        let logs = (1..=n).map(|i| {
            let term = libm::log2(f64::from(i));
            let next = sum + term;
            lost += (sum - next) + term;
            sum = next;
            sum + lost
        });
        Self(core::iter::once(0.0).chain(logs).collect())
    }

    /// `log2(i!)`; minus infinity beyond the table, where no caller looks.
    pub(super) fn of(&self, i: u32) -> f64 {
        self.0.get(i as usize).copied().unwrap_or(f64::NEG_INFINITY)
    }

    /// `log2` of the number of `k`-subsets of `n` things: minus infinity where there is none.
    pub(super) fn subsets(&self, n: u32, k: u32) -> f64 {
        if k > n {
            return f64::NEG_INFINITY;
        }
        self.of(n) - self.of(k) - self.of(n - k)
    }
}

/// How many *distinct* members of a marked set are among a party's neighbours, after a number of cycles. In each cycle a party's two neighbours
/// are a uniform pair of the others, independent of the other cycles: a Markov chain on the count, followed exactly. Repeated edges count once.
pub(super) struct Marked {
    others: f64,
    marked: u32,
    /// By count.
    mass: Vec<f64>,
}

impl Marked {
    /// Without cycles: no neighbours yet. `others` is the number of parties but one, at least 2; `marked <= others`.
    pub(super) fn new(others: u32, marked: u32) -> Self {
        Self {
            others: f64::from(others),
            marked,
            mass: vec![1.0],
        }
    }

    pub(super) fn after(cycles: u16, others: u32, marked: u32) -> Self {
        let mut chain = Self::new(others, marked);
        (0..cycles).for_each(|_| chain.add_cycle());
        chain
    }

    pub(super) fn add_cycle(&mut self) {
        let pairs = self.others * (self.others - 1.0) / 2.0;
        let mut next = vec![0.0; self.mass.len() + 2];
        for (at, (mass, count)) in self.mass.iter().zip(0..=self.marked).enumerate() {
            let fresh = f64::from(self.marked - count);
            let rest = self.others - fresh;
            let two = fresh * (fresh - 1.0) / 2.0;
            let none = rest * (rest - 1.0) / 2.0;
            for (place, ways) in next.iter_mut().skip(at).zip([none, fresh * rest, two]) {
                *place += mass * (ways / pairs);
            }
        }
        self.mass = next;
    }

    /// The probability of more than `x`.
    pub(super) fn above(&self, x: u32) -> f64 {
        self.mass.iter().skip(x as usize + 1).rev().sum()
    }

    /// The probability of fewer than `x`.
    pub(super) fn below(&self, x: u32) -> f64 {
        self.mass.iter().take(x as usize).sum()
    }
}

/// A uniform sample without replacement from `parties`, of which some are marked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) parties: u32,
    pub(super) marked: u32,
    pub(super) size: u32,
}

impl Sample {
    /// The probability of more than `x` marked ones (hypergeometric), or 1 where `x` is below the mean.
    pub(super) fn above(&self, factorials: &LogFactorials, x: u32) -> f64 {
        let Self {
            parties,
            marked,
            size,
        } = *self;
        let first = x + 1;
        if first > marked.min(size) {
            return 0.0;
        }
        if u64::from(first) * u64::from(parties) <= u64::from(marked) * u64::from(size) {
            return 1.0;
        }
        // Above the mean, so not below the least possible count: marked + size - parties.
        let log = factorials.subsets(marked, first)
            + factorials.subsets(parties - marked, size - first)
            - factorials.subsets(parties, size);
        let mut term = libm::exp2(log);
        let mut sum = term;
        for count in first..marked.min(size) {
            let more = f64::from(marked - count) * f64::from(size - count);
            let fewer = f64::from(count + 1) * f64::from(parties + count + 1 - marked - size);
            let ratio = more / fewer;
            term *= ratio;
            sum += term;
            if ratio < 0.5 && term < sum * 1e-20 {
                // Ratios fall: all that is left is less than this term.
                return sum + term;
            }
        }
        sum
    }
}
