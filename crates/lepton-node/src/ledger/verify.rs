//! Checks of a stored ledger beyond those of every opening (LG-07, LG-10).

use std::path::Path;

use lepton_protocol::ledger::{Amount, Book, Charge, Curve, LedgerError, What, accountant_of};
use lepton_protocol::store::StoreError;

use super::database::Stored;
use super::witness::SignedHead;

/// Limits, costs and signatures. The chain was followed when `history` was read, and the fingerprints were compared with it.
pub(super) fn all(
    path: &Path,
    history: &[Stored],
    heads: &[SignedHead],
) -> Result<(), LedgerError> {
    let mut book = Book::new();
    for stored in history {
        book.apply(stored.entry.clone()).map_err(|error| {
            wrong(
                path,
                &format!("entry {} passes a limit ({error})", stored.number),
            )
        })?;
    }
    costs(path, history)?;
    for signed in heads {
        witness(path, (book.ledger(), history), signed)?;
    }
    Ok(())
}

/// A head that somebody signed is part of this chain.
pub(super) fn witness(
    path: &Path,
    (ledger, history): (&str, &[Stored]),
    signed: &SignedHead,
) -> Result<(), LedgerError> {
    let by = &signed.signer;
    if !signed.is_genuine() {
        return Err(wrong(
            path,
            &format!("the countersignature of {by} is not genuine"),
        ));
    }
    if signed.ledger != ledger {
        let words = format!(
            "{by} countersigned ledger {}, and this is {ledger}: the file was replaced",
            signed.ledger
        );
        return Err(wrong(path, &words));
    }
    let place = usize::try_from(signed.head.count.saturating_sub(1)).unwrap_or(usize::MAX);
    match history.get(place) {
        Some(stored) if stored.hash == signed.head.hash => Ok(()),
        Some(_) => Err(wrong(
            path,
            &format!(
                "{by} countersigned another entry {}: the ledger was rolled back and went on differently",
                signed.head.count
            ),
        )),
        None => Err(wrong(
            path,
            &format!(
                "{by} countersigned {} entries and {} are left: the ledger was rolled back",
                signed.head.count,
                history.len()
            ),
        )),
    }
}

/// The cost of a charge follows from its mechanism; one that this version would charge more for was not charged enough.
fn costs(path: &Path, history: &[Stored]) -> Result<(), LedgerError> {
    let mut known: Vec<(&Charge, Curve)> = Vec::new();
    for stored in history {
        let What::Charged { charge, cost, .. } = &stored.entry.what else {
            continue;
        };
        let alike = |other: &Charge| other.event == charge.event && other.count == charge.count;
        let due = match known.iter().find(|(other, _)| alike(other)) {
            Some((_, due)) => due.clone(),
            None => {
                let due = Curve::of(&accountant_of([charge], charge.side)?);
                known.push((charge, due.clone()));
                due
            }
        };
        let enough = |(paid, due): (Amount, Amount)| paid >= due;
        let mut pairs = cost
            .orders()
            .zip(due.orders())
            .map(|((_, paid), (_, due))| (paid, due));
        if !pairs.all(enough) {
            return Err(wrong(
                path,
                &format!(
                    "entry {} charges less than its release costs",
                    stored.number
                ),
            ));
        }
    }
    Ok(())
}

fn wrong(path: &Path, what: &str) -> LedgerError {
    StoreError {
        place: path.display().to_string(),
        problem: format!("this ledger is damaged or was changed: {what}"),
        remedy: "restore the file from a copy that has every entry".to_owned(),
    }
    .into()
}
