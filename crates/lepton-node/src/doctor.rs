//! `lepton doctor`: whether this machine can run Lepton, and what to do where it cannot; with a configuration file, whether its program can do its part.

mod holdings;
mod member;
mod program;
mod rehearsal;
mod way;

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use lepton_crypto::IdentityKey;
use lepton_ring::{Modulus, RingVec};
use lepton_secagg::{
    Attempt, Collecting, EpochContext, EpochKeys, Fault, Parameters, PartyIndex, PartySetup,
    Roster, VectorSpec,
};
use rand_core::{CryptoRng, Rng};
use serde::Serialize;

use crate::error::NodeError;
use crate::random::Entropy;

pub use program::{Program, Rehearsal};

/// A run folder with its state needs a few megabytes; below this a run may well end with a full disk.
const LEAST_FREE_BYTES: u64 = 100 << 20;

/// Memory for a run of the examples, with room.
const LEAST_MEMORY_BYTES: u64 = 256 << 20;

/// Parties of the masked sum that is tried.
const PARTIES: u16 = 3;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// It works, but not as well as it could.
    Warning,
    /// Lepton cannot work here.
    Failed,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: Cow<'static, str>,
    /// How it ended.
    pub status: Status,
    /// What was found.
    pub found: String,
    /// What to do; absent when all is well.
    pub remedy: Option<String>,
}

impl Check {
    /// All is well.
    #[must_use]
    pub fn ok(name: impl Into<Cow<'static, str>>, found: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            status: Status::Ok,
            found: found.into(),
            remedy: None,
        }
    }

    /// Not as well as it could be.
    #[must_use]
    pub fn warning(
        name: impl Into<Cow<'static, str>>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            status: Status::Warning,
            found: found.into(),
            remedy: Some(remedy.into()),
        }
    }

    /// Lepton cannot work.
    #[must_use]
    pub fn failed(
        name: impl Into<Cow<'static, str>>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            status: Status::Failed,
            found: found.into(),
            remedy: Some(remedy.into()),
        }
    }
}

/// A failure whose words end with what to do, where they do; `remedy` where they do not.
fn failure(
    name: impl Into<Cow<'static, str>>,
    error: &NodeError,
    remedy: impl Into<String>,
) -> Check {
    let words = error.to_string();
    // Several problems are told as they are: each has its own remedy.
    match words.rsplit_once("; ").filter(|_| !words.contains('\n')) {
        Some((found, own)) => Check::failed(name, found, own),
        None => Check::failed(name, words, remedy),
    }
}

/// A span of time for a person.
fn days(seconds: u64) -> String {
    match seconds {
        172_800.. => format!("{} days", seconds / 86_400),
        7_200.. => format!("{} hours", seconds / 3600),
        _ => format!("{} minutes", seconds / 60),
    }
}

/// Looks at the machine and at `folder`, where runs would go.
#[must_use]
pub fn checks(folder: &Path) -> Vec<Check> {
    vec![
        randomness(),
        aes(),
        cores(),
        memory(),
        writable(folder),
        space(folder),
        masked_sum(),
        examples(folder),
    ]
}

fn randomness() -> Check {
    let name = "randomness of the operating system";
    let remedy = "check /dev/urandom or the sandbox's rules; Lepton runs nothing without it";
    let draw = || -> Result<[u64; 2], crate::random::NoEntropy> {
        let mut rng = Entropy::System.generator("doctor", 0)?;
        Ok([rng.next_u64(), rng.next_u64()])
    };
    match (draw(), draw()) {
        // Two honest draws of 128 bits are equal once in 2^128 times.
        (Ok(first), Ok(second)) if first != second => Check::ok(name, "available"),
        (Ok(_), Ok(_)) => Check::failed(name, "it gave the same bytes twice", remedy),
        (Err(error), _) | (_, Err(error)) => Check::failed(name, error.to_string(), remedy),
    }
}

fn aes() -> Check {
    let name = "AES instructions";
    #[cfg(target_arch = "x86_64")]
    let present = std::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    let present = std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let present = false;
    if present {
        Check::ok(name, "present")
    } else {
        Check::warning(
            name,
            "absent",
            "masks are as safe but slower to make; use a processor with AES instructions for large models",
        )
    }
}

fn cores() -> Check {
    let name = "processor cores";
    match std::thread::available_parallelism() {
        Ok(cores) => Check::ok(name, cores.to_string()),
        Err(error) => Check::warning(
            name,
            format!("unknown ({error})"),
            "nothing to do: one is used",
        ),
    }
}

fn memory() -> Check {
    let name = "memory";
    let read = std::fs::read_to_string("/proc/meminfo").ok();
    let Some(available) = read.as_deref().and_then(available_memory) else {
        return Check::ok(name, "not told by this system");
    };
    let found = format!("{} available", size(available));
    if available < LEAST_MEMORY_BYTES {
        Check::warning(name, found, "close other programs, or use smaller tables")
    } else {
        Check::ok(name, found)
    }
}

/// Bytes of `MemAvailable` in the text of `/proc/meminfo`.
fn available_memory(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()?
        .checked_mul(1024)
}

fn writable(folder: &Path) -> Check {
    let name = "current folder writable";
    let probe = folder.join(format!(".lepton-doctor-{}", std::process::id()));
    let tried = std::fs::write(&probe, b"lepton");
    // A probe that could be made can be removed; where it could not be made there is nothing to remove.
    let _ = std::fs::remove_file(&probe);
    match tried {
        Ok(()) => Check::ok(name, "yes"),
        Err(error) => Check::failed(
            name,
            format!("no ({error})"),
            "go to a folder of your own, or name one with `lepton run --runs DIR`",
        ),
    }
}

fn space(folder: &Path) -> Check {
    let name = "free space";
    match free_bytes(folder) {
        None => Check::ok(name, "not told by this system"),
        Some(bytes) if bytes < LEAST_FREE_BYTES => Check::warning(
            name,
            format!("{} in the current folder", size(bytes)),
            "free some space, or name another disk with `lepton run --runs DIR`",
        ),
        Some(bytes) => Check::ok(name, format!("{} in the current folder", size(bytes))),
    }
}

#[cfg(unix)]
fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

#[cfg(not(unix))]
fn free_bytes(_: &Path) -> Option<u64> {
    None
}

fn size(bytes: u64) -> String {
    let mebibytes = bytes >> 20;
    if mebibytes < 10_240 {
        format!("{mebibytes} MiB")
    } else {
        format!("{} GiB", mebibytes >> 10)
    }
}

/// The whole path from keys to an opened sum, in memory.
fn masked_sum() -> Check {
    let name = "masked sum of 3 parties";
    let broken = "this build does not work here; build it again (`cargo build --release`), and report it if that does not help";
    let mut rng = match Entropy::System.generator("doctor's masked sum", 0) {
        Ok(rng) => rng,
        Err(error) => return Check::failed(name, error.to_string(), "see the first check"),
    };
    match try_sum(&mut rng) {
        Ok((sum, expected)) if sum == expected => Check::ok(name, "gives the exact sum"),
        Ok((sum, expected)) => {
            Check::failed(name, format!("gave {sum:?}, not {expected:?}"), broken)
        }
        Err(fault) => Check::failed(name, fault.to_string(), broken),
    }
}

/// What the protocol opened, and what it should have.
fn try_sum(rng: &mut impl CryptoRng) -> Result<(Vec<i64>, Vec<i64>), Fault> {
    let params = Parameters::new(PARTIES, 1, 0, None, None).map_err(|_| internal())?;
    let spec = VectorSpec {
        modulus: Modulus::for_sum_bound(1 << 20).map_err(|_| internal())?,
        len: 3,
        purpose: [0; 32],
    };
    let (context, attempt) = (
        EpochContext {
            job: [0; 32],
            epoch: 0,
        },
        Attempt {
            round: 0,
            attempt: 0,
        },
    );
    let identities: Vec<IdentityKey> = (0..PARTIES).map(|_| IdentityKey::generate(rng)).collect();
    let roster: Vec<_> = identities.iter().map(IdentityKey::public).collect();
    let roster = Roster::new(&roster)?;
    let (mut setups, mut adverts) = (Vec::new(), Vec::new());
    for (index, identity) in (0..).map(PartyIndex::new).zip(&identities) {
        let (setup, advert) = PartySetup::begin(index, identity, &roster, params, context, rng)?;
        setups.push(setup);
        adverts.push((index, advert.bytes));
    }
    let keys = EpochKeys::verify(params, &roster, context, &adverts, &[])?;
    let mut collecting = Collecting::new(Arc::new(keys), attempt, spec)?;
    let (mut masked, mut expected) = (Vec::new(), vec![0_i64; spec.len]);
    for (index, setup) in (0..).map(PartyIndex::new).zip(setups) {
        let input: Vec<i64> = (1..=3)
            .map(|place| place * 1000 - 777 * i64::from(index.get()))
            .collect();
        expected
            .iter_mut()
            .zip(&input)
            .for_each(|(sum, value)| *sum += value);
        let input = RingVec::from_signed(spec.modulus, &input).map_err(|_| internal())?;
        let (state, body) = setup
            .freeze(&adverts)?
            .finish(&[])?
            .mask(attempt, spec, input, rng)?;
        collecting.accept(index, &body)?;
        masked.push(state);
    }
    let mut signing = collecting.close()?;
    let views: Vec<_> = signing.views().collect();
    let mut signed = Vec::new();
    for ((state, (to, view)), identity) in masked.into_iter().zip(views).zip(&identities) {
        let (state, signature) = state.sign(&view, identity)?;
        signing.accept(to, &signature)?;
        signed.push((to, state));
    }
    let (mut opening, bundle) = signing.close()?;
    for (from, state) in signed {
        opening.accept(from, &state.open(&bundle)?)?;
    }
    let summed = opening.finish(NonZeroUsize::MIN)?;
    let sum = summed.sums.iter().flat_map(RingVec::to_signed);
    Ok((sum.collect(), expected))
}

/// The constants above were refused: a fault of this file.
fn internal() -> Fault {
    lepton_secagg::CallerReason::Input.into()
}

fn examples(folder: &Path) -> Check {
    let name = "examples";
    let found = std::fs::read_dir(folder.join("examples")).map_or(0, |entries| {
        entries
            .flatten()
            .filter(|entry| entry.path().join("job.toml").is_file())
            .count()
    });
    if found > 0 {
        Check::ok(name, format!("{found} in ./examples"))
    } else {
        Check::ok(
            name,
            "none in this folder; `lepton new first` makes a job that runs at once",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_kernels_text() {
        let text = "MemTotal:       16384 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(available_memory(text), Some(2 << 20));
        assert_eq!(available_memory("MemAvailable: many"), None);
    }

    #[test]
    fn a_healthy_machine_passes_and_a_lost_folder_does_not() {
        let folder = tempfile::tempdir().unwrap();
        assert!(
            checks(folder.path())
                .iter()
                .all(|check| check.status != Status::Failed)
        );
        let lost = checks(&folder.path().join("lost"));
        let failed: Vec<_> = lost
            .iter()
            .filter(|check| check.status == Status::Failed)
            .collect();
        assert_eq!(failed.len(), 1);
        assert!(failed[0].remedy.is_some());
    }
}
