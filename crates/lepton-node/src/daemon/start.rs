//! The model that a job starts from, held against the job's text wherever it arrives (rules JC-33, JC-34).

use bytes::Bytes;
use lepton_crypto::sha256;
use lepton_protocol::control::MAX_START_BYTES;
use lepton_protocol::job::Job;
use lepton_protocol::plan::Plan;
use lepton_protocol::training::StartModel;

use crate::hex::{hex, unhex};
use crate::model_file::ModelFile;

/// Key under which a start is kept beside what the job's machine keeps.
pub(crate) const KEY: &str = "start.safetensors";

/// How a job's text names one.
const PREFIX: &str = "sha256:";

/// What the file of a model says beside its numbers: at most a job text's worth of categories and names, and the names and shapes of its tensors.
const BESIDE: u64 = 2 << 20;

/// What a job starts from, as its signed text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// SHA-256 of the model's file.
    sha256: [u8; 32],
    /// Most bytes that the file may have.
    pub(crate) most: u64,
}

/// How a text names these bytes.
pub(crate) fn name_of(bytes: &[u8]) -> String {
    format!("{PREFIX}{}", hex(sha256(bytes).as_bytes()))
}

/// The digest that `model.start` names; `None` where it names a folder.
pub(crate) fn digest_of(start: &str) -> Option<[u8; 32]> {
    let digits = start.strip_prefix(PREFIX)?;
    let digest = unhex(digits)?;
    // One way to write it, so that one start is one text.
    (hex(&digest) == digits).then_some(digest)
}

/// What the job starts from; `None` for a fresh model.
///
/// # Errors
/// Why no model can be what it starts from.
pub(crate) fn wanted(plan: &Plan) -> Result<Option<Wanted>, String> {
    let Some(start) = &plan.job().model().start else {
        return Ok(None);
    };
    let sha256 = digest_of(start).ok_or("model.start names no digest")?;
    let numbers = StartModel::spec(plan).and_then(|spec| Ok(lepton_learn::param_len(&spec)?));
    let numbers = numbers.map_err(|error| error.to_string())?;
    let most = (numbers as u64).saturating_mul(4).saturating_add(BESIDE);
    if most > MAX_START_BYTES {
        return Err(format!(
            "model.start: a model of {numbers} numbers is too large to be handed over"
        ));
    }
    Ok(Some(Wanted { sha256, most }))
}

/// Whether the job names a start at all.
pub(crate) fn named(job: &Job) -> bool {
    job.model().start.is_some()
}

impl Wanted {
    /// The model, if these are its bytes and the job can begin from it.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(crate) fn open(&self, plan: &Plan, bytes: &[u8]) -> Result<StartModel, String> {
        if *sha256(bytes).as_bytes() != self.sha256 {
            return Err(
                "the model to start from is not the one that the signed job names: its SHA-256 is another".to_owned(),
            );
        }
        read(plan, bytes)
    }
}

/// The model in these bytes, if the job can begin from it.
///
/// # Errors
/// What is wrong, in words.
pub(crate) fn read(plan: &Plan, bytes: &[u8]) -> Result<StartModel, String> {
    let wrong = |error: String| format!("the model to start from cannot be read: {error}");
    let file = ModelFile::from_bytes(bytes).map_err(wrong)?;
    if file.header.slot_key.is_some() {
        return Err(
            "the model to start from holds the key of its hashed categories, which is its parties' alone; list the categories under [prepare.values]".to_owned(),
        );
    }
    let (numbers, header) = (file.model.params().to_vec(), file.header);
    let start = StartModel::new(numbers, header.preparation);
    start
        .check(plan, &header.spec)
        .map_err(|error| error.to_string())?;
    Ok(start)
}

/// A start that arrives part by part. Nothing of it is kept before all of it is there and right.
pub(crate) struct Arriving {
    pub(crate) wanted: Wanted,
    of: Option<u64>,
    bytes: Vec<u8>,
}

impl Arriving {
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            of: None,
            bytes: Vec::new(),
        }
    }

    /// How many bytes have come.
    pub(crate) fn have(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Takes the next part; `false` for one that was not asked for now.
    ///
    /// # Errors
    /// Why the start cannot be what the job names.
    pub(crate) fn take(
        &mut self,
        part: &lepton_protocol::control::StartPart,
    ) -> Result<bool, String> {
        if part.of > self.wanted.most {
            return Err(format!(
                "the model to start from has {} bytes, and one that the job trains has {} at most",
                part.of, self.wanted.most
            ));
        }
        if part.from != self.have() || self.of.is_some_and(|of| of != part.of) {
            return Ok(false);
        }
        self.of = Some(part.of);
        self.bytes.extend_from_slice(&part.bytes);
        Ok(true)
    }

    /// All of it, once it is there.
    pub(crate) fn whole(&mut self) -> Option<Bytes> {
        (self.of == Some(self.have())).then(|| std::mem::take(&mut self.bytes).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_protocol::control::StartPart;

    fn part(from: u64, of: u64, length: usize) -> StartPart {
        let bytes = vec![7; length].into();
        StartPart { from, of, bytes }
    }

    /// JC-33: in order, once each, within what the job may have.
    #[test]
    fn parts_come_in_order_and_within_the_bound() {
        let sha256 = *sha256(&[7; 10]).as_bytes();
        let mut arriving = Arriving::new(Wanted { sha256, most: 10 });
        assert_eq!(arriving.take(&part(4, 10, 4)), Ok(false));
        assert_eq!(arriving.take(&part(0, 10, 4)), Ok(true));
        assert_eq!(arriving.take(&part(0, 10, 4)), Ok(false));
        assert_eq!(arriving.take(&part(4, 9, 4)), Ok(false));
        assert!(arriving.whole().is_none());
        assert!(arriving.take(&part(4, 11, 4)).is_err());
        assert_eq!(arriving.take(&part(4, 10, 6)), Ok(true));
        assert_eq!(arriving.whole().unwrap(), vec![7; 10]);
    }

    #[test]
    fn a_digest_has_one_way_to_be_written() {
        let name = name_of(b"model");
        assert_eq!(digest_of(&name), Some(*sha256(b"model").as_bytes()));
        for other in [
            name.to_uppercase(),
            name.replace("sha256:", ""),
            name.replace("sha256:", "sha256: "),
            format!("sha256:{}", hex(sha256(b"model").as_bytes()).to_uppercase()),
            name[..70].to_owned(),
            "runs/churn".to_owned(),
        ] {
            assert_eq!(digest_of(&other), None, "{other}");
        }
    }
}
