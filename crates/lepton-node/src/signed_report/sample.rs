//! A report with everything in it, for tests and as a valid input of the decoder.

use lepton_crypto::{IdentityKey, Seed};

use super::*;

pub(crate) fn keys() -> [IdentityKey; 3] {
    [1, 2, 3].map(|byte| IdentityKey::from_seed(Seed::from_bytes([byte; 32])))
}

fn signers(keys: &[IdentityKey]) -> Vec<Signer> {
    let signer = |(number, key): (usize, &IdentityKey)| Signer {
        role: if number == 0 { "coordinator" } else { "party" }.to_owned(),
        party: (number > 0).then(|| format!("clinic \"{number}\" é")),
        public_key: key.public().to_string(),
    };
    keys.iter().enumerate().map(signer).collect()
}

fn noise(noise_multiplier: f64, shares: Option<u32>) -> NoiseSeen {
    NoiseSeen {
        noise_multiplier,
        shares,
        sigma_share: shares.map(|_| 812),
        length: shares.map(|_| 31),
    }
}

fn adversary(name: &str, epsilon: f64) -> Adversary {
    Adversary {
        name: name.to_owned(),
        who: name.to_owned(),
        sees: "sums".to_owned(),
        epsilon: Some(epsilon),
        delta: Some(1e-5),
        curve: vec![CurvePair {
            delta: 1e-6,
            epsilon: epsilon + 0.5,
        }],
        trade_off: vec![TradeOff {
            false_alarm: 0.05,
            miss_at_least: 0.4,
        }],
    }
}

fn masked_sum() -> MaskedSum {
    MaskedSum {
        graph: "complete".to_owned(),
        neighbours: 2,
        graph_failure_bits: Some(40.1),
        parties: 3,
        colluders: 0,
        drops: 1,
        threshold: 2,
        quorum: 2,
        committee: 3,
        survivor_floor: 2,
        groups: 1,
        group_floor: None,
        group_threshold: None,
        sums: 12,
        abandoned: 1,
    }
}

fn law() -> Law {
    Law {
        note: "no advice".to_owned(),
        lines: vec![LawLine {
            law: "GDPR".to_owned(),
            provision: "Art. 25".to_owned(),
            subject: "design".to_owned(),
            supplied: "noise".to_owned(),
            open: "risk".to_owned(),
        }],
    }
}

pub(crate) fn sample(keys: &[IdentityKey]) -> PrivacyReport {
    PrivacyReport {
        kind: PRIVACY_REPORT.to_owned(),
        version: VERSION,
        lepton_version: "0.1.0".to_owned(),
        simulated: true,
        summary: "Each record is protected.".to_owned(),
        run: RunFacts {
            job: "sample".to_owned(),
            folder: "sample-20260101-120000".to_owned(),
            started: "2026-01-01T12:00:00Z".to_owned(),
            job_sha256: "00".repeat(32),
            rounds: 9,
            rounds_planned: 10,
        },
        protected: Protected {
            unit: Some("record".to_owned()),
            adjacency: Some("add-remove".to_owned()),
            meaning: "there or not".to_owned(),
            covers: "everything".to_owned(),
            accountant: Some("rdp".to_owned()),
        },
        goal: Some(Goal {
            epsilon: 3.0,
            delta: 1e-5,
        }),
        adversaries: vec![adversary("public", 2.1), adversary("coordinator", 2.9)],
        mechanisms: vec![Mechanism {
            release: "training".to_owned(),
            records: "training records".to_owned(),
            mechanism: "sum".to_owned(),
            times: 9,
            sampling_rate: 0.1,
            coordinator: noise(1.25, Some(2)),
            public: noise(1.5, None),
        }],
        assumptions: vec!["honest noise".to_owned()],
        not_protected: vec!["groups".to_owned()],
        insecure: vec!["a seed".to_owned()],
        masked_sum: masked_sum(),
        parties: vec![PartyFacts {
            name: "clinic".to_owned(),
            sums_joined: 12,
            sums_missed: 0,
            epsilon_charged: Some(2.9),
            ledger_head: Some(LedgerHead {
                entries: 12,
                hash: "11".repeat(32),
            }),
        }],
        files: vec![FileHash {
            file: "job.toml".to_owned(),
            what: "the effective job".to_owned(),
            sha256: lepton_crypto::sha256(b"job").to_string(),
        }],
        law: law(),
        identities: "made up".to_owned(),
        signers: signers(keys),
    }
}
