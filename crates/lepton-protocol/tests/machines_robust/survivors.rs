//! Whole jobs through the machines: which survivor sets and vectors parties let into a sum (FT-17, FT-18).

use std::collections::{BTreeSet, VecDeque};
use std::num::NonZeroUsize;
use std::time::Duration;

use chacha20::ChaCha20Rng;
use lepton_crypto::{IdentityKey, sha256};
use lepton_protocol::coordinator::{self, Coordinator};
use lepton_protocol::exchange::Kind;
use lepton_protocol::party::{self, Party};
use lepton_protocol::plan::Plan;
use lepton_protocol::progress::Progress;
use lepton_protocol::training::Training;
use lepton_protocol::work::Worker;
use rand_core::SeedableRng;

use crate::kit::{PARTIES, job_text, plan_of, rows};

const MEDIAN: &str = "combine = \"median\"\ngroups = 4\n";
/// Three may drop of sixteen, of one group of four only one.
const THREE_DROPS: &str = "[protection]\ncolluders = 1\ndrops = 3\n";

enum Message {
    ToParty(u16, Vec<u8>),
    ToCoordinator(Vec<u8>),
}

/// A federation in one room: no network, no clock.
struct Room {
    plan: Plan,
    coordinator: Coordinator,
    parties: Vec<(Party, Worker)>,
    under_way: VecDeque<Message>,
    /// Who stops answering when training begins.
    leaving: BTreeSet<u16>,
    gone: BTreeSet<u16>,
    /// Whose program was changed: it hands its machine the greatest numbers that the ring holds.
    changed: Option<u16>,
    told: Vec<Progress>,
    rng: ChaCha20Rng,
    over: bool,
}

impl Room {
    fn new(training: &str, protection: &str) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(11);
        let text = job_text(training, protection);
        let plan = plan_of(training, protection);
        let job = *sha256(text.as_bytes()).as_bytes();
        let keys: Vec<IdentityKey> = (0..PARTIES)
            .map(|_| IdentityKey::generate(&mut rng))
            .collect();
        let identity = IdentityKey::generate(&mut rng);
        let roster: Vec<_> = keys.iter().map(IdentityKey::public).collect();
        let parties = (0_u16..).zip(keys).map(|(index, key)| {
            let seat = party::Seat {
                index,
                identity: key,
                roster: roster.clone(),
                coordinator: identity.public(),
                job,
                signed_sets: Default::default(),
                slot_key: None,
                last_epoch: 0,
            };
            (Party::new(seat), Worker::new(rows(index)))
        });
        let parties = parties.collect();
        let seat = coordinator::Seat {
            identity,
            roster,
            job_text: text,
            job,
            epoch: 1,
            patience: Duration::from_secs(1),
            // One thread of several takes masks off: the sum is the same.
            workers: NonZeroUsize::new(3).unwrap(),
        };
        let course = Training::new(&plan, None);
        Self {
            coordinator: Coordinator::new(seat, plan.clone(), course),
            plan,
            parties,
            under_way: VecDeque::new(),
            leaving: BTreeSet::new(),
            gone: BTreeSet::new(),
            changed: None,
            told: Vec::new(),
            rng,
            over: false,
        }
    }

    /// The first `count` parties of a group.
    fn members(&self, group: u16, count: usize) -> Vec<u16> {
        let groups = self.plan.groups().unwrap();
        (0..PARTIES)
            .filter(|party| groups.of(*party) == Some(group))
            .take(count)
            .collect()
    }

    fn run(mut self) -> Self {
        self.tell(coordinator::Event::Start);
        while let Some(message) = self.under_way.pop_front() {
            match message {
                Message::ToCoordinator(bytes) => self.tell(coordinator::Event::Frame(bytes.into())),
                Message::ToParty(index, bytes) => {
                    self.show(index, party::Event::Frame(bytes.into()))
                }
            }
        }
        assert!(self.over, "the job is over: {:#?}", self.told);
        self
    }

    fn tell(&mut self, event: coordinator::Event) {
        let effects = self.coordinator.step(event, &mut self.rng).unwrap();
        let frames = effects.send.into_iter();
        self.under_way
            .extend(frames.map(|(party, bytes)| Message::ToParty(party, bytes)));
        self.told.extend(effects.progress);
        self.over |= effects.over;
        if effects
            .began
            .is_some_and(|next| next.kind == Kind::Training)
        {
            for party in std::mem::take(&mut self.leaving) {
                self.gone.insert(party);
                self.tell(coordinator::Event::Gone(party));
            }
        }
    }

    fn show(&mut self, index: u16, event: party::Event) {
        if self.gone.contains(&index) {
            return;
        }
        let (party, worker) = &mut self.parties[usize::from(index)];
        let effects = party.step(event, &mut self.rng).unwrap();
        self.under_way
            .extend(effects.send.into_iter().map(Message::ToCoordinator));
        let Some(work) = effects.work else { return };
        let mut vector = worker.contribute(&self.plan, &work, &mut self.rng).unwrap();
        if self.changed == Some(index) && work.exchange.kind == Kind::Training {
            vector[1..].fill(i64::from(u32::MAX));
        }
        self.show(index, party::Event::Worked(work.place, Ok(vector)));
    }

    fn rounds(&self) -> u32 {
        self.coordinator.training().rounds_done()
    }

    fn declined(&self) -> Vec<(u16, &str)> {
        let declined = self.told.iter().filter_map(|told| match told {
            Progress::Declined { party, reason, .. } => Some((*party, reason.as_str())),
            _ => None,
        });
        declined.collect()
    }
}

/// FT-18: enough parties are left of all, but not of one group: the coordinator shows the set to nobody, and no round is summed. That parties refuse such
/// a set is tested with the masked sum (SA-26).
#[test]
fn ft_18_a_set_that_leaves_a_group_short_is_not_summed() {
    let mut room = Room::new(MEDIAN, THREE_DROPS);
    assert_eq!(room.plan.parameters().survivor_floor(), 13);
    assert_eq!(room.plan.groups().unwrap().floor(), 3);
    room.leaving = room.members(2, 2).into_iter().collect();
    let room = room.run();
    assert_eq!(room.rounds(), 0);
    assert_eq!(room.declined(), []);
    let reason = "2 parties of group 2 are left, and a sum over a group needs 3";
    let lost = room
        .told
        .iter()
        .filter(|told| matches!(told, Progress::Abandoned { reason: why, .. } if why == reason));
    assert_eq!(lost.count(), 3, "{:?}", room.told);
    let summed = room.told.iter().filter(|told| {
        matches!(
            told,
            Progress::Summed {
                kind: Kind::Training,
                ..
            }
        )
    });
    assert_eq!(summed.count(), 0);
    assert!(
        room.coordinator.training().metrics().is_some(),
        "other sums go on"
    );
}

/// The twins: as many drops spread over groups, and the same drops without groups, lose nothing.
#[test]
fn ft_18_other_sets_of_the_same_size_are_summed() {
    let mut room = Room::new(MEDIAN, THREE_DROPS);
    room.leaving = (0..3).flat_map(|group| room.members(group, 1)).collect();
    let room = room.run();
    assert_eq!((room.rounds(), room.declined()), (3, Vec::new()));
    let gone = Room::new(MEDIAN, THREE_DROPS).members(2, 2);
    let mut plain = Room::new("", THREE_DROPS);
    plain.leaving = gone.into_iter().collect();
    assert_eq!(plain.run().rounds(), 3);
}

/// FT-17, FT-19: a party whose program was changed, which masks the greatest numbers there are, moves its own group's mean and no other: through all machines,
/// the median stays where the honest groups are. Without groups it moves the parameters as far as it likes.
#[test]
fn ft_19_a_changed_program_is_confined_to_its_group() {
    let trained = |training: &str, changed| {
        let mut room = Room::new(training, "");
        room.changed = changed;
        let room = room.run();
        assert_eq!((room.rounds(), room.declined()), (3, Vec::new()));
        room.coordinator.training().parameters().to_vec()
    };
    let farthest = |parameters: &[f64]| parameters.iter().fold(0.0_f64, |far, x| far.max(x.abs()));
    for combine in [MEDIAN, "combine = \"trimmed_mean\"\ngroups = 4\n"] {
        let honest = farthest(&trained(combine, None));
        let bad = farthest(&trained(combine, Some(5)));
        assert!(honest > 0.01 && bad < 2.0 * honest, "{bad} {honest}");
    }
    let ruined = farthest(&trained("", Some(5)));
    assert!(ruined > 50.0, "the corrupted twin: {ruined}");
}
