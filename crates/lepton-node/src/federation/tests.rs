//! What a party's task does with what its machine refuses.

use lepton_dp::NoiseMultiplier;
use lepton_dp::rdp::Event;
use lepton_protocol::frame::Place;
use lepton_protocol::ledger::Side;
use lepton_protocol::party;
use lepton_protocol::store::Store;

use super::*;
use crate::files::{Durability, FileStore};
use crate::tables::{Federation, Source};
use crate::trainers::Trainers;

/// A private job's first party, in a folder of its own.
struct Desk {
    folder: tempfile::TempDir,
    setup: Setup,
    _stop: watch::Sender<bool>,
}

impl Desk {
    fn new() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let source = Source {
            job: root.join("examples/breast_cancer/job.toml"),
            overrides: vec!["privacy.epsilon=3".to_owned()],
            data: None,
            party_data: Vec::new(),
            vault_key: None,
        };
        let federation = Federation::load(&source).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (stopper, stop) = watch::channel(false);
        let parties = federation.parties.iter();
        let setup = Setup {
            training: Training::new(&federation.plan, None),
            parties: parties
                .map(|party| (party.name.clone(), party.rows.clone()))
                .collect(),
            plan: federation.plan,
            job_text: federation.job_text,
            job: federation.job_digest,
            epoch: 1,
            folder: folder.path().to_owned(),
            entropy: Entropy::InsecureSeed(7),
            ledger: None,
            trainers: Trainers::default(),
            scenario: Scenario::default(),
            stop,
        };
        Self {
            folder,
            setup,
            _stop: stopper,
        }
    }

    fn task(&self) -> Result<(PartyTask, mpsc::UnboundedReceiver<ToCoordinator>), NodeError> {
        let (out, inbox) = mpsc::unbounded_channel();
        let (name, rows) = self.setup.parties.first().unwrap();
        let mut roster = Roster::new(&self.setup)?;
        let task = PartyTask::new(&self.setup, &mut roster, 0, (name, rows.clone()), out)?;
        Ok((task, inbox))
    }
}

fn own_log(inbox: &mut mpsc::UnboundedReceiver<ToCoordinator>) -> Vec<String> {
    let mut lines = Vec::new();
    while let Ok(message) = inbox.try_recv() {
        match message {
            ToCoordinator::OwnLog(line) => lines.push(line),
            _ => panic!("something else than a line of the party's own log"),
        }
    }
    lines
}

#[tokio::test]
async fn what_a_party_refuses_is_in_its_own_log() {
    let desk = Desk::new();
    let (mut task, mut inbox) = desk.task().unwrap();
    task.on_event(party::Event::Frame(vec![0xff].into()))
        .await
        .unwrap();
    let lines = own_log(&mut inbox);
    assert_eq!(lines.len(), 1, "{lines:?}");
    let (name, _) = desk.setup.parties.first().unwrap();
    assert!(
        lines.concat().starts_with(&format!("party {name}: ")),
        "{lines:?}"
    );
}

/// FT-09: the machine, and so the coordinator, learns that the ledger refused; the figures stay in the party's own log.
#[tokio::test]
async fn ft_09_the_figures_of_a_ledger_stay_with_the_party() {
    let desk = Desk::new();
    let (mut task, mut inbox) = desk.task().unwrap();
    let place = Place {
        job: [0; 32],
        epoch: 1,
        round: 1,
        attempt: 1,
    };
    let charge = Charge {
        epoch: 1,
        round: 1,
        attempt: 1,
        kind: "training".to_owned(),
        side: Side::Training,
        event: Event::Gaussian {
            noise_multiplier: NoiseMultiplier::new(0.01).unwrap(),
        },
        count: 1_000,
    };
    let effects = party::Effects {
        charge: Some((place, charge)),
        send: vec![vec![1]],
        ..party::Effects::default()
    };
    let next = task.carry_out(effects).await.unwrap();
    assert!(matches!(next, Some(party::Event::Refused(at)) if at == place));
    let lines = own_log(&mut inbox).concat();
    assert!(lines.contains("epsilon"), "{lines}");
}

/// SA-21: the task gives its machine the epoch that it has stored, and does not start on a damaged record.
#[tokio::test]
async fn sa_21_the_last_epoch_is_read_back() {
    let desk = Desk::new();
    let path = desk.folder.path().join("parties/0");
    let mut store = FileStore::open(&path, Durability::Process).unwrap();
    assert_eq!(store.last_epoch().unwrap(), 0);
    store.put(party::EPOCH, &7_u64.to_be_bytes()).unwrap();
    assert_eq!(store.last_epoch().unwrap(), 7);
    store.put(party::EPOCH, b"seven").unwrap();
    let refused = desk.task().err().map(|error| error.to_string());
    assert!(refused.is_some_and(|text| text.contains("restore the file epoch")));
}
