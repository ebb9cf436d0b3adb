//! The privacy report (`privacy.json`): what a run releases about its data, signed, for people who have to answer for it; and how such a
//! document is verified years later, with nothing but the file and a key (`docs/privacy-report.md`).

mod build;
mod canonical;
mod document;
mod envelope;
mod law;
mod of_key;
mod of_vault;
mod pem;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod sample;
mod verify;

#[cfg(test)]
mod tests;

use lepton_crypto::IdentityKey;
use lepton_protocol::ledger::Head;
use lepton_protocol::plan::Plan;
use lepton_protocol::report::Report;
use lepton_protocol::training::Training;

pub(crate) use canonical::{canonical, parse as strict};
pub use document::{
    Adversary, CurvePair, FileHash, Goal, Law, LawLine, LedgerHead, MaskedSum, Mechanism,
    NoiseSeen, PRIVACY_REPORT, PartyFacts, PrivacyReport, Protected, RunFacts, Signer, TradeOff,
    VERSION,
};
pub use envelope::{DOMAIN, Entry, Envelope, open, sign};
pub use pem::{public_key_pem, public_keys};
pub use verify::{Check, Keys, Outcome, SignerFound, Verification, verify, verify_file};

use crate::error::NodeError;
use crate::privacy_statement::Setting;
use crate::random::Entropy;
use crate::run_folder::RunFolder;

/// Name of the privacy report in a run folder.
pub const FILE: &str = "privacy.json";

/// Folder of the signers' public keys in a run folder.
pub const KEYS: &str = "keys";

/// File of the coordinator's public key.
const COORDINATOR: &str = "coordinator.pem";

/// A run, for [`write`] and [`write_real`].
pub(crate) struct Finished<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) training: &'a Training,
    pub(crate) report: &'a Report,
    pub(crate) folder: &'a RunFolder,
    pub(crate) entropy: Entropy,
    pub(crate) epoch: u64,
    pub(crate) ledger_head: Option<Head>,
    pub(crate) restored: bool,
}

/// Builds the report of a simulated run, signs it as the coordinator and as every party would, and writes it with the signers' public keys. The model
/// must lie in the folder already.
pub(crate) fn write(run: &Finished<'_>) -> Result<PrivacyReport, NodeError> {
    write_signed(run, &seats(run)?, true)
}

/// Builds the report of a federation's run as its coordinator knows it, signs it with the coordinator's `identity`, and writes it with the public key.
/// The model must lie in the folder already.
pub(crate) fn write_real(
    run: &Finished<'_>,
    identity: IdentityKey,
) -> Result<PrivacyReport, NodeError> {
    let seat = Seat {
        signer: Signer {
            role: "coordinator".to_owned(),
            party: None,
            public_key: identity.public().to_string(),
        },
        key: identity,
        file: COORDINATOR.to_owned(),
    };
    write_signed(run, &[seat], false)
}

fn write_signed(
    run: &Finished<'_>,
    seats: &[Seat],
    simulated: bool,
) -> Result<PrivacyReport, NodeError> {
    let internal = |error: String| NodeError::Internal(format!("the privacy report: {error}"));
    let report = build::build(build::Sources {
        plan: run.plan,
        training: run.training,
        report: run.report,
        folder: run.folder.root(),
        ledger_head: run.ledger_head,
        signers: seats.iter().map(|seat| seat.signer.clone()).collect(),
        setting: Setting {
            simulated,
            restored: run.restored,
        },
    })?;
    let keys: Vec<&IdentityKey> = seats.iter().map(|seat| &seat.key).collect();
    let signed = sign(report, &keys).map_err(internal)?;
    write_keys(run.folder, seats)?;
    let mut text =
        serde_json::to_string_pretty(&signed).map_err(|error| internal(error.to_string()))?;
    text.push('\n');
    // What is on the disk is what a reader verifies.
    let report = open(&text).map_err(internal)?;
    run.folder.write(FILE, text.as_bytes())?;
    Ok(report)
}

/// Somebody who signs.
struct Seat {
    signer: Signer,
    key: IdentityKey,
    /// Name of the key's file: a party's is its place in the roster, because its name need not be a file's.
    file: String,
}

/// Everybody who signs, with keys made for this run. A party signs what its own ledger bears out: not a total below what it was charged.
fn seats(run: &Finished<'_>) -> Result<Vec<Seat>, NodeError> {
    let stated = run.report.privacy.epsilon_coordinator;
    let agrees = |charged: Option<f64>| charged.zip(stated).is_none_or(|(own, all)| own <= all);
    let seat = |party: Option<&str>, actor: &str, file: String| {
        let mut rng = run
            .entropy
            .generator(&format!("report identity of {actor}"), run.epoch)?;
        let key = IdentityKey::generate(&mut rng);
        let signer = Signer {
            role: party.map_or("coordinator", |_| "party").to_owned(),
            party: party.map(str::to_owned),
            public_key: key.public().to_string(),
        };
        Ok::<_, NodeError>(Seat { signer, key, file })
    };
    let mut seats = vec![seat(None, "coordinator", COORDINATOR.to_owned())?];
    for (index, party) in run.report.parties.iter().enumerate() {
        if agrees(party.epsilon_charged) {
            let file = format!("party-{}.pem", index + 1);
            seats.push(seat(Some(&party.name), &format!("party {index}"), file)?);
        }
    }
    Ok(seats)
}

/// One file for each signer, and one with all of them.
fn write_keys(folder: &RunFolder, seats: &[Seat]) -> Result<(), NodeError> {
    let path = folder.path(KEYS);
    std::fs::create_dir_all(&path).map_err(|error| NodeError::file(&path, &error))?;
    let mut all = String::new();
    for Seat { signer, key, file } in seats {
        let pem = public_key_pem(&key.public());
        folder.write(&format!("{KEYS}/{file}"), pem.as_bytes())?;
        // A name is free text: it must not look like the beginning of a block.
        let name: String = signer
            .words()
            .chars()
            .map(|letter| {
                if letter.is_control() || letter == '-' {
                    '_'
                } else {
                    letter
                }
            })
            .collect();
        all += &format!("{name}\n{pem}");
    }
    folder.write(&format!("{KEYS}/all.pem"), all.as_bytes())
}
